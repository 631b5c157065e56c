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
        /// What it gets besides.
        snapshot: Snapshot,
    },
    /// Looks for extensions; answered by one [`FromInit::Extension`] for each and [`FromInit::Discovered`].
    Discover,
    /// Starts an extension; answered by [`FromInit::Launched`] or [`FromInit::LaunchFailed`], and by
    /// [`FromInit::Ended`] when it has ended by itself.
    Launch {
        /// Names the process in what follows; not used again before a reset.
        id: u32,
        /// Program and arguments; the program is an absolute path.
        argv: Vec<String>,
        /// The whole environment, in order.
        env: Vec<(String, String)>,
        /// Working directory.
        cwd: String,
    },
    /// Signals a process and its process group; nothing happens when it has ended.
    Signal {
        /// Which.
        who: Who,
        /// What it gets.
        stop: Stop,
    },
    /// Connects to a listener inside; answered by [`FromInit::Dialed`] or [`FromInit::DialFailed`].
    Dial {
        /// Names the connection in the answer.
        id: u32,
        /// Port at the inside address.
        port: u16,
    },
    /// Kills all but the init; answered by [`FromInit::ResetDone`] when nothing runs any more. `/tmp` stays.
    Reset,
    /// Says that what was frozen goes on, so that the function's memory is looked after again. Not answered.
    Thawed,
    /// Asks whether the runtime's processes have outgrown their memory; answered by [`FromInit::Audited`], or by the end
    /// of the runtime's main process when that was killed for it.
    Audit,
}

/// Memory images that a runtime may have to do with. The files come with the packet, in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// An image that it continues from if this zygote bore it: a file.
    pub image: Option<Zygote>,
    /// The most bytes of an image of itself that it writes if it has none, and a zygote bore it: the write end of a pipe.
    pub capture: Option<u64>,
}

/// A zygote's name, by which children know whether they have the same memory. A younger one's is greater.
pub type Zygote = String;

/// One of the processes that an init was told to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Who {
    /// The runtime.
    Runtime,
    /// The extension that was launched under this number.
    Extension(u32),
}

/// How a process is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Stop {
    /// It is asked to: SIGTERM.
    Term,
    /// It is made to: SIGKILL.
    Kill,
}

/// From an init to the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum FromInit {
    /// The runtime's program runs.
    Started {
        /// Its process id inside.
        pid: u32,
        /// Who bore it, if it can have an image.
        zygote: Option<Zygote>,
        /// Whether it continues from the image.
        continues: bool,
    },
    /// The runtime's program could not be executed.
    StartFailed {
        /// `ENOENT` (2), `EACCES` (13), `ENOEXEC` (8: neither a binary nor a script with a first line), ...
        errno: i32,
    },
    /// The runtime's main process ended by itself; others may still run. Not sent for a runtime that was reset.
    Exited(Exit),
    /// There is an extension.
    Extension {
        /// The name of its file.
        name: String,
    },
    /// All extensions were named. Where there are any, the packet carries the read end of the pipe to which they will
    /// write; it does not block.
    Discovered,
    /// The extension's program runs.
    Launched {
        /// As in [`ToInit::Launch`].
        id: u32,
    },
    /// The extension's program could not be executed.
    LaunchFailed {
        /// As in [`ToInit::Launch`].
        id: u32,
        /// As in [`FromInit::StartFailed`].
        errno: i32,
    },
    /// An extension's main process ended by itself or by a signal. Not sent for one that was reset.
    Ended {
        /// As in [`ToInit::Launch`].
        id: u32,
        /// How.
        exit: Exit,
    },
    /// The packet carries a TCP socket of the sandbox's own network that connects or is connected.
    Dialed {
        /// As in [`ToInit::Dial`].
        id: u32,
    },
    /// There is no connection.
    DialFailed {
        /// As in [`ToInit::Dial`].
        id: u32,
    },
    /// Nothing runs any more.
    ResetDone,
    /// The runtime goes on.
    Audited {
        /// Bytes that its processes and files may hold together before it must be asked again.
        vouched: u64,
    },
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
            snapshot: Snapshot { image: Some("0a".into()), capture: Some(7) },
        };
        let launch =
            ToInit::Launch { id: 3, argv: vec!["/opt/extensions/x".into()], env: vec![], cwd: "/".into() };
        let signal = ToInit::Signal { who: Who::Extension(3), stop: Stop::Kill };
        let dial = ToInit::Dial { id: 9, port: 8080 };
        let plain = [ToInit::Discover, ToInit::Reset, ToInit::Thawed, ToInit::Audit];
        for message in [start, launch, signal, dial].into_iter().chain(plain) {
            assert_eq!(ToInit::decode(&message.encode().unwrap()).unwrap(), message);
        }
        for message in [
            FromInit::Started { pid: 2, zygote: Some("0a".into()), continues: true },
            FromInit::StartFailed { errno: 8 },
            FromInit::Exited(Exit::Status(3)),
            FromInit::Exited(Exit::Signal(9)),
            FromInit::Exited(Exit::OutOfMemory),
            FromInit::Extension { name: "a \"b\".sh".into() },
            FromInit::Discovered,
            FromInit::Launched { id: 1 },
            FromInit::LaunchFailed { id: 1, errno: 13 },
            FromInit::Ended { id: 1, exit: Exit::Status(2) },
            FromInit::Dialed { id: 7 },
            FromInit::DialFailed { id: 7 },
            FromInit::ResetDone,
            FromInit::Audited { vouched: 1 << 40 },
        ] {
            assert_eq!(FromInit::decode(&message.encode().unwrap()).unwrap(), message);
        }
    }

    #[test]
    fn what_is_too_large_or_no_message_is_refused() {
        let argv = vec!["x".repeat(CONTROL_BYTES)];
        let start =
            ToInit::Start { argv, env: Vec::new(), cwd: String::new(), snapshot: Snapshot::default() };
        assert!(matches!(start.encode(), Err(ProtocolError::TooLarge(_))));
        assert!(matches!(ToInit::decode(&vec![b' '; CONTROL_BYTES + 1]), Err(ProtocolError::TooLarge(_))));
        for packet in ["", "{}", "\"Stop\"", "{\"Reset\":1}", "{\"Start\":{\"argv\":[]}}", "\"Reset\" "] {
            let refused = ToInit::decode(packet.as_bytes()).is_err();
            assert_eq!(refused, packet != "\"Reset\" ", "{packet}");
        }
    }
}
