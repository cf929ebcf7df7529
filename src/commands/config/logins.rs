//! What runs in a login before the shell does, where this program is the shell: code that variables of the user name. And what lets
//! people have another shell, or do without one.

use std::path::Path;

/// Services that start no login shell: `/bin/sh` runs their jobs (DEPLOY.md, section 4).
const OF_JOBS: [&str; 3] = ["atd", "cron", "crond"];

/// How the names of the variables begin that make the linker do something else, before a program can look at any.
const OF_LINKER: [&str; 2] = ["LD_", "GLIBC_TUNABLES"];

/// What variables of the linker let whoever logs in do.
const CODE: &str = "run code of their own in it";

/// What below `etc` lets whoever logs in set variables of the linker for their login shell, or have another one or none, as sentences, where
/// people have `shell` as theirs. A file that cannot be read is passed over.
pub(super) fn ways_around(etc: &Path, shell: &Path) -> Vec<String> {
    let is_it = |path: &str| Path::new(path).canonicalize().is_ok_and(|path| path == shell);
    let mut found = Vec::new();
    each_file(&etc.join("shells"), &mut |file, text| {
        let all = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        for listed in all.filter(|listed| is_it(listed)) {
            found.push(format!(
                "{}: `{listed}` lets whoever has this program as their shell take another one (`chsh`, `su -s`), unrecorded; nothing here needs that line (DEPLOY.md, section 4)",
                file.display()
            ));
        }
    });
    let users = std::fs::read_to_string(etc.join("passwd")).unwrap_or_default();
    if found.is_empty() && !users.lines().filter_map(|line| line.rsplit(':').next()).any(is_it) {
        return found;
    }
    let mut tell = |file: &Path, line: &[&str], what: &str| {
        found.push(format!("{}: `{}` lets whoever logs in with this program as their shell {what}, unrecorded (DEPLOY.md, section 4)",
            file.display(),
            line.join(" ")
        ));
    };
    each_file(&etc.join("pam.d"), &mut |file, text| {
        let is_of_jobs = file.file_name().is_some_and(|name| OF_JOBS.iter().any(|service| name == *service));
        for line in lines_of_pam(text) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let reads = words.iter().any(|word| word.ends_with("pam_env.so"));
            let of_users = words.iter().map(|word| word.trim_matches(['[', ']'])).find(|word| {
                word.strip_prefix("user_readenv=").is_some_and(|value| value.bytes().any(|byte| byte != b'0'))
            });
            if let (true, false, Some(word)) = (reads, is_of_jobs, of_users) {
                tell(file, &["pam_env.so", word], CODE);
            }
        }
    });
    for name in ["ssh/sshd_config", "ssh/sshd_config.d"] {
        each_file(&etc.join(name), &mut |file, text| {
            for line in text.lines() {
                let written: Vec<&str> =
                    line.split_whitespace().take_while(|word| !word.starts_with('#')).collect();
                let line = plain(&written.join(" "));
                if lets_in(&line) {
                    tell(file, &written, CODE);
                } else if serves_files(&line) {
                    tell(file, &written, "copy files by sftp and scp without that shell");
                }
            }
        });
    }
    found.dedup();
    found
}

/// A line of sshd_config(5) as far as it matters here: without quotes, and behind the keyword a blank, for which a `=` can stand, that
/// no name has.
fn plain(line: &str) -> String {
    line.replace(['"', '\'', '\\'], "").replace('=', " ")
}

/// Whether it has sshd itself serve files, which takes no shell.
fn serves_files(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let place = match words.next() {
        Some(key) if key.eq_ignore_ascii_case("Subsystem") => 1,
        Some(key) if key.eq_ignore_ascii_case("ForceCommand") => 0,
        _ => return false,
    };
    words.nth(place) == Some("internal-sftp")
}

/// Whether it takes a variable of the linker from whoever logs in. In doubt it does: that some of several patterns may be excepted
/// (`!`) is passed over.
fn lets_in(line: &str) -> bool {
    let Some((key, values)) = line.trim().split_once(' ') else { return false };
    let of_file = key.eq_ignore_ascii_case("PermitUserEnvironment");
    let takes = |pattern: &str| {
        (of_file && pattern == "yes") || OF_LINKER.iter().any(|start| may_begin(pattern, start))
    };
    (of_file || key.eq_ignore_ascii_case("AcceptEnv")) && values.split([' ', ',']).any(takes)
}

/// Whether a name that begins with `start` can be what a pattern of sshd's means, in which `*` is any text and `?` any letter.
fn may_begin(pattern: &str, start: &str) -> bool {
    let mut start = start.chars();
    for letter in pattern.chars() {
        match (letter, start.next()) {
            (_, None) | ('*', _) => return true,
            ('?', Some(_)) => {}
            (letter, Some(wanted)) if letter == wanted => {}
            _ => return false,
        }
    }
    start.next().is_none()
}

/// The lines of a file of pam.d(5), without their comments: what ends in a backslash goes on in the next line that is not empty.
fn lines_of_pam(text: &str) -> Vec<String> {
    let (mut lines, mut begun) = (Vec::new(), String::new());
    for line in text.lines() {
        let (written, has_comment) = line.split_once('#').map_or((line, false), |(before, _)| (before, true));
        let written = written.trim();
        match written.strip_suffix('\\').filter(|_| !has_comment) {
            _ if written.is_empty() => {}
            Some(part) => begun.push_str(&format!("{part} ")),
            None => lines.push(std::mem::take(&mut begun) + written),
        }
    }
    lines.push(begun);
    lines
}

/// A file and its text, or each file in a directory.
fn each_file(path: &Path, each: &mut dyn FnMut(&Path, &str)) {
    let mut files = vec![path.to_owned()];
    if let Ok(entries) = std::fs::read_dir(path) {
        files = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.sort();
    }
    for file in files {
        each(&file, &std::fs::read_to_string(&file).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_who_logs_in_are_told_where_people_have_this_program_as_their_shell() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let shell = dir.join("sealcast");
        std::fs::create_dir_all(dir.join("pam.d")).unwrap();
        std::fs::create_dir_all(dir.join("ssh/sshd_config.d")).unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
        write("sealcast", "");
        let pam = "session required pam_env.so # user_readenv=1\nsession required pam_env.so readenv=1\n";
        let debian = "session    required     pam_env.so user_readenv=1 envfile=/etc/default/locale\n";
        write("pam.d/login", pam);
        write("pam.d/sshd", &format!("{pam}{debian}"));
        write("pam.d/atd", debian);
        write(
            "ssh/sshd_config",
            "#PermitUserEnvironment yes\nAcceptEnv LANG LC_*\nPermitUserEnvironment no\n",
        );
        write(
            "ssh/sshd_config.d/10-site.conf",
            "Match Group staff\n  permituserenvironment LANG,LD_*\n  AcceptEnv X *\n",
        );
        assert_eq!(ways_around(&dir, &shell), [""; 0], "it is nobody's shell");
        let named = format!("root:x:0:0::/root:/bin/sh\ndave:x:1:1::/home/dave:{}\n", shell.display());
        for (name, text) in [("shells", format!("# shells\n{}\n", shell.display())), ("passwd", named)] {
            write(name, &text);
            let mut found = ways_around(&dir, &shell);
            if name == "shells" {
                let listed = format!("{}: `{}` lets ", dir.join(name).display(), shell.display());
                assert!(found.remove(0).starts_with(&listed), "{found:?}");
            }
            let told: Vec<&str> = found.iter().filter_map(|told| told.split(" lets ").next()).collect();
            let (pam, site) = (dir.join("pam.d/sshd"), dir.join("ssh/sshd_config.d/10-site.conf"));
            let told_of = |file: &Path, line: &str| format!("{}: `{line}`", file.display());
            assert_eq!(
                told,
                [
                    told_of(&pam, "pam_env.so user_readenv=1"),
                    told_of(&site, "permituserenvironment LANG,LD_*"),
                    told_of(&site, "AcceptEnv X *"),
                ]
            );
            std::fs::remove_file(dir.join(name)).unwrap();
        }
    }

    #[test]
    fn lines_are_read_as_sshd_and_pam_read_them() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let shell = dir.join("sealcast");
        for made in ["pam.d", "ssh"] {
            std::fs::create_dir(dir.join(made)).unwrap();
        }
        let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
        write("sealcast", "");
        write("passwd", &format!("dave:x:1:1::/home/dave:{}\n", shell.display()));
        for (open, file, lines) in [
            (
                true,
                "ssh/sshd_config",
                &[
                    "PermitUserEnvironment=yes",
                    "PermitUserEnvironment = yes",
                    "PermitUserEnvironment \"yes\"",
                    "permituserenvironment 'yes' # for a while",
                    "\"PermitUserEnvironment\" yes",
                    "PermitUserEnvironment LD_PRELOAD",
                    "PermitUserEnvironment LANG,LD_*",
                    "PermitUserEnvironment \"LANG,?D_AUDIT\"",
                    "PermitUserEnvironment *",
                    "AcceptEnv LANG LD_AUDIT",
                    "AcceptEnv=LD_LIBRARY_PATH",
                    "AcceptEnv L*",
                    "AcceptEnv L?_PRELOAD",
                    "AcceptEnv LD_ORIGIN_PATH LC_*",
                    "AcceptEnv *AUDIT",
                    "AcceptEnv \"LD_*\"",
                    "AcceptEnv L\"D_\"PRELOAD",
                    "AcceptEnv GLIBC_TUNABLES",
                    "AcceptEnv GLIBC_*",
                    "Subsystem sftp internal-sftp",
                    "ForceCommand internal-sftp -l INFO",
                    "subsystem=sftp  internal-sftp -f AUTH # for a while",
                    "Subsystem \"sftp\" \"internal-sftp\"",
                ][..],
            ),
            (
                false,
                "ssh/sshd_config",
                &[
                    "PermitUserEnvironment no",
                    "PermitUserEnvironment=\"no\"",
                    "PermitUserEnvironment LANG,LC_*",
                    "AcceptEnv LANG LC_* LDAP ?LD_X # LD_*",
                    "AcceptEnv L[D]* GLIBC XD_*",
                    "# AcceptEnv LD_*",
                    "#AcceptEnv LD_*",
                    "AcceptEnvs LD_*",
                    "AcceptEnv",
                    "Match Group LD_*",
                    "SetEnv LD_LIBRARY_PATH=/opt/lib",
                    "Subsystem sftp /usr/lib/openssh/sftp-server",
                    "#Subsystem sftp internal-sftp",
                    "Subsystem sftp",
                ],
            ),
            (
                true,
                "pam.d/login",
                &[
                    "session required pam_env.so user_readenv=2",
                    "session required pam_env.so [user_readenv=1]",
                    "session required \\\n pam_env.so \\\n# x\n\n user_readenv=1",
                    "session required pam_env.so user_readenv=1 \\",
                ],
            ),
            (
                false,
                "pam.d/login",
                &[
                    "session required pam_env.so user_readenv=0",
                    "session required pam_env.so",
                    "session required pam_env.so # \\\nsession required pam_x.so user_readenv=1",
                    "session required pam_env.so \\ #\nsession required pam_x.so user_readenv=1",
                ],
            ),
        ] {
            for line in lines {
                write(file, &format!("{line}\n"));
                let found = ways_around(&dir, &shell);
                assert_eq!(found.len(), usize::from(open), "{line}: {found:?}");
            }
            write(file, "");
        }
    }
}
