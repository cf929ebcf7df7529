//! An sshd on a port of its own.

use super::{DEADLINE, pause, skipped};
use std::fs::OpenOptions;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// So many ports are tried.
const PORTS: usize = 20;

/// The daemon. Dropped, it is gone.
pub struct Sshd {
    daemon: Child,
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

impl Sshd {
    /// Starts the daemon that `command` gives for a port, with what it says in `log`, and waits until it answers there with the
    /// ed25519 key of this file. A port that was free can be another's by the time the daemon asks for it: it ends then, and takes
    /// the next; and whoever else answers there has another key.
    #[track_caller]
    pub fn start(public_key: &Path, log: &Path, command: impl Fn(u16) -> Command) -> Self {
        let key = std::fs::read_to_string(public_key).unwrap();
        let key = key.split_whitespace().nth(1).unwrap();
        let said = || std::fs::read_to_string(log).unwrap_or_default();
        let end = Instant::now() + DEADLINE;
        for _ in 0..PORTS {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let to = OpenOptions::new().create(true).append(true).open(log).unwrap();
            let mut command = command(port);
            command.stdin(Stdio::null()).stdout(to.try_clone().unwrap()).stderr(to);
            let mut server = Self { daemon: command.spawn().unwrap(), port };
            while server.daemon.try_wait().unwrap().is_none() {
                if server.answer().contains(key) {
                    return server;
                }
                assert!(Instant::now() < end, "no sshd at port {port}: {}", said());
                pause(Duration::from_millis(20));
            }
        }
        panic!("no sshd at any of {PORTS} ports: {}", said());
    }

    /// The key of whoever answers at its port.
    fn answer(&self) -> String {
        let port = self.port.to_string();
        let mut scan = Command::new("ssh-keyscan");
        scan.args(["-T", "5", "-t", "ed25519", "-p", &port, "127.0.0.1"]).stdin(Stdio::null());
        String::from_utf8_lossy(&scan.output().unwrap().stdout).into_owned()
    }
}

/// An sshd of this host, which lets us in with a key, and the line that goes there; `None`, with the reason said, where there cannot be
/// one. What belongs to it is in `dir`, and its `/run` is its own.
pub fn of_this_host(dir: &Path) -> Option<(Sshd, String)> {
    let can = "mount -t tmpfs none /run && [ -x /usr/sbin/sshd ] && command -v ssh ssh-keygen ssh-keyscan";
    let tried = Command::new("unshare").args(["--mount", "sh", "-c", can]).stdin(Stdio::null()).output();
    if !tried.is_ok_and(|tried| tried.status.success()) {
        skipped("no sshd can be started (it and its clients must be installed, and we be root)");
        return None;
    }
    let at = dir.display();
    for name in ["host", "user"] {
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-f", &format!("{at}/{name}")]);
        assert!(keygen.stdin(Stdio::null()).status().unwrap().success());
    }
    let script = format!(
        "mount -t tmpfs none /run && mkdir /run/sshd && exec /usr/sbin/sshd -D -e -f {at}/sshd_config"
    );
    let server = Sshd::start(&dir.join("host.pub"), &dir.join("sshd.log"), |port| {
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host\nAuthorizedKeysFile {at}/user.pub\n\
             StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\nPrintMotd no\nPrintLastLog no\n"
        );
        std::fs::write(dir.join("sshd_config"), config).unwrap();
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", &script]);
        command
    });
    let line = format!(
        "ssh -q -tt -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -i {at}/user -p {} 127.0.0.1",
        server.port
    );
    Some((server, line))
}
