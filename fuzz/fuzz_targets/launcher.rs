//! Packets between server, launcher and init: nothing is read as what it does not say, and no name is a path.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sandbox::protocol::{FromInit, ToInit};

fuzz_target!(|packet: &[u8]| {
    sandbox::fuzzing::request(packet);
    sandbox::fuzzing::answer(packet);
    if let Ok(message) = ToInit::decode(packet) {
        // What came escaped may come out longer than a packet.
        if let Ok(written) = message.encode() {
            assert_eq!(ToInit::decode(&written).expect("what we wrote can be read"), message);
        }
    }
    if let Ok(message) = FromInit::decode(packet) {
        let written = message.encode().expect("words of an init are short");
        assert_eq!(FromInit::decode(&written).expect("what we wrote can be read"), message);
    }
});
