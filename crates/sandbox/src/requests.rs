//! Messages between the server and the launcher.
//!
//! The launcher trusts none of them: they are bounded, typed, refuse unknown members, and name things instead of
//! giving paths. A packet is one line of JSON, then for some answers a body of bytes.

use base::id::EnvironmentId;
use serde::{Deserialize, Serialize};

use crate::limits::REQUEST_BYTES;
use crate::plan::groups::Version;
use crate::spec::{BuildError, Preparation, SandboxSpec};

/// From the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// Returned with the answer.
    pub(crate) ticket: u64,
    /// What to do.
    pub(crate) work: Work,
}

/// What the launcher does for the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum Work {
    /// Answered by [`Outcome::Built`] with descriptors in the order of [`crate::spec::Built`], or
    /// [`Outcome::NotBuilt`].
    Build(SandboxSpec),
    /// Answered by [`Outcome::Destroyed`].
    Destroy(EnvironmentId),
    /// With the archive's descriptor; answered by [`Outcome::Unpacked`] or [`Outcome::NotUnpacked`] and a body.
    Unpack(String),
    /// Answered by [`Outcome::Removed`].
    Remove(String),
    /// Answered by [`Outcome::Noted`].
    Expect(Preparation),
}

/// From the launcher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    /// The request's.
    pub(crate) ticket: u64,
    /// What came of it.
    pub(crate) outcome: Outcome,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum Outcome {
    /// The sandbox stands.
    Built(Extras),
    /// It does not.
    NotBuilt(BuildError),
    /// Nothing of it runs any more.
    Destroyed,
    /// The body is the helper's report.
    Unpacked,
    /// The body is the helper's report, or empty.
    NotUnpacked,
    /// The directory is gone, or never was.
    Removed,
    /// It was heard.
    Noted,
}

/// Which of the descriptors came that not every sandbox has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Extras {
    /// The Runtime API's second listener.
    pub(crate) loopback: bool,
    /// The listener of the function's AWS endpoint.
    pub(crate) endpoint: bool,
    /// The two sockets of the name server.
    pub(crate) names: bool,
    /// What stops and continues its processes, and of which version.
    pub(crate) freezer: Option<Version>,
}

/// A packet that is none of ours.
#[derive(Debug, thiserror::Error)]
#[error("malformed packet between server and launcher")]
pub(crate) struct Malformed;

/// One message, with a body, as a packet.
pub(crate) fn encode(message: &impl Serialize, body: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut packet = serde_json::to_vec(message).map_err(|_| Malformed)?;
    // JSON written by machine has no line feed, so the first one ends it.
    packet.push(b'\n');
    packet.extend(body);
    if packet.len() > REQUEST_BYTES { Err(Malformed) } else { Ok(packet) }
}

/// The message in a packet, and its body.
pub(crate) fn decode<'a, T: Deserialize<'a>>(packet: &'a [u8]) -> Result<(T, &'a [u8]), Malformed> {
    let end = packet.iter().position(|byte| *byte == b'\n').ok_or(Malformed)?;
    let message = serde_json::from_slice(&packet[..end]).map_err(|_| Malformed)?;
    Ok((message, &packet[end + 1..]))
}

#[cfg(test)]
mod tests {
    use base::random::Dice;
    use base::units::Mib;

    use super::*;

    #[test]
    fn messages_travel_whole() {
        let spec = SandboxSpec {
            id: EnvironmentId::fresh(&Dice::seeded(7)),
            memory: Mib(256),
            tmp: Mib(512),
            interpreter: Some("node-20".into()),
            code: "abc".into(),
            layers: vec!["x".into()],
            endpoint: true,
            loopback: false,
            waiting: None,
        };
        let request = Request { ticket: 9, work: Work::Build(spec) };
        let packet = encode(&request, b"").unwrap();
        assert_eq!(decode::<Request>(&packet).unwrap(), (request, b"".as_slice()));

        let answer = Answer { ticket: 9, outcome: Outcome::Unpacked };
        let packet = encode(&answer, b"raw\n\0bytes").unwrap();
        assert_eq!(decode::<Answer>(&packet).unwrap(), (answer, b"raw\n\0bytes".as_slice()));
    }

    #[test]
    fn what_is_not_exactly_a_request_is_refused() {
        for packet in [
            "",
            "\n",
            "{}\n",
            "{\"ticket\":1,\"work\":{\"Remove\":\"x\"}}",
            "{\"ticket\":-1,\"work\":{\"Remove\":\"x\"}}\n",
            "{\"ticket\":1,\"work\":{\"Remove\":\"x\"},\"more\":1}\n",
            "{\"ticket\":1,\"work\":{\"Exec\":\"x\"}}\n",
            "{\"ticket\":1,\"work\":{\"Destroy\":\"not-a-uuid\"}}\n",
        ] {
            assert!(decode::<Request>(packet.as_bytes()).is_err(), "{packet}");
        }
        assert!(encode(&Answer { ticket: 1, outcome: Outcome::Unpacked }, &[0; REQUEST_BYTES]).is_err());
    }

    /// A server that was taken over says anything; the launcher must outlive it.
    #[test]
    fn no_packet_makes_the_launcher_stumble() {
        let spec = "{\"id\":\"00000000-0000-4000-8000-000000000000\",\"memory\":128,\"tmp\":512,\"interpreter\":null,\
                    \"code\":\"c\",\"layers\":[\"a\"],\"endpoint\":true}";
        let seeds = [
            format!("{{\"ticket\":1,\"work\":{{\"Build\":{spec}}}}}\n"),
            "{\"ticket\":1,\"work\":{\"Unpack\":\"x\"}}\n".to_owned(),
            "{\"ticket\":1,\"work\":{\"Remove\":\"x\"}}\n".to_owned(),
            format!("{}\n", "[".repeat(60_000)),
        ];
        let dice = Dice::seeded(11);
        let mut understood = 0;
        for round in 0..20_000 {
            let mut packet = seeds[round % seeds.len()].clone().into_bytes();
            for _ in 0..round % 5 {
                if packet.is_empty() {
                    break;
                }
                let words = dice.hex::<8>();
                let random = u64::from_str_radix(&words, 16).unwrap_or(1) as usize;
                let at = random % packet.len();
                match random / 7 % 4 {
                    0 => packet[at] = (random / 64) as u8,
                    1 => drop(packet.remove(at)),
                    2 => packet.insert(at, b"{}[],:\"0\\\n"[random / 64 % 10]),
                    _ => packet.truncate(at.max(1)),
                }
            }
            if let Ok((request, _)) = decode::<Request>(&packet) {
                understood += 1;
                if let Work::Build(spec) = request.work {
                    let refused = crate::plan::names::refusal(&spec, &[]);
                    let outcome = Outcome::NotBuilt(BuildError::Refused(refused.unwrap_or_default()));
                    assert!(encode(&Answer { ticket: request.ticket, outcome }, b"").is_ok());
                }
            }
        }
        assert!(understood > 1000, "{understood}");
    }
}
