//! What strangers' bytes may do to the launcher, as properties that must hold for every packet.

use crate::plan::names;
use crate::requests::{Answer, Request, Work, decode, encode};

/// Interpreters that the launcher is said to have.
const INTERPRETERS: &[&str] = &["python-3.12", "node-20"];

/// Takes one packet as the launcher takes it from the server.
///
/// # Panics
///
/// When a packet is read as what it does not say, or a name that is accepted could be a path.
pub fn request(packet: &[u8]) {
    let Ok((request, body)) = decode::<Request>(packet) else { return };
    if let Ok(written) = encode(&request, body) {
        let (again, rest) = decode::<Request>(&written).expect("what we wrote can be read");
        assert_eq!((again, rest), (request.clone(), body));
    }
    let named = match request.work {
        Work::Build(spec) if names::refusal(&spec, INTERPRETERS).is_none() => {
            assert!(spec.interpreter.as_deref().is_none_or(|name| INTERPRETERS.contains(&name)));
            spec.layers.into_iter().chain([spec.code]).collect()
        }
        Work::Unpack(name) | Work::Remove(name) if names::is_code_name(&name) => vec![name],
        _ => Vec::new(),
    };
    for name in named {
        assert!(!name.is_empty() && !name.contains(['/', '.', '\0']), "{name:?} could be a path");
    }
}

/// Takes one packet as the server takes it from the launcher.
///
/// # Panics
///
/// When a packet is read as what it does not say.
pub fn answer(packet: &[u8]) {
    let Ok((answer, body)) = decode::<Answer>(packet) else { return };
    if let Ok(written) = encode(&answer, body) {
        assert_eq!(decode::<Answer>(&written).expect("what we wrote can be read"), (answer, body));
    }
}
