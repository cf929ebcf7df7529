//! The environment of a session that runs as somebody else.
//!
//! Refuses to keep what makes a program run something else than what was asked for, whatever the policy names.

use super::{SYSTEM_PATH, Target, Variables};
use crate::policy::Policy;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

/// Variables that no policy can keep: they are known to make a shell, a linker or an interpreter run something else.
const NEVER: &[&str] = &[
    "LD_*",
    "BASH_ENV",
    "BASH_FUNC_*",
    "ENV",
    "SHELLOPTS",
    "BASHOPTS",
    "PS0",
    "PS1",
    "PS2",
    "PS3",
    "PS4",
    "IFS",
    "CDPATH",
    "GLOBIGNORE",
    "PROMPT_COMMAND",
    "INPUTRC",
    "XDG_CONFIG_*",
    "XDG_DATA_*",
    "PERL*",
    "PYTHON*",
    "RUBY*",
    "NODE_OPTIONS",
    "NODE_PATH",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "CLASSPATH",
    "LUA_*",
    "DOTNET_STARTUP_HOOKS",
    "GUILE_LOAD_*",
    "JULIA_LOAD_PATH",
    "JULIA_DEPOT_PATH",
    "AWKPATH",
    "AWKLIBPATH",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
    "OPENSSL_CONF",
    "OPENSSL_MODULES",
    "OPENSSL_ENGINES",
    "GIT_CONFIG*",
    "GIT_EXEC_PATH",
    "TERMINFO*",
    "TERMCAP",
    "GCONV_PATH",
    "LOCPATH",
    "NLSPATH",
    "HOSTALIASES",
    "LOCALDOMAIN",
    "RES_OPTIONS",
    "TMPDIR",
    "TMPPREFIX",
    "ZDOTDIR",
    "FPATH",
    "fish_*",
    "NULLCMD",
    "READNULLCMD",
    "GLIBC_TUNABLES",
    "_JAVA_OPTIONS",
];

/// Variables that every session has of its own, whatever a policy keeps of the caller's.
pub const MADE_ANEW: [&str; 5] = ["HOME", "USER", "LOGNAME", "SHELL", "PATH"];

/// The environment of a session: what the policy keeps of the caller's, and over it the target's own.
pub(super) fn of_session(target: &Target, policy: &Policy, variables: &Variables) -> Variables {
    let mut environment = kept(policy, variables);
    let user = OsString::from(&target.user.name);
    environment.insert("HOME".into(), target.user.home.clone().into());
    environment.insert("USER".into(), user.clone());
    environment.insert("LOGNAME".into(), user);
    environment.insert("SHELL".into(), target.shell.clone().into());
    let path =
        if target.user.uid == 0 { SYSTEM_PATH.join(":") } else { "/usr/local/bin:/usr/bin:/bin".into() };
    environment.insert("PATH".into(), path.into());
    environment
}

/// What a policy names to be kept and what is not kept all the same, and whether it names everything.
pub fn kept_in_vain(policy: &Policy) -> (Vec<&str>, bool) {
    let never = crate::policy::Names::new(NEVER.iter().copied());
    let named = || policy.keep.patterns().iter().map(String::as_str);
    (
        named().filter(|name| never.contains(name) || MADE_ANEW.contains(name)).collect(),
        named().any(|name| !name.is_empty() && name.trim_matches('*').is_empty()),
    )
}

/// What a policy keeps of somebody's environment, `TERM` always. Variables that make programs run something else are
/// never kept, nor values with which a language or a terminal type would become a file name.
pub fn kept(policy: &Policy, variables: &Variables) -> Variables {
    let never = crate::policy::Names::new(NEVER.iter().copied());
    let wanted = |name: &str| (policy.keep.contains(name) || name == "TERM") && !never.contains(name);
    let sound = |name: &str, value: &OsStr| {
        let bytes = value.as_bytes();
        let is_file_name = match name {
            "TERM" | "LANG" | "LANGUAGE" => bytes.contains(&b'/') || bytes.contains(&b'%'),
            "TZ" => {
                bytes.starts_with(b"/") || bytes.starts_with(b":") || bytes.windows(2).any(|w| w == b"..")
            }
            name => name.starts_with("LC_") && (bytes.contains(&b'/') || bytes.contains(&b'%')),
        };
        !is_file_name && !bytes.starts_with(b"()")
    };
    let kept = variables
        .iter()
        .filter(|(name, value)| name.to_str().is_some_and(|name| wanted(name) && sound(name, value)));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}
