//! `sealcast ls`

use super::Context;
use super::filter::Filters;
use super::format::{moment, other_caller, shown, who};
use super::recordings::{self, Opened, Reading, State, WOULD_ASK};
use crate::cast::millis;
use crate::console::{Column, Style, Table};
use crate::container::{Header, LeftOut};
use crate::error::{Error, Kind, Result};
use crate::search::condition::Indexed;
use crate::search::engine::header_allows;
use crate::search::query::Facts;
use crate::search::{Query, retold};
use crate::shell::alone;
use crate::store::seal::{Opener, UnlockError};
use crate::text::{and_more, counted};
use serde_json::json;
use std::collections::BTreeSet;

/// List recordings
///
/// Newest first. Needs no identity; with one, length, commands, exit status and reason are shown as well.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON lines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    reading: Reading,
}

/// What is known of a recording without opening its content.
struct Row {
    opened: Opened,
    /// Length so far, milliseconds.
    length: Option<u64>,
    commands: Option<usize>,
    /// How often input was withheld.
    withheld: Option<u64>,
    /// How often a witness fell silent, or entries are missing.
    notices: Option<usize>,
    /// Whether one of them is more than to be known.
    alarm: bool,
    /// Commands and programs for which there was no room.
    left_out: LeftOut,
    /// Programs that no command explains.
    alone: usize,
    exit: Option<i32>,
    why: Option<String>,
}

/// Runs it.
///
/// # Errors
/// The store cannot be read; recordings that cannot be read are named, and the exit code is 2.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    let store = args.reading.store(context)?;
    let conditions = args.filters.conditions(context)?;
    let opener = Opener::new(args.reading.quiet_identities(context)?);
    let query = Query::conditions(conditions.iter().cloned());
    let nothing = Header::default();
    let sealed = conditions.iter().any(|condition| condition.by_header(&nothing).is_none());
    let all = store.list()?;
    if sealed && opener.identities().is_empty() {
        let what = "labels, tickets, commands, exit statuses and lengths";
        return Err(args.reading.no_identity(context, what, &all));
    }
    let (mut listed, mut unreadable) = (0, Unreadable::default());
    // Why the identity opens none of those that are listed: one that opens some is not asked of the others.
    let mut all_refused = None;
    // Where one that was named could not be tried, nobody knows what it would have opened: that is told, whatever another opens.
    let (mut untried, mut unopened) = (None, 0);
    let mut table = Table::new(&[
        ("WHEN (UTC)", Column::Left),
        ("WHO", Column::Flexible),
        ("HOST", Column::Flexible),
        ("LENGTH", Column::Right),
        ("CMDS", Column::Right),
        ("EXIT", Column::Right),
        ("STATE", Column::Left),
        ("ID", Column::Left),
        ("WHY", Column::Flexible),
    ]);
    for found in all.into_iter().rev() {
        // What is public is asked first: of those that are not meant the rest is not opened.
        let public = (!conditions.is_empty()).then(|| found.header()).flatten();
        if public.is_some_and(|header| !header_allows(&conditions, &header)) {
            continue;
        }
        let Some(mut opened) = unreadable.or_told(context, recordings::open(found)) else { continue };
        if sealed {
            let is_meant = satisfies(&mut opened, &opener, &query).map_err(|error| {
                error.while_doing(format!("{}: whether it is meant cannot be told", opened.name()))
            });
            match is_meant {
                Ok(true) => {}
                Ok(false) => continue,
                Err(error) => {
                    unreadable.say(context, &error);
                    unreadable.untold += 1;
                    continue;
                }
            }
        }
        // Only of those that are listed everything is read.
        if !opened.reader.has_all_commands() {
            let Some(again) = unreadable.or_told(context, recordings::open(opened.found)) else {
                continue;
            };
            opened = again;
        }
        let (row, refused) = Row::read(opened, &opener);
        let refused = match refused {
            // It would look as if it were sealed to others.
            Some(UnlockError::Container(fault)) => {
                unreadable.tell(context, &Error::from(fault).while_doing(row.opened.name()));
                None
            }
            refused => refused,
        };
        let refused = match refused {
            Some(refused) if args.reading.names_identity() && !opener.identities().untried().is_empty() => {
                unopened += 1;
                untried.get_or_insert((refused, row.opened.name()));
                None
            }
            refused => refused,
        };
        all_refused = match (refused, listed) {
            (Some(error), 0) => Some(error),
            (refused, _) => all_refused.filter(|_| refused.is_some()),
        };
        listed += 1;
        row.opened.tell_misnamed(context);
        if args.json {
            context.console.json(&row.json())?;
        } else {
            row.add_to(&mut table);
        }
    }
    if !table.is_empty() {
        context.console.table(&table)?;
    } else if listed == 0 && unreadable.is_nothing() {
        context.console.note(format!(
            "no recordings{} in {}",
            if conditions.is_empty() { "" } else { " like that" },
            shown(store.dir())
        ));
    }
    // Of all of them nothing but the public part is shown, and they would look as if they were sealed to others.
    if listed > 0 && args.reading.would_ask(context) {
        let said = format!("what is sealed is not shown: {WOULD_ASK}");
        context.console.remark("note", Style::Plain, said);
    }
    if let Some(refused) = all_refused.filter(|_| args.reading.names_identity()) {
        let error = Error::from(refused);
        context.console.remark("warning", Style::Yellow, &error);
        error.hints().iter().for_each(|hint| context.console.remark("hint", Style::Yellow, hint));
    }
    if let Some((refused, name)) = untried {
        let error = Error::from(refused).while_doing(format!("{name}{}", and_more(unopened - 1)));
        if unreadable.is_nothing() {
            return Err(error);
        }
        error.print(&context.console);
    }
    unreadable.error().map_or(Ok(()), Err)
}

/// Recordings that could not be read.
#[derive(Default)]
struct Unreadable {
    count: u64,
    /// Those besides of which it cannot be told whether they are meant.
    untold: u64,
    /// What was said that can be done about it.
    hints: BTreeSet<String>,
}

impl Unreadable {
    fn is_nothing(&self) -> bool {
        self.count == 0 && self.untold == 0
    }

    fn tell(&mut self, context: &Context, error: &Error) {
        self.count += 1;
        self.say(context, error);
    }

    fn say(&mut self, context: &Context, error: &Error) {
        context.console.remark("error", Style::Red, error);
        error.print_hints(&context.console, &mut self.hints);
    }

    /// The error to end with, if there is one.
    fn error(&self) -> Option<Error> {
        let unread =
            (self.count > 0).then(|| format!("{} could not be read", counted(self.count, "recording")));
        let untold =
            (self.untold > 0).then(|| format!("{} may be meant or not", counted(self.untold, "recording")));
        let told = unread.into_iter().chain(untold).reduce(|unread, untold| format!("{unread}; {untold}"))?;
        Some(Error::new(Kind::Input, told))
    }

    /// What could be read; else that is told and counted.
    fn or_told<T>(&mut self, context: &Context, read: Result<T>) -> Option<T> {
        read.inspect_err(|error| self.tell(context, error)).ok()
    }
}

/// Whether the conditions hold, or why that cannot be told.
fn satisfies(opened: &mut Opened, opener: &Opener, query: &Query) -> Result<bool> {
    let reader = &mut opened.reader;
    reader.only_if(query.asks_for());
    opener.open_index(reader)?;
    let asks = !reader.is_complete() && query.asks_about_commands();
    let retold = if asks { retold(reader) } else { Vec::new() };
    let known = Indexed {
        header: reader.header(),
        opening: reader.opening()?,
        entries: reader.entries(),
        retold: &retold,
        complete: reader.is_complete(),
        running: opened.silent.is_some(),
    };
    query
        .truth(Facts::Index(known), &[])
        .ok_or_else(|| Error::new(Kind::Input, known.lack().unwrap_or_default()))
}

impl Row {
    /// The row, and why the identities do not open what is sealed of it, if there are any.
    fn read(mut opened: Opened, opener: &Opener) -> (Self, Option<UnlockError>) {
        let asks = opened.reader.opening().is_err() && !opener.identities().is_empty();
        let refused = if asks { opener.open_index(&mut opened.reader).err() } else { None };
        // Of a file that was cut before its metadata nothing is known, whoever has the key.
        let unlocked = refused.is_none() && opened.reader.opening().is_ok();
        let (mut length, mut commands, mut exit, mut why, mut withheld) = (None, None, None, None, None);
        let (mut notices, mut left_out, mut alone, mut alarm) = (None, LeftOut::default(), 0, false);
        if unlocked {
            let entries = opened.reader.entries();
            length = entries.last().map(|entry| entry.tally.end);
            commands = Some(entries.iter().map(|entry| entry.commands.len()).sum());
            withheld = Some(entries.iter().map(|entry| entry.tally.withheld).fold(0, u64::saturating_add));
            left_out = LeftOut::of(entries);
            alone = alone::count(entries);
            let told = opened.notices();
            alarm = opened.has_alarm(&told);
            notices = Some(told.len());
            exit = entries.iter().rev().find_map(|entry| entry.tally.exit);
            why = opened.reader.opening().ok().map(|opening| opening.meta.why());
        }
        (Self { opened, length, commands, withheld, notices, alarm, left_out, alone, exit, why }, refused)
    }

    fn add_to(&self, table: &mut Table) {
        fn known(value: Option<impl ToString>) -> String {
            value.map_or_else(|| "-".to_owned(), |value| value.to_string())
        }
        let header = self.opened.reader.header();
        let style = match self.opened.state() {
            _ if self.opened.misnamed.is_some() => Style::Red,
            State::Torn => Style::Red,
            State::Running => Style::Green,
            State::Sealed => Style::Plain,
        };
        let length = self.opened.length_told(self.length);
        let commands = self.opened.commands_told(self.commands, self.alarm);
        table.styled_row(&[
            (Style::Plain, &moment(header.start)),
            (Style::Plain, &who(header)),
            (Style::Plain, &header.host),
            (Style::Plain, &length),
            (if self.alarm { Style::Yellow } else { Style::Plain }, &commands),
            (Style::Plain, &known(self.exit)),
            (style, &self.opened.state_told()),
            (Style::Plain, &self.opened.name()),
            (Style::Plain, &self.why.as_deref().unwrap_or("")),
        ]);
    }

    fn json(&self) -> serde_json::Value {
        let header = self.opened.reader.header();
        let meta = self.opened.reader.opening().ok().map(|opening| &opening.meta);
        let complete = self.opened.reader.is_complete();
        json!({
            "id": self.opened.id(),
            "renamed": self.opened.misnamed.as_ref().map(ToString::to_string),
            "path": self.opened.found.path.to_string_lossy(),
            "start_ms": header.start,
            "user": header.user,
            "caller": other_caller(header),
            "target": header.target,
            "host": header.host,
            "state": self.opened.state().name(),
            "silent_ms": self.opened.silent.map(millis),
            "size": self.opened.reader.length(),
            "complete": complete,
            "length_ms": self.length,
            "commands": self.commands,
            "notices": self.notices,
            // None in the index is not none.
            "withheld": self.withheld.filter(|count| *count > 0 || complete),
            "alarm": self.notices.and((self.alarm || complete).then_some(self.alarm)),
            "left_out": self.notices.map(|_| &self.left_out),
            "programs_of_no_command": self.notices.map(|_| self.alone),
            "exit": self.exit,
            "reason": meta.map(|meta| &meta.reason),
            "ticket": meta.map(|meta| &meta.ticket),
            "labels": meta.map(|meta| &meta.labels),
            "recipients": header.recipients,
        })
    }
}
