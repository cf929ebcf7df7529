//! Moments as people write them, for `--since` and `--until`.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Why nothing lies between two moments, and what may have been meant.
pub const NOT_BEFORE: &str = "the first is not before the second";
/// See [`NOT_BEFORE`].
pub const OF_TODAY: &str = "a time without a day, such as `14:03`, is of today, in UTC";

/// Reads a moment, counted from `now`; gives milliseconds since 1970-01-01T00:00:00Z. In UTC, as recordings are named, where it does not say an
/// offset itself. The name of a time zone is refused, and so is all else of which a part would have to be passed over.
///
/// # Errors
/// In words, with the forms that are understood.
pub fn parse(text: &str, now: Timestamp) -> Result<i64, String> {
    let text = text.trim();
    let today = TimeZone::UTC.to_datetime(now).date();
    let utc = |at: DateTime| TimeZone::UTC.to_timestamp(at).ok();
    let midnight = |day: Date| utc(day.to_datetime(Time::midnight()));
    let moment = match text {
        "now" => Some(now),
        "today" => midnight(today),
        "yesterday" => today.yesterday().ok().and_then(midnight),
        text => ago(text, now)
            .or_else(|| offset(text))
            .or_else(|| datetime(text).and_then(utc))
            .or_else(|| date(text).and_then(midnight))
            // With `Z` as the player tells it.
            .or_else(|| {
                let clock = time(text.strip_suffix(['Z', 'z']).unwrap_or(text));
                clock.and_then(|time| utc(today.to_datetime(time)))
            }),
    };
    moment.map(Timestamp::as_millisecond).ok_or_else(|| {
        "not a time: write `2026-11-22`, `2026-11-22 14:03`, `2026-11-22T14:03:12+02:00`, `14:03`, `today`, `yesterday`, `2h ago` or `30d`"
            .to_owned()
    })
}

/// `2h ago`, `30d`, `1w`.
fn ago(text: &str, now: Timestamp) -> Option<Timestamp> {
    let text = text.strip_suffix("ago").unwrap_or(text).trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at_checked(digits)?;
    let seconds = match unit.trim() {
        "s" | "sec" | "second" | "seconds" => 1,
        "m" | "min" | "minute" | "minutes" => 60,
        "h" | "hour" | "hours" => 3600,
        "d" | "day" | "days" => 86_400,
        "w" | "week" | "weeks" => 604_800,
        _ => return None,
    };
    let seconds = number.parse::<i64>().ok()?.checked_mul(seconds)?;
    now.checked_sub(SignedDuration::from_secs(seconds)).ok()
}

/// A date, a time and an offset from UTC. What stands in brackets after it would not be looked at.
fn offset(text: &str) -> Option<Timestamp> {
    if text.contains('[') { None } else { text.parse().ok() }
}

/// A date alone: what stands after it would not be looked at.
fn date(text: &str) -> Option<Date> {
    if text.contains(|c: char| !c.is_ascii_digit() && c != '-') { None } else { text.parse().ok() }
}

fn datetime(text: &str) -> Option<DateTime> {
    let (day, clock) = text.split_once([' ', 'T', 't'])?;
    let clock = clock.strip_suffix(['Z', 'z']).unwrap_or(clock);
    // Without colons it is a time of day only where a date stands before it.
    let clock = time(clock).or_else(|| plain(clock))?;
    Some(date(day)?.to_datetime(clock))
}

/// `14:03`, `14:03:12` or `14:03:12.5`.
fn time(text: &str) -> Option<Time> {
    hours_and_minutes(text).or_else(|| plain(text).filter(|_| text.contains(':')))
}

/// A time of day in one of the forms of ISO 8601, and nothing after it: that would not be looked at.
fn plain(text: &str) -> Option<Time> {
    let other = |c: char| !c.is_ascii_digit() && !":.,".contains(c);
    // Digits alone could be a date as well.
    if text.contains(other) { None } else { format!("T{text}").parse().ok() }
}

/// `9:15`, with one digit or two.
fn hours_and_minutes(text: &str) -> Option<Time> {
    let mut parts = text.split(':').map(|part| part.parse::<i8>().ok());
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = match parts.next() {
        None => 0,
        Some(second) => second?,
    };
    if parts.next().is_some() {
        return None;
    }
    Time::new(hour, minute, second, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_write_them() {
        let now: Timestamp = "2026-11-22T14:03:12Z".parse().unwrap();
        for (text, means) in [
            ("now", "2026-11-22T14:03:12Z"),
            ("2026-11-20", "2026-11-20T00:00:00Z"),
            ("2026-11-20 07:30", "2026-11-20T07:30:00Z"),
            ("2026-11-20T07:30:05Z", "2026-11-20T07:30:05Z"),
            ("2026-11-20T07:30:05+02:00", "2026-11-20T05:30:05Z"),
            ("2026-11-20 07:30+02:00", "2026-11-20T05:30:00Z"),
            ("2026-11-20 07:30:05.5", "2026-11-20T07:30:05.5Z"),
            ("2026-11-20 07:30:05,123", "2026-11-20T07:30:05.123Z"),
            ("2026-11-20 07:30:05,123Z", "2026-11-20T07:30:05.123Z"),
            ("2026-11-20 07", "2026-11-20T07:00:00Z"),
            ("2026-11-20T073005", "2026-11-20T07:30:05Z"),
            // A leap second, which Unix time does not have.
            ("2026-11-20 07:30:60", "2026-11-20T07:30:59Z"),
            ("2026-11-20 7:30", "2026-11-20T07:30:00Z"),
            ("09:15:01.25", "2026-11-22T09:15:01.25Z"),
            ("09:15", "2026-11-22T09:15:00Z"),
            ("09:15Z", "2026-11-22T09:15:00Z"),
            ("09:15:01z", "2026-11-22T09:15:01Z"),
            ("today", "2026-11-22T00:00:00Z"),
            ("yesterday", "2026-11-21T00:00:00Z"),
            ("2h ago", "2026-11-22T12:03:12Z"),
            ("30 minutes ago", "2026-11-22T13:33:12Z"),
            ("30d", "2026-10-23T14:03:12Z"),
            ("1w", "2026-11-15T14:03:12Z"),
        ] {
            let means = means.parse::<Timestamp>().unwrap().as_millisecond();
            assert_eq!(parse(text, now), Ok(means), "{text}");
        }
        for text in [
            "",
            "soon",
            "25:00",
            "0915",
            "0915Z",
            "Z",
            "09:15+02:00",
            "2026-11-20 25:00",
            "2026-11-20 07:30 noon",
            "2026-11-20 07:30[Europe/Berlin]",
            "2026-11-20T07:30:05+01:00[Europe/Berlin]",
            "2026-11-20[Europe/Berlin]",
            "2026-11-20T",
            "2026-11-20Z",
            "2026-13-01",
            "99999999999999999h",
            "-2h",
            "h",
            "1:2:3:4",
            "9223372036854775807w",
        ] {
            assert!(parse(text, now).is_err(), "{text}");
        }
    }
}
