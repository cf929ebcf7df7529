//! Anything at all, and good keys with bytes changed, given to every reader of keys: errors, never a panic.

use super::identity::{Identities, generate};
use super::known_keys::KnownKeys;
use super::prompt::{Nobody, Prompt, PromptError};
use super::recipient::{self, wrap};
use super::sshsig::{HostKey, Signer, verify};
use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Knows one passphrase.
struct Typed;

impl Prompt for Typed {
    fn passphrase(&self, _: &str) -> Result<Zeroizing<String>, PromptError> {
        Ok(Zeroizing::new("pw".to_owned()))
    }
}

fn read_everything(bytes: &[u8], sealed: &[u8]) {
    if let Ok(identities) = Identities::from_text(Path::new("x"), bytes, Arc::new(Typed)) {
        let _ = identities.unwrap(sealed);
        let _ = identities.recipients();
    }
    let _ = recipient::slots(bytes);
    if let Ok(identities) = Identities::from_text(Path::new("x"), generate().0.as_bytes(), Arc::new(Nobody)) {
        let _ = identities.unwrap(bytes);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = recipient::parse_file(text);
        let _ = KnownKeys::parse(text);
        let _ = HostKey::from_openssh(text);
        let _ = Signer::from_openssh(text);
        let _ = verify(text, "x", b"m");
    }
}

fn good() -> Vec<Vec<u8>> {
    let signer = Signer::generate("me").unwrap();
    let (secret, recipient) = generate();
    vec![
        secret.as_bytes().to_vec(),
        recipient.to_string().into_bytes(),
        signer.to_openssh().unwrap().as_bytes().to_vec(),
        format!("web-3,10.* namespaces=\"a,b\" {} me", signer.host_key()).into_bytes(),
        signer.sign("x", b"m").unwrap().into_bytes(),
        wrap(&[recipient], b"secret").unwrap(),
        b"-----BEGIN RSA PRIVATE KEY-----\nMIIEogIBAAKCAQEAxO5yF0xjbmkQTfbaCP8DQC7kHnPJr5bdIie6Nzmg9lL6Chye\n-----END RSA PRIVATE KEY-----\n".to_vec(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_bytes_make_a_reader_of_keys_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        read_everything(&bytes, &[]);
    }

    #[test]
    fn no_words_of_the_formats_make_a_reader_of_keys_panic(
        words in proptest::collection::vec(
            prop_oneof![
                Just("age-encryption.org/v1\n"), Just("-> X25519 "), Just("-> scrypt "), Just("-> ssh-rsa "), Just("--- "),
                Just("-----BEGIN OPENSSH PRIVATE KEY-----\n"), Just("-----END OPENSSH PRIVATE KEY-----\n"),
                Just("-----BEGIN AGE ENCRYPTED FILE-----\n"), Just("-----BEGIN RSA PRIVATE KEY-----\n"),
                Just("ssh-ed25519 "), Just("ssh-rsa "), Just("@revoked "), Just("|1|"), Just("namespaces=\""), Just("age1"),
                Just("age1tag1"), Just("AGE-PLUGIN-X-1"), Just("AGE-SECRET-KEY-1"), Just("AAAA"), Just("="), Just("\n"),
                Just(" "), Just("\0"), Just("é"), Just("18"), Just("b3BlbnNzaC1rZXktdjEA"),
            ],
            0..30,
        )
    ) {
        read_everything(words.concat().as_bytes(), &[]);
    }

    #[test]
    fn no_change_of_a_good_key_makes_a_reader_panic(
        which in 0usize..7, changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let files = good();
        let mut bytes = files[which].clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        read_everything(&bytes, &files[5]);
    }
}
