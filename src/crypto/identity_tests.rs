use super::super::prompt::{Nobody, PromptError};
use super::super::recipient::wrap;
use super::*;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Answers every question alike, and counts them.
struct Answer(&'static str, AtomicUsize);

impl Answer {
    fn new(answer: &'static str) -> Arc<Self> {
        Arc::new(Self(answer, AtomicUsize::new(0)))
    }
}

impl Prompt for Answer {
    fn passphrase(&self, _: &str) -> Result<Zeroizing<String>, PromptError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Ok(Zeroizing::new(self.0.to_owned()))
    }
}

fn nobody() -> Arc<dyn Prompt> {
    Arc::new(Nobody)
}

fn from_text(text: &[u8], prompt: Arc<dyn Prompt>) -> Identities {
    Identities::from_text(Path::new("id"), text, prompt).unwrap()
}

fn refused(text: &[u8]) -> String {
    Identities::from_text(Path::new("id"), text, nobody()).err().expect("must be refused").to_string()
}

fn why(result: Result<Zeroizing<Vec<u8>>, UnwrapError>) -> Why {
    match result {
        Err(UnwrapError::NoIdentity { mut tried, .. }) if tried.len() == 1 => tried.remove(0).why,
        other => panic!("{other:?}"),
    }
}

/// A key made by stock `ssh-keygen`, or nothing when there is none.
fn ssh_key(args: &[&str]) -> Option<(Vec<u8>, Recipient)> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    let made = Command::new("ssh-keygen").arg("-q").args(args).arg("-f").arg(&file).status();
    if !made.is_ok_and(|status| status.success()) {
        crate::sys::skipped("there is no ssh-keygen");
        return None;
    }
    let public = std::fs::read_to_string(dir.path().join("key.pub")).unwrap();
    Some((std::fs::read(&file).unwrap(), public.parse().unwrap()))
}

#[test]
fn a_new_identity_opens_what_its_recipient_was_given() {
    let (text, recipient) = generate();
    let file = format!("# created today\n# public key: {recipient}\n{}\n", text.as_str());
    let sealed = wrap(std::slice::from_ref(&recipient), b"secret").unwrap();
    assert_eq!(from_text(file.as_bytes(), nobody()).unwrap(&sealed).unwrap().as_slice(), b"secret");
    assert_eq!(unwrap_with(&text, &sealed).unwrap().as_slice(), b"secret");
    assert_eq!(from_text(file.as_bytes(), nobody()).recipients()[0].1, Ok(vec![recipient]));
}

#[test]
fn the_error_names_the_recipients_and_every_file_that_was_tried() {
    let dir = tempfile::tempdir().unwrap();
    let (mine, theirs) = (generate(), generate());
    let paths = [dir.path().join("a"), dir.path().join("b")];
    std::fs::write(&paths[0], mine.0.as_bytes()).unwrap();
    std::fs::write(&paths[1], lock(&generate().0, Zeroizing::new("pw".into())).unwrap()).unwrap();
    let sealed = wrap(&[theirs.1], b"secret").unwrap();
    let said = Identities::load(&paths, nobody()).unwrap().unwrap(&sealed).unwrap_err().to_string();
    assert!(said.starts_with("tried: ") && said.ends_with("; sealed to an age key"), "{said}");
    assert!(said.contains("a (not a recipient), "), "{said}");
    assert!(said.contains("b (needs its passphrase, but there is nobody to ask for a passphrase)"), "{said}");
    let none = Identities::load::<&Path>(&[], nobody()).unwrap().unwrap(&sealed).unwrap_err().to_string();
    assert_eq!(none, "no identity file was given; sealed to an age key");
}

#[test]
fn a_passphrase_is_asked_for_once_and_a_wrong_one_is_called_so() {
    let (text, recipient) = generate();
    let sealed = wrap(&[recipient], b"secret").unwrap();
    let armored = lock(&text, Zeroizing::new("right".into())).unwrap();
    let mut binary = Vec::new();
    age::armor::ArmoredReader::new(armored.as_bytes()).read_to_end(&mut binary).unwrap();
    for file in [armored.as_bytes(), &binary] {
        let prompt = Answer::new("right");
        let identities = from_text(file, prompt.clone());
        assert_eq!(prompt.1.load(Ordering::SeqCst), 0, "asked before it was needed");
        for _ in 0..3 {
            assert_eq!(identities.unwrap(&sealed).unwrap().as_slice(), b"secret");
        }
        assert_eq!(prompt.1.load(Ordering::SeqCst), 1);
    }
    assert_eq!(why(from_text(&binary, Answer::new("wrong")).unwrap(&sealed)), Why::WrongPassphrase);
}

#[test]
fn stock_age_reads_a_locked_identity_of_ours_as_one() {
    let (text, recipient) = generate();
    let locked = lock(&text, Zeroizing::new("pw".into())).unwrap();
    assert!(locked.starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n"), "{locked}");
    assert!(!locked.contains("AGE-SECRET-KEY"));
    let sealed = wrap(&[recipient], b"x").unwrap();
    assert_eq!(from_text(locked.as_bytes(), Answer::new("pw")).unwrap(&sealed).unwrap().as_slice(), b"x");
}

#[test]
fn ssh_keys_open_with_and_without_a_passphrase() {
    for (kind, bits) in [("ed25519", "256"), ("rsa", "2048")] {
        for passphrase in ["", "right"] {
            let Some((key, recipient)) = ssh_key(&["-t", kind, "-b", bits, "-N", passphrase]) else { return };
            let sealed = wrap(&[recipient, generate().1], b"secret").unwrap();
            let prompt = Answer::new("right");
            let opened = from_text(&key, prompt.clone()).unwrap(&sealed).unwrap();
            assert_eq!(opened.as_slice(), b"secret", "{kind} {passphrase}");
            assert_eq!(prompt.1.load(Ordering::SeqCst), usize::from(!passphrase.is_empty()));
            let not_for_it = wrap(&[generate().1], b"secret").unwrap();
            let prompt = Answer::new("right");
            assert_eq!(why(from_text(&key, prompt.clone()).unwrap(&not_for_it)), Why::NoMatch);
            assert_eq!(prompt.1.load(Ordering::SeqCst), 0, "asked in vain");
            if !passphrase.is_empty() {
                assert_eq!(why(from_text(&key, Answer::new("wrong")).unwrap(&sealed)), Why::WrongPassphrase);
                assert!(matches!(why(from_text(&key, nobody()).unwrap(&sealed)), Why::NoPassphrase(_)));
            }
        }
    }
}

#[test]
fn an_ssh_key_of_a_cipher_that_is_not_read_opens_after_what_its_refusal_names() {
    const TOLD: &str = "ssh-keygen -p -Z aes256-ctr -f FILE";
    for cipher in ["chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com"] {
        let Some((key, recipient)) = ssh_key(&["-t", "ed25519", "-N", "right", "-Z", cipher]) else { return };
        let why = refused(&key);
        assert!(why.contains(cipher) && why.contains(&format!("`{TOLD}`")), "{why}");
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        crate::sys::file::write_new(&file, &key).unwrap();
        let mut words =
            TOLD.split(' ').map(|word| if word == "FILE" { file.to_str().unwrap() } else { word });
        let mut command = Command::new(words.next().unwrap());
        let done = command.args(words).args(["-q", "-P", "right", "-N", "right"]).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        let sealed = wrap(&[recipient], b"secret").unwrap();
        let identities = from_text(&std::fs::read(&file).unwrap(), Answer::new("right"));
        assert_eq!(identities.unwrap(&sealed).unwrap().as_slice(), b"secret");
    }
}

#[test]
fn a_missing_plugin_is_named() {
    let identity = age::plugin::Identity::default_for_plugin("nowhere").unwrap().to_string();
    let sealed = wrap(&[generate().1], b"x").unwrap();
    let identities = from_text(identity.as_bytes(), nobody());
    assert_eq!(why(identities.unwrap(&sealed)), Why::PluginMissing("age-plugin-nowhere".into()));
}

#[test]
fn files_that_are_no_identity_are_refused_without_repeating_them() {
    let (text, recipient) = generate();
    // One letter changed: the checksum of its form no longer holds.
    let (start, last) = text.split_at(text.len() - 1);
    let broken = format!("{start}{}", if last == "Q" { "P" } else { "Q" });
    let said = refused(broken.as_bytes());
    assert!(said.contains("line 1 is no identity") && !said.contains(&broken[16..]), "{said}");
    assert!(refused(recipient.to_string().as_bytes()).contains("is a recipient"));
    assert!(refused(b"# nothing\n").contains("no identity in it"));
    assert!(refused(b"\xff\xfe").contains("no text"));
    assert!(refused(&vec![b'#'; MAX_FILE as usize + 1]).contains("no identity file is that long"));
    assert!(refused(&wrap(&[recipient], b"x").unwrap()).contains("not with a passphrase"));
    assert!(refused(b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n").contains("no private key"));
    assert!(refused(b"AGE-SECRET-KEY-PQ-1ABC").contains("post-quantum"));
    let Some(ecdsa) = unused_key(&["-t", "ecdsa"]) else { return };
    assert!(refused(&ecdsa).contains("ecdsa-sha2-nistp256"), "{}", refused(&ecdsa));
}

#[test]
fn an_rsa_key_of_a_size_that_is_not_taken_is_refused_for_that_and_not_called_damaged() {
    for (bits, told) in [("4104", "more than 4096 bits are not supported"), ("1024", "too weak")] {
        for passphrase in ["", "right"] {
            let Some(key) = unused_key(&["-t", "rsa", "-b", bits, "-N", passphrase]) else { return };
            let why = refused(&key);
            assert!(why.contains(told) && !why.contains("damaged"), "{bits} {passphrase:?}: {why}");
        }
    }
}

/// A private key made by stock `ssh-keygen` that is nobody's recipient, or nothing when there is none.
fn unused_key(args: &[&str]) -> Option<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    let made = Command::new("ssh-keygen").args(["-q", "-N", ""]).args(args).arg("-f").arg(&file).status();
    made.is_ok_and(|status| status.success()).then(|| std::fs::read(&file).unwrap())
}

#[test]
fn work_without_bound_is_refused_before_it_is_done() {
    let Some((key, _)) = ssh_key(&["-t", "ed25519", "-a", "1", "-N", "pw"]) else { return };
    // The rounds are the last word of the bcrypt options: 1 becomes 2^24 + 1.
    let base64: String = std::str::from_utf8(&key).unwrap().lines().filter(|l| !l.starts_with('-')).collect();
    let mut blob = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, base64).unwrap();
    let at = blob.windows(4).position(|w| w == [0, 0, 0, 1]).unwrap();
    blob[at] = 1;
    let armored = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, blob);
    let lines: Vec<&str> = armored.as_bytes().chunks(70).map(|c| std::str::from_utf8(c).unwrap()).collect();
    let text = format!(
        "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n",
        lines.join("\n")
    );
    assert!(refused(text.as_bytes()).contains("bcrypt rounds"), "{}", refused(text.as_bytes()));

    let sealed = wrap(&[generate().1], b"x").unwrap();
    let file = "age-encryption.org/v1\n-> scrypt rF0/NwblUHHTpgQgRpe5CQ 21\nU2FsdHlTYWx0eVNhbHR5U2FsdHlTYWx0eVNhbHR5U2E\n--- U2FsdHlTYWx0eVNhbHR5U2FsdHlTYWx0eVNhbHR5U2E\n0123456789abcdef0123456789abcdef";
    assert_eq!(why(from_text(file.as_bytes(), Answer::new("pw")).unwrap(&sealed)), Why::TooMuchWork);
}

#[test]
fn damage_is_told_from_a_wrong_key() {
    let (text, recipient) = generate();
    let sealed = wrap(std::slice::from_ref(&recipient), b"secret").unwrap();
    let identities = from_text(text.as_bytes(), nobody());
    for at in 0..sealed.len() {
        let mut bytes = sealed.clone();
        bytes[at] ^= 1;
        assert!(identities.unwrap(&bytes).is_err(), "byte {at}");
    }
    let mut bytes = sealed.clone();
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(identities.unwrap(&bytes), Err(UnwrapError::Damaged));
    assert!(matches!(identities.unwrap(b"hello"), Err(UnwrapError::NotAge(_))));
    let long = wrap(&[recipient], &vec![0; MAX_SECRET as usize + 1]).unwrap();
    assert_eq!(identities.unwrap(&long), Err(UnwrapError::TooLong));
    assert_eq!(identities.unwrap(&vec![0; recipient::MAX_AGE_FILE + 1]), Err(UnwrapError::TooLong));
}

#[test]
fn files_made_to_be_slow_are_refused_or_read_at_once() {
    let all = std::thread::spawn(|| {
        let key = format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{}", "A\n".repeat(120_000));
        assert!(refused(key.as_bytes()).contains("at most"));
        let key = format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{}", "A\n".repeat(16_000));
        assert!(refused(key.as_bytes()).contains("no private key"));

        let (text, _) = generate();
        let identities = from_text(text.as_bytes(), nobody());
        let stanza = "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\nEmECAEcKN+n/Vs9SbWiV+Hu0r+E8R77DdWYyd83nw7U\n";
        let end = "--- U2FsdHlTYWx0eVNhbHR5U2FsdHlTYWx0eVNhbHR5U2E\n0123456789abcdef0123456789abcdef";
        let file =
            |count: usize| format!("age-encryption.org/v1\n{}{end}", stanza.repeat(count)).into_bytes();
        assert_eq!(identities.unwrap(&file(10_000)), Err(UnwrapError::TooLong));
        assert!(matches!(identities.unwrap(&file(50)), Err(UnwrapError::NoIdentity { .. })));
        let one = format!("age-encryption.org/v1\n-> X25519 a\n{}\n{end}", "A".repeat(63).repeat(12_000))
            .into_bytes();
        assert!(identities.unwrap(&one).is_err());
        let lines = format!(
            "age-encryption.org/v1\n-> X25519 a\n{}\n{end}",
            format!("{}\n", "A".repeat(64)).repeat(12_000)
        );
        assert!(identities.unwrap(lines.as_bytes()).is_err());
    });
    assert!(crate::sys::eventually(|| all.is_finished()));
    all.join().unwrap();
}

#[test]
fn a_plugin_that_is_missing_is_told_also_where_other_identities_of_the_file_could_be_tried() {
    let plugin = |name: &str| {
        let hrp = bech32::Hrp::parse(&format!("age-plugin-{name}-")).unwrap();
        bech32::encode::<bech32::Bech32>(hrp, b"anything").unwrap().to_uppercase()
    };
    let ((mine, recipient), (_, other)) = (generate(), generate());
    let both = format!("{}\n{}\n", plugin("nowhere"), mine.as_str());
    let identities = from_text(both.as_bytes(), nobody());
    let missing = Why::PluginMissing("age-plugin-nowhere".into());
    assert_eq!(why(identities.unwrap(&wrap(std::slice::from_ref(&other), b"x").unwrap())), missing);
    assert_eq!(identities.unwrap(&wrap(&[recipient], b"x").unwrap()).unwrap().as_slice(), b"x");
    let alone = from_text(mine.as_bytes(), nobody());
    assert_eq!(why(alone.unwrap(&wrap(&[other], b"x").unwrap())), Why::NoMatch);
    let told = |text: &str| from_text(text.as_bytes(), nobody()).protections().collect::<Vec<_>>();
    assert_eq!(told(&both), [Protection::Nothing]);
    assert_eq!(told(&plugin("nowhere")), [Protection::Plugin]);
}

#[test]
fn whoever_opened_an_identity_is_not_asked_again_for_its_recipients() {
    let (plain, recipient) = generate();
    let locked = lock(&plain, "secret".to_owned().into()).unwrap();
    let answer = Answer::new("secret");
    let identities = from_text(locked.as_bytes(), answer.clone());
    let wrapped = crate::crypto::recipient::wrap(std::slice::from_ref(&recipient), &[5; 32]).unwrap();
    assert_eq!(identities.unwrap(&wrapped).unwrap().as_slice(), [5; 32]);
    let told: Vec<_> = identities.recipients().into_iter().flat_map(|(_, told)| told.unwrap()).collect();
    assert_eq!((told, answer.1.load(Ordering::SeqCst)), (vec![recipient], 1));
}
