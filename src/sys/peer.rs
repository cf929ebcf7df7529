//! Whose connection an sshd above us serves, as the kernel knows it: its sockets, and not what the environment of anybody says.
//!
//! Refuses to guess: where the sockets of sshd may not be looked at (that takes root), or there is none, there is no answer.

use super::ids::Ancestor;
use super::proc;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::MetadataExt as _;

/// `TCP_ESTABLISHED` of the kernel, as `/proc/net/tcp` writes it.
const ESTABLISHED: &str = "01";
/// `TCP_LISTEN`.
const LISTENS: &str = "0A";
/// Descriptors of sshd that are looked at.
const MAX_DESCRIPTORS: usize = 4096;

/// A connection over the network, and who serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The other side, its port, our side, and our port: in the form of `SSH_CONNECTION` (ssh(1)).
    pub connection: String,
    /// The sshd that has it.
    pub sshd: Ancestor,
}

/// The connection that the nearest sshd of root's among `ancestors` (the nearest first) serves. There is no answer where it has several:
/// one that serves root has those that it forwards too, and nothing tells which is which. Nor is there one where nobody else listens
/// at our side of it: it is then one that sshd made, or was forwarded to it.
pub fn of_ssh(ancestors: &[Ancestor]) -> Option<Peer> {
    let sshd = ancestors.iter().find(|ancestor| is_sshd(ancestor))?;
    let sockets = sockets(sshd.pid);
    if sockets.is_empty() {
        return None;
    }
    let lines = ["tcp", "tcp6"].map(|table| proc::open(&format!("{}/net/{table}", sshd.pid)));
    let lines =
        lines.into_iter().flatten().flat_map(|file| BufReader::new(file).lines().map_while(Result::ok));
    let connection = served(lines, &sockets)?;
    Some(Peer { connection, sshd: sshd.clone() })
}

/// The one connection among the lines of both tables that one of these sockets has, if it came in where somebody else listens.
fn served(lines: impl Iterator<Item = String>, sockets: &BTreeSet<u64>) -> Option<String> {
    let (mut found, mut listens) = (Vec::new(), BTreeSet::new());
    for socket in lines.filter_map(|line| Socket::of(&line)) {
        match (socket.state, sockets.contains(&socket.inode)) {
            (State::Established, true) => found.push(socket),
            (State::Listens, false) => drop(listens.insert(socket.ours.1)),
            _ => {}
        }
    }
    let [Socket { ours: (side, port), theirs: (other, from), .. }] = found.as_slice() else { return None };
    listens.contains(port).then(|| format!("{other} {from} {side} {port}"))
}

/// Whether a process is root's, and runs a file of root's that is called sshd (or `sshd-session`, OpenSSH 9.8 and later). Anybody can
/// call a process so, or a link to another program; that file is what the kernel executes, and none of those that lend rights.
fn is_sshd(ancestor: &Ancestor) -> bool {
    const LENDS_OR_OPEN: u32 = 0o6022;
    let file = format!("{}/exe", ancestor.pid);
    let is_called_so = || {
        let path = proc::link(&file).ok()?;
        // After an upgrade the old file goes on.
        let name = path.file_name()?.to_str()?.trim_end_matches(" (deleted)").to_owned();
        Some(matches!(name.as_str(), "sshd" | "sshd-session"))
    };
    let is_roots = || proc::metadata(&file).is_ok_and(|is| is.uid() == 0 && is.mode() & LENDS_OR_OPEN == 0);
    ancestor.uid == 0 && is_called_so() == Some(true) && is_roots()
}

/// The sockets of a process, by their inodes.
fn sockets(pid: u32) -> BTreeSet<u64> {
    let Ok(descriptors) = proc::numbers(&format!("{pid}/fd")) else { return BTreeSet::new() };
    let links = descriptors.into_iter().take(MAX_DESCRIPTORS);
    let links = links.filter_map(|descriptor| proc::link(&format!("{pid}/fd/{descriptor}")).ok());
    links
        .filter_map(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok())
        .collect()
}

/// What a socket is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Established,
    Listens,
    Other,
}

/// A socket of TCP.
#[derive(Debug, PartialEq, Eq)]
struct Socket {
    inode: u64,
    state: State,
    ours: (IpAddr, u16),
    theirs: (IpAddr, u16),
}

impl Socket {
    /// As a line of `/proc/net/tcp` or `tcp6` tells of it (`proc_pid_net(5)`).
    fn of(line: &str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let (ours, theirs, state) = (fields.nth(1)?, fields.next()?, fields.next()?);
        let inode = fields.nth(5)?.parse().ok()?;
        let state = match state {
            ESTABLISHED => State::Established,
            LISTENS => State::Listens,
            _ => State::Other,
        };
        Some(Self { inode, state, ours: side(ours)?, theirs: side(theirs)? })
    }
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
        let told = |line: &str| {
            let Socket { inode, state, ours, theirs } = Socket::of(line)?;
            Some((inode, state, format!("{} {} {} {}", theirs.0, theirs.1, ours.0, ours.1)))
        };
        let stands = |connection: &str| Some((4711, State::Established, connection.to_owned()));
        assert_eq!(told(&line(old, "01")), stands("127.0.0.1 50000 127.0.0.1 22"));
        assert_eq!(told(&line(new, "01")), stands("2001:db8::1 50000 2001:db8::1 22"));
        let prefix = if cfg!(target_endian = "little") { "FFFF0000" } else { "0000FFFF" };
        let mapped = format!("{:016}{prefix}{old}", 0);
        assert_eq!(told(&line(&mapped, "01")), stands("127.0.0.1 50000 127.0.0.1 22"));
        assert_eq!(told(&line(old, "0A")).map(|(_, state, _)| state), Some(State::Listens));
        assert_eq!(told(&line(old, "06")).map(|(_, state, _)| state), Some(State::Other));
        for other in ["0100", "é234567"].map(|address| line(address, "01")) {
            assert_eq!(Socket::of(&other), None, "{other}");
        }
        assert_eq!((Socket::of("  sl  local_address rem"), Socket::of("")), (None, None));
    }

    /// sshd that serves root forwards ports by itself, to wherever it is asked: those connections are its own too.
    #[test]
    fn what_is_forwarded_is_not_taken_for_where_somebody_came_from() {
        let line = |ours: u16, theirs: u16, state: &str, inode: u64| {
            format!("0: 0100007F:{ours:04X} 0200007F:{theirs:04X} {state} 0:0 0:0 0 0 0 {inode} 1")
        };
        let of = |lines: &[String]| served(lines.iter().cloned(), &BTreeSet::from([1, 2, 3]));
        let (listener, login, forward) =
            (line(22, 0, LISTENS, 9), line(22, 50_000, ESTABLISHED, 1), line(40_000, 80, ESTABLISHED, 2));
        let strangers = line(22, 50_001, ESTABLISHED, 8);
        let came = of(&[login.clone(), strangers.clone(), listener.clone()]);
        assert!(came.is_some_and(|came| came.contains(" 50000 ") && came.ends_with(" 22")));
        assert_eq!(of(&[listener.clone(), login.clone(), forward.clone()]), None);
        // It has no connection of its own (a pipe, another kind of socket).
        assert_eq!(of(&[listener.clone(), forward]), None);
        // One that came in where it listens itself for whoever forwards.
        assert_eq!(of(&[listener, line(8080, 0, LISTENS, 3), line(8080, 50_002, ESTABLISHED, 2)]), None);
        assert_eq!(of(&[login, strangers]), None);
    }

    #[test]
    fn the_sockets_of_a_process_are_found_in_the_tables_of_the_kernel() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let there = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (_here, peer) = listener.accept().unwrap();
        let sockets = sockets(own().pid);
        let table = proc::read_to_string("self/net/tcp").unwrap();
        let found: Vec<_> =
            table.lines().filter_map(Socket::of).filter(|socket| sockets.contains(&socket.inode)).collect();
        let ports = (there.peer_addr().unwrap().port(), peer.port());
        let stands =
            |socket: &Socket| (socket.ours.1, socket.theirs.1) == ports && socket.state == State::Established;
        assert!(found.iter().any(stands), "{ports:?}: {found:?}");
    }

    /// A process of that name, of root's as it says, which has connections: no sshd.
    #[test]
    fn who_is_only_called_sshd_is_none() {
        assert_eq!(of_ssh(&[own()]), None);
        assert_eq!(of_ssh(&[]), None);
    }
}
