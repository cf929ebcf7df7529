//! How times, sizes, paths and people are written, in all commands alike.

use crate::container::Header;
use crate::text::clock::{short, tenths};
use std::path::Path;
use std::time::Duration;

/// A path as it is shown.
pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// About how long: `40 s`, `12 min`, `5 h`, `3 days`.
pub(super) fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// Milliseconds as `12:34`, `1:02:03`; with tenths of a second under a minute: `0:12.3`.
pub(super) fn clock(ms: u64) -> String {
    let time = Duration::from_millis(ms);
    if ms < 60_000 { tenths(time) } else { short(time) }
}

/// A moment to go to, to the millisecond: `6:39.413`, `1:02:03`. Rounded, what came at it would not be there yet.
pub(super) fn offset(ms: u64) -> String {
    let whole = short(Duration::from_millis(ms));
    match ms % 1000 {
        0 => whole,
        part => format!("{whole}.{part:03}").trim_end_matches('0').to_owned(),
    }
}

/// Bytes as people count them.
pub(super) fn size(bytes: u64) -> String {
    let mut value = bytes;
    let mut tenths = 0;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
        if value < 1024 {
            return if unit == "B" { format!("{value} B") } else { format!("{value}.{tenths} {unit}") };
        }
        tenths = value % 1024 * 10 / 1024;
        value /= 1024;
    }
    format!("{value}.{tenths} PiB")
}

/// A moment (milliseconds since 1970-01-01T00:00:00Z) as `2026-11-22 14:03:12`, UTC.
pub(super) fn moment(utc: i64) -> String {
    match jiff::Timestamp::from_millisecond(utc) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => "?".into(),
    }
}

/// Who called, where that is not who logged in.
pub(super) fn other_caller(header: &Header) -> Option<&str> {
    Some(header.caller.as_str()).filter(|caller| !caller.is_empty())
}

/// Who did it as whom: `alice → root`.
pub(super) fn who(header: &Header) -> String {
    match (header.person(), header.target.as_str()) {
        (user, target) if user == target || target.is_empty() => user,
        (user, target) if user.is_empty() => target.to_owned(),
        (user, target) => format!("{user} → {target}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_neither_early_nor_late() {
        assert_eq!(
            [0, 7, 1_256, 12_340, 61_700, 3_599_999, 3_723_000].map(offset),
            ["0:00", "0:00.007", "0:01.256", "0:12.34", "1:01.7", "59:59.999", "1:02:03"]
        );
    }

    #[test]
    fn a_silence_is_told_as_people_count_it() {
        let told = |seconds: u64| span(Duration::from_secs(seconds));
        assert_eq!([0, 119, 120, 7199].map(told), ["0 s", "119 s", "2 min", "119 min"]);
        assert_eq!([7200, 172_799, 172_800].map(told), ["2 h", "47 h", "2 days"]);
    }

    #[test]
    fn times_and_sizes_are_written_as_people_read_them() {
        assert_eq!(
            [0, 12_345, 59_999, 60_000, 3_599_999, 3_723_000].map(clock),
            ["0:00.0", "0:12.3", "0:59.9", "1:00", "59:59", "1:02:03"]
        );
        assert_eq!(
            [0, 1023, 1024, 1536, 52_428_800, u64::MAX].map(size),
            ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "50.0 MiB", "16383.9 PiB"]
        );
        assert_eq!(moment(1_795_356_192_000), "2026-11-22 14:03:12");
        assert_eq!(moment(i64::MAX), "?");
    }
}
