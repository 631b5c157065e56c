//! A function's output as log events: however it arrives, the events are the same, and none is too long.
#![no_main]

use base::limits::LOG_EVENT_MESSAGE_BYTES;
use libfuzzer_sys::fuzz_target;
use record::lines::{Event, Splitter};
use samovar_fuzz::choice;

/// Inputs that begin so, and have no line's end, are made long enough to be cut.
const LONG: u8 = 255;

fuzz_target!(|data: &[u8]| {
    let Some((how, data)) = choice(data) else { return };
    let repeated;
    let data = if how == LONG && !data.is_empty() && !data.contains(&b'\n') {
        repeated = data.repeat(9 * LOG_EVENT_MESSAGE_BYTES / 8 / data.len());
        &repeated
    } else {
        data
    };
    let whole = events([data]);
    let piece = if how == LONG { 65_521 } else { usize::from(how) % 32 + 1 };
    assert_eq!(whole, events(data.chunks(piece)));
    assert!(whole.iter().all(|event| event.message.len() <= LOG_EVENT_MESSAGE_BYTES));
    let length: usize = whole.iter().map(|event| event.message.len()).sum();
    assert!(length <= data.len());
});

fn events<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
    let (mut splitter, mut events) = (Splitter::new(), Vec::new());
    for piece in pieces {
        splitter.push(piece, &mut events);
    }
    splitter.finish(&mut events);
    events
}
