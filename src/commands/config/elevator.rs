//! The elevator: whether it is there, runs as root what it is given, and says who called.

use super::Finding;
use crate::policy::Policy;
use crate::record::elevate::{find_program, tells_who_called};
use crate::sys::ids;
use crate::text::escaped;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

pub(super) fn of(policy: &Policy) -> Vec<Finding> {
    let mut found = Vec::new();
    let Some((elevator, arguments)) = policy.elevator.split_first() else { return found };
    let told = escaped(elevator);
    let wrong = |why: String| Finding::serious(format!("`run.elevator`: {why}"));
    if let Some(program) = find_program(elevator) {
        found.extend(keeps_from_running(&program).map(|why| wrong(format!("`{told}` {why}"))));
        let name = program.file_name().and_then(|name| name.to_str()).unwrap_or_default();
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

/// The short options of an elevator.
struct Options {
    names: &'static [&'static str],
    /// Those with a value.
    with_value: &'static str,
    /// Those without one.
    plain: &'static str,
    /// Those with which it does something else than to run a program and wait for it.
    other: &'static str,
}

const KNOWN: [Options; 3] = [
    Options { names: &["sudo", "sudo-rs"], with_value: "CDRTUgprtu", plain: "ABEHNPSikns", other: "KVbelv" },
    Options { names: &["doas"], with_value: "u", plain: "n", other: "CLs" },
    Options { names: &["su"], with_value: "Gcgsw", plain: "PTflmp", other: "Vh" },
];

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
    let mut words = arguments.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "--" | "-" if is_su => continue,
            "--" => return words.next().map(another),
            "--user" if !is_su => return words.next().and_then(not_root),
            _ if word.starts_with("--") => match word.strip_prefix("--user=") {
                Some(user) if !is_su => return not_root(user),
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
                return Some(format!(
                    "with `-{letter}` `{name}` does not run what it is given, or not wait for it"
                ));
            }
            if known.with_value.contains(letter) {
                let rest = word.get(at + 1..).filter(|rest| !rest.is_empty());
                match rest.or_else(|| words.next()) {
                    Some(user) if letter == 'u' => return not_root(user),
                    // The line that su is to run stands behind its last word.
                    None if letter != 'c' || !is_su => {
                        return Some(format!(
                            "`-{letter}` of `{name}` takes a word, and none stands behind it"
                        ));
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

    /// What is an error, in a policy with this elevator.
    fn wrong(elevator: &str) -> Option<(String, Vec<String>)> {
        let recipient = crate::store::personal::identity_file().1;
        let text = format!("[recipients]\ndefault = [\"{recipient}\"]\n[run]\nelevator = [{elevator}]\n");
        let found = of(&Policy::parse(Path::new("/x"), &text).unwrap());
        found.into_iter().find(|finding| finding.serious).map(|finding| (finding.what, finding.hints))
    }

    #[test]
    fn an_elevator_that_is_no_program_is_an_error() {
        assert_eq!(wrong("\"/bin/sh\""), None);
        let (what, _) = wrong("\"/etc/passwd\"").unwrap();
        assert!(what.contains("`/etc/passwd` cannot be executed"), "{what}");
        let (what, hints) = wrong("\"no-sudo -n\", \"--\"").unwrap();
        assert!(what.contains("there is no `no-sudo -n`"), "{what}");
        assert_eq!(hints, ["each word is a text of its own: [\"no-sudo\", \"-n\", \"--\"]"]);
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
            "sudo --non-interactive ls",
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
            "run0 -u bob",
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
        ] {
            assert!(why(bad).is_some_and(|why| why.contains(says)), "{bad}: {:?}", why(bad));
        }
    }
}
