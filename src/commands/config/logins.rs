//! What runs in a login before the shell does, where this program is the shell: code that variables of the user name.

use crate::policy::Names;
use std::path::Path;

/// Services that start no login shell: `/bin/sh` runs their jobs (DEPLOY.md, section 4).
const OF_JOBS: [&str; 3] = ["atd", "cron", "crond"];

/// What below `etc` lets whoever logs in set variables for their login shell, as sentences, where people have `shell` as one. The
/// linker runs what `LD_PRELOAD` names before the shell can look at any. A file that cannot be read is passed over.
pub(super) fn open_to_variables(etc: &Path, shell: &Path) -> Vec<String> {
    if !is_login_shell(etc, shell) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut tell = |file: &Path, line: &[&str]| {
        found.push(format!(
            "{}: `{}` lets whoever logs in with this program as their shell run code of their own in it, unrecorded (DEPLOY.md, section 4)",
            file.display(),
            line.join(" ")
        ));
    };
    each_line(&etc.join("pam.d"), &mut |file, words| {
        let is_of_jobs = file.file_name().is_some_and(|name| OF_JOBS.iter().any(|service| name == *service));
        let reads = words.iter().any(|word| word.ends_with("pam_env.so"));
        if reads && words.contains(&"user_readenv=1") && !is_of_jobs {
            tell(file, &["pam_env.so", "user_readenv=1"]);
        }
    });
    for name in ["ssh/sshd_config", "ssh/sshd_config.d"] {
        each_line(&etc.join(name), &mut |file, words| {
            let Some((key, values)) = words.split_first() else { return };
            let takes = |value: &str| value == "yes" || Names::new([value]).contains("LD_PRELOAD");
            if ["permituserenvironment", "acceptenv"].contains(&key.to_ascii_lowercase().as_str())
                && values.iter().flat_map(|value| value.split(',')).any(takes)
            {
                tell(file, words);
            }
        });
    }
    found.dedup();
    found
}

/// Whether somebody has it as their shell, or may choose it.
fn is_login_shell(etc: &Path, shell: &Path) -> bool {
    let is_it = |path: &str| Path::new(path).canonicalize().is_ok_and(|path| path == shell);
    let mut found = false;
    each_line(&etc.join("shells"), &mut |_, words| found |= words.first().is_some_and(|path| is_it(path)));
    let users = std::fs::read_to_string(etc.join("passwd")).unwrap_or_default();
    found || users.lines().filter_map(|line| line.rsplit(':').next()).any(is_it)
}

/// The words of every line of a file, or of each file in a directory, without comments.
fn each_line(path: &Path, each: &mut dyn FnMut(&Path, &[&str])) {
    let mut files = vec![path.to_owned()];
    if let Ok(entries) = std::fs::read_dir(path) {
        files = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.sort();
    }
    for file in files {
        for line in std::fs::read_to_string(&file).unwrap_or_default().lines() {
            let line = line.split('#').next().unwrap_or_default();
            each(&file, &line.split_whitespace().collect::<Vec<_>>());
        }
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
        assert_eq!(open_to_variables(&dir, &shell), [""; 0], "it is nobody's shell");
        let named = format!("root:x:0:0::/root:/bin/sh\ndave:x:1:1::/home/dave:{}\n", shell.display());
        for (name, text) in [("shells", format!("# shells\n{}\n", shell.display())), ("passwd", named)] {
            write(name, &text);
            let found = open_to_variables(&dir, &shell);
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
}
