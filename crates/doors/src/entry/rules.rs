//! Who may speak to an open endpoint: no web page can forge a call. Pure.

use std::sync::Arc;

/// What SDKs put before the host of operations that stream. Source: CloudWatch Logs service model.
const STREAM_PREFIX: &str = "stream-";

/// The host names under which an open endpoint may be addressed.
///
/// Loopback's own names are always on it: `localhost`, `*.localhost`, `127.0.0.1` and `[::1]`, with any port, and
/// `localhost` and `127.0.0.1` behind the prefix that SDKs put before the host for StartLiveTail.
/// A page that has its own name resolve to loopback (DNS rebinding) shows that name, and is refused.
#[derive(Debug, Clone, Default)]
pub struct HostList {
    named: Arc<[Box<str>]>,
}

impl HostList {
    /// Loopback's names and those `named`, compared without case and without port.
    pub fn with(named: impl IntoIterator<Item = String>) -> Self {
        Self { named: named.into_iter().map(|name| name.to_ascii_lowercase().into_boxed_str()).collect() }
    }

    /// Whether `authority`, the content of a `Host` header, is on the list.
    pub fn admits(&self, authority: &str) -> bool {
        let Some(host) = host_of(authority) else { return false };
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        // Neither can be somebody's domain. A name that was configured has the prefixed one beside it only by
        // configuration: `stream-example.com` may be anybody's.
        let bare = host.strip_prefix(STREAM_PREFIX).unwrap_or(&host);
        matches!(bare, "localhost" | "127.0.0.1")
            || host == "[::1]"
            || host.strip_suffix(".localhost").is_some_and(|rest| !rest.is_empty())
            || self.named.iter().any(|named| **named == *host)
    }

    /// Whether a page of `origin`, the content of an `Origin` header, may call.
    pub fn admits_origin(&self, origin: &str) -> bool {
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        authority.is_some_and(|authority| self.admits(authority))
    }
}

/// The host of `host[:port]`; nothing when the text is neither.
fn host_of(authority: &str) -> Option<&str> {
    let end = match authority.strip_prefix('[') {
        Some(inside) => inside.find(']')? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(end);
    let is_port = |text: &str| text.len() <= 5 && text.bytes().all(|digit| digit.is_ascii_digit());
    (port.is_empty() || port.strip_prefix(':').is_some_and(is_port)).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_configured_names_are_admitted() {
        let hosts = HostList::with(["Samovar.Lan".to_owned()]);
        for (host, admitted) in [
            ("localhost", true),
            ("LOCALHOST:4566", true),
            ("localhost.:4566", true),
            ("x.lambda-url.localhost:80", true),
            ("127.0.0.1:4566", true),
            ("[::1]:4566", true),
            ("[::1]", true),
            ("samovar.lan:4566", true),
            ("stream-localhost:4566", true),
            ("stream-127.0.0.1:4566", true),
            ("stream-samovar.lan:4566", false),
            ("stream-stream-localhost", false),
            ("samovar.lan.attacker.example", false),
            ("attacker.example", false),
            ("localhost.attacker.example:4566", false),
            (".localhost", false),
            ("notlocalhost", false),
            ("localhost:80@attacker.example", false),
            ("localhost:http", false),
            ("[::1]x", false),
            ("[::1", false),
            ("0.0.0.0:4566", false),
            ("", false),
        ] {
            assert_eq!(hosts.admits(host), admitted, "{host}");
        }
    }

    #[test]
    fn foreign_and_opaque_origins_are_refused() {
        let hosts = HostList::default();
        for (origin, admitted) in [
            ("http://localhost:3000", true),
            ("https://127.0.0.1", true),
            ("https://attacker.example", false),
            ("http://localhost.attacker.example", false),
            ("null", false),
            ("file://", false),
            ("http://user@localhost", false),
            ("", false),
        ] {
            assert_eq!(hosts.admits_origin(origin), admitted, "{origin}");
        }
    }
}
