//! When we are somebody's login shell: the way a shell is called, turned into `sealcast run`.
//!
//! login(1), su(1) and sshd(8) call a login shell by its name with a dash before it; sshd, su and many programs have a
//! shell run a line with `-c`. Refuses to guess: called in any other way we are the ordinary command.

use crate::error::{Error, Kind, Result};
use crate::record::facts;
use crate::sys::ids;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// The arguments of `sealcast run` that do what a shell called with these would do; `None` when we are not called as a
/// shell.
///
/// # Errors
/// We are, and would not do what was meant.
pub fn arguments(called: &[OsString]) -> Result<Option<Vec<OsString>>> {
    let uid = ids::real_uid();
    let ourselves = || facts::own_program().ok()?.canonicalize().ok();
    let is_ours = |program: &Path| program.canonicalize().is_ok_and(|program| Some(program) == ourselves());
    let shell = || Some(ids::user_by_uid(uid).ok().flatten()?.shell);
    as_shell(called, uid, || shell().is_some_and(|shell| is_ours(&shell)), is_ours)
}

fn as_shell(
    called: &[OsString],
    uid: u32,
    is_login_shell: impl FnOnce() -> bool,
    is_ours: impl FnOnce(&Path) -> bool,
) -> Result<Option<Vec<OsString>>> {
    let Some((name, rest)) = called.split_first() else { return Ok(None) };
    let name = Path::new(name).file_name().unwrap_or(name);
    let dashed = name.as_bytes().starts_with(b"-");
    let mut login = dashed;
    let mut rest = rest.iter().map(OsString::as_os_str).peekable();
    while let Some(word) = rest.peek().and_then(|word| word.to_str()) {
        match word {
            "-l" | "--login" => login = true,
            "-i" if dashed => {}
            _ => break,
        }
        rest.next();
    }
    let line = match (rest.next().map(OsStr::as_bytes), rest.next()) {
        // `-c`, with or without `l` and `i` before it.
        (Some([b'-', letters @ .., b'c']), Some(line))
            if letters.iter().all(|letter| matches!(letter, b'l' | b'i')) =>
        {
            login |= letters.contains(&b'l');
            Some(line)
        }
        (None, _) if dashed || is_login_shell() => None,
        _ => return Ok(None),
    };
    if rest.next().is_some() {
        // Arguments of the line, which would be lost: no session rather than another one than was meant.
        let what = "the line of `-c` has words behind it, and nothing was run: as a shell sealcast runs a line alone, and they ($0, $1, …) would be lost";
        return Err(Error::new(Kind::Usage, what).hint("write them into the line itself"));
    }
    if let Some(words) = line.and_then(|line| forced(line, is_ours)) {
        return Ok(Some(words));
    }
    // Root is nobody's caller: what an elevator said long ago must not decide whose shell this is.
    let own = if uid == 0 { "--user=root" } else { "--self" };
    let mut words: Vec<OsString> = vec!["sealcast".into(), "run".into(), own.into()];
    if login {
        words.push("--login".into());
    }
    if let Some(line) = line {
        let mut word = OsString::from("--line=");
        word.push(line);
        words.push(word);
    }
    Ok(Some(words))
}

/// The arguments of a line that is a `ForceCommand` for us (`sealcast run --ssh`), which sshd gives to the login shell as any other:
/// in a recording of its own it would not find what the client asked for, as that stands in the environment, and no elevator hands
/// it on. Only a line that every shell reads as the words that are seen in it; any other is run as it is, and refused there.
fn forced(line: &OsStr, is_ours: impl FnOnce(&Path) -> bool) -> Option<Vec<OsString>> {
    let line = line.to_str()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b" _-+=:,./@%".contains(&byte);
    let (program, rest) = line.trim_start().split_once(' ')?;
    let words: Vec<OsString> = rest.split_whitespace().map(OsString::from).collect();
    let of_ssh = matches!(&words[..], [run, ssh, ..] if run == "run" && ssh == "--ssh");
    let ours = || program == "sealcast" || (program.starts_with('/') && is_ours(Path::new(program)));
    (of_ssh && line.bytes().all(plain) && ours())
        .then(|| std::iter::once("sealcast".into()).chain(words).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(called: &[&str], uid: u32, login_shell: bool) -> Option<String> {
        let called: Vec<OsString> = called.iter().map(OsString::from).collect();
        let is_ours = |program: &Path| program == "/usr/bin/sealcast";
        let words = as_shell(&called, uid, || login_shell, is_ours).unwrap()?;
        Some(words.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join("|"))
    }

    #[test]
    fn the_ways_in_which_shells_are_called_become_a_recorded_session() {
        let run = |rest: &str| Some(format!("sealcast|run|{rest}"));
        assert_eq!(asked(&["-sealcast"], 1000, true), run("--self|--login"));
        assert_eq!(asked(&["-sealcast"], 0, true), run("--user=root|--login"));
        assert_eq!(asked(&["sealcast"], 1000, true), run("--self"));
        assert_eq!(asked(&["/usr/bin/sealcast", "-c", "id -u"], 1000, true), run("--self|--line=id -u"));
        assert_eq!(asked(&["-sealcast", "-c", "--x"], 1000, true), run("--self|--login|--line=--x"));
        assert_eq!(asked(&["sealcast", "-l", "-c", "x"], 1000, true), run("--self|--login|--line=x"));
        assert_eq!(asked(&["sealcast", "-lc", "x"], 1000, true), run("--self|--login|--line=x"));
        assert_eq!(asked(&["sealcast", "-ilc", "x"], 1000, true), run("--self|--login|--line=x"));
        assert_eq!(asked(&["sealcast", "-ic", "x"], 1000, true), run("--self|--line=x"));
    }

    #[test]
    fn a_forced_command_is_ours_only_where_it_cannot_mean_anything_else() {
        let asked = |line: &str| asked(&["-sealcast", "-c", line], 1000, true).unwrap();
        for (line, words) in [
            ("/usr/bin/sealcast run --ssh", "sealcast|run|--ssh"),
            (" /usr/bin/sealcast  run --ssh --label way=ssh", "sealcast|run|--ssh|--label|way=ssh"),
            ("sealcast run --ssh", "sealcast|run|--ssh"),
        ] {
            assert_eq!(asked(line), words);
        }
        for line in [
            "/home/dave/sealcast run --ssh",
            "/usr/bin/sealcast run --ssh; id",
            "/usr/bin/sealcast run --ssh\tx",
            "/usr/bin/sealcast run --ssh --label 'a=b c'",
            "exec /usr/bin/sealcast run --ssh",
            "/usr/bin/sealcast run -- x --ssh",
            "/usr/bin/sealcast run",
            "/usr/bin/sealcast",
        ] {
            assert_eq!(asked(line), format!("sealcast|run|--self|--login|--line={line}"));
        }
    }

    #[test]
    fn any_other_call_is_the_ordinary_command() {
        for called in [&["sealcast"][..], &["sealcast", "run"], &["sealcast", "-c"], &["sealcast", "--help"]]
        {
            assert_eq!(asked(called, 1000, false), None, "{called:?}");
        }
        assert_eq!(asked(&["sealcast", "ls"], 1000, true), None);
        assert_eq!(asked(&["-sealcast", "-xc", "id"], 1000, true), None);
        assert_eq!(asked(&[], 1000, true), None);
    }

    #[test]
    fn a_line_with_words_of_its_own_is_refused() {
        let called = ["-sealcast", "-c", "echo $1", "sh", "x"].map(OsString::from);
        let error = as_shell(&called, 1000, || true, |_| false).unwrap_err();
        assert!(error.to_string().contains("would be lost"), "{error}");
    }
}
