//! The X-Ray trace header that callers send, functions see and answers carry.

use std::fmt;

use base::arn::FunctionArn;
use base::clock::Timestamp;
use base::limits::TRACE_HEADER_BYTES;
use base::random::Dice;

/// `Root=1-<8hex>-<24hex>;Parent=<16hex>;Sampled=0|1;Lineage=<n>:<8hex>:<n-1>`.
///
/// Source: recorded answers; the lineage counts a function's runs in one chain of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceHeader {
    root: String,
    parent: String,
    sampled: bool,
    lineage: Vec<Hop>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Hop {
    runs: u32,
    function: String,
}

impl TraceHeader {
    /// The header of one invocation of `function`: what the caller sent, completed, with one hop more.
    pub fn of_invoke(incoming: Option<&str>, function: &FunctionArn, now: Timestamp, dice: &Dice) -> Self {
        let sent = Sent::read(incoming.unwrap_or_default());
        let mut lineage = sent.lineage;
        let name = hash(&FunctionArn { qualifier: None, ..function.clone() }.to_string());
        match lineage.iter_mut().find(|hop| hop.function == name) {
            Some(hop) => hop.runs = hop.runs.saturating_add(1),
            None => lineage.push(Hop { runs: 1, function: name }),
        }
        Self {
            root: sent.root.unwrap_or_else(|| {
                let seconds = u32::try_from(now.as_millis() / 1000).unwrap_or_default();
                format!("1-{seconds:08x}-{}", dice.hex::<12>())
            }),
            parent: sent.parent.unwrap_or_else(|| dice.hex::<8>()),
            sampled: sent.sampled,
            lineage,
        }
    }
}

impl TraceHeader {
    /// The header of a run that was put off, from its stored form: the text that `Display` gives. Adds no hop.
    pub fn stored(text: &str) -> Option<Self> {
        let Sent { root, parent, sampled, lineage } = Sent::parse(text);
        Some(Self { root: root?, parent: parent?, sampled, lineage })
    }

    /// As the answer to an asynchronous invocation has it: small letters and no lineage. Source: recorded in 2026.
    pub fn brief(&self) -> String {
        let Self { root, parent, sampled, .. } = self;
        format!("root={root};parent={parent};sampled={}", u8::from(*sampled))
    }
}

impl fmt::Display for TraceHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { root, parent, sampled, lineage } = self;
        write!(f, "Root={root};Parent={parent};Sampled={};Lineage=", u8::from(*sampled))?;
        for (index, hop) in lineage.iter().enumerate() {
            let joint = if index == 0 { "" } else { "|" };
            write!(f, "{joint}{}:{}:{}", hop.runs, hop.function, hop.runs.saturating_sub(1))?;
        }
        Ok(())
    }
}

/// What an incoming header says; members that are not well formed are as absent.
#[derive(Default)]
struct Sent {
    root: Option<String>,
    parent: Option<String>,
    sampled: bool,
    lineage: Vec<Hop>,
}

impl Sent {
    fn read(header: &str) -> Self {
        if header.len() > TRACE_HEADER_BYTES { Self::default() } else { Self::parse(header) }
    }

    fn parse(header: &str) -> Self {
        let mut sent = Self::default();
        for member in header.split(';') {
            let Some((key, value)) = member.trim().split_once('=') else { continue };
            match key.to_ascii_lowercase().as_str() {
                "root" if is_root(value) => sent.root = Some(value.into()),
                "parent" if is_hex(value, 16) => sent.parent = Some(value.into()),
                "sampled" => sent.sampled = value == "1",
                "lineage" => sent.lineage = value.split('|').filter_map(hop).collect(),
                _ => {}
            }
        }
        sent
    }
}

fn hop(text: &str) -> Option<Hop> {
    let mut parts = text.split(':');
    let (runs, function) = (parts.next()?.parse().ok()?, parts.next()?);
    is_hex(function, 8).then(|| Hop { runs, function: function.into() })
}

fn is_root(text: &str) -> bool {
    let mut parts = text.split('-');
    parts.next() == Some("1")
        && parts.next().is_some_and(|time| is_hex(time, 8))
        && parts.next().is_some_and(|unique| is_hex(unique, 24))
        && parts.next().is_none()
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Eight digits: short, stable, and nobody's secret.
fn hash(text: &str) -> String {
    format!("{:08x}", base::fnv::hash32(text))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn arn(name: &str) -> FunctionArn {
        let scope = base::arn::Scope {
            account: "000000000000".parse().expect("account"),
            region: "us-east-1".parse().expect("region"),
        };
        FunctionArn::new(scope, name.parse().expect("name"))
    }

    fn header(incoming: Option<&str>, name: &str) -> String {
        let now = Timestamp::from_millis(1_796_000_000_000);
        TraceHeader::of_invoke(incoming, &arn(name), now, &Dice::seeded(1)).to_string()
    }

    #[test]
    fn a_call_without_a_header_gets_a_fresh_one() {
        expect![
            "Root=1-6b0cc900-c15c0289ec2d0a9167ec8e65;Parent=5e5532fbeea293f8;Sampled=0;Lineage=1:e7b3a0ee:0"
        ]
        .assert_eq(&header(None, "f"));
    }

    #[test]
    fn a_chain_of_calls_keeps_root_and_parent_and_counts_each_function() {
        let first = header(None, "f");
        let second = header(Some(&first), "g");
        let third = header(Some(&second), "f");
        assert_eq!(first.split(";Lineage").next(), third.split(";Lineage").next());
        expect!["2:e7b3a0ee:1|1:e8b3a281:0"].assert_eq(third.split("Lineage=").nth(1).expect("a lineage"));
    }

    #[test]
    fn a_stored_header_is_the_same_header() {
        let now = Timestamp::from_millis(1_796_000_000_000);
        let incoming = header(None, "g");
        let sent = TraceHeader::of_invoke(Some(&incoming), &arn("f"), now, &Dice::seeded(2));
        assert_eq!(TraceHeader::stored(&sent.to_string()).as_ref(), Some(&sent));
        assert_eq!(TraceHeader::stored("Root=1-x"), None);
        expect!["root=1-6b0cc900-c15c0289ec2d0a9167ec8e65;parent=5e5532fbeea293f8;sampled=0"]
            .assert_eq(&sent.brief());
    }

    #[test]
    fn malformed_members_are_as_absent() {
        let read = header(Some("Root=1-x;Parent=aaaaaaaaaaaaaaaa;Sampled=1;Self=1\r\nevil: 1"), "f");
        assert!(read.contains("Parent=aaaaaaaaaaaaaaaa;Sampled=1;"), "{read}");
        assert!(!read.contains('\n'), "{read}");
    }
}
