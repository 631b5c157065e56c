//! Insights queries against events: both are strangers'. No more rows come out than are asked for, and an error points
//! into the query.
#![no_main]

use base::clock::Timestamp;
use libfuzzer_sys::fuzz_target;
use record::insights::{Event, Query};

/// Rows that are asked for.
const ROWS: usize = 7;

fuzz_target!(|data: &[u8]| {
    // A query may hold line feeds; an empty line ends it. Each line behind it is an event.
    let end = data.windows(2).position(|pair| pair == b"\n\n").unwrap_or(data.len());
    let Ok(text) = std::str::from_utf8(&data[..end]) else { return };
    let query = match Query::parse(text) {
        Ok(query) => query,
        Err(error) => {
            let characters = text.chars().count();
            assert!(error.start <= error.end && error.start <= characters && !error.message.is_empty());
            return;
        }
    };
    let mut execution = query.run(Some(ROWS));
    let messages = data.get(end + 2..).unwrap_or_default().split(|byte| *byte == b'\n');
    for (number, message) in messages.take(32).enumerate() {
        let at = Timestamp::from_millis(1_795_262_400_000 + number as i64 * 1_000);
        let event = Event {
            timestamp: at,
            ingested: at,
            log: "000000000000:/aws/lambda/f",
            stream: "s",
            id: &number,
            message,
        };
        if execution.take(&event).is_err() {
            return;
        }
    }
    if let Ok(results) = execution.finish() {
        assert!(results.rows.len() <= ROWS, "{} rows", results.rows.len());
    }
});
