//! Who is at the other end of a loopback connection.
//!
//! Inside a sandbox only the function reaches its listeners. Without walls they are ports of the host's loopback, which
//! every user of the machine reaches; the kernel's table of sockets tells whose a connection is.

use std::net::{IpAddr, SocketAddr, SocketAddrV4};

use tokio::net::TcpStream;

/// The kernel's tables: sockets of the first kind, and those of the second that speak to addresses of the first.
const TABLES: [&str; 2] = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];

/// Whether a connection comes from this process's own user, or from inside a sandbox.
///
/// Reads the kernel's table of sockets for connections over loopback: some 10 us, once for each connection.
pub fn is_ours(stream: &TcpStream) -> bool {
    let (Ok(SocketAddr::V4(peer)), Ok(SocketAddr::V4(own))) = (stream.peer_addr(), stream.local_addr())
    else {
        return false;
    };
    if !IpAddr::V4(*own.ip()).is_loopback() {
        return true;
    }
    let user = rustix::process::geteuid().as_raw();
    // One that closed meanwhile is in no table, and wants no answer.
    TABLES.iter().any(|table| {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        owner(&text, peer, own) == Some(user)
    })
}

/// The user of the socket at `local` that is connected to `remote`, in the text of a table.
fn owner(table: &str, local: SocketAddrV4, remote: SocketAddrV4) -> Option<u32> {
    let (local, remote) = (written(local), written(remote));
    table.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        // Addresses of the first kind are the end of those of the second.
        let is_it = words.next()?.ends_with(&local) && words.next()?.ends_with(&remote);
        is_it.then(|| words.nth(4)?.parse().ok())?
    })
}

/// As the tables write it: the address as the machine's own number, the port as a number, both in hexadecimal.
fn written(address: SocketAddrV4) -> String {
    format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn the_owner_is_read_from_either_table() {
        let first = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:11D6 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:9C41 0100007F:11D6 01 00000000:00000000 00:00000000 00000000  1000        0 2 1 0 20 4 30 10 -1
   2: 0100007F:11D6 0100007F:9C41 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0 20 4 30 10 -1";
        let second = "   0: 0000000000000000FFFF00000100007F:9C42 0000000000000000FFFF00000100007F:11D6 01 \
                      00000000:00000000 00:00000000 00000000  1001        0 4 1 0 20 4 30 10 -1";
        let at = |port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        assert_eq!(owner(first, at(0x9c41), at(0x11d6)), Some(1000));
        assert_eq!(owner(first, at(0x11d6), at(0x9c41)), Some(0));
        assert_eq!(owner(first, at(0x9c42), at(0x11d6)), None);
        assert_eq!(owner(second, at(0x9c42), at(0x11d6)), Some(1001));
    }

    #[tokio::test]
    async fn a_connection_of_this_process_is_ours() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (stream, _) = accepted.expect("a connection");
        assert!(is_ours(&stream));
        drop(client);
    }
}
