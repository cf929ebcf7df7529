use super::*;
use crate::sys::privileges::Identity;

fn target() -> Target {
    Target {
        user: User {
            name: "deploy".into(),
            uid: 900,
            gid: 900,
            home: "/srv/deploy".into(),
            shell: "/bin/sh".into(),
        },
        group: Some("web".into()),
        identity: Identity { uid: 900, gid: 33, groups: vec![900, 33] },
        shell: "/bin/bash".into(),
    }
}

fn observed() -> Observed {
    let sshd = Ancestor { pid: 11, uid: 0, name: "sshd".into(), cmdline: "sshd: alice".into() };
    let bash = Ancestor { pid: 12, uid: 1000, name: "bash".into(), cmdline: "-bash".into() };
    Observed {
        host: "web-3".into(),
        machine: "0".repeat(32),
        boot: "b".into(),
        kernel: "Linux 6".into(),
        login: Some((1000, "alice".into())),
        audit_session: Some(7),
        user: (0, "root".into()),
        groups: vec!["root".into()],
        peer: None,
        origin: Some(("192.0.2.1 40000 192.0.2.9 22".into(), bash.clone())),
        ancestors: vec![bash, sshd],
        cwd: "/home/alice".into(),
    }
}

fn policy(more: &str) -> Policy {
    let key = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    let text = format!("[recipients]\ndefault = [\"{key}\"]\n{more}");
    Policy::parse(Path::new("/etc/x.toml"), &text).unwrap()
}

fn variables(pairs: &[(&str, &str)]) -> Variables {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

#[test]
fn the_kernel_and_the_claims_stand_side_by_side_and_the_kernel_names_the_user() {
    let claims = variables(&[("SUDO_USER", "mallory"), ("SUDO_UID", "1001"), ("TERM", "xterm")]);
    let wish = Wish { reason: Some("why".into()), ticket: Some("T-1".into()), ..Wish::default() };
    let (header, meta) = tell(&observed(), &wish, &target(), "mallory", &policy(""), &claims);
    assert_eq!((header.user.as_str(), header.target.as_str()), ("alice", "deploy"));
    assert_eq!((header.caller.as_str(), header.person().as_str()), ("mallory", "alice (called by mallory)"));
    let identity = |key: &str| meta.identity.get(key).map(String::as_str);
    assert_eq!(identity("login-uid"), Some("1000"));
    assert_eq!((identity("sudo-user"), identity("caller")), (Some("mallory"), Some("mallory")));
    assert_eq!((identity("uid"), identity("target-gid")), (Some("0"), Some("33")));
    assert_eq!((identity("target-group"), identity("audit-session")), (Some("web"), Some("7")));
    assert_eq!((meta.reason.as_str(), meta.ticket.as_str()), ("why", "T-1"));
    assert_eq!(meta.ancestry, ["12 bash", "11 sshd"]);
    assert_eq!(meta.origin, "192.0.2.1 40000 192.0.2.9 22");
    assert_eq!(identity("origin-from"), Some("environment of 12 bash"));
    assert_eq!((meta.cwd.as_str(), meta.term.as_str()), ("/home/alice", "xterm"));
    assert_eq!(header.policy.len(), 64);
}

#[test]
fn without_a_login_uid_the_caller_is_named() {
    let mut seen = observed();
    (seen.login, seen.origin) = (None, None);
    let claims = variables(&[("SSH_CLIENT", "192.0.2.7 1 22")]);
    let (header, meta) = tell(&seen, &Wish::default(), &target(), "bob", &policy(""), &claims);
    assert_eq!((header.user.as_str(), header.caller.as_str()), ("bob", ""));
    let (header, _) = tell(&observed(), &Wish::default(), &target(), "alice", &policy(""), &claims);
    assert_eq!((header.person().as_str(), header.caller.as_str()), ("alice", ""));
    assert!(!meta.identity.contains_key("login-uid"));
    assert_eq!(meta.origin, "192.0.2.7 1 22");
}

#[test]
fn what_the_kernel_knows_of_a_connection_is_told_and_what_contradicts_it_beside_it() {
    let sshd = Ancestor { name: "sshd-session".into(), ..observed().ancestors[0].clone() };
    let peer = |connection: &str| Some(Peer { connection: connection.into(), sshd: sshd.clone() });
    let told = |seen: &Observed, claims: &[(&str, &str)]| {
        let (_, meta) = tell(seen, &Wish::default(), &target(), "bob", &policy(""), &variables(claims));
        let identity = |key: &str| meta.identity.get(key).cloned().unwrap_or_default();
        assert!(identity("origin-from").starts_with(ORIGIN_WITNESSED), "{meta:?}");
        (meta.origin.clone(), identity("origin-claimed"))
    };
    // `observed` has 192.0.2.1 40000 in an environment.
    let forged = Observed { peer: peer("198.51.100.7 50 192.0.2.9 22"), ..observed() };
    let both = ("198.51.100.7 50 192.0.2.9 22".to_owned(), "192.0.2.1 40000 192.0.2.9 22".to_owned());
    assert_eq!(told(&forged, &[]), both);
    let same = Observed { peer: peer("192.0.2.1 40000 10.0.0.9 22"), ..observed() };
    assert_eq!(told(&same, &[]), ("192.0.2.1 40000 10.0.0.9 22".to_owned(), String::new()));
    let unsaid = Observed { origin: None, ..same };
    assert_eq!(told(&unsaid, &[]).1, "");
    assert_eq!(told(&unsaid, &[("SSH_CLIENT", "::ffff:192.0.2.1 40000 22")]).1, "");
    assert_eq!(told(&unsaid, &[("SSH_CLIENT", "192.0.2.1 40001 22")]).1, "192.0.2.1 40001 22");
    assert!(is_same_side("fe80::1%eth0 5 fe80::2 22", "fe80::1 5 fe80::2 22"));
}

#[test]
fn where_somebody_came_from_is_asked_below_the_nearest_sshd() {
    let chain = |told: &[(&str, u32)]| -> Vec<Ancestor> {
        let of = |(name, uid): &(&str, u32)| (name.to_string(), *uid);
        told.iter()
            .map(of)
            .map(|(name, uid)| Ancestor { name, uid, ..observed().ancestors[0].clone() })
            .collect()
    };
    let below = |told: &[(&str, u32)]| {
        let chain = chain(told);
        below_sshd(&chain).iter().map(|ancestor| ancestor.name.clone()).collect::<Vec<_>>().join(" ")
    };
    let above = [("sshd", 0), ("sshd", 0), ("bash", 0), ("sshd-session", 0), ("systemd", 0)];
    let with = |near: &[(&str, u32)]| below(&[near, &above].concat());
    assert_eq!(with(&[("sudo", 0), ("bash", 1000), ("sshd", 1000)]), "sudo bash");
    assert_eq!(with(&[("bash", 1000), ("sshd-session", 1000)]), "bash");
    assert_eq!(with(&[("bash", 0)]), "bash");
    assert_eq!(with(&[]), "");
    // A program of that name that the person has started is no sshd of root's.
    assert_eq!(with(&[("bash", 1000), ("sshd", 1000), ("bash", 1000), ("sshd", 1000)]), "bash sshd bash");
    assert_eq!(below(&[("bash", 1000), ("sshdx", 0), ("tmux: server", 1000)]), "bash sshdx tmux: server");
}

#[test]
fn nothing_but_the_named_facts_is_public() {
    let wish = Wish {
        reason: Some("SEALED1".into()),
        ticket: Some("SEALED2".into()),
        labels: BTreeMap::from([("SEALED3".into(), "SEALED4".into())]),
        what: What::Command(vec!["SEALED5".into()]),
        dir: Some("/SEALED6".into()),
        ..Wish::default()
    };
    let claims = variables(&[("SUDO_USER", "SEALED7"), ("LANG", "SEALED8"), ("TERM", "SEALED9")]);
    let (header, meta) = tell(&observed(), &wish, &target(), "alice", &policy(""), &claims);
    let public = serde_json::to_string(&header).unwrap();
    assert!(!public.contains("SEALED") && !public.contains("192.0.2.1"), "{public}");
    let sealed = serde_json::to_string(&meta).unwrap();
    for n in 1..=9 {
        assert!(sealed.contains(&format!("SEALED{n}")), "{n}: {sealed}");
    }
}

#[test]
fn the_heartbeat_is_told_as_it_is() {
    let policy = policy("[guard]\nheartbeat = \"1500ms\"\n");
    let (_, meta) = tell(&observed(), &Wish::default(), &target(), "a", &policy, &Variables::new());
    assert_eq!(meta.in_force["heartbeat"], "1500ms");
}

#[test]
fn secrets_in_arguments_are_left_out_and_counted() {
    let line = Wish { what: What::Line("mysql -pS3CRET db".into()), ..Wish::default() };
    let words = ["mysql", "--password=S3CRET", "--token", "S3CRET"].map(Into::into).to_vec();
    let command = Wish { what: What::Command(words), ..Wish::default() };
    for (wish, count) in [(line, "1"), (command, "2")] {
        let (_, meta) = tell(&observed(), &wish, &target(), "alice", &policy(""), &Variables::new());
        assert!(!format!("{meta:?}").contains("S3CRET"), "{meta:?}");
        assert_eq!(meta.in_force["redacted-arguments"], count);
    }
}

#[test]
fn only_named_variables_are_recorded_and_withheld_ones_without_their_value() {
    let policy = policy("[run]\nenv = { keep = [\"GIT_*\", \"LANG\"], withhold = [\"*TOKEN*\"] }\n");
    let caller = variables(&[("GIT_TOKEN", "S3CRET"), ("GIT_DIR", "/g"), ("LANG", "C"), ("HISTFILE", "/h")]);
    let (_, meta) = tell(&observed(), &Wish::default(), &target(), "alice", &policy, &caller);
    let told: Vec<String> = meta.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(told, ["GIT_DIR=/g", "GIT_TOKEN=[withheld]", "LANG=C"]);
}

#[test]
fn endless_arguments_are_cut_where_it_shows() {
    let words = vec!["é".repeat(10_000).into(); 100];
    let wish = Wish { what: What::Command(words), ..Wish::default() };
    let (_, meta) = tell(&observed(), &wish, &target(), "a", &policy(""), &Variables::new());
    let kept: usize = meta.argv.iter().map(String::len).sum();
    assert!((MAX_ARGV / 2..MAX_ARGV + 30).contains(&kept) && meta.argv[0].len() == 20_000, "{kept}");
    // With the byte behind each, as the kernel counts them.
    let last = meta.argv.last().unwrap();
    let bytes = last.strip_prefix("… ").and_then(|rest| rest.strip_suffix(" more bytes")).unwrap();
    let whole = meta.argv.iter().filter(|word| word.len() == 20_000).count();
    let part = meta.argv.iter().find(|word| word.starts_with('é') && word.len() < 20_000);
    let part = part.map_or(0, String::len);
    assert_eq!(bytes.parse::<usize>().unwrap(), (100 - whole) * 20_001 - part);
    // A word of all that the kernel takes is kept as it is.
    let line = "x".repeat(128 << 10);
    let wish = Wish { what: What::Line(line.clone().into()), ..Wish::default() };
    let (_, meta) = tell(&observed(), &wish, &target(), "a", &policy(""), &Variables::new());
    assert_eq!((meta.argv[1..].join(" "), meta.lacks_arguments()), (format!("-c {line}"), false));
    // Nothing is something too, as often as there is room for on a command line.
    let wish = Wish { what: What::Command(vec!["".into(); 600_000]), ..Wish::default() };
    let (_, meta) = tell(&observed(), &wish, &target(), "a", &policy(""), &Variables::new());
    assert!(meta.argv.len() <= MAX_ARGV + 1 && meta.lacks_arguments());
}

#[test]
fn an_endless_environment_is_left_out_where_it_is_too_much_and_counted() {
    let long = "\x01".repeat(4000);
    let names: Vec<String> = (0..800).map(|n| format!("LC_{n:04}")).collect();
    let pairs: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), long.as_str())).collect();
    let (_, meta) = tell(&observed(), &Wish::default(), &target(), "a", &policy(""), &variables(&pairs));
    assert_eq!(meta.env.len(), MAX_ENV / 4007);
    assert_eq!(meta.in_force["left-out-variables"], (800 - meta.env.len()).to_string());
    let (_, meta) = tell(&observed(), &Wish::default(), &target(), "a", &policy(""), &variables(&pairs[..2]));
    assert!(meta.env.len() == 2 && !meta.in_force.contains_key("left-out-variables"));
}

#[test]
fn this_process_can_be_observed() {
    let here = Observed::here(&mut GroupNames::default(), &mut Users::default());
    assert!(!here.host.is_empty() && !here.ancestors.is_empty() && !here.cwd.is_empty());
    assert_eq!(here.user.0, ids::real_uid());
}
