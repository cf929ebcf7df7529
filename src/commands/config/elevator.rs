//! The elevator: whether it is there, runs as root what it is given, and says who called.

use super::Finding;
use crate::policy::Policy;
use crate::record::elevate::{find_program, tells_who_called};
use crate::sys::{ids, trust};
use crate::text::escaped;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

pub(super) fn of(policy: &Policy) -> Vec<Finding> {
    let mut found = Vec::new();
    let Some((elevator, arguments)) = policy.elevator.split_first() else { return found };
    let told = escaped(elevator);
    let wrong = |why: String| Finding::serious(format!("`run.elevator`: {why}"));
    if let Some(program) = find_program(elevator) {
        let why = keeps_from_running(&program);
        let name = program.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if why.is_none() && has_no_rights(&program) {
            found.extend(without_rights(name, &told.to_string(), arguments));
        }
        found.extend(why.map(|why| wrong(format!("`{told}` {why}"))));
        found.extend(keeps_from_root(name, arguments).map(wrong));
    } else {
        let mut missing = wrong(format!("there is no `{told}` in the directories of the system"));
        if elevator.contains(char::is_whitespace) {
            let words = policy.elevator.iter().flat_map(|word| word.split_whitespace());
            let words: Vec<_> = words.map(|word| format!("\"{}\"", escaped(word))).collect();
            missing.hints.push(format!("each word is a text of its own: [{}]", words.join(", ")));
            return vec![missing];
        }
        found.push(missing);
    }
    if !tells_who_called(policy) {
        found.push(Finding::note(format!(
            "`run.elevator`: `{told}` does not say who called it (sudo, run0 and doas do, called by that name): --self, --ssh and login shells are refused to everybody but root"
        )));
    }
    found
}

fn keeps_from_running(program: &Path) -> Option<&'static str> {
    let mode = program.metadata().ok()?.permissions().mode();
    (mode & 0o111 == 0).then_some("cannot be executed")
}

/// Programs that have root do what they cannot do themselves, without rights by their files.
const ASKS_ROOT: [&str; 3] = ["run0", "systemd-run", "machinectl"];

/// Programs that are no more to anybody than what they are given to run. (One that is not known may start what has rights.)
const RUNS_WHAT_IT_IS_GIVEN: [&str; 14] = [
    "env", "sh", "bash", "dash", "zsh", "fish", "ksh", "mksh", "busybox", "nice", "nohup", "setsid",
    "nsenter", "unshare",
];

/// Whether this is a program that has no rights to give by its file. A script need not have any: it may start what has them.
fn has_no_rights(program: &Path) -> bool {
    let mut start = [0; 4];
    let read = File::open(program).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && &start == b"\x7fELF" && !trust::gives_rights(program)
}

/// What is said of an elevator whose program has none: it makes nobody root, unless its arguments name something that does.
fn without_rights(name: &str, told: &str, arguments: &[String]) -> Option<Finding> {
    let is_known = KNOWN.iter().any(|options| options.names.contains(&name));
    let names_nothing = arguments.iter().all(|word| word.starts_with('-') || word.contains('='));
    if ASKS_ROOT.contains(&name) {
        None
    } else if is_known || (names_nothing && RUNS_WHAT_IT_IS_GIVEN.contains(&name)) {
        let what = "makes nobody root: its file has no set-user-id bit of root's, or lies where that does not count (nosuid)";
        let mut found = Finding::serious(format!("`run.elevator`: `{told}` {what}"));
        found.hints.push("name sudo, doas, su or run0, as their packages install them".to_owned());
        Some(found)
    } else {
        let what = "has no rights by its file, and whether what it starts makes anybody root is not seen from here: try `sealcast run -- id` as somebody who is not";
        Some(Finding::note(format!("`run.elevator`: `{told}` {what}")))
    }
}

/// The options of an elevator.
struct Options {
    names: &'static [&'static str],
    /// Those of one letter with a value.
    with_value: &'static str,
    /// Those without one.
    plain: &'static str,
    /// Those with which it does something else than to run a program and wait for it.
    other: &'static str,
    /// Long ones with a value in a word of its own, unless a `=` stands in them.
    long_with_value: &'static [&'static str],
    /// Long ones without one.
    long_plain: &'static [&'static str],
    /// As `other`.
    long_other: &'static [&'static str],
}

const KNOWN: [Options; 4] = [
    Options {
        names: &["sudo", "sudo-rs"],
        with_value: "CDRTUgprtu",
        plain: "ABEHNPSikns",
        other: "KVbehlv",
        long_with_value: &[
            "chdir",
            "chroot",
            "close-from",
            "command-timeout",
            "group",
            "other-user",
            "prompt",
            "role",
            "type",
        ],
        long_plain: &[
            "askpass",
            "bell",
            "login",
            "no-update",
            "non-interactive",
            "preserve-env",
            "preserve-groups",
            "reset-timestamp",
            "set-home",
            "shell",
            "stdin",
        ],
        long_other: &[
            "background",
            "edit",
            "help",
            "host",
            "list",
            "remove-timestamp",
            "validate",
            "version",
        ],
    },
    Options {
        names: &["doas"],
        with_value: "u",
        plain: "n",
        other: "CLs",
        long_with_value: &[],
        long_plain: &[],
        long_other: &[],
    },
    Options {
        names: &["su"],
        with_value: "Gcgsw",
        plain: "PTflmp",
        other: "Vh",
        long_with_value: &["group", "session-command", "shell", "supp-group", "whitelist-environment"],
        long_plain: &["fast", "login", "no-pty", "preserve-environment", "pty"],
        long_other: &["help", "version"],
    },
    Options {
        names: &["run0"],
        with_value: "Dgu",
        plain: "",
        other: "Vh",
        long_with_value: &[],
        long_plain: &[],
        long_other: &["help", "version"],
    },
];

impl Options {
    fn has_long(&self, long: &str) -> bool {
        self.long_with_value.contains(&long) || self.long_plain.contains(&long)
    }
}

/// Why an elevator with these arguments does not run as root what stands behind them. One of whose options are not known here is
/// taken to do so.
fn keeps_from_root(name: &str, arguments: &[String]) -> Option<String> {
    let known = KNOWN.iter().find(|options| options.names.contains(&name))?;
    let is_su = name == "su";
    let not_root = |user: &str| {
        let uid = match user.strip_prefix('#') {
            Some(uid) => uid.parse().ok(),
            None => match ids::user_by_name(user).ok()?.map(|user| user.uid) {
                None if name == "doas" => user.parse().ok(),
                uid => uid,
            },
        };
        (uid != Some(0)).then(|| format!("`{name}` is to make it `{}`, and not root", escaped(user)))
    };
    let another = |word: &str| format!("`{name}` would run `{}`, and not what it is given", escaped(word));
    let does_not_run =
        |option: &str| format!("with `{option}` `{name}` does not run what it is given, or not wait for it");
    let takes_a_word =
        |option: &str| format!("`{option}` of `{name}` takes a word, and none stands behind it");
    let mut words = arguments.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "--" | "-" if is_su => continue,
            "--" => return words.next().map(another),
            "--user" if !is_su => return words.next().and_then(not_root),
            _ if let Some(long) = word.strip_prefix("--") => match long.split_once('=') {
                Some(("user", user)) if !is_su => return not_root(user),
                _ if known.long_other.contains(&long) => return Some(does_not_run(word)),
                Some((long, _)) if known.has_long(long) => continue,
                None if known.long_plain.contains(&long) => continue,
                None if known.long_with_value.contains(&long) => match words.next() {
                    Some(_) => continue,
                    None => return Some(takes_a_word(word)),
                },
                _ => return None,
            },
            _ if word.starts_with('-') => {}
            _ if is_su => return not_root(word),
            // A variable.
            _ if word.contains('=') && name != "doas" => continue,
            _ => return Some(another(word)),
        }
        for (at, letter) in word.char_indices().skip(1) {
            if known.other.contains(letter) {
                return Some(does_not_run(&format!("-{letter}")));
            }
            if known.with_value.contains(letter) {
                let rest = word.get(at + 1..).filter(|rest| !rest.is_empty());
                match rest.or_else(|| words.next()) {
                    Some(user) if letter == 'u' => return not_root(user),
                    // The line that su is to run stands behind its last word.
                    None if letter != 'c' || !is_su => {
                        return Some(takes_a_word(&format!("-{letter}")));
                    }
                    _ => break,
                }
            }
            if !known.plain.contains(letter) {
                return None;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in a policy with this elevator.
    fn found(elevator: &str) -> Vec<Finding> {
        let recipient = crate::store::personal::identity_file().1;
        let text = format!("[recipients]\ndefault = [\"{recipient}\"]\n[run]\nelevator = [{elevator}]\n");
        of(&Policy::parse(Path::new("/x"), &text).unwrap())
    }

    /// What is an error.
    fn wrong(elevator: &str) -> Option<(String, Vec<String>)> {
        let found = found(elevator).into_iter().find(|finding| finding.serious);
        found.map(|finding| (finding.what, finding.hints))
    }

    fn notes(elevator: &str) -> Vec<String> {
        let notes = found(elevator).into_iter().filter(|finding| !finding.serious);
        notes.map(|finding| finding.what).collect()
    }

    #[test]
    fn an_elevator_that_is_no_program_is_an_error() {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let script = dir.path().join("elevate");
        std::fs::write(&script, "#!/bin/sh\nexec sudo -- \"$@\"\n").unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(wrong(&format!("{:?}", script.display().to_string())), None);
        let (what, _) = wrong("\"/etc/passwd\"").unwrap();
        assert!(what.contains("`/etc/passwd` cannot be executed"), "{what}");
        let (what, hints) = wrong("\"no-sudo -n\", \"--\"").unwrap();
        assert!(what.contains("there is no `no-sudo -n`"), "{what}");
        assert_eq!(hints, ["each word is a text of its own: [\"no-sudo\", \"-n\", \"--\"]"]);
    }

    #[test]
    fn an_elevator_that_can_make_nobody_root_is_an_error() {
        for elevator in ["\"env\"", "\"/bin/sh\", \"-c\"", "\"env\", \"A=b\", \"-\""] {
            let (what, hints) = wrong(elevator).unwrap_or_default();
            assert!(what.contains("makes nobody root") && hints.len() == 1, "{elevator}: {what}");
        }
        // What these start may do it.
        for elevator in ["\"env\", \"sudo\"", "\"sh\", \"-c\", \"exec sudo sealcast\""] {
            assert_eq!(wrong(elevator), None);
            let noted = notes(elevator);
            assert!(noted.iter().any(|what| what.contains("is not seen from here")), "{noted:?}");
        }
        assert!(without_rights("systemd-run", "systemd-run", &[]).is_none());
        assert!(
            without_rights("our-elevate", "our-elevate", &["--".into()]).is_some_and(|found| !found.serious)
        );
        assert!(without_rights("sudo", "sudo", &["--".into()]).is_some_and(|found| found.serious));
    }

    #[test]
    fn arguments_that_keep_an_elevator_from_running_us_as_root_are_an_error() {
        let why = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let (name, arguments) = words.split_first().unwrap();
            keeps_from_root(name, arguments)
        };
        for good in [
            "sudo",
            "sudo --",
            "sudo -n --",
            "sudo -nH",
            "sudo -u root --",
            "sudo -uroot",
            "sudo -u #0",
            "sudo --user=root",
            "sudo --user root --",
            "sudo -E TERM=xterm --",
            "sudo -p password: --",
            "sudo -g daemon -n",
            "sudo --non-interactive --",
            "sudo --preserve-env=A,B --prompt x --group=daemon",
            "sudo --unheard-of env",
            "sudo -i",
            "doas --",
            "doas -n",
            "doas -u root",
            "doas -u 0",
            "su",
            "su -",
            "su -c",
            "su root -c",
            "su - root -c",
            "su -- root",
            "su -P -s /bin/sh root -c",
            "su -l root",
            "su -T root -c",
            "su -T",
            "su --shell /bin/sh --login root --command",
            "run0 --",
            "run0 -u root --",
            "run0 --unheard-of x",
            "other -u bob",
        ] {
            assert_eq!(why(good), None, "{good}");
        }
        for (bad, says) in [
            ("sudo -u daemon --", "is to make it `daemon`"),
            ("sudo -nudaemon", "is to make it `daemon`"),
            ("sudo --user=daemon", "is to make it `daemon`"),
            ("sudo-rs -u #1", "is to make it `#1`"),
            ("doas -u daemon", "is to make it `daemon`"),
            ("su daemon -c", "is to make it `daemon`"),
            ("su -s /bin/sh no-such-user", "is to make it `no-such-user`"),
            ("sudo -n -u", "`-u` of `sudo` takes a word"),
            ("doas -C /etc/doas.conf", "with `-C`"),
            ("doas -u 1", "is to make it `1`"),
            ("doas A=b", "would run `A=b`"),
            ("sudo -u 0", "is to make it `0`"),
            ("su -T daemon -c", "is to make it `daemon`"),
            ("su -s", "`-s` of `su` takes a word"),
            ("sudo env", "would run `env`"),
            ("sudo -- env", "would run `env`"),
            ("doas env", "would run `env`"),
            ("sudo -b --", "with `-b`"),
            ("doas -s", "with `-s`"),
            ("sudo --help", "with `--help`"),
            ("sudo -n --list --", "with `--list`"),
            ("sudo --non-interactive ls", "would run `ls`"),
            ("sudo --set-home --user=daemon", "is to make it `daemon`"),
            ("sudo --prompt", "`--prompt` of `sudo` takes a word"),
            ("sudo -h", "with `-h`"),
            ("su --version", "with `--version`"),
            ("su --login daemon", "is to make it `daemon`"),
            ("run0 --user=daemon", "is to make it `daemon`"),
            ("run0 -u daemon", "is to make it `daemon`"),
            ("run0 --help", "with `--help`"),
        ] {
            assert!(why(bad).is_some_and(|why| why.contains(says)), "{bad}: {:?}", why(bad));
        }
    }
}
