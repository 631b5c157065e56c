//! The resolvers of the host, as its `resolv.conf` names them now.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::SystemTime;

use super::rules::servers;

/// Where a system says who is to be asked for names. Source: resolv.conf(5).
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Port of name servers. Source: RFC 1035.
const PORT: u16 = 53;

/// Whom to ask.
pub(super) struct Resolvers {
    file: PathBuf,
    port: u16,
    read: Mutex<Read>,
}

/// What was read last.
#[derive(Default)]
struct Read {
    /// When the file was changed, and its length.
    version: Option<(SystemTime, u64)>,
    servers: Vec<SocketAddr>,
}

impl Resolvers {
    /// Those of this host.
    pub(super) fn of_the_host() -> Self {
        Self::of(RESOLV_CONF.into(), PORT)
    }

    pub(super) fn of(file: PathBuf, port: u16) -> Self {
        Self { file, port, read: Mutex::default() }
    }

    /// Those to ask now, in order. The file is looked at each time, which costs far less than the question does, and
    /// read when it has changed; while it cannot be read, what it said last holds.
    pub(super) fn current(&self) -> Vec<SocketAddr> {
        let mut read = self.read.lock().expect("no holder of the resolvers panics");
        let version = fs::metadata(&self.file).and_then(|found| Ok((found.modified()?, found.len()))).ok();
        if version.is_some()
            && version != read.version
            && let Ok(text) = fs::read_to_string(&self.file)
        {
            read.version = version;
            read.servers =
                servers(&text).into_iter().map(|server| SocketAddr::new(server, self.port)).collect();
        }
        read.servers.clone()
    }
}
