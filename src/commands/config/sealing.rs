//! Whether sessions can be sealed: to the recipients of the host, and to those that labels add.

use super::{Finding, public_half, read_text};
use crate::container::SessionKeys;
use crate::crypto::recipient::{Recipient, WrapError};
use crate::policy::Policy;
use crate::store::period::{self, Period};
use crate::store::seal;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;

/// The longest public key that is looked at, in bytes.
const MAX_KEY: u64 = 16 << 10;

/// Seals the keys of a session that is none, as one would, with the labels of the host and with each that adds readers.
pub(super) fn of(policy: &Policy) -> Vec<Finding> {
    let period = match policy.recipients.period.as_deref().map(|dir| (dir, period::read(dir))) {
        None => None,
        Some((_, Ok(Some(period)))) => Some(period),
        Some((dir, Ok(None))) => {
            return vec![Finding::serious(format!(
                "there is no period key in {}: `sealcast keys new --period` makes one",
                dir.display()
            ))];
        }
        Some((_, Err(error))) => return vec![Finding::refused("recipients.period", error)],
    };
    let keys = match SessionKeys::generate() {
        Ok(keys) => keys,
        Err(error) => return vec![Finding::serious(format!("no session can be sealed: {error}"))],
    };
    let refused = |recipients: &[Recipient]| seal::slots(&keys, recipients, period.as_ref()).err();
    let usual = policy.recipients_for(&policy.labels);
    if let Some(why) = refused(&usual) {
        let hint = match &why {
            WrapError::NeedsPlugin { .. } => {
                ": `sealcast keys new --period` makes a key for these recipients"
            }
            _ => "",
        };
        return vec![Finding::serious(format!("no session can be sealed: {why}{hint}"))];
    }
    let mut found = Vec::new();
    let unused = |period: &&Period| !period.is_for(&usual);
    if let (Some(dir), Some(_)) = (&policy.recipients.period, period.as_ref().filter(unused)) {
        found.push(Finding::note(format!(
            "the period key in {} was made for other recipients and is not used: `sealcast keys new --period` makes another",
            dir.display()
        )));
    } else if period.is_some() && usual.iter().any(Recipient::is_post_quantum) {
        found.push(Finding::note(format!("`recipients.period`: {}", period::NOT_POST_QUANTUM)));
    }
    for (name, value) in policy.recipients.by_label.keys() {
        if let Some(own) = policy.labels.get(name).filter(|own| *own != value) {
            let label = crate::text::escaped(&format!("{name}={value}")).to_string();
            found.push(Finding::note(format!(
                "`recipients.label.\"{label}\"` adds nobody: no session of this host has that label, as `run.labels` says {}",
                crate::text::escaped(&format!("{name}={own}"))
            )));
            continue;
        }
        let labels = policy.labels_with(&BTreeMap::from([(name.clone(), value.clone())]));
        let Some(why) = refused(&policy.recipients_for(&labels)) else { continue };
        let hint = match &why {
            WrapError::NeedsPlugin { .. } => {
                "; the period key does not serve those that a label adds: give them to `default`, or name none that needs a plugin"
            }
            _ => "",
        };
        let label = crate::text::escaped(&format!("{name}={value}")).to_string();
        found.push(Finding::serious(format!(
            "no session with the label `{label}` can be sealed: {why}{hint}"
        )));
    }
    found
}

/// Recipients whose secret key lies on this host, in `ssh` or as the signing key: whoever takes it over reads what they can open.
pub(super) fn to_this_host(policy: &Policy, ssh: &Path) -> Vec<Finding> {
    let of_host = |name: &OsStr| {
        name.to_str().is_some_and(|name| name.starts_with("ssh_host_") && name.ends_with(".pub"))
    };
    let there = std::fs::read_dir(ssh).into_iter().flatten().flatten();
    let mut files: BTreeSet<_> =
        there.filter(|entry| of_host(&entry.file_name())).map(|entry| entry.path()).collect();
    files.insert(public_half(policy));
    // What is no key of a kind that can be a recipient is none.
    let key = |path: &Path| read_text(path, MAX_KEY).ok()?.trim().parse::<Recipient>().ok();
    let all = || policy.recipients.default.iter().chain(policy.recipients.by_label.values().flatten());
    let mut found = Vec::new();
    for (path, key) in files.iter().filter_map(|path| Some((path, key(path)?))) {
        if all().any(|recipient| *recipient == key) {
            found.push(Finding::note(format!(
                "`recipients`: {} is a key of this host ({}): whoever takes the host over can read what was recorded before",
                key.fingerprint().unwrap_or_else(|| key.label()),
                path.display()
            )));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::digest;
    use crate::crypto::prompt::{Nobody, Prompt};
    use crate::store::personal::identity_file;
    use std::sync::Arc;

    const POST_QUANTUM: &str = include_str!("../../../fixtures/recipient-post-quantum.txt");

    /// What is found of sealing with these recipients, where the period key, if there is one, was made for `made_for`.
    fn found(recipients: &[&str], made_for: Option<&[&str]>, more: &str) -> Vec<(bool, String)> {
        let dir = tempfile::tempdir().unwrap();
        let mut text = format!("[recipients]\ndefault = {recipients:?}\n");
        if let Some(made_for) = made_for {
            text.push_str(&format!("period = \"{}\"\n", dir.path().display()));
            let nobody: Arc<dyn Prompt> = Arc::new(Nobody);
            let stand_in: Recipient = identity_file().1.to_string().parse().unwrap();
            period::make(dir.path(), std::slice::from_ref(&stand_in), &nobody).unwrap();
            // As if the plugins that these need had run.
            let of = |keys: &mut Vec<String>| {
                keys.sort();
                digest::hex(&digest::sha256(&[keys.join("\n").as_bytes()]))
            };
            let public = period::public_path(dir.path());
            let mut keys = made_for.iter().map(|key| (*key).to_owned()).collect();
            let (old, new) = (of(&mut vec![stand_in.key_text()]), of(&mut keys));
            let changed = std::fs::read_to_string(&public).unwrap().replace(&old, &new);
            std::fs::write(&public, changed).unwrap();
        }
        let policy = Policy::parse(Path::new("/x"), &format!("{text}{more}")).unwrap();
        let all = super::super::surroundings(&policy).into_iter();
        let ours = all.filter(|f| ["sealed", "period", "quantum"].iter().any(|word| f.what.contains(word)));
        ours.filter(|f| !f.what.contains("there is one recipient")).map(|f| (f.serious, f.what)).collect()
    }

    fn keys() -> [String; 4] {
        let native = || identity_file().1.to_string();
        let name = bech32::Hrp::parse("age1yubikey").unwrap();
        let plugin = bech32::encode::<bech32::Bech32>(name, &[2; 33]).unwrap();
        [native(), native(), plugin, POST_QUANTUM.trim().to_owned()]
    }

    #[test]
    fn what_no_session_can_be_sealed_to_is_an_error_of_the_check() {
        if crate::sys::ids::effective_uid() != 0 {
            return crate::sys::skipped("only root looks at the period key of a host");
        }
        let [a, c, plugin, pq] = keys().map(|key| -> &'static str { key.leak() });
        let good = found(&[a, plugin], Some(&[plugin, a]), "");
        assert!(good.is_empty(), "{good:?}");
        let also = format!("[recipients.label.\"env=prod\"]\nalso = [\"{c}\"]\n");
        let host = format!("{also}[run]\nlabels = {{ env = \"prod\" }}\n");
        for (what, recipients, made_for, more, says) in [
            (
                "a label of the host",
                &[a, plugin][..],
                Some(&[a, plugin][..]),
                &*host,
                "needs `age-plugin-yubikey`",
            ),
            ("a label", &[a, plugin], Some(&[a, plugin]), &also, "`env=prod`"),
            ("one replaced", &[c, plugin], Some(&[a, plugin]), "", "needs `age-plugin-yubikey`"),
            ("mixed", &[a, pq], None, "", "cannot be mixed"),
        ] {
            let found = found(recipients, made_for, more);
            assert!(found.iter().any(|(serious, told)| *serious && told.contains(says)), "{what}: {found:?}");
        }
        // A key that was made for what the labels of the host add as well serves all sessions.
        let served = found(&[a, plugin], Some(&[a, plugin, c]), &host);
        assert!(served.is_empty(), "{served:?}");
        // None was made yet.
        let none = found(&[a, plugin], None, "period = \"/nonexistent\"\n");
        assert!(
            matches!(&none[..], [(true, told)] if told.contains("`sealcast keys new --period`")),
            "{none:?}"
        );
        // Sealed to the recipients themselves, all is well.
        let unused = found(&[a, c], Some(&[a]), "");
        assert!(matches!(&unused[..], [(false, told)] if told.contains("is not used")), "{unused:?}");
    }

    #[test]
    fn readers_of_a_label_that_the_hosts_own_overrules_are_told() {
        if crate::sys::ids::effective_uid() != 0 {
            return crate::sys::skipped("only root looks at the period key of a host");
        }
        let [a, c, ..] = keys().map(|key| -> &'static str { key.leak() });
        let with = |own: &str| {
            let more = format!(
                "[recipients.label.\"env=prod\"]\nalso = [\"{c}\"]\n[run]\nlabels = {{ env = \"{own}\" }}\n"
            );
            let policy =
                Policy::parse(Path::new("/x"), &format!("[recipients]\ndefault = [\"{a}\"]\n{more}"));
            of(&policy.unwrap()).into_iter().map(|found| (found.serious, found.what)).collect::<Vec<_>>()
        };
        assert_eq!(with("prod"), []);
        let told = with("dev");
        assert!(
            matches!(&told[..], [(false, what)] if what.contains("env=prod") && what.contains("says env=dev")),
            "{told:?}"
        );
    }

    #[test]
    fn a_recipient_that_is_a_key_of_this_host_is_told() {
        let public = || crate::crypto::sshsig::Signer::generate("").unwrap().host_key().to_string();
        let (host, signing, other) = (public(), public(), public());
        let dir = tempfile::tempdir().unwrap();
        let place = |name: &str| dir.path().join(name);
        std::fs::write(place("ssh_host_ed25519_key.pub"), format!("{host} root@host\n")).unwrap();
        std::fs::write(place("ssh_host_ecdsa_key.pub"), "ecdsa-sha2-nistp256 AAAA root@host\n").unwrap();
        std::fs::write(place("signing.pub"), format!("{signing}\n")).unwrap();
        let told = |default: &str, label: &str| {
            let text = format!(
                "[recipients]\ndefault = [\"{default}\"]\n[recipients.label.\"a=b\"]\nalso = [\"{label}\"]\n[signing]\nkey = {:?}\n",
                place("signing")
            );
            let policy = Policy::parse(Path::new("/x"), &text).unwrap();
            to_this_host(&policy, dir.path())
                .into_iter()
                .map(|found| (found.serious, found.what))
                .collect::<Vec<_>>()
        };
        assert_eq!(told(&other, &other), []);
        for (default, label, file) in [
            (&*format!("{host} somebody"), &*other, "ssh_host_ed25519_key.pub"),
            (&other, &host, "ssh_host_ed25519_key.pub"),
            (&signing, &other, "signing.pub"),
        ] {
            let told = told(default, label);
            let is_told =
                matches!(&told[..], [(false, what)] if what.contains(file) && what.contains("SHA256:"));
            assert!(is_told, "{default} {label}: {told:?}");
        }
    }

    #[test]
    fn a_period_key_of_post_quantum_recipients_is_told_to_be_none() {
        if crate::sys::ids::effective_uid() != 0 {
            return crate::sys::skipped("only root looks at the period key of a host");
        }
        let [.., pq] = keys().map(|key| -> &'static str { key.leak() });
        let told = found(&[pq], Some(&[pq]), "");
        assert!(matches!(&told[..], [(false, told)] if told.contains("post-quantum")), "{told:?}");
        assert_eq!(found(&[pq], None, ""), []);
    }
}
