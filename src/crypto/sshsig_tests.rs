use super::*;
use std::path::Path;
use std::process::{Command, Stdio};

const PURPOSE: &str = "sealcast-session@v1";

/// Whether stock `ssh-keygen` is here; the tests that need it say so when it is not.
fn ssh_keygen(args: &[&str], input: &[u8]) -> Option<(bool, String)> {
    use std::io::Write as _;
    let child = Command::new("ssh-keygen")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        crate::sys::skipped("there is no ssh-keygen");
        return None;
    };
    child.stdin.take().unwrap().write_all(input).unwrap();
    let out = child.wait_with_output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    Some((out.status.success(), text))
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn stock_ssh_keygen_accepts_our_signature_and_refuses_it_over_another_message() {
    let dir = tempfile::tempdir().unwrap();
    let signer = Signer::generate("web-3").unwrap();
    let (allowed, signature) = (dir.path().join("allowed"), dir.path().join("sig"));
    std::fs::write(&allowed, format!("web-3 {}\n", signer.host_key())).unwrap();
    std::fs::write(&signature, signer.sign(PURPOSE, b"a statement\n").unwrap()).unwrap();
    let args = ["-Y", "verify", "-f", path(&allowed), "-I", "web-3", "-n", PURPOSE, "-s", path(&signature)];
    let Some((good, said)) = ssh_keygen(&args, b"a statement\n") else { return };
    assert!(good, "{said}");
    assert!(said.contains(&signer.host_key().fingerprint()), "{said}");
    assert!(!ssh_keygen(&args, b"another statement\n").unwrap().0);
}

#[test]
fn our_verify_accepts_what_stock_ssh_keygen_signed_with_either_hash() {
    let dir = tempfile::tempdir().unwrap();
    let (key, message) = (dir.path().join("key"), dir.path().join("message"));
    let Some((good, said)) =
        ssh_keygen(&["-q", "-t", "ed25519", "-N", "", "-C", "web-3", "-f", path(&key)], b"")
    else {
        return;
    };
    assert!(good, "{said}");
    std::fs::write(&message, "a statement\n").unwrap();
    let public = std::fs::read_to_string(dir.path().join("key.pub")).unwrap();
    for hash in ["sha256", "sha512"] {
        let option = format!("hashalg={hash}");
        let (good, said) =
            ssh_keygen(&["-Y", "sign", "-f", path(&key), "-n", PURPOSE, "-O", &option, path(&message)], b"")
                .unwrap();
        assert!(good, "{said}");
        let signature = std::fs::read_to_string(dir.path().join("message.sig")).unwrap();
        std::fs::remove_file(dir.path().join("message.sig")).unwrap();
        let signed_by = verify(&signature, PURPOSE, b"a statement\n").unwrap();
        assert_eq!(signed_by, HostKey::from_openssh(&public).unwrap(), "{hash}");
        assert_eq!(verify(&signature, PURPOSE, b"a statement"), Err(Error::Wrong), "{hash}");
        assert_eq!(
            verify(&signature, "file", b"a statement\n"),
            Err(Error::Namespace(PURPOSE.into())),
            "{hash}"
        );
    }
    // The same key signs for us, too, and our encoding of a generated key is one that OpenSSH reads.
    let signer = Signer::from_openssh(&std::fs::read_to_string(&key).unwrap()).unwrap();
    assert_eq!(signer.host_key(), HostKey::from_openssh(&public).unwrap());
    let ours = Signer::generate("x").unwrap();
    let file = dir.path().join("ours");
    std::fs::write(&file, ours.to_openssh().unwrap().as_bytes()).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let (good, said) = ssh_keygen(&["-y", "-f", path(&file)], b"").unwrap();
    assert!(good && said.starts_with(&ours.host_key().to_string()), "{said}");
}

#[test]
fn every_changed_byte_of_a_signature_is_refused() {
    let signer = Signer::generate("web-3").unwrap();
    let signature = signer.sign(PURPOSE, b"m").unwrap();
    assert_eq!(verify(&signature, PURPOSE, b"m").unwrap(), signer.host_key());
    for at in 0..signature.len() {
        for change in [1u8, 0x20, 0x80] {
            let mut bytes = signature.clone().into_bytes();
            bytes[at] ^= change;
            if let Ok(text) = String::from_utf8(bytes) {
                assert!(verify(&text, PURPOSE, b"m").is_err(), "byte {at} xor {change:#x}: {text}");
            }
        }
    }
    for text in [
        "",
        "\n",
        &signature[..40],
        &format!("{signature}\n"),
        &format!(" {signature}"),
        &signature.replace('\n', "\r\n"),
    ] {
        assert_eq!(verify(text, PURPOSE, b"m"), Err(Error::NotASignature), "{text:?}");
    }
}

#[test]
fn only_an_unlocked_ed25519_key_becomes_a_signer() {
    let dir = tempfile::tempdir().unwrap();
    let make = |name: &str, args: &[&str]| {
        let file = dir.path().join(name);
        let (good, said) = ssh_keygen(&[&["-q", "-f", path(&file)], args].concat(), b"")?;
        assert!(good, "{said}");
        Some(std::fs::read_to_string(file).unwrap())
    };
    let Some(locked) = make("locked", &["-t", "ed25519", "-N", "secret"]) else { return };
    assert_eq!(Signer::from_openssh(&locked).unwrap_err(), Error::Locked);
    let rsa = make("rsa", &["-t", "rsa", "-b", "2048", "-N", ""]).unwrap();
    assert_eq!(Signer::from_openssh(&rsa).unwrap_err(), Error::KeyType("ssh-rsa".into()));
    let pem = make("pem", &["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", ""]).unwrap();
    assert_eq!(Signer::from_openssh(&pem).unwrap_err(), Error::KeyType("RSA PRIVATE KEY".into()));
    assert_eq!(Signer::from_openssh("hello").unwrap_err(), Error::NotAKey);
    let public = std::fs::read_to_string(dir.path().join("rsa.pub")).unwrap();
    assert_eq!(HostKey::from_openssh(&public), Err(Error::KeyType("ssh-rsa".into())));
    assert_eq!(Signer::from_openssh(&public).unwrap_err(), Error::Public);
}

#[test]
fn reading_a_key_and_signing_reach_no_deeper_than_what_is_overwritten_after_them() {
    let signer = Signer::generate("me").unwrap();
    let text = signer.to_openssh().unwrap();
    let reading = crate::sys::stack::reached(|| drop(apart(DEEP, || Signer::from_openssh(&text)).unwrap()));
    let signing = crate::sys::stack::reached(|| drop(signer.sign("test", b"message").unwrap()));
    for reached in [reading, signing] {
        assert!(reached < DEEP + 4096, "{reached}");
    }
}
