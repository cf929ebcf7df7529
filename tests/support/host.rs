//! A host within this host: a mount namespace with users, sudo, doas and a configuration of its own.
//!
//! `/etc`, `/home`, `/opt`, `/srv` and `/run` are private to it, so nothing has to be put back, and tests that need the
//! host as it is are not disturbed. It is gone when its holder is: that reads from a pipe of ours, and ends with us
//! whatever happens.

use super::terminal::Terminal;
use super::{DEADLINE, sandbox, signals, until};
use serde_json::Value;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// The program under test, where a site would have it.
pub const SEALCAST: &str = "/opt/bin/sealcast";
/// The store of the host.
pub const STORE: &str = "/srv/sealcast";
/// Users: their names and numbers, and their shells.
const USERS: &[(&str, u32, &str)] = &[
    ("alice", 61_001, "/bin/bash"),
    ("bob", 61_002, "/bin/bash"),
    ("carol", 61_003, "/bin/bash"),
    ("dave", 61_004, SEALCAST),
];
/// Root's password on that host.
pub const ROOT_PASSWORD: &str = "correct horse";

/// What the elevators allow: alice anything that is recorded, carol and dave their own sessions, bob nothing.
const RULES: &str = r#"
cat >/etc/sudoers.d/sealcast <<'END'
alice ALL=(root) NOPASSWD: /opt/bin/sealcast run --elevated, /opt/bin/sealcast run --elevated *
carol, dave ALL=(root) NOPASSWD: /opt/bin/sealcast run --elevated --self *, /opt/bin/sealcast run --elevated --self
END
chmod 440 /etc/sudoers.d/sealcast
cat >/etc/doas.conf <<'END'
permit nopass keepenv alice as root cmd /opt/bin/sealcast
END
chmod 400 /etc/doas.conf
"#;

/// The host. Dropped, it is gone.
pub struct Host {
    dir: tempfile::TempDir,
    holder: Child,
}

impl Host {
    /// `None`, with the reason printed, where there cannot be one.
    pub fn start() -> Option<Self> {
        if sealcast::sys::ids::effective_uid() != 0 {
            crate::support::skipped("only root can make users");
            return None;
        }
        for tool in ["unshare", "nsenter", "setpriv", "useradd", "chpasswd", "ssh-keygen", "visudo"] {
            if sealcast::record::elevate::find_program(tool).is_none() {
                crate::support::skipped(&format!("there is no {tool}"));
                return None;
            }
        }
        signals::reset();
        let dir = tempfile::Builder::new().prefix("sealcast-host-").tempdir().unwrap();
        let mut script = format!(
            "set -e\ncd /\nDIR={}\nBINARY={}\n",
            dir.path().display(),
            env!("CARGO_BIN_EXE_sealcast")
        );
        script.push_str(
            "mkdir $DIR/etc; cp -a /etc/. $DIR/etc 2>/dev/null || true; rm -rf $DIR/etc/sealcast
             mount --bind $DIR/etc /etc
             for place in /home /srv /opt /run; do mount -t tmpfs -o mode=755 none $place; done
             mkdir /opt/bin /run/sshd /etc/sealcast; cp $BINARY /opt/bin/sealcast; chmod 755 /opt/bin/sealcast
             ssh-keygen -q -t ed25519 -N '' -f /etc/sealcast/signing
             /opt/bin/sealcast keys new -o /etc/sealcast/identity >/etc/sealcast/recipient\n",
        );
        for (name, uid, shell) in USERS {
            script.push_str(&format!("useradd -m -u {uid} -s {shell} -p '*' {name}\n"));
        }
        script.push_str(&format!("echo 'root:{ROOT_PASSWORD}' | chpasswd\n"));
        script.push_str(RULES);
        // Until standard input, a pipe of ours, is at its end.
        script.push_str("echo ready; exec cat >/dev/null\n");
        let mut holder = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "/bin/sh", "-c", &script])
            .env_clear()
            .envs(environment("root"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(holder.stdout.take().unwrap());
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut said = String::new();
            tell.send(lines.read_line(&mut said).map(|_| said))
        });
        let Ok(said) = told.recv_timeout(DEADLINE) else {
            // It is somewhere among the programs that make it; they have nothing to say to anybody any more.
            let _ = holder.kill();
            panic!("no host within {DEADLINE:?}");
        };
        if said.unwrap() != "ready\n" {
            let output = holder.wait_with_output().unwrap();
            panic!("no host: {}", String::from_utf8_lossy(&output.stderr));
        }
        let host = Self { dir, holder };
        host.configure("");
        Some(host)
    }

    /// Writes the configuration: the store, the key that signs, one recipient, and `more`.
    pub fn configure(&self, more: &str) {
        let recipient = std::fs::read_to_string(self.etc("sealcast/recipient")).unwrap();
        let text = format!(
            "[store]\npath = \"{STORE}\"\nreserve = \"1MiB\"\nlow-space = 0\n[signing]\nkey = \"/etc/sealcast/signing\"\n\
             [recipients]\ndefault = [\"{}\"]\n{more}",
            recipient.trim()
        );
        std::fs::write(self.etc("sealcast/config.toml"), text).unwrap();
    }

    /// A file below the host's `/etc`, as we see it.
    pub fn etc(&self, name: &str) -> PathBuf {
        self.dir.path().join("etc").join(name)
    }

    /// Whether a process is of this host, and not of the one around it.
    pub fn has_process(&self, pid: u32) -> bool {
        let namespace = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
        namespace(pid).is_some_and(|of| namespace(self.holder.id()) == Some(of))
    }

    /// A command of a user there, with the environment of a login. With `login_uid`, as audit knows it.
    pub fn command_of(&self, user: &str, login_uid: bool, words: &[impl AsRef<OsStr>]) -> Command {
        let holder = self.holder.id();
        let mut command = Command::new("nsenter");
        command.arg(format!("--mount=/proc/{holder}/ns/mnt"));
        let uid = USERS.iter().find(|(name, ..)| *name == user).map_or(0, |(_, uid, _)| *uid);
        let audit = if login_uid { format!("echo {uid} >/proc/self/loginuid; ") } else { String::new() };
        let home = if user == "root" { "/root".to_owned() } else { format!("/home/{user}") };
        let become_user = if user == "root" {
            "".into()
        } else {
            format!("setpriv --reuid {user} --regid {user} --init-groups -- ")
        };
        let script = format!("cd {home}; {audit}exec {become_user}\"$@\"");
        command.args(["/bin/sh", "-c", &script, "sh"]).args(words);
        command.env_clear().envs(environment(user)).current_dir("/");
        command
    }

    /// A command of a user there.
    pub fn command(&self, user: &str, words: &[&str]) -> Command {
        self.command_of(user, false, words)
    }

    /// Runs a command there to its end, without a terminal.
    pub fn run(&self, user: &str, words: &[&str]) -> Output {
        output(self.command(user, words))
    }

    /// Runs a command there in a terminal.
    pub fn terminal(&self, user: &str, words: &[&str]) -> Terminal {
        Terminal::start(&self.command(user, words), sandbox::SIZE)
    }

    /// How many recordings the store has.
    pub fn recordings(&self) -> usize {
        let listed = self.run("root", &["/bin/ls", STORE]);
        String::from_utf8(listed.stdout).unwrap().lines().filter(|line| line.ends_with(".scast")).count()
    }

    /// The id of the recording that began last, to the millisecond: names tell seconds.
    pub fn last_id(&self) -> String {
        let listed = self.run("root", &[SEALCAST, "ls", "--json", "-i", "/etc/sealcast/identity"]);
        let text = text(&listed);
        let rows = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let last = rows.max_by_key(|row| row["start_ms"].as_i64());
        last.unwrap_or_else(|| panic!("no recordings: {text}"))["id"].as_str().unwrap().to_owned()
    }

    /// What `sealcast show --json` tells of the last recording, opened and verified.
    pub fn last(&self) -> Value {
        self.recording(&self.last_id())
    }

    /// What `sealcast show --json` tells of a recording, opened and verified.
    pub fn recording(&self, which: &str) -> Value {
        let words = [
            SEALCAST,
            "show",
            "--json",
            "-i",
            "/etc/sealcast/identity",
            "-k",
            "/etc/sealcast/signing.pub",
            which,
        ];
        let shown = self.run("root", &words);
        let text = text(&shown);
        serde_json::from_slice(&shown.stdout).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// What was shown in the last recording.
    pub fn last_output(&self) -> String {
        let last = self.last_id();
        let words = [SEALCAST, "export", "-f", "raw", "-i", "/etc/sealcast/identity", &last];
        text(&self.run("root", &words))
    }

    /// Waits until no process of the host's users is left that `name`s a program.
    pub fn wait_until_gone(&self, name: &str) {
        until(&format!("the end of {name}"), || {
            let found = self.run("root", &["/usr/bin/pgrep", "-f", name]);
            (!found.status.success()).then_some(())
        });
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
        // Recordings are append-only where the file system can do that.
        let _ = Command::new("chattr").args(["-R", "-a"]).arg(self.dir.path()).stderr(Stdio::null()).status();
    }
}

/// The environment after a login.
fn environment(user: &str) -> Vec<(&'static str, String)> {
    let home = if user == "root" { "/root".to_owned() } else { format!("/home/{user}") };
    vec![
        ("HOME", home),
        ("USER", user.to_owned()),
        ("LOGNAME", user.to_owned()),
        ("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin".to_owned()),
        ("TERM", "xterm".to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
    ]
}

/// Runs a command to its end with nothing on its standard input, and without our terminal.
pub fn output(command: Command) -> Output {
    let mut alone = Command::new("setsid");
    alone.arg("--wait").arg(command.get_program()).args(command.get_args()).env_clear().current_dir("/");
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            alone.env(name, value);
        }
    }
    alone.stdin(Stdio::null()).output().unwrap()
}

/// Both outputs of a command, for looking at and for messages.
pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Whether a program is there.
pub fn has(program: &str) -> bool {
    let found = sealcast::record::elevate::find_program(program).is_some() || Path::new(program).exists();
    if !found {
        crate::support::skipped(&format!("there is no {program}"));
    }
    found
}
