//! Filter patterns against messages: both are strangers'. A pattern says the same of a message each time, and what it
//! says in error can be shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use record::pattern::Pattern;

fuzz_target!(|data: &[u8]| {
    // The first line is the pattern, each other line a message.
    let mut lines = data.split(|byte| *byte == b'\n');
    let Some(text) = lines.next().and_then(|text| std::str::from_utf8(text).ok()) else { return };
    match Pattern::parse(text) {
        Ok(pattern) => {
            for message in lines.take(16) {
                assert_eq!(pattern.matches(message), pattern.clone().matches(message));
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
