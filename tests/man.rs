//! The man pages, held to the command line: every flag is in its page, and no page tells of a flag that is not there; and
//! the rules of the guide, held to the example that is shipped.
#![allow(clippy::unwrap_used)]

#[path = "support/skipped.rs"]
mod skipped;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn page(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("man").join(name)
}

/// The flags that a page names: `.Fl i`, `.It Fl -identity Ar FILE`.
fn told(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in text.lines().filter(|line| line.starts_with('.')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        for pair in words.windows(2) {
            // `--` alone ends the flags; it is none.
            if pair[0].trim_start_matches('.') == "Fl" && pair[1] != "-" {
                found.insert(format!("-{}", pair[1].trim_end_matches(['.', ','])));
            }
        }
    }
    found
}

/// The flags of a command and of those below it.
fn flags(command: &clap::Command, found: &mut BTreeSet<String>) {
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        found.extend(argument.get_short().map(|short| format!("-{short}")));
        found.extend(argument.get_long().map(|long| format!("--{long}")));
    }
    for below in command.get_subcommands() {
        flags(below, found);
    }
}

#[test]
fn every_flag_of_every_command_is_in_its_page_and_no_page_tells_of_another() {
    let mut root = sealcast::cli::description();
    root.build();
    let mut wrong = Vec::new();
    let main = std::fs::read_to_string(page("sealcast.1")).unwrap();
    for command in root.get_subcommands() {
        let name = format!("sealcast-{}.1", command.get_name());
        if !main.contains(&format!(".It Xr sealcast-{} 1", command.get_name())) {
            wrong.push(format!("man/sealcast.1 does not name {name}"));
        }
        let Ok(text) = std::fs::read_to_string(page(&name)) else {
            wrong.push(format!("man/{name} is missing"));
            continue;
        };
        let mut has = BTreeSet::new();
        flags(command, &mut has);
        let told = told(&text);
        wrong.extend(has.difference(&told).map(|flag| format!("man/{name} does not tell of {flag}")));
        // Flags of other programs and of other commands may be spoken of, those of ours must exist somewhere.
        let mut anywhere = BTreeSet::new();
        flags(&root, &mut anywhere);
        wrong.extend(
            told.difference(&anywhere)
                .map(|flag| format!("man/{name} tells of {flag}, which no command has")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A usage that lacks a flag hides it: whoever looks for it reads no further.
#[test]
fn every_flag_is_in_the_synopsis_of_its_page() {
    let root = sealcast::cli::description();
    let mut wrong = Vec::new();
    for command in root.get_subcommands() {
        let text = std::fs::read_to_string(page(&format!("sealcast-{}.1", command.get_name()))).unwrap();
        let (synopsis, rest) = text.split_once(".Sh DESCRIPTION").unwrap();
        let mut shown = told(synopsis);
        // They stand there as one: CONDITION.
        if synopsis.contains("CONDITION") {
            shown.extend(told(rest.split_once(".Ss Conditions").unwrap().1));
        }
        let below = command.get_subcommands().flat_map(clap::Command::get_arguments);
        for argument in command.get_arguments().chain(below).filter(|argument| !argument.is_hide_set()) {
            let short = argument.get_short().map(|short| format!("-{short}"));
            let long = argument.get_long().map(|long| format!("--{long}"));
            let names: Vec<String> = short.into_iter().chain(long).collect();
            if !names.is_empty() && !names.iter().any(|name| shown.contains(name)) {
                wrong.push(format!("the synopsis of {} lacks {}", command.get_name(), names.join(", ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_page_belongs_to_a_command_and_refers_to_pages_that_exist() {
    let root = sealcast::cli::description();
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(page("")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        if let Some(command) = name.strip_prefix("sealcast-").and_then(|rest| rest.strip_suffix(".1"))
            && root.find_subcommand(command).is_none()
        {
            wrong.push(format!("man/{name} is of no command"));
        }
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            for triple in words.windows(3) {
                if triple[0].trim_start_matches('.') == "Xr" && triple[1].starts_with("sealcast") {
                    let section: String = triple[2].chars().filter(char::is_ascii_digit).collect();
                    let referred = format!("{}.{section}", triple[1]);
                    if !page(&referred).exists() {
                        wrong.push(format!("man/{name} refers to {referred}, which does not exist"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The codes in the first column of the table in `doc/FORMAT.md`, and the tags of the list in the page.
#[test]
fn the_page_of_the_format_lists_every_code_of_an_event_that_the_format_has() {
    let format = std::fs::read_to_string(page("../doc/FORMAT.md")).unwrap();
    let rows = format.lines().skip_while(|line| *line != "| code | data |").skip(2);
    let codes: BTreeSet<&str> = rows
        .take_while(|line| line.starts_with('|'))
        .flat_map(|row| row.split('|').nth(1).unwrap().split(',').map(|code| code.trim().trim_matches('`')))
        .collect();
    let text = std::fs::read_to_string(page("sealcast-format.5")).unwrap();
    let list = text.lines().skip_while(|line| *line != ".Ss Content").take_while(|line| *line != ".Ss Index");
    let tags = list.filter_map(|line| line.strip_prefix(".It Cm "));
    let told: BTreeSet<&str> = tags.flat_map(|tags| tags.split(" , ")).collect();
    assert!(codes.len() > 10, "{codes:?}");
    assert_eq!(told, codes);
}

/// Who follows one section with the rule of another must not be refused.
#[test]
fn the_rules_of_the_guide_are_those_of_the_example_and_for_the_same_group() {
    let guide = std::fs::read_to_string(page("../doc/DEPLOY.md")).unwrap();
    let example = std::fs::read_to_string(page("../doc/examples/sudoers")).unwrap();
    let rules =
        |text: &str| text.lines().filter(|line| line.starts_with('%')).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(rules(&guide), rules(&example));
    let of_ssh = guide.lines().find_map(|line| line.strip_prefix("Match Group ")).unwrap();
    let of_self = rules(&guide).into_iter().find(|rule| rule.contains("--self")).unwrap();
    assert!(of_self.starts_with(&format!("%{of_ssh} ")), "{of_ssh}: {of_self}");
}

/// Every line of every page, with the name of the page.
fn lines() -> Vec<(String, String)> {
    let pages = std::fs::read_dir(page("")).unwrap().map(|entry| entry.unwrap().path());
    pages
        .flat_map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            text.lines().map(|line| (name.clone(), line.to_owned())).collect::<Vec<_>>()
        })
        .collect()
}

/// A line that is folded is two when it is copied: of 80 columns `man` leaves 67 to what it shows by itself.
#[test]
fn an_example_is_not_folded_where_the_terminal_has_80_columns() {
    let examples = lines().into_iter().filter_map(|(name, line)| {
        Some((name, line.strip_prefix(".Dl ")?.replace("\\e", "\\").replace("\\&", "")))
    });
    let folded: Vec<_> = examples.filter(|(_, shown)| shown.chars().count() > 67).collect();
    assert!(folded.is_empty(), "{folded:#?}");
}

/// A quote takes all words to the end of its line, a comma between them and the next quote too: of two things one is made.
#[test]
fn a_quote_is_of_one_thing() {
    let several: Vec<_> = lines()
        .into_iter()
        .filter(|(_, line)| line.starts_with('.'))
        .filter(|(_, line)| {
            let quoted = line.split_once("Ql ").map_or("", |(_, quoted)| quoted);
            quoted.contains(" , ") || quoted.contains(" Ql ")
        })
        .collect();
    assert!(several.is_empty(), "{several:#?}");
}

#[test]
fn mandoc_finds_nothing_to_complain_of() {
    let mut pages: Vec<PathBuf> =
        std::fs::read_dir(page("")).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    let checked =
        std::process::Command::new("mandoc").args(["-T", "lint", "-W", "warning"]).args(&pages).output();
    let Ok(checked) = checked else {
        skipped::skipped("mandoc is not installed");
        return;
    };
    let said = String::from_utf8_lossy(&checked.stdout);
    // Pages of other programs need not be installed.
    let said: Vec<&str> = said.lines().filter(|line| !line.contains("referenced manual not found")).collect();
    assert!(said.is_empty(), "{}", said.join("\n"));
}
