//! Commands and their programs as an index entry keeps them: small.
//!
//! A session at a prompt writes little, and what stands in its index weighs beside it; a build runs a thousand programs
//! that differ in one word. So both are kept by columns, each number as the difference to the one before, and what is
//! nearly always the same only where it changes. `doc/FORMAT.md` has the columns. Measured with zstd on top: 26 bytes for a
//! command with its program instead of 48, 7 for each program of a build instead of 23.
//!
//! Refuses what does not fit together, and what would take more than [`limits::TOLD`] once it is spread out again: before it is taken out
//! of the JSON, too.

use super::limits;
use crate::cast::{Command, Exec, Source, Trust};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

/// Generations that a program's parent is looked for.
const GENERATIONS: i64 = 16;

/// What is listed only where it is not as expected: the number of the row, and the value.
type Sparse<T> = Vec<(usize, T)>;

/// The commands of an entry, by columns.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Commands<'a> {
    text: Vec<Cow<'a, str>>,
    /// After the start of the command before; the first one's after the start of the session.
    start: Vec<i64>,
    /// End after start, `null` where it is not known.
    took: Vec<Option<i64>>,
    /// How many rows of the programs are its own.
    programs: Vec<usize>,
    /// 0 where the end is known, none where it is not, but for these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exit: Sparse<Option<i32>>,
    /// From there on. At first unknown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cwd: Sparse<Option<Cow<'a, str>>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pipe: Sparse<Cow<'a, [i32]>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flags: Sparse<Cow<'a, [String]>>,
    /// From there on. At first told by the shell.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    by: Sparse<(Source, Trust)>,
}

/// The programs of an entry: those of its commands in their order, then those of none.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Programs<'a> {
    /// Paths and directories, each once.
    files: Vec<Cow<'a, str>>,
    /// `n`: the path is that of `files`. `-1 - n`: it is that directory, a slash and the first argument.
    file: Vec<i64>,
    args: Vec<Args<'a>>,
    /// After the start of the program before, of the same command; the first one's after the start of the command (or
    /// session).
    start: Vec<i64>,
    took: Vec<Option<i64>>,
    /// Difference to that of the program before.
    pid: Vec<i64>,
    /// 0: the program before is the parent; 1: that one's parent is; and so on. `-1 - n`: the process `n`.
    parent: Vec<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exit: Sparse<Option<i32>>,
    /// From there on, to the end of the command. At first that of the command.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cwd: Sparse<Cow<'a, str>>,
    /// Real and effective user, from there on. At first root.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    user: Sparse<(u32, u32)>,
}

/// Arguments: joined by blanks where none holds one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Args<'a> {
    Joined(Cow<'a, str>),
    List(Vec<Cow<'a, str>>),
}

impl<'a> Args<'a> {
    fn of(argv: &'a [String]) -> Self {
        if argv.is_empty() || argv.iter().any(|arg| arg.contains(' ')) {
            return Self::List(argv.iter().map(|arg| Cow::Borrowed(arg.as_str())).collect());
        }
        match argv {
            [one] => Self::Joined(Cow::Borrowed(one)),
            more => Self::Joined(more.join(" ").into()),
        }
    }

    fn spread(self) -> Vec<String> {
        match self {
            Self::Joined(text) => text.split(' ').map(str::to_owned).collect(),
            Self::List(list) => list.into_iter().map(Cow::into_owned).collect(),
        }
    }
}

/// Status of what has ended, as expected.
fn expected(end: Option<u64>) -> Option<i32> {
    end.map(|_| 0)
}

fn difference(to: u64, from: u64) -> i64 {
    to.wrapping_sub(from).cast_signed()
}

fn sum(from: u64, difference: i64) -> u64 {
    from.wrapping_add(difference.cast_unsigned())
}

impl Commands<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

impl Programs<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.file.is_empty()
    }
}

/// Puts commands, and programs that belong to none, into columns.
pub(super) fn pack<'a>(commands: &'a [Command], execs: &'a [Exec]) -> (Commands<'a>, Programs<'a>) {
    let mut columns = Commands::default();
    let mut packer = Packer::default();
    let (mut time, mut cwd, mut by) = (0, &None, (Source::Shell, Trust::Told));
    for (row, command) in commands.iter().enumerate() {
        columns.text.push(Cow::Borrowed(&command.text));
        columns.start.push(difference(command.start, time));
        time = command.start;
        columns.took.push(command.end.map(|end| difference(end, time)));
        columns.programs.push(command.execs.len());
        if command.exit != expected(command.end) {
            columns.exit.push((row, command.exit));
        }
        if command.cwd != *cwd {
            cwd = &command.cwd;
            columns.cwd.push((row, cwd.as_deref().map(Cow::Borrowed)));
        }
        if !command.pipe.is_empty() {
            columns.pipe.push((row, Cow::Borrowed(&command.pipe)));
        }
        if !command.flags.is_empty() {
            columns.flags.push((row, Cow::Borrowed(&command.flags)));
        }
        if (command.source, command.trust) != by {
            by = (command.source, command.trust);
            columns.by.push((row, by));
        }
        packer.list(&command.execs, command.start, command.cwd.as_deref().unwrap_or_default());
    }
    packer.list(execs, 0, "");
    (columns, packer.columns)
}

#[derive(Default)]
struct Packer<'a> {
    columns: Programs<'a>,
    /// Place of a path or directory in the column.
    files: HashMap<&'a str, i64>,
    family: Family,
    user: (u32, u32),
}

impl<'a> Packer<'a> {
    fn list(&mut self, execs: &'a [Exec], start: u64, cwd: &'a str) {
        let (mut time, mut cwd) = (start, cwd);
        for exec in execs {
            let row = self.columns.file.len();
            let file = self.file(exec);
            self.columns.file.push(file);
            self.columns.args.push(Args::of(&exec.argv));
            self.columns.start.push(difference(exec.time, time));
            time = exec.time;
            self.columns.took.push(exec.end.map(|end| difference(end, time)));
            self.columns.pid.push(i64::from(exec.pid).saturating_sub(i64::from(self.family.last)));
            self.columns.parent.push(self.family.relation(exec.ppid));
            self.family.add(exec.pid, exec.ppid);
            if exec.exit != expected(exec.end) {
                self.columns.exit.push((row, exec.exit));
            }
            if exec.cwd != cwd {
                cwd = &exec.cwd;
                self.columns.cwd.push((row, Cow::Borrowed(cwd)));
            }
            if (exec.uid, exec.euid) != self.user {
                self.user = (exec.uid, exec.euid);
                self.columns.user.push((row, self.user));
            }
        }
    }

    fn file(&mut self, exec: &'a Exec) -> i64 {
        let named =
            exec.argv.first().and_then(|name| exec.path.strip_suffix(name.as_str())?.strip_suffix('/'));
        let text = named.unwrap_or(&exec.path);
        let next = i64::try_from(self.files.len()).unwrap_or(i64::MAX);
        let columns = &mut self.columns.files;
        let at = *self.files.entry(text).or_insert_with(|| {
            columns.push(Cow::Borrowed(text));
            next
        });
        if named.is_some() { (-1_i64).saturating_sub(at) } else { at }
    }
}

/// Who is whose parent, as far as the table tells.
#[derive(Default)]
struct Family {
    parents: HashMap<u32, u32>,
    last: u32,
}

impl Family {
    fn add(&mut self, pid: u32, parent: u32) {
        self.parents.insert(pid, parent);
        self.last = pid;
    }

    fn relation(&self, parent: u32) -> i64 {
        let mut at = self.last;
        for generation in 0..GENERATIONS {
            if !self.parents.contains_key(&self.last) {
                break;
            }
            if at == parent {
                return generation;
            }
            let Some(next) = self.parents.get(&at) else { break };
            at = *next;
        }
        (-1_i64).saturating_sub(i64::from(parent))
    }

    fn parent(&self, relation: i64) -> Option<u32> {
        if relation < 0 {
            return u32::try_from((-1_i64).checked_sub(relation)?).ok();
        }
        if relation >= GENERATIONS || !self.parents.contains_key(&self.last) {
            return None;
        }
        let mut at = self.last;
        for _ in 0..relation {
            at = *self.parents.get(&at)?;
        }
        Some(at)
    }
}

/// The rows that a sparse column lists, in order.
struct Listed<T>(std::iter::Peekable<std::vec::IntoIter<(usize, T)>>);

impl<T> Listed<T> {
    fn new(column: Sparse<T>) -> Self {
        Self(column.into_iter().peekable())
    }

    fn at(&mut self, row: usize) -> Option<T> {
        self.0.next_if(|(listed, _)| *listed == row).map(|(_, value)| value)
    }

    /// Nothing was passed over: the rows were in order, and there.
    fn is_over(&mut self) -> bool {
        self.0.peek().is_none()
    }
}

/// What a value in a column holds, counted without keeping it.
#[derive(Clone, Copy, Default)]
struct Weight {
    is_list: bool,
    /// Elements of it.
    rows: usize,
    /// Elements of it and of the lists in it.
    items: usize,
    /// Texts in it and in the lists in it, and their bytes.
    texts: usize,
    bytes: usize,
    /// Blanks in texts that stand in no list inside this one.
    blanks: usize,
}

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Weighing)
    }
}

struct Weighing;

impl<'de> Visitor<'de> for Weighing {
    type Value = Weight;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a text, a number, nothing, or a list of such")
    }

    fn visit_unit<E>(self) -> Result<Weight, E> {
        Ok(Weight::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Weight, E> {
        Ok(Weight::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Weight, E> {
        Ok(Weight::default())
    }

    fn visit_str<E>(self, text: &str) -> Result<Weight, E> {
        let blanks = memchr::memchr_iter(b' ', text.as_bytes()).count();
        Ok(Weight { texts: 1, bytes: text.len(), blanks, ..Weight::default() })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Weight, A::Error> {
        let mut sum = Weight { is_list: true, ..Weight::default() };
        while let Some(item) = list.next_element::<Weight>()? {
            sum.rows = sum.rows.saturating_add(1);
            sum.items = sum.items.saturating_add(1).saturating_add(item.items);
            sum.texts = sum.texts.saturating_add(item.texts);
            sum.bytes = sum.bytes.saturating_add(item.bytes);
            if !item.is_list {
                sum.blanks = sum.blanks.saturating_add(item.blanks);
            }
        }
        Ok(sum)
    }
}

/// The columns of an entry, weighed: a few kilobytes can hold millions of empty words, each of which takes more memory than it has
/// bytes.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Weights {
    commands: CommandWeights,
    programs: ProgramWeights,
    running: Option<Box<Weights>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CommandWeights {
    text: Weight,
    start: Weight,
    took: Weight,
    programs: Weight,
    exit: Weight,
    cwd: Weight,
    pipe: Weight,
    flags: Weight,
    by: Weight,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ProgramWeights {
    files: Weight,
    file: Weight,
    args: Weight,
    start: Weight,
    took: Weight,
    pid: Weight,
    parent: Weight,
    exit: Weight,
    cwd: Weight,
    user: Weight,
}

impl Weights {
    /// Whether it may be kept and spread out: a part of what [`Spreader::takes`] will count, and that no column is longer than what
    /// it belongs to.
    pub(super) fn fit(&self) -> bool {
        /// Of a row, about ([`Exec::size`]).
        const ROW: usize = 160;
        const TEXT: usize = 24;
        let Self { commands, programs, running } = self;
        let (told, ran) = (commands.text.rows, programs.file.rows);
        let as_long = |rows, columns: &[&Weight]| columns.iter().all(|column| column.rows == rows);
        let no_longer = |rows, columns: &[&Weight]| columns.iter().all(|column| column.rows <= rows);
        let CommandWeights { text, start, took, programs: counts, exit, cwd, pipe, flags, by } = commands;
        let fits = as_long(told, &[start, took, counts]) && no_longer(told, &[exit, cwd, pipe, flags, by]);
        let ProgramWeights { files, file: _, args, start, took, pid, parent, exit, cwd, user } = programs;
        let fits = fits && as_long(ran, &[args, start, took, pid, parent]);
        let fits = fits && no_longer(ran, &[files, exit, cwd, user]);
        let texts = flags.texts.saturating_add(args.texts).saturating_add(args.blanks);
        let size = [
            told.saturating_add(ran).saturating_mul(ROW),
            texts.saturating_mul(TEXT),
            pipe.items.saturating_mul(size_of::<i32>()),
            text.bytes,
            flags.bytes,
            args.bytes.saturating_sub(args.blanks),
        ];
        let size = size.into_iter().fold(0, usize::saturating_add);
        fits && size <= limits::TOLD && running.as_ref().is_none_or(|running| running.fit())
    }
}

/// What [`pack`] made, as it was. `None` when it does not fit together, or is over its limit.
pub(super) fn spread(commands: Commands<'_>, programs: Programs<'_>) -> Option<(Vec<Command>, Vec<Exec>)> {
    let rows = commands.text.len();
    let lengths = [commands.start.len(), commands.took.len(), commands.programs.len()];
    if lengths.iter().any(|length| *length != rows) {
        return None;
    }
    let mut spreader = Spreader::new(programs)?;
    let mut exits = Listed::new(commands.exit);
    let mut cwds = Listed::new(commands.cwd);
    let mut pipes = Listed::new(commands.pipe);
    let mut all_flags = Listed::new(commands.flags);
    let mut bys = Listed::new(commands.by);
    let (mut time, mut cwd, mut by) = (0, None, (Source::Shell, Trust::Told));
    let mut out = Vec::new();
    let columns = commands.text.into_iter().zip(commands.start).zip(commands.took).zip(commands.programs);
    for (row, (((text, start), took), count)) in columns.enumerate() {
        time = sum(time, start);
        let end = took.map(|took| sum(time, took));
        if let Some(changed) = cwds.at(row) {
            cwd = changed.map(Cow::into_owned);
        }
        by = bys.at(row).unwrap_or(by);
        let command = Command {
            text: text.into_owned(),
            cwd: cwd.clone(),
            start: time,
            end,
            exit: exits.at(row).unwrap_or(expected(end)),
            pipe: pipes.at(row).map(Cow::into_owned).unwrap_or_default(),
            source: by.0,
            trust: by.1,
            flags: all_flags.at(row).map(Cow::into_owned).unwrap_or_default(),
            execs: Vec::new(),
        };
        spreader.takes(command.size())?;
        let execs = spreader.list(count, time, cwd.as_deref().unwrap_or_default())?;
        out.push(Command { execs, ..command });
    }
    let over = exits.is_over() && cwds.is_over() && pipes.is_over() && all_flags.is_over() && bys.is_over();
    let rest = spreader.list(spreader.left(), 0, "")?;
    (over && spreader.is_over()).then_some((out, rest))
}

struct Spreader<'a> {
    files: Vec<Cow<'a, str>>,
    rows: std::vec::IntoIter<i64>,
    args: std::vec::IntoIter<Args<'a>>,
    start: std::vec::IntoIter<i64>,
    took: std::vec::IntoIter<Option<i64>>,
    pid: std::vec::IntoIter<i64>,
    parent: std::vec::IntoIter<i64>,
    exit: Listed<Option<i32>>,
    cwd: Listed<Cow<'a, str>>,
    user: Listed<(u32, u32)>,
    row: usize,
    family: Family,
    as_user: (u32, u32),
    /// Bytes taken so far.
    taken: usize,
}

impl<'a> Spreader<'a> {
    fn new(columns: Programs<'a>) -> Option<Self> {
        let rows = columns.file.len();
        let lengths = [
            columns.args.len(),
            columns.start.len(),
            columns.took.len(),
            columns.pid.len(),
            columns.parent.len(),
        ];
        lengths.iter().all(|length| *length == rows).then(|| Self {
            files: columns.files,
            rows: columns.file.into_iter(),
            args: columns.args.into_iter(),
            start: columns.start.into_iter(),
            took: columns.took.into_iter(),
            pid: columns.pid.into_iter(),
            parent: columns.parent.into_iter(),
            exit: Listed::new(columns.exit),
            cwd: Listed::new(columns.cwd),
            user: Listed::new(columns.user),
            row: 0,
            family: Family::default(),
            as_user: (0, 0),
            taken: 0,
        })
    }

    fn left(&self) -> usize {
        self.rows.len()
    }

    fn is_over(&mut self) -> bool {
        self.left() == 0 && self.exit.is_over() && self.cwd.is_over() && self.user.is_over()
    }

    /// Counts what is about to be kept.
    fn takes(&mut self, size: usize) -> Option<()> {
        self.taken = self.taken.saturating_add(size);
        (self.taken <= limits::TOLD).then_some(())
    }

    fn list(&mut self, count: usize, start: u64, cwd: &str) -> Option<Vec<Exec>> {
        if count > self.left() {
            return None;
        }
        let (mut time, mut cwd) = (start, cwd.to_owned());
        let mut out = Vec::new();
        for _ in 0..count {
            let argv = self.args.next()?.spread();
            let file = self.rows.next()?;
            time = sum(time, self.start.next()?);
            let end = self.took.next()?.map(|took| sum(time, took));
            let pid = i64::from(self.family.last).checked_add(self.pid.next()?)?;
            let pid = u32::try_from(pid).ok()?;
            let ppid = self.family.parent(self.parent.next()?)?;
            self.family.add(pid, ppid);
            if let Some(changed) = self.cwd.at(self.row) {
                cwd = changed.into_owned();
            }
            self.as_user = self.user.at(self.row).unwrap_or(self.as_user);
            let exit = self.exit.at(self.row).unwrap_or(expected(end));
            let (uid, euid) = self.as_user;
            let place = usize::try_from(if file < 0 { (-1_i64).checked_sub(file)? } else { file }).ok()?;
            let text = self.files.get(place)?;
            let path = if file < 0 { format!("{text}/{}", argv.first()?) } else { text.to_string() };
            let exec = Exec { time, pid, ppid, uid, euid, path, argv, cwd: cwd.clone(), end, exit };
            self.row = self.row.saturating_add(1);
            self.takes(exec.size())?;
            out.push(exec);
        }
        Some(out)
    }
}

#[cfg(test)]
#[path = "told_tests.rs"]
mod tests;
