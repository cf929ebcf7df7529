//! Whose connection an sshd above us serves, as the kernel knows it: its sockets, and not what the environment of anybody says.
//!
//! Refuses to guess: where the sockets of sshd may not be looked at (that takes root), or there is none, there is no answer.

use super::ids::Ancestor;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::MetadataExt as _;

/// `TCP_ESTABLISHED` of the kernel, as `/proc/net/tcp` writes it.
const ESTABLISHED: &str = "01";
/// Descriptors of sshd that are looked at, the lowest first.
const MAX_DESCRIPTORS: usize = 4096;

/// A connection over the network, and who serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The other side, its port, our side, and our port: in the form of `SSH_CONNECTION` (ssh(1)).
    pub connection: String,
    /// The sshd that has it.
    pub sshd: Ancestor,
}

/// The connection that the nearest sshd of root's among `ancestors` (the nearest first) serves. Where it has several, as one has that
/// serves root and forwards ports, it is that of its lowest descriptor: it was there before the others.
pub fn of_ssh(ancestors: &[Ancestor]) -> Option<Peer> {
    let sshd = ancestors.iter().find(|ancestor| is_sshd(ancestor))?;
    let sockets = sockets(sshd.pid);
    let lines = ["tcp", "tcp6"].map(|table| fs::File::open(format!("/proc/{}/net/{table}", sshd.pid)));
    let lines =
        lines.into_iter().flatten().flat_map(|file| BufReader::new(file).lines().map_while(Result::ok));
    let found = lines.filter_map(|line| {
        let (inode, connection) = connection(&line)?;
        Some((*sockets.get(&inode)?, connection))
    });
    let (_, connection) = found.min_by_key(|(fd, _)| *fd)?;
    Some(Peer { connection, sshd: sshd.clone() })
}

/// Whether a process is root's, and runs a file of root's that is called sshd (or `sshd-session`, OpenSSH 9.8 and later). Anybody can
/// call a process so, or a link to another program; that file is what the kernel executes, and none of those that lend rights.
fn is_sshd(ancestor: &Ancestor) -> bool {
    const LENDS_OR_OPEN: u32 = 0o6022;
    let file = format!("/proc/{}/exe", ancestor.pid);
    let is_called_so = || {
        let path = fs::read_link(&file).ok()?;
        // After an upgrade the old file goes on.
        let name = path.file_name()?.to_str()?.trim_end_matches(" (deleted)").to_owned();
        Some(matches!(name.as_str(), "sshd" | "sshd-session"))
    };
    let is_roots = || fs::metadata(&file).is_ok_and(|is| is.uid() == 0 && is.mode() & LENDS_OR_OPEN == 0);
    ancestor.uid == 0 && is_called_so() == Some(true) && is_roots()
}

/// The sockets of a process by their inodes, with the lowest descriptor of each.
fn sockets(pid: u32) -> BTreeMap<u64, u32> {
    let mut found = BTreeMap::new();
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return found };
    for entry in entries.flatten().take(MAX_DESCRIPTORS) {
        let fd = entry.file_name().to_str().and_then(|fd| fd.parse::<u32>().ok());
        let inode = fs::read_link(entry.path())
            .ok()
            .and_then(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u64>().ok());
        if let (Some(fd), Some(inode)) = (fd, inode) {
            let lowest = found.entry(inode).or_insert(fd);
            *lowest = fd.min(*lowest);
        }
    }
    found
}

/// A line of `/proc/net/tcp` or `tcp6` (`proc_pid_net(5)`) of a connection that stands: the inode of its socket, and the connection.
fn connection(line: &str) -> Option<(u64, String)> {
    let mut fields = line.split_ascii_whitespace();
    let (ours, theirs, state) = (fields.nth(1)?, fields.next()?, fields.next()?);
    let inode = fields.nth(5)?.parse().ok()?;
    if state != ESTABLISHED {
        return None;
    }
    let ((our_side, our_port), (other, port)) = (side(ours)?, side(theirs)?);
    Some((inode, format!("{other} {port} {our_side} {our_port}")))
}

/// An address in words of 32 bits, each as it lies in memory, and a port.
fn side(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let word = u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            // As sshd tells it: one of the old kind that came to a socket of the new kind is of the old.
            IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()
        }
        _ => return None,
    };
    Some((address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Ancestor {
        Ancestor {
            pid: std::process::id(),
            uid: 0,
            name: "sshd".into(),
            cmdline: "sshd: carol [priv]".into(),
        }
    }

    #[test]
    fn a_connection_is_read_as_the_kernel_writes_it() {
        let (old, new) = if cfg!(target_endian = "little") {
            ("0100007F", "B80D0120000000000000000001000000")
        } else {
            ("7F000001", "20010DB8000000000000000000000001")
        };
        let line = |address: &str, state: &str| {
            format!(
                "   0: {address}:0016 {address}:C350 {state} 00000000:00000000 02:000A 00000000     0        0 4711 2 0"
            )
        };
        assert_eq!(connection(&line(old, "01")), Some((4711, "127.0.0.1 50000 127.0.0.1 22".into())));
        assert_eq!(connection(&line(new, "01")), Some((4711, "2001:db8::1 50000 2001:db8::1 22".into())));
        let prefix = if cfg!(target_endian = "little") { "FFFF0000" } else { "0000FFFF" };
        let mapped = format!("{:016}{prefix}{old}", 0);
        assert_eq!(connection(&line(&mapped, "01")), Some((4711, "127.0.0.1 50000 127.0.0.1 22".into())));
        for other in [
            line(old, "0A"),
            line("0100", "01"),
            line("é234567", "01"),
            "  sl  local_address rem".into(),
            String::new(),
        ] {
            assert_eq!(connection(&other), None, "{other}");
        }
    }

    #[test]
    fn the_sockets_of_a_process_are_found_in_the_tables_of_the_kernel() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let there = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (_here, peer) = listener.accept().unwrap();
        let sockets = sockets(own().pid);
        let table = fs::read_to_string("/proc/self/net/tcp").unwrap();
        let found: Vec<_> = table
            .lines()
            .filter_map(connection)
            .filter(|(inode, _)| sockets.contains_key(inode))
            .map(|(_, connection)| connection)
            .collect();
        let expected = format!("127.0.0.1 {} 127.0.0.1 {}", peer.port(), there.peer_addr().unwrap().port());
        assert!(found.contains(&expected), "{expected}: {found:?}");
    }

    /// A process of that name, of root's as it says, which has connections: no sshd.
    #[test]
    fn who_is_only_called_sshd_is_none() {
        assert_eq!(of_ssh(&[own()]), None);
        assert_eq!(of_ssh(&[]), None);
    }
}
