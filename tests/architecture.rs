//! The layers of `doc/ARCHITECTURE.md`, enforced: a module uses only rows below its own.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

/// Row of every room, as the table of the document has it: the number, and the rooms in columns 4 to 40. A higher row
/// may use a lower one, never its own and never a higher one.
fn rows() -> Vec<(String, u8)> {
    let document = include_str!("../doc/ARCHITECTURE.md");
    let table = document.split("```").nth(1).expect("the document has a table of layers");
    let mut rows = Vec::new();
    for line in table.lines().filter(|line| !line.trim().is_empty()) {
        let row: u8 = line[..2].trim().parse().expect("a row begins with its number");
        let rooms = &line[4..line.len().min(40)];
        rows.extend(rooms.split_whitespace().map(|room| (room.to_owned(), row)));
    }
    assert!(rows.len() > 15, "the table of layers was not understood: {rows:?}");
    rows
}

fn row(room: &str) -> Option<u8> {
    static ROWS: std::sync::OnceLock<Vec<(String, u8)>> = std::sync::OnceLock::new();
    ROWS.get_or_init(rows).iter().find(|(name, _)| *name == room).map(|(_, row)| *row)
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn files() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    found.sort();
    assert!(found.len() > 5, "no sources under {}", root.display());
    found
        .into_iter()
        .map(|path| {
            let inside = path.strip_prefix(&root).unwrap();
            let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
            let room = first.trim_end_matches(".rs").to_string();
            let text = std::fs::read_to_string(&path).unwrap();
            (room, path, text)
        })
        .collect()
}

/// The code of a line: without its comment (good enough here: no source has `//` inside a path expression).
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or("")
}

/// The code of a text, line by line.
fn code_of(text: &str) -> String {
    text.lines().map(code).collect::<Vec<_>>().join("\n")
}

/// What stands before the tests: before the first `#[cfg(test)]` that belongs to a module written out here. What else
/// is there for tests alone is code like the rest.
fn before_tests(text: &str) -> &str {
    let marked = text.match_indices("#[cfg(test)]").find(|(at, mark)| {
        let item = text[at + mark.len()..].trim_start().lines().next().unwrap_or("");
        item.starts_with("mod ") && item.ends_with('{')
    });
    marked.map_or(text, |(at, _)| &text[..at])
}

/// Every room named by `crate::room` or `sealcast::room`, also inside a brace list, with the line it is named in.
fn uses(text: &str) -> Vec<(usize, String)> {
    let text = code_of(text);
    let mut found = Vec::new();
    for prefix in ["crate::", "sealcast::"] {
        for (at, _) in text.match_indices(prefix) {
            let at = at + prefix.len();
            let starts = if text[at..].starts_with('{') { items(&text, at) } else { vec![at] };
            for start in starts {
                let word = first_word(text[start..].trim_start());
                let spaces = text[start..].len() - text[start..].trim_start().len();
                let line = text[..start + spaces].matches('\n').count() + 1;
                found.push((line, word));
            }
        }
    }
    found.retain(|(_, word)| !word.is_empty());
    found.sort();
    found
}

/// Where the items of the brace list begin that begins at `open`. What stands in a list inside it is no item of it.
fn items(text: &str, open: usize) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut depth = 0;
    for (at, sign) in text[open..].char_indices() {
        match sign {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && (at == 0 || sign == ',') {
            starts.push(open + at + 1);
        }
    }
    starts
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

#[test]
fn every_arrow_points_down() {
    let mut wrong = Vec::new();
    for (room, path, text) in files() {
        let Some(mine) = row(&room) else {
            wrong.push(format!("{}: room `{room}` has no row in doc/ARCHITECTURE.md", path.display()));
            continue;
        };
        for (line, used) in uses(&text) {
            match row(&used) {
                Some(theirs) if used == room || theirs < mine => {}
                Some(theirs) => wrong.push(format!(
                    "{}:{line}: `{room}` (row {mine}) uses `{used}` (row {theirs})",
                    path.display()
                )),
                // A type re-exported at the root, a macro: only rooms have rows.
                None => {}
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that do not point down:\n{}", wrong.join("\n"));
}

#[test]
fn every_room_of_the_table_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (room, row) in rows() {
        let is = root.join(&room).is_dir() || root.join(format!("{room}.rs")).is_file();
        assert!(is, "doc/ARCHITECTURE.md has a room `{room}` in row {row}, and src has none");
    }
}

#[test]
fn the_check_itself_sees_an_upward_arrow() {
    let seen = uses("use crate::{text, player::App};\nlet x = crate::record::run(); // crate::cli\n");
    assert_eq!(seen, [(1, "player".into()), (1, "text".into()), (2, "record".into())]);
    let nested = uses("use crate::{sys::{clock, tty}, record::take};\n");
    assert_eq!(nested, [(1, "record".into()), (1, "sys".into())]);
    let long =
        uses("use crate::{\n    sys::{\n        clock,\n    }, // crate::cli\n    record::take,\n};\n");
    assert_eq!(long, [(2, "sys".into()), (5, "record".into())]);
}

#[test]
fn the_check_itself_sees_what_stands_beside_the_tests() {
    let text = "#[cfg(test)]\npub use a::B;\nbody\n#[cfg(test)]\nmod tests;\nmore\n#[cfg(test)]\nmod tests {\nnot\n}\n";
    assert!(before_tests(text).contains("more"), "{}", before_tests(text));
    assert!(!before_tests(text).contains("not"), "{}", before_tests(text));
}

#[test]
fn unsafe_lives_in_sys_alone() {
    for (room, path, text) in files() {
        if room == "sys" {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let line = code(line);
            let unsafe_here =
                line.contains("unsafe {") || line.contains("unsafe fn") || line.contains("unsafe impl");
            assert!(!unsafe_here, "{}:{}: unsafe outside sys", path.display(), number + 1);
        }
    }
}

#[test]
fn the_container_never_opens_a_path() {
    for (room, path, text) in files() {
        if room != "container" {
            continue;
        }
        let body = code_of(before_tests(&text));
        for word in ["std::fs", "File::open", "OpenOptions", "std::path"] {
            assert!(!body.contains(word), "{}: `{word}` in container", path.display());
        }
    }
}

#[test]
fn the_pumping_threads_never_call_the_emulator() {
    for (room, path, text) in files() {
        let name = path.file_name().unwrap().to_str().unwrap();
        if room == "record" && !name.starts_with("indexer") {
            assert!(
                !uses(&text).iter().any(|(_, used)| used == "terminal"),
                "{}: only the indexer thread may know the emulator",
                path.display()
            );
        }
    }
}

/// The test harness keeps what a test prints that passes; who skips passes.
#[test]
fn what_a_test_skips_is_said_where_it_is_seen() {
    let mut found = Vec::new();
    for dir in ["src", "tests"] {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(dir), &mut found);
    }
    // Of two parts, so that they are not found here.
    let printed = ["println!(\"skip", "ped"].concat();
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&printed), "{}: say it by `skipped`", path.display());
    }
}

#[test]
fn no_room_is_a_grab_bag() {
    for (_, path, text) in files() {
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(
            !["util", "utils", "helper", "helpers", "common", "manager", "misc"].contains(&name),
            "{}",
            path.display()
        );
        let lines = text.lines().count();
        assert!(lines <= 700, "{} has {lines} lines: it is two files", path.display());
    }
}
