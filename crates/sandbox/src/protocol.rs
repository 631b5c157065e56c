//! Messages between the server and a sandbox's init: one packet each on the control socket.

use serde::{Deserialize, Serialize};

use crate::limits::CONTROL_BYTES;

/// From the server to an init.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum ToInit {
    /// Starts the runtime; answered by [`FromInit::Started`] or [`FromInit::StartFailed`]. While one runs, the
    /// answer is `EBUSY`.
    Start {
        /// Program and arguments; the program is an absolute path.
        argv: Vec<String>,
        /// The whole environment, in order.
        env: Vec<(String, String)>,
        /// Working directory.
        cwd: String,
    },
    /// Kills all but the init; answered by [`FromInit::ResetDone`] when nothing runs any more. `/tmp` stays.
    Reset,
    /// Says that what was frozen goes on, so that the function's memory is looked after again. Not answered.
    Thawed,
}

/// From an init to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum FromInit {
    /// The runtime's program runs.
    Started {
        /// Its process id inside.
        pid: u32,
    },
    /// The runtime's program could not be executed.
    StartFailed {
        /// `ENOENT` (2), `EACCES` (13), `ENOEXEC` (8: neither a binary nor a script with a first line), ...
        errno: i32,
    },
    /// The runtime's main process ended by itself; others may still run. Not sent for a runtime that was reset.
    Exited(Exit),
    /// Nothing runs any more.
    ResetDone,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Exit {
    /// With this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
    /// It was killed because the function's processes held more than the function's memory.
    OutOfMemory,
}

/// Why a control packet was refused.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// Longer than a packet may be.
    #[error("a control message of {0} bytes is too large")]
    TooLarge(usize),
    /// Not one of the messages.
    #[error("malformed control message")]
    Malformed(#[source] serde_json::Error),
}

macro_rules! packets {
    ($message:ty) => {
        impl $message {
            /// The message as one packet.
            pub fn encode(&self) -> Result<Vec<u8>, ProtocolError> {
                let packet = serde_json::to_vec(self).map_err(ProtocolError::Malformed)?;
                if packet.len() > CONTROL_BYTES {
                    return Err(ProtocolError::TooLarge(packet.len()));
                }
                Ok(packet)
            }

            /// The message in one packet.
            pub fn decode(packet: &[u8]) -> Result<Self, ProtocolError> {
                if packet.len() > CONTROL_BYTES {
                    return Err(ProtocolError::TooLarge(packet.len()));
                }
                serde_json::from_slice(packet).map_err(ProtocolError::Malformed)
            }
        }
    };
}

packets!(ToInit);
packets!(FromInit);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_travel_whole() {
        let start = ToInit::Start {
            argv: vec!["/var/runtime/bootstrap".into()],
            env: vec![("A".into(), "1=2\n\"ü".into()), ("A".into(), String::new())],
            cwd: "/var/task".into(),
        };
        for message in [start, ToInit::Reset, ToInit::Thawed] {
            assert_eq!(ToInit::decode(&message.encode().unwrap()).unwrap(), message);
        }
        for message in [
            FromInit::Started { pid: 2 },
            FromInit::StartFailed { errno: 8 },
            FromInit::Exited(Exit::Status(3)),
            FromInit::Exited(Exit::Signal(9)),
            FromInit::Exited(Exit::OutOfMemory),
            FromInit::ResetDone,
        ] {
            assert_eq!(FromInit::decode(&message.encode().unwrap()).unwrap(), message);
        }
    }

    #[test]
    fn what_is_too_large_or_no_message_is_refused() {
        let argv = vec!["x".repeat(CONTROL_BYTES)];
        let start = ToInit::Start { argv, env: Vec::new(), cwd: String::new() };
        assert!(matches!(start.encode(), Err(ProtocolError::TooLarge(_))));
        assert!(matches!(ToInit::decode(&vec![b' '; CONTROL_BYTES + 1]), Err(ProtocolError::TooLarge(_))));
        for packet in ["", "{}", "\"Stop\"", "{\"Reset\":1}", "{\"Start\":{\"argv\":[]}}", "\"Reset\" "] {
            let refused = ToInit::decode(packet.as_bytes()).is_err();
            assert_eq!(refused, packet != "\"Reset\" ", "{packet}");
        }
    }
}
