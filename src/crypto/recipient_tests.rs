use super::super::identity;
use super::super::prompt::Nobody;
use super::*;
use std::process::Command;

const X25519: &str = "age1ysxuaeqlk7xd8uqsh8lsnfwt9jzzjlqf49ruhpjrrj5yatlcuf7qke4pqe";
const TAG: &str = "age1tag1qt8lw0ual6avlwmwatk888yqnmdamm7xfd0wak53ut6elz5c4swx2yqdj4e";
const SSH: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti user@example.com";

/// A plugin recipient with a valid checksum.
fn plugin(name: &str) -> String {
    use bech32::{Bech32, Hrp};
    bech32::encode::<Bech32>(Hrp::parse(&format!("age1{name}")).unwrap(), b"anything").unwrap()
}

#[test]
fn every_kind_of_recipient_is_read_and_written_again() {
    let plugin = plugin("yubikey");
    for (line, kind) in
        [(X25519, "X25519"), (TAG, "hardware (P-256)"), (SSH, "SSH Ed25519"), (&plugin, "plugin")]
    {
        let recipient: Recipient = line.parse().unwrap();
        assert_eq!(recipient.to_string(), line);
        assert_eq!(recipient.kind(), kind);
    }
    assert_eq!(plugin.parse::<Recipient>().unwrap().needs_plugin().as_deref(), Some("age-plugin-yubikey"));
    assert_eq!(X25519.parse::<Recipient>().unwrap().label(), "age1ysxuaeqlk…");
    assert_eq!(SSH.parse::<Recipient>().unwrap().label(), "user@example.com (ssh-ed25519)");
    assert_eq!(
        SSH.parse::<Recipient>().unwrap().fingerprint().as_deref(),
        Some("SHA256:UCUiLr7Pjs9wFFJMDByLgc3NrtdU344OgUM45wZPcIQ")
    );
}

#[test]
fn what_is_no_recipient_is_refused_with_its_reason() {
    let secret = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
    let says = |line: &str| line.parse::<Recipient>().unwrap_err().to_string();
    assert_eq!(secret.parse::<Recipient>().unwrap_err(), ParseError::SecretKey);
    assert!(!says(secret).contains("1GQ9778"));
    assert!(says("hello").contains("not a recipient"));
    assert!(
        says(&X25519.replace("4pqe", "4pqq")).contains("age recipient"),
        "{}",
        says(&X25519.replace("4pqe", "4pqq"))
    );
    assert!(says("age1tag1qqqq").contains("hardware"));
    for followed in [" alice", " # alice", &format!(", {X25519}")] {
        assert!(says(&format!("{X25519}{followed}")).contains("follows the key"), "{followed}");
    }
    for (label, secret) in [("OPENSSH PRIVATE", true), ("PUBLIC", false), ("PGP PUBLIC", false)] {
        let error = format!("-----BEGIN {label} KEY-----").parse::<Recipient>().unwrap_err();
        assert_eq!(error == ParseError::SecretKey, secret, "{label}");
    }
    assert!(says("ssh-ed25519 AAAA").contains("damaged"));
    assert!(says("ssh-dss AAAA").contains("ssh-dss"));
    assert!(says("ecdsa-sha2-nistp256 AAAA x").contains("cannot be encrypted to"));
    assert!(says(&format!("age1{}", "q".repeat(MAX_LINE))).contains("at most"));
}

#[test]
fn a_recipients_file_names_the_line_that_is_wrong() {
    let good = format!("# auditors\n\n{X25519}\r\n  {SSH}  \n{X25519}\n");
    assert_eq!(parse_file(&good).unwrap().len(), 2);
    let Err(FileError::Line { line, .. }) = parse_file(&format!("{X25519}\n\nnonsense")) else { panic!() };
    assert_eq!(line, 3);
    assert_eq!(parse_file("# nobody\n"), Err(FileError::Empty));
    // A remark behind an age key, and what some editors begin a file with.
    let remarked = parse_file(&format!("\u{feff}# mine\n{X25519}  # at home\n{X25519}\t#\n")).unwrap();
    assert_eq!(remarked, [X25519.parse().unwrap()]);
    assert!(parse_file(&format!("{X25519}#glued")).is_err());
}

#[test]
fn stock_age_opens_what_we_wrap_for_age_and_ssh_keys() {
    let dir = tempfile::tempdir().unwrap();
    let (identity, recipient) = identity::generate();
    let key = dir.path().join("key.txt");
    std::fs::write(&key, identity.as_bytes()).unwrap();
    let ssh = dir.path().join("ssh");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&ssh).status();
    if !made.is_ok_and(|status| status.success()) || Command::new("age").arg("--version").output().is_err() {
        crate::sys::skipped("there is no ssh-keygen or no age");
        return;
    }
    let ssh_recipient = std::fs::read_to_string(dir.path().join("ssh.pub")).unwrap().parse().unwrap();
    let tag = TAG.parse().unwrap();
    let sealed = wrap(&[recipient, ssh_recipient, tag], b"\0root key\xff").unwrap();
    let file = dir.path().join("sealed");
    std::fs::write(&file, &sealed).unwrap();
    for who in [&key, &ssh] {
        let out = Command::new("age").arg("-d").arg("-i").arg(who).arg(&file).output().unwrap();
        assert_eq!(out.stdout, b"\0root key\xff", "{}", String::from_utf8_lossy(&out.stderr));
    }
}

#[test]
fn wrapping_never_runs_a_plugin_and_asks_for_at_least_one_recipient() {
    let recipient: Recipient = plugin("nowhere").parse().unwrap();
    let Err(WrapError::NeedsPlugin { program, .. }) = wrap(std::slice::from_ref(&recipient), b"x") else {
        panic!()
    };
    assert_eq!(program, "age-plugin-nowhere");
    let prompt: Arc<dyn Prompt> = Arc::new(Nobody);
    let Err(WrapError::PluginMissing(program)) = wrap_with_plugins(&[recipient], b"x", &prompt) else {
        panic!()
    };
    assert_eq!(program, "age-plugin-nowhere");
    assert!(matches!(wrap(&[], b"x"), Err(WrapError::NoRecipients)));
    let many = vec![X25519.parse().unwrap(); MAX_RECIPIENTS + 1];
    assert!(matches!(wrap(&many, b"x"), Err(WrapError::TooMany(_))));
}

#[test]
fn an_age_file_tells_whom_it_is_sealed_to_as_far_as_it_can() {
    let ssh: Recipient = SSH.parse().unwrap();
    let other: Recipient = X25519.parse().unwrap();
    let sealed = wrap(&[other.clone(), ssh.clone()], b"x").unwrap();
    let slots = slots(&sealed).unwrap();
    assert_eq!(slots.iter().map(|s| s.kind.as_str()).collect::<Vec<_>>(), ["X25519", "ssh-ed25519"]);
    assert_eq!(slots[1].is_for(&ssh), Some(true));
    assert_eq!(slots[1].is_for(&other), Some(false));
    assert_eq!(slots[0].is_for(&other), None);
    assert_eq!(super::slots(b"hello"), None);
    assert_eq!(super::slots(&sealed[..60]), None);
}

#[test]
fn wrapping_reaches_no_deeper_than_what_is_overwritten_after_it() {
    for line in [X25519, TAG, SSH] {
        let recipient = [line.parse().unwrap()];
        let reached = crate::sys::stack::reached(|| drop(wrap(&recipient, &[7; 32]).unwrap()));
        assert!(reached < DEEP + 4096, "{reached} for {line}");
    }
}

/// A recipient like an SSH key of 4096 bits; nobody has its other half.
fn rsa(number: u32) -> String {
    let mut modulus = vec![0, 0xc1];
    modulus.resize(512 - 3, 0x5a);
    modulus.extend(number.to_be_bytes());
    *modulus.last_mut().unwrap() |= 1;
    let field = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
    let key = [field(b"ssh-rsa"), field(&[1, 0, 1]), field(&modulus)].concat();
    format!("ssh-rsa {} auditor-{number}@example.com", BASE64.encode(key))
}

#[test]
fn more_recipients_than_a_recording_has_room_for_are_refused_by_their_length() {
    let file = |count: u32| (0..count).map(|n| rsa(2 * n) + "\n").collect::<String>();
    let good = parse_file(&file(70)).unwrap();
    assert!(good.len() == 70 && check_room(&good).is_ok());
    let Err(FileError::TooMany(excess)) = parse_file(&file(100)) else { panic!("100 are good") };
    let listed = serde_json::to_string(&(0..100).map(|n| rsa(2 * n)).collect::<Vec<_>>()).unwrap().len() - 1;
    assert_eq!(excess, Excess::Length { recipients: 100, bytes: listed });
    let many: Vec<Recipient> = (0..100).map(|n| rsa(2 * n).parse().unwrap()).collect();
    assert!(matches!(wrap(&many, b"x"), Err(WrapError::TooMany(of)) if of == excess));
    // What they come to is what counts: a comment does, too.
    let wordy: Recipient = format!("{SSH} {}", "\"".repeat(MAX_LINE - SSH.len() - 1)).parse().unwrap();
    assert!(check_room(std::slice::from_ref(&wordy)).is_ok() && check_room(&[wordy.clone(), wordy]).is_err());
}
