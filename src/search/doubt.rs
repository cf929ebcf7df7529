//! Why nothing is denied of a recording in which something was not found: what was looked for may be where nobody can look.
//!
//! Refuses to read anything: it is told what is missing.

use super::condition::Indexed;
use super::query::{Field, Term};
use super::window::Times;
use crate::container::Error;
use crate::text::clock;
use std::time::Duration;

/// What may be missing of one recording.
pub(super) struct Doubt {
    /// Where commands may be missing, nobody can say that there were none.
    lacking: bool,
    /// Of what the session was told to run only the beginning is kept.
    told_less: bool,
    /// Why the index does not tell of all.
    lack: Option<String>,
    /// Something stands in the file that is in none of its segments.
    damage: Option<Error>,
    /// It ends before the session did: anything may have come after it, if that is asked for.
    cut: bool,
    /// Its clock was set, and when something was is asked.
    set: bool,
    /// When something was may be told wrong.
    unsure: bool,
    complete: bool,
    running: bool,
}

impl Doubt {
    pub(super) fn of(known: &Indexed<'_>, damage: Option<Error>, times: &Times) -> Self {
        let Indexed { complete, running, .. } = *known;
        Self {
            lacking: known.lacking() > 0,
            told_less: known.opening.meta.lacks_arguments(),
            lack: known.lack(),
            damage,
            cut: !complete && !running && times.asks_beyond(),
            set: times.set,
            unsure: times.is_unsure(),
            complete,
            running,
        }
    }

    /// Whether a term may be there though it was not found. Of a session that goes on the screen is read to its end: that will
    /// do where a text is looked for everywhere.
    pub(super) fn may_lack(&self, term: &Term) -> bool {
        let asks = term.fields.has(Field::Command) || term.fields.has(Field::Exec);
        let followed = self.running && term.fields.has(Field::Screen);
        let unfinished = asks && (self.lacking || !(self.complete || followed));
        let untold = self.told_less && (asks || term.fields.has(Field::Meta));
        self.damage.is_some() || self.cut || self.unsure || unfinished || untold
    }

    /// Why it could be searched only in part, read until `read_to` as far as that is known, and what is wrong with it, where that is
    /// why. `indexed`: what only the index tells was asked.
    pub(super) fn why(self, read_to: Option<Duration>, indexed: bool) -> (Option<String>, Option<Error>) {
        let damaged = self.damage.as_ref().map(ToString::to_string);
        let missing = || self.cut.then(|| cut_off(read_to, self.lack.as_deref().filter(|_| indexed)));
        let moved =
            || self.set.then(|| "its clock was set: `--from` and `--to` go by what it showed".to_owned());
        let why = damaged.or_else(missing).or_else(moved).or_else(|| self.lack.clone());
        (why, self.damage)
    }
}

/// Why nothing is denied of a recording that ends before its session did, as far as it could be read. `lack`: why its index cannot
/// tell either, where that was asked.
fn cut_off(read_to: Option<Duration>, lack: Option<&str>) -> String {
    let gone = read_to.map(|last| format!("what came after {} is not there", clock::tenths(last)));
    match (lack, gone) {
        (Some(lack), Some(gone)) => format!("{lack}; {gone}"),
        (Some(lack), None) => lack.to_owned(),
        (None, Some(gone)) => format!("it was not closed: {gone}"),
        (None, None) => "it was not closed: its end is not there".to_owned(),
    }
}
