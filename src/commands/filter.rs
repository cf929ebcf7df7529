//! Which recordings are meant: the conditions that several commands share.

use super::Context;
use crate::console::Style;
use crate::error::{Error, Kind, Result};
use crate::search::condition::ask_for_nothing;
use crate::search::when::{NOT_BEFORE, OF_TODAY};
use crate::search::{Condition, QueryError, Window, when};
use jiff::Timestamp;

/// Conditions as they are typed.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Filters {
    /// Only what this user did; `*` stands for anything, here and below
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Only what was done as this user
    #[arg(long = "as", value_name = "USER")]
    target: Option<String>,
    /// Only from this host
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Only what began at or after TIME: `2026-11-22`, `2026-11-22 14:03`, `14:03`, `yesterday`, `2h ago` (UTC)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only what began before TIME
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only with this label: KEY or KEY=VALUE; may be given several times
    #[arg(long, value_name = "LABEL")]
    label: Vec<String>,
    /// Only with this ticket
    #[arg(long, value_name = "ID")]
    ticket: Option<String>,
    /// Only where a command or program holds this text; may be given several times
    #[arg(long, value_name = "TEXT")]
    command: Vec<String>,
    /// Only what ended with this exit status, or with `!STATUS` any other
    #[arg(long, value_name = "STATUS")]
    exit: Option<String>,
    /// Only what lasted at least this long: `90s`, `5m`, `1h30m`
    #[arg(long, value_name = "TIME")]
    min_duration: Option<String>,
}

impl Filters {
    /// The conditions as they are meant.
    ///
    /// # Errors
    /// Names the flag whose value is not understood; or nothing lies between `--since` and `--until`.
    pub(super) fn conditions(&self, context: &Context) -> Result<Vec<Condition>> {
        let now = Timestamp::now();
        let one = [
            ("user", &self.user),
            ("as", &self.target),
            ("host", &self.host),
            ("since", &self.since),
            ("until", &self.until),
            ("ticket", &self.ticket),
            ("exit", &self.exit),
            ("min-duration", &self.min_duration),
        ];
        let several =
            self.label.iter().map(|v| ("label", v)).chain(self.command.iter().map(|v| ("command", v)));
        let conditions: Vec<Condition> = one
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_ref()?)))
            .chain(several)
            .map(|(name, value)| {
                Condition::parse(name, value, now).map_err(|why| wrong_value(name, value, &why))
            })
            .collect::<Result<_>>()?;
        if ask_for_nothing(conditions.iter()) {
            return Err(nothing_between("--since and --until"));
        }
        if let Some(Condition::Since(since)) = conditions.iter().find(|c| matches!(c, Condition::Since(_))) {
            tell_if_to_come(context, "since", self.since.as_deref(), *since, now);
        }
        Ok(conditions)
    }
}

fn nothing_between(what: &str) -> Error {
    Error::new(Kind::Usage, format!("nothing lies between {what}: {NOT_BEFORE}")).hint(OF_TODAY)
}

/// That nothing is found from a moment on that has not been yet says nothing; a host whose clock is ahead has recordings of it all the
/// same.
fn tell_if_to_come(context: &Context, name: &str, value: Option<&str>, from: i64, now: Timestamp) {
    if let Some(value) = value.filter(|_| from > now.as_millisecond()) {
        let value = crate::text::escaped(value);
        context.console.remark(
            "note",
            Style::Yellow,
            format!("--{name} `{value}` is still to come; {OF_TODAY}"),
        );
    }
}

/// Between which moments hits are asked for, of `--from` and `--to` as they are typed.
///
/// # Errors
/// Names the flag whose value is not understood; or nothing lies between them.
pub(super) fn window(context: &Context, from: Option<&str>, to: Option<&str>) -> Result<Window> {
    let now = Timestamp::now();
    let moment = |name, value: Option<&str>| {
        value.map(|value| when::parse(value, now).map_err(|why| wrong_value(name, value, &why))).transpose()
    };
    let window = Window { from: moment("from", from)?, to: moment("to", to)? };
    if let (Some(first), Some(to)) = (window.from, window.to)
        && first >= to
    {
        return Err(nothing_between("--from and --to"));
    }
    if let Some(first) = window.from {
        tell_if_to_come(context, "from", from, first, now);
    }
    Ok(window)
}

/// What is wrong with the value of a flag.
fn wrong_value(name: &str, value: &str, why: &str) -> Error {
    let value = crate::text::escaped(value);
    let (what, hint) = why.split_once(": write ").unwrap_or((why, ""));
    let told = Error::new(Kind::Usage, format!("--{name} `{value}`: {what}"));
    match hint {
        "" => told.hint("`--help` tells what can be written"),
        hint => told.hint(format!("write {hint}")),
    }
}

/// Shows where in what is looked for something is wrong, and gives the error to end with. `is_query`: it was given with `-q`.
pub(super) fn wrong_query(context: &Context, error: &QueryError, is_query: bool) -> Error {
    let (text, from, width) = error.place();
    if !text.is_empty() && !error.at.is_empty() {
        context.console.remark("in", Style::Plain, text);
        context.console.remark("at", Style::Plain, format_args!("{}{}", " ".repeat(from), "^".repeat(width)));
    }
    let told = Error::new(Kind::Usage, error.what.clone());
    let literal = match is_query {
        true => {
            "what is meant as text goes into quotes in a query ('\"(a\"'); without -q a pattern is literal text"
        }
        false => "without -e a pattern is literal text; `sealcast search --help` tells more",
    };
    told.hint(error.hint.as_deref().unwrap_or(literal))
}
