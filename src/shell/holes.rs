//! Commands of segments whose index entry cannot be read, made of what the shell told there: their content is left.
//!
//! Refuses to tell one twice that a later entry tells as well, because it ran on, or was told late.

use super::said::Retold;
use crate::cast::{Command, Source};
use crate::container::{Cursor, Entry, GivenUp, Lost, Reader};
use std::io::{Read, Seek};
use std::ops::Range;

/// How far an entry's start of a command may lie from the time of the event that told of it, milliseconds: times of events are rounded.
const ROUNDING: u64 = 2;

/// The commands of which the shell told in segments whose entry [cannot be read](GivenUp::Unreadable) and that no other entry has, by
/// start. None without a key to the content. What ran before and ended there has its end from then on, where the shell told of it.
pub fn commands<R: Read + Seek>(reader: &mut Reader<R>) -> Vec<Command> {
    let mut all = Vec::new();
    if !reader.can_read_content() {
        return all;
    }
    let unreadable = |entry: &Entry| entry.given_up == Some(GivenUp::Unreadable);
    let mut number = 0;
    while let Some(entry) = reader.entries().get(number) {
        if !unreadable(entry) {
            number = number.saturating_add(1);
            continue;
        }
        let behind = reader.entries().get(number..).unwrap_or_default();
        let count = behind.iter().take_while(|entry| unreadable(entry)).count();
        let range = number..number.saturating_add(count);
        number = range.end;
        let mut told = told(reader, range.clone());
        drop_listed(&mut told, reader.entries().get(range.end..).unwrap_or_default());
        all.append(&mut told);
    }
    all
}

/// What the shell told in segments of which one follows the other.
fn told<R: Read + Seek>(reader: &mut Reader<R>, range: Range<usize>) -> Vec<Command> {
    let named = range.start.checked_sub(1).and_then(|before| reader.entries().get(before));
    // An end that comes first is of the last one that ran, where that is known.
    let mut ends = named.is_some_and(Entry::names_what_runs);
    let (mut all, mut retold) = (Vec::new(), Retold::default());
    for number in range.clone() {
        let Ok(mut cursor) = Cursor::of_segment(reader, number) else { break };
        let read = cursor.read_on(reader, |event| retold.event(event));
        if read.is_err_and(|error| cursor.lost(reader, &error) == Lost::Events) {
            // What is told next may be of something that began where nobody can read.
            let read = std::mem::take(&mut retold);
            all.append(&mut finish(reader, &range, read, std::mem::take(&mut ends)));
        }
    }
    all.append(&mut finish(reader, &range, retold, ends));
    all
}

fn finish<R: Read + Seek>(
    reader: &mut Reader<R>,
    range: &Range<usize>,
    mut retold: Retold,
    ends: bool,
) -> Vec<Command> {
    if ends {
        // What ran before and runs no more behind them stands with the last.
        retold.end(reader.ended_in(range.end.saturating_sub(1)));
    }
    retold.finish()
}

/// Takes out those that later entries have: with their ends, and more.
fn drop_listed(told: &mut Vec<Command>, later: &[Entry]) {
    for listed in later.iter().flat_map(|entry| entry.commands.iter().chain(&entry.running)) {
        if listed.source != Source::Shell {
            continue;
        }
        let far = |command: &Command| command.start.abs_diff(listed.start);
        let same = |command: &Command| command.text == listed.text && far(command) <= ROUNDING;
        let places = told.iter().enumerate().filter(|(_, command)| same(command));
        if let Some((place, _)) = places.min_by_key(|(_, command)| far(command)) {
            told.remove(place);
        }
    }
}
