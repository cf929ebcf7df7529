//! Whose recordings are looked at on a host with a configuration: the host's, or an error, and never silently one's own.
//!
//! Needs root; says so and passes where there is none.
#![allow(clippy::unwrap_used)]

mod support;

use std::process::Output;
use support::host::{Host, SEALCAST, STORE, text};

const READERS: [&[&str]; 4] = [&["verify"], &["ls"], &["search", "secret"], &["show", "last"]];

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("{}", text(output)))
}

#[test]
fn a_store_of_the_host_that_is_gone_is_an_error_and_nobodys_own_recordings_stand_in_for_it() {
    let Some(host) = Host::start() else { return };
    let sealcast = |user: &str, words: &[&str]| host.run(user, &[&[SEALCAST][..], words].concat());
    // Both have recordings of their own, from before the host was configured.
    let config = host.etc("sealcast/config.toml");
    let kept = std::fs::read(&config).unwrap();
    std::fs::remove_file(&config).unwrap();
    let own = |user: &str, words: &[&str]| {
        // Root's home is not private to the host within this host.
        let data =
            format!("XDG_DATA_HOME={}", if user == "root" { "/srv/of-root" } else { "/home/alice/data" });
        host.run(user, &[&["env", &data, SEALCAST][..], words].concat())
    };
    for user in ["root", "alice"] {
        let ran = own(user, &["run", "--", "echo", "secret"]);
        assert!(ran.status.success(), "{}", text(&ran));
        assert_eq!(code(&own(user, &["verify"])), 0);
    }
    std::fs::write(&config, &kept).unwrap();

    // The host has recorded nothing, or all of it was removed.
    for words in READERS {
        for user in ["root", "alice"] {
            let ran = own(user, words);
            let said = text(&ran);
            assert!(code(&ran) == 2 && said.contains("error: cannot read the store of this host "), "{said}");
            assert!(said.contains(STORE) && said.contains("hint: --store DIR "), "{said}");
            assert!(
                said.contains("hint: the first recording makes it") && !said.contains("check the name"),
                "{said}"
            );
            assert!(!said.contains("intact") && !said.contains("sealed"), "{said}");
        }
    }
    let elevated = sealcast("root", &["run", "--", "echo", "secret"]);
    assert!(elevated.status.success(), "{}", text(&elevated));
    let verdict = own("root", &["verify", "-k", "/etc/sealcast/signing.pub"]);
    assert!(code(&verdict) == 0 && text(&verdict).lines().count() == 1, "{}", text(&verdict));

    // It is closed to her: she is told so, and where she looks instead.
    for words in READERS {
        let ran = own("alice", words);
        let said = text(&ran);
        assert!(
            code(&ran) == 0 && said.matches("note: cannot read the store of this host ").count() == 1,
            "{said}"
        );
        assert!(said.contains("only your own recordings are looked at, in /home/alice/data/"), "{said}");
    }
    // What is named by its path is read without a word about stores.
    let ran = host.run("alice", &["sh", "-c", &format!("exec {SEALCAST} verify data/sealcast/recordings/*")]);
    assert!(!text(&ran).contains("store of this host"), "{}", text(&ran));
    // What is sealed to is no matter of anybody's own keys.
    let ran = host.run("root", &["env", "XDG_DATA_HOME=/srv/nobodys", SEALCAST, "keys", "check"]);
    assert!(code(&ran) == 2 && text(&ran).contains("hint: `sealcast config check`"), "{}", text(&ran));
    assert!(!text(&ran).contains("makes keys"), "{}", text(&ran));

    // A configuration that cannot be used names no store.
    std::fs::write(&config, b"[store\n").unwrap();
    for words in READERS {
        let ran = own("root", words);
        assert!(
            code(&ran) == 2 && text(&ran).contains("the store of this host is not known"),
            "{}",
            text(&ran)
        );
        let ran = own("alice", words);
        let said = text(&ran);
        assert!(code(&ran) == 0 && said.contains("note: the store of this host is not known"), "{said}");
    }
}
