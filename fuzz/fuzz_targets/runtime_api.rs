//! Whatever a function sends to its Runtime API: every caller gets one answer, and the runtime gets HTTP.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (answered, _) = engine::host::runtime::fuzzing::exchange(bytes);
    assert!(answered.is_empty() || answered.starts_with(b"HTTP/1."), "the API speaks HTTP");
});
