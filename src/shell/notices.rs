//! Where a witness fell silent, entries are missing, or somebody stood in the recorder's way: the same for whoever lists recordings, tells of one, and watches it.

use super::commands::TOLD_NOTHING;
use crate::cast::{Command, Gap, LEFT_RUNNING, SILENT, Source, Why, is_of};
use crate::container::{Entry, GivenUp, Meta, Opening};

/// The name under which a session says, among what was in force, why what watches executed programs could not be started though the host
/// has it. One on a host that does not have it, or with it switched off, says nothing there.
pub const UNWATCHED: &str = "unwatched";

/// Times in milliseconds since the start of the session, in order, and what is to be known from there on.
///
/// `commands` are those of `entries`, and those known besides. Without `opening`, which is sealed, nothing is known of what the
/// shell was to tell.
pub fn notices(opening: Option<&Opening>, commands: &[&Command], entries: &[Entry]) -> Vec<(u64, String)> {
    let never = is_silent(opening, commands).then(|| (0, TOLD_NOTHING.to_owned()));
    let told = commands.iter().flat_map(|command| {
        let at = |text: &str| command.end.filter(|_| is_plain(text)).unwrap_or(command.start);
        command.notices().map(move |text| (at(text), text.to_owned()))
    });
    let left_out = entries.iter().filter_map(Entry::left_out_notice);
    let index = entries.iter().filter_map(|entry| Some((entry.tally.start, without_commands(entry)?)));
    let unwatched = opening.and_then(|opening| unwatched(&opening.meta));
    let never = never.into_iter().chain(unwatched.map(|why| (0, format!("{UNWATCHED}: {why}"))));
    let gaps = entries.iter().flat_map(|entry| &entry.tally.gaps);
    let gaps = gaps.filter(|(_, gap)| hinders(gap));
    let gaps = gaps.map(|(at, gap)| (*at, format!("{}: {}", gap.why, gap.note)));
    let mut all: Vec<_> = never.chain(told).chain(left_out).chain(index).chain(gaps).collect();
    all.sort_by_key(|(at, _)| *at);
    all
}

/// The other gaps, in the same form: they say nothing of commands. Those of reasons that this version does not know are of one kind.
pub fn of_gaps(entries: &[Entry]) -> impl Iterator<Item = (u64, String)> {
    let gaps = entries.iter().flat_map(|entry| &entry.tally.gaps);
    gaps.filter(|(_, gap)| !hinders(gap)).map(|(at, gap)| {
        let kind = if gap.reason().is_some() { "" } else { "gap: " };
        (*at, format!("{kind}{gap}"))
    })
}

fn hinders(gap: &Gap) -> bool {
    gap.reason().is_some_and(Why::hinders)
}

/// That executed programs were not watched, or not as that host can, and why.
pub fn unwatched(meta: &Meta) -> Option<String> {
    let why = meta.in_force.get(UNWATCHED)?;
    Some(format!("not everything that watches executed programs could be started: {why}"))
}

/// Whether the program had a stream as it was: nothing of that is recorded, by the choice of whoever called.
pub fn is_unheard(entries: &[Entry]) -> bool {
    entries.iter().flat_map(|entry| &entry.tally.gaps).any(|(_, gap)| gap.reason() == Some(Why::Device))
}

/// Whether a notice is to be known and no cause for alarm: sessions leave agents and daemons running every day.
pub fn is_plain(notice: &str) -> bool {
    is_of(notice, LEFT_RUNNING)
}

/// The word that a notice begins with: of a flag, or why there is a gap.
pub fn kind(notice: &str) -> &str {
    notice.split([':', ' ', ',']).next().unwrap_or_default()
}

/// Whether a notice is of what lasted until its time; others are of what begins there.
pub fn is_over(notice: &str) -> bool {
    Why::of(kind(notice)).is_some_and(Why::is_over)
}

/// That commands of this segment may be missing, where nothing else says so.
fn without_commands(entry: &Entry) -> Option<String> {
    let given_up = entry.given_up.filter(|given_up| given_up.lacks_commands())?;
    let why = match given_up {
        GivenUp::TooLong if !entry.left_out.is_nothing() => return None,
        // An entry of it says so, with its time: of that segment, or of the one in which it settled.
        GivenUp::Unread => return None,
        GivenUp::TooLong => "they did not fit into the index",
        GivenUp::Failed => "what makes the index failed",
        GivenUp::Unreadable => "this part of the index cannot be read",
        _ => "for a reason that this version does not know",
    };
    Some(format!("no-index: commands and programs may be missing: {why}"))
}

/// Whether the shell was to tell what it runs, ran something, and told nothing, unless the recorder has said so itself. (The first
/// recorders never did, nor does one whose file was not closed.) Directory and status of a line that was read off the screen are
/// told by marks; those of a POSIX shell tell no more.
fn is_silent(opening: Option<&Opening>, commands: &[&Command]) -> bool {
    let was_to_tell = opening.is_some_and(|opening| opening.meta.telling_shell().is_some());
    let read = |command: &&Command| command.source == Source::Screen;
    let by_mark =
        |c: &&Command| c.source == Source::Shell || read(c) && (c.cwd.is_some() || c.exit.is_some());
    let said = |command: &&Command| command.notices().any(|flag| is_of(flag, SILENT));
    let any = |of: &dyn Fn(&&Command) -> bool| commands.iter().any(of);
    was_to_tell && any(&read) && !any(&by_mark) && !any(&said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::LeftOut;

    fn command(start: u64, source: Source, flags: &[&str]) -> Command {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Command { start, source, flags, ..Command::default() }
    }

    fn opening(integration: &str) -> Opening {
        let mut opening = Opening::default();
        opening.meta.in_force.insert("shell-integration".into(), integration.into());
        opening
    }

    #[test]
    fn a_shell_that_never_told_is_silent_from_the_start_where_it_was_to_tell() {
        let (read, told) = (command(9, Source::Screen, &[]), command(8, Source::Shell, &[]));
        let is =
            |opening: Option<&Opening>, commands: &[&Command]| !notices(opening, commands, &[]).is_empty();
        let bash = opening("bash");
        assert_eq!(notices(Some(&bash), &[&read], &[])[0].0, 0);
        assert!(is(Some(&opening("posix")), &[&read]) && !is(Some(&opening("none")), &[&read]));
        // Marks of a shell that tells of no starts; what the recorder has said itself is said once.
        let (ended, posix) = (Command { exit: Some(0), ..read.clone() }, opening("posix"));
        assert!(!is(Some(&posix), &[&read, &ended]) && !is(Some(&bash), &[&ended]));
        let said = command(0, Source::Screen, &["silent: x"]);
        assert_eq!(notices(Some(&posix), &[&said, &read], &[]), [(0, "silent: x".to_owned())]);
        assert!(!is(Some(&bash), &[&told, &read]) && !is(Some(&bash), &[]) && !is(None, &[&read]));
    }

    #[test]
    fn that_what_watches_could_not_be_started_is_told_from_the_start_and_that_a_host_has_none_is_not() {
        let mut opening = opening("none");
        opening.meta.in_force.insert("exec-trace".into(), "none".into());
        assert_eq!(notices(Some(&opening), &[], &[]), []);
        opening.meta.in_force.insert(UNWATCHED.into(), "cannot start a thread".into());
        let told = notices(Some(&opening), &[], &[]);
        let text = "unwatched: not everything that watches executed programs could be started: cannot start a thread";
        assert_eq!(told, [(0, text.to_owned())]);
        assert!(!is_plain(text) && kind(text) == UNWATCHED);
    }

    #[test]
    fn a_segment_that_may_lack_commands_is_told() {
        let left_out = LeftOut { commands: 3, ..LeftOut::default() };
        let of = |given_up, left_out| {
            let entry = Entry { given_up, left_out, ..Entry::default() };
            notices(None, &[], &[entry]).into_iter().map(|(_, text)| text).collect::<Vec<_>>()
        };
        let failed = of(Some(GivenUp::Failed), LeftOut::default());
        assert_eq!(failed, ["no-index: commands and programs may be missing: what makes the index failed"]);
        assert_eq!(of(Some(GivenUp::Failed), left_out).len(), 2);
        assert_eq!(of(Some(GivenUp::TooLong), left_out).len(), 1);
        assert_eq!(of(Some(GivenUp::TooLong), LeftOut::default()).len(), 1);
        for nothing_lacks in [None, Some(GivenUp::Late), Some(GivenUp::Flood)] {
            assert_eq!(of(nothing_lacks, LeftOut::default()), [""; 0]);
        }
    }

    #[test]
    fn notices_of_commands_and_of_what_was_left_out_are_told_in_order() {
        let mut entry = Entry { left_out: LeftOut { programs: 3, ..LeftOut::default() }, ..Entry::default() };
        entry.tally.start = 5;
        let gap = |why: &str| Gap {
            why: why.into(),
            of: "recorder".into(),
            count: 0,
            note: "for 14 s".into(),
            sha256: String::new(),
        };
        entry.tally.gaps = vec![(4, gap("device")), (6, gap("paused"))];
        let (early, late) =
            (command(3, Source::Shell, &["alias: x"]), command(7, Source::Shell, &["lost-execs"]));
        let all = notices(Some(&opening("bash")), &[&late, &early], &[entry]);
        let all: Vec<_> = all.iter().map(|(at, text)| (*at, text.as_str())).collect();
        let expected = [
            (
                5,
                "left-out: 3 programs did not come into the index: there was no room, or no time to read more",
            ),
            (6, "paused: for 14 s"),
            (7, "lost-execs"),
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn what_could_not_be_read_is_told_once_at_its_time() {
        let flag = Command::unread(3);
        let unread = command(7, Source::Screen, &[&flag]);
        let entry = Entry { given_up: Some(GivenUp::Unread), ..Entry::default() };
        assert_eq!(notices(None, &[&unread], &[entry]), [(7, flag)]);
    }

    #[test]
    fn what_is_left_running_is_told_of_the_end_and_is_no_alarm() {
        let flag = "left-running: 1 process was still running when the session ended: ssh-agent";
        let last = Command { end: Some(9), ..command(3, Source::Shell, &["silent: x", flag]) };
        assert_eq!(notices(None, &[&last], &[]), [(3, "silent: x".to_owned()), (9, flag.to_owned())]);
        assert!(is_plain(flag) && !is_plain("silent: left-running: x") && !is_plain("left-runnings"));
    }
}
