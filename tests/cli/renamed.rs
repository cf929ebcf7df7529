//! A file's name is part of no signature: what a recording is called is what its header says, and a name that differs is told.

use crate::home::{Home, Recording};
use crate::reading::json;
use std::path::{Path, PathBuf};

/// The whole id in a file's name.
fn id(path: &Path) -> String {
    path.file_stem().unwrap().to_str().unwrap().split_once('-').unwrap().1.to_owned()
}

/// Two recordings of different days and people: paths.
fn two(home: &Home) -> (PathBuf, PathBuf) {
    let (alice, _) = home.record(&Recording::default());
    let start = Recording::default().start + 86_400_000;
    let (bob, _) = home.record(&Recording { start, user: "bob", ..Recording::default() });
    (alice, bob)
}

fn swap(one: &Path, other: &Path) {
    let away = one.with_extension("away");
    for (from, to) in [(one, away.as_path()), (other, one), (&away, other)] {
        std::fs::rename(from, to).unwrap();
    }
}

#[test]
fn recordings_whose_names_were_exchanged_are_told_everywhere_by_what_they_are() {
    let home = Home::new();
    let (alice, bob) = two(&home);
    let (of_alice, of_bob) = (id(&alice), id(&bob));
    swap(&alice, &bob);
    // Now the file that is called alice's holds bob's.
    let all = home.run(&["verify", "--json"]).exits(1);
    for (verdict, (named, is)) in json(&all.text()).iter().zip([(&of_alice, &of_bob), (&of_bob, &of_alice)]) {
        assert_eq!((&verdict["verdict"], &verdict["id"]), (&"renamed".into(), &is.as_str().into()), "{all}");
        let detail = verdict["detail"].as_str().unwrap();
        assert!(detail.starts_with(&format!("its file is named as {named}, begun 2026-")), "{detail}");
        let both = format!("but it is {is}, begun 2026-");
        assert!(
            detail.contains(&both) && detail.contains("; but for its name intact: signed by "),
            "{detail}"
        );
        assert!(detail.contains("; content checked, "), "{detail}");
        assert!(verdict["renamed"].as_str().is_some_and(|told| detail.starts_with(told)), "{all}");
    }
    assert!(all.err.contains("2 of 2 recordings are not intact"), "{all}");
    let table = home.run(&["verify"]).exits(1);
    assert!(table.text().contains(&format!("{}\trenamed\t", &of_bob[..8])), "{table}");

    // By its id the recording is found that has it, wherever it lies; by its path what lies there.
    for (wanted, is, user) in [
        (&of_alice[..8], &of_alice, "alice"),
        (&of_bob, &of_bob, "bob"),
        (alice.to_str().unwrap(), &of_bob, "bob"),
        ("last", &of_alice, "alice"),
    ] {
        let shown = home.run(&["show", "--json", wanted]).exits(0);
        let told = &json(&shown.text())[0];
        assert_eq!((&told["id"], &told["header"]["user"]), (&is.as_str().into(), &user.into()), "{shown}");
        assert_eq!(told["verdict"], "renamed", "{shown}");
        assert!(shown.err.contains("warning: ") && shown.err.contains("its file is named as "), "{shown}");
        let story = home.run(&["show", wanted]).exits(0);
        assert!(story.text().contains(is.as_str()) && story.err.contains("warning: "), "{story}");
    }
    for command in [&["play", "--plain", "--speed", "1000", "last"][..], &["export", "last", "-f", "text"]] {
        let ran = home.run(command).exits(0);
        assert!(ran.err.contains("its file is named as "), "{ran}");
    }
    let listed = home.run(&["ls", "--user", "bob"]).exits(0);
    let row = format!("\tsealed, renamed\t{}\t", &of_bob[..8]);
    assert!(listed.text().contains(&row) && listed.err.contains("its file is named as "), "{listed}");
    let found = home.run(&["search", "--no-cache", "--json", "--user", "bob", "a minute"]).exits(0);
    let hit = &json(&found.text())[0];
    assert_eq!((&hit["id"], &hit["user"]), (&of_bob.as_str().into(), &"bob".into()), "{found}");
    assert!(hit["play"].as_str().unwrap().starts_with(alice.to_str().unwrap()), "{found}");
    assert!(found.err.contains("its file is named as "), "{found}");

    swap(&alice, &bob);
    home.run(&["verify"]).exits(0);
}

#[test]
fn no_name_hides_a_recording_from_a_condition_on_its_time() {
    let home = Home::new();
    let (_, bob) = two(&home);
    let long_ago = bob.with_file_name(format!("20200101T000000.000Z-{}.scast", id(&bob)));
    std::fs::rename(&bob, &long_ago).unwrap();
    let since = ["--since", "2026-11-23"];
    let listed = home.run(&[&["ls"][..], &since].concat()).exits(0);
    assert!(listed.text().lines().count() == 1 && listed.text().contains("bob → root"), "{listed}");
    let found = home.run(&[&["search", "--no-cache", "a minute"][..], &since].concat()).exits(0);
    assert_eq!(found.text().lines().count(), 1, "{found}");
    for ran in [&listed, &found] {
        assert!(ran.err.contains("begun 2020-01-01T00:00:00Z, but it is "), "{ran}");
    }
    // And a name brings none under a time that is not its own.
    let listed = home.run(&["ls", "--until", "2021-01-01"]).exits(0);
    assert_eq!(listed.text(), "", "{listed}");
    // One that is torn, too, is told as both.
    let whole = std::fs::read(&long_ago).unwrap();
    std::fs::write(&long_ago, &whole[..whole.len() - 1]).unwrap();
    let verdict = home.run(&["verify", "--json", long_ago.to_str().unwrap()]).exits(1);
    let told = &json(&verdict.text())[0];
    assert_eq!(told["verdict"], "torn", "{verdict}");
    assert!(told["detail"].as_str().unwrap().contains("; and its file is named as "), "{verdict}");
}

#[test]
fn a_file_in_the_store_under_a_name_that_no_recorder_gives_is_neither_passed_over_nor_followed() {
    let home = Home::new();
    let (path, _) = home.record(&Recording::default());
    let other = path.with_file_name("other.scast");
    std::fs::rename(&path, &other).unwrap();
    let verdict = home.run(&["verify", "--json"]).exits(1);
    let told = &json(&verdict.text())[0];
    assert_eq!((&told["verdict"], &told["id"]), (&"renamed".into(), &id(&path).into()), "{verdict}");
    let detail = told["detail"].as_str().unwrap();
    assert!(detail.starts_with("the name of its file is not that of a recording, but it is "), "{detail}");
    let listed = home.run(&["ls"]).exits(0);
    assert!(listed.text().contains("\tsealed, renamed\t"), "{listed}");
    assert!(listed.err.contains("other.scast: the name of its file is not"), "{listed}");
    let found = home.run(&["search", "--no-cache", "a minute"]).exits(0);
    assert!(found.err.contains("other.scast: the name of its file is not"), "{found}");
    // By its id it is found, and by its path it may be called anything.
    home.run(&["show", &id(&path)[..8]]).exits(0);
    home.run(&["verify", other.to_str().unwrap()]).exits(0);
    home.run(&["show", "last"]).exits(2).complains("is named as a recording");
    std::fs::rename(&other, home.path("elsewhere.scast")).unwrap();
    std::os::unix::fs::symlink(home.path("elsewhere.scast"), &other).unwrap();
    let linked = home.run(&["verify"]).exits(2);
    assert!(linked.err.contains("cannot open ") && linked.err.contains("other.scast: "), "{linked}");
}

#[test]
fn copies_of_a_recording_are_told_apart_by_their_paths() {
    let home = Home::new();
    let (alice, _) = two(&home);
    let copy = alice.with_file_name("copy.scast");
    std::fs::copy(&alice, &copy).unwrap();
    let renamed = alice.with_file_name(alice.file_name().unwrap().to_str().unwrap().replace("2026", "2025"));
    std::fs::copy(&alice, &renamed).unwrap();
    let shown = home.run(&["show", &id(&alice)[..8]]).exits(2).complains("means 3 files: ");
    let told = |path: &Path| shown.err.contains(path.to_str().unwrap());
    assert!(
        [&alice, &renamed, &copy].into_iter().all(|path| told(path)) && shown.err.contains("name the path"),
        "{shown}"
    );
    home.run(&["show", renamed.to_str().unwrap()]).exits(0);
}

#[test]
fn an_id_means_a_copy_under_a_strange_name_as_well_as_the_file_that_is_called_so() {
    let home = Home::new();
    let (path, id) = home.record(&Recording::default());
    let other = path.with_file_name("other.scast");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&other, &whole).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let told = home.run(&["verify", &id]).exits(2).complains("means 2 files");
    assert!(told.err.contains("other.scast") && told.err.contains(path.to_str().unwrap()), "{told}");
}
