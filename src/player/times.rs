//! Times as people read and write them: offsets into the session, and the wall clock in UTC.

use crate::replay::Outline;
pub(super) use crate::text::clock::{short, tenths};
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use std::time::Duration;

/// `14:03:24Z`, from milliseconds since 1970-01-01T00:00:00Z.
pub(super) fn clock(utc: i64) -> Option<String> {
    Some(Timestamp::from_millisecond(utc).ok()?.strftime("%H:%M:%SZ").to_string())
}

/// `2026-11-22 14:03:12Z`.
pub(super) fn date(utc: i64) -> Option<String> {
    Some(Timestamp::from_millisecond(utc).ok()?.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

/// A time that somebody asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Where that is, within the recording.
    pub at: Duration,
    /// That the recording does not reach to what was asked for, in words: what is meant may be in another one.
    pub outside: Option<String>,
    /// That a clock that was set back showed it again later, in words.
    pub again: Option<String>,
}

impl Asked {
    /// What there is to say of it.
    pub fn told(self) -> Option<String> {
        self.outside.or(self.again)
    }
}

/// A time as typed: an offset (`90`, `90s`, `5m`, `1h`, `6:39`, `1:02:03.5`), a step (`+30`, `-1m`), a part (`50%`), or a
/// wall clock in UTC (`14:05Z`, `@14:05`, `2026-11-22 14:05:10`) or, with a date, at an offset from it
/// (`2026-11-22 15:05+01:00`).
///
/// # Errors
/// One line that says what can be typed.
pub(super) fn parse(text: &str, now: Duration, outline: &Outline) -> Result<Asked, String> {
    let text = text.trim();
    let wrong = || {
        format!(
            "`{}` is no time: 6:39, 90s, +30, 50%, 14:05Z or 2026-11-22 14:05",
            crate::text::escaped(text)
        )
    };
    let end = outline.duration();
    let within = |at: Duration| {
        let outside = (at > end).then(|| format!("it ends at {}, before {}", tenths(end), tenths(at)));
        Asked { at: at.min(end), outside, again: None }
    };
    if let Some(step) = text.strip_prefix('+') {
        Ok(within(now.saturating_add(offset(step).ok_or_else(wrong)?)))
    } else if let Some(step) = text.strip_prefix('-') {
        let step = offset(step).ok_or_else(wrong)?;
        let outside = (step > now).then(|| format!("it begins at 0:00, {} back", tenths(now)));
        Ok(Asked { at: now.saturating_sub(step).min(end), outside, again: None })
    } else if let Some(part) = text.strip_suffix('%') {
        let part: f64 = part.trim().parse().map_err(|_| wrong())?;
        if !(0.0..=100.0).contains(&part) {
            return Err(wrong());
        }
        Ok(within(end.mul_f64(part / 100.0).min(end)))
    } else if text.starts_with('@') || text.ends_with('Z') || text.contains('-') {
        let unknown = "the wall clock of this recording is not known";
        let began = outline.began().ok_or(unknown)?;
        let ended = outline.wall(end).ok_or(unknown)?;
        let utc = wall(text.strip_prefix('@').unwrap_or(text), began, ended).ok_or_else(wrong)?;
        let at = outline.at_wall(utc).ok_or(unknown)?;
        let outside = if utc < minute(began) && at.is_zero() {
            Some(format!("it began at {}", told("after", began, utc)))
        } else {
            (at > end).then(|| format!("it ends at {}", told("before", ended, utc)))
        };
        Ok(Asked { at: at.min(end), outside, again: again(outline, utc) })
    } else {
        Ok(within(offset(text).ok_or_else(wrong)?))
    }
}

/// [`parse`], of the time to begin at: without a moment from which a step back could lead, it leads back from the end.
///
/// # Errors
/// [`parse`]'s.
pub fn parse_first(text: &str, outline: &Outline) -> Result<Asked, String> {
    let back = text.trim_start().starts_with('-');
    parse(text, if back { outline.duration() } else { Duration::ZERO }, outline)
}

/// More than a network's corrections set a clock back: moments nearer to each other are one.
const CORRECTED: Duration = Duration::from_secs(2);

/// That the clock showed this more than once, in words.
fn again(outline: &Outline, utc: i64) -> Option<String> {
    let mut shown = outline.shown_at(utc);
    let first = shown.next()?;
    let other = shown.find(|at| at.saturating_sub(first) > CORRECTED)?;
    Some(format!("the clock showed this twice: also at {}", tenths(other)))
}

/// Two moments, in words; with their dates where these are not the same.
fn told(word: &str, is: i64, asked: i64) -> String {
    let day = |utc: i64| utc.div_euclid(DAY);
    let shown = |utc| if day(is) == day(asked) { clock(utc) } else { date(utc) };
    let shown = |utc| shown(utc).unwrap_or_else(|| "?".to_owned());
    format!("{}, {word} {}", shown(is), shown(asked))
}

/// Milliseconds of a day.
const DAY: i64 = 24 * 3600 * 1000;

/// The minute in which it began belongs to it: people leave seconds out.
fn minute(began: i64) -> i64 {
    began.saturating_sub(began.rem_euclid(60_000))
}

/// Seconds, with a unit, or with colons.
fn offset(text: &str) -> Option<Duration> {
    let text = text.trim();
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) if text.ends_with('h') => (number, 3600.0),
        Some(number) if text.ends_with('m') => (number, 60.0),
        Some(number) => (number, 1.0),
        None => (text, 1.0),
    };
    let mut secs = 0.0;
    if number.split(':').count() > 3 {
        return None;
    }
    for part in number.split(':') {
        let part: f64 = part.parse().ok().filter(|part: &f64| part.is_finite() && *part >= 0.0)?;
        secs = secs * 60.0 + part;
    }
    Duration::try_from_secs_f64(secs * unit).ok()
}

/// Milliseconds since 1970 of a wall clock. A bare time of day is that of the day on which the recording began, or of the next one
/// where only that one lies within. A zone by name, and an offset without a date, are refused: whoever writes one must not get
/// another time.
fn wall(text: &str, began: i64, ended: i64) -> Option<i64> {
    let text = text.trim();
    if text.contains('[') {
        return None;
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at.as_millisecond());
    }
    let text = text.strip_suffix('Z').unwrap_or(text);
    // Civil times are read with an offset behind them, too, which would be passed over.
    let plain = |clock: &str| clock.bytes().all(|byte| byte.is_ascii_digit() || b":.,".contains(&byte));
    let clock = text.split_once([' ', 'T', 't']).map(|(_, clock)| clock);
    if text.contains('+') || clock.is_some_and(|clock| !plain(clock)) {
        return None;
    }
    let full = |text: &str| text.parse::<civil::DateTime>().ok();
    if let Some(at) = full(text).or_else(|| full(&text.replace(' ', "T"))) {
        return Some(at.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp().as_millisecond());
    }
    if !plain(text) {
        return None;
    }
    let padded = if text.split(':').next()?.len() == 1 { format!("0{text}") } else { text.to_string() };
    let time: civil::Time = padded.parse().ok()?;
    let day = Timestamp::from_millisecond(began).ok()?.to_zoned_datetime(TimeZone::UTC).date();
    let at = day.to_datetime(time).to_zoned_datetime(TimeZone::UTC).ok()?.timestamp().as_millisecond();
    Some(if at < minute(began) && at + DAY <= ended { at + DAY } else { at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cast::Anchor;
    use crate::replay::Span;

    fn outline() -> Outline {
        // 2026-11-22T14:03:12Z.
        let utc = 1_795_356_192_000;
        Outline {
            utc: Some(utc),
            anchors: vec![Anchor { at: 0, utc, boot: 0 }],
            spans: vec![Span { end: Duration::from_secs(7200), ..Span::default() }],
            ..Outline::default()
        }
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        let now = Duration::from_secs(100);
        for (text, secs) in [
            ("90", 90.0),
            ("90s", 90.0),
            ("5m", 300.0),
            ("1h", 3600.0),
            ("6:39", 399.0),
            ("1:02:03.5", 3723.5),
            ("+30", 130.0),
            ("-1m", 40.0),
            ("-1h", 0.0),
            ("50%", 3600.0),
            ("9:99:99", 7200.0),
            ("14:05Z", 108.0),
            ("@14:05:00", 108.0),
            ("2026-11-22 15:03:12", 3600.0),
            ("2026-11-22T15:03:12Z", 3600.0),
            ("2026-11-22 16:03:12.5+01:00", 3600.5),
            ("@2026-11-22T13:05-01:00", 108.0),
            ("2026-11-22 14:05:00,5", 108.5),
            ("2026-11-22", 0.0),
        ] {
            let asked = parse(text, now, &outline()).map(|asked| asked.at);
            assert_eq!(asked, Ok(Duration::from_millis((secs * 1000.0) as u64)), "{text}");
        }
        for text in ["", "x", "1:-2", "1:2:3:4", "101%", "25:99Z", "1e400", "NaN"].into_iter().chain([
            "@15:05:00+01:00",
            "15:05:00+01:00Z",
            "15:05-01",
            "@15:05:00+0100",
            "@15:05[Europe/Berlin]",
            "2026-11-22 15:05[Europe/Berlin]",
            "2026-11-22 15:05:00+01:00[Europe/Berlin]",
            "@1505+01",
            "1505-01",
            "2026-11-22+01:00",
            "2026-11-22-01:00",
            "2026-11-22 15:05 Z",
        ]) {
            assert!(parse(text, now, &outline()).is_err(), "{text}");
        }
    }

    #[test]
    fn whoever_begins_with_a_step_back_means_the_end_from_which_it_leads() {
        let outline = outline();
        let first = |text| {
            let asked = parse_first(text, &outline).unwrap();
            (asked.at.as_secs(), asked.outside)
        };
        let before = Some("it begins at 0:00, 2:00:00.0 back".to_owned());
        for (text, secs, outside) in [
            ("-1m", 7140, None),
            (" -90", 7110, None),
            ("-2h", 0, None),
            ("-3h", 0, before),
            ("+1m", 60, None),
            ("6:39", 399, None),
            ("2026-11-22 15:03:12", 3600, None),
        ] {
            assert_eq!(first(text), (secs, outside), "{text}");
        }
        assert!(parse_first("-x", &outline).is_err());
    }

    #[test]
    fn what_lies_outside_is_told_and_the_nearest_is_given() {
        // Two hours from 14:03:12Z on; the header is signed some seconds before the clock starts.
        let outline = Outline { utc: Some(1_795_356_183_000), ..outline() };
        let now = Duration::from_secs(100);
        for (text, secs, outside) in [
            ("99:00:00", 7200, Some("it ends at 2:00:00.0, before 99:00:00.0")),
            ("2:00:00", 7200, None),
            ("+2h", 7200, Some("it ends at 2:00:00.0, before 2:01:40.0")),
            ("-100", 0, None),
            ("-1h", 0, Some("it begins at 0:00, 1:40.0 back")),
            ("100%", 7200, None),
            ("23:59Z", 7200, Some("it ends at 16:03:12Z, before 23:59:00Z")),
            ("16:03:12Z", 7200, None),
            // Not of the next day, which it does not reach.
            ("12:00Z", 0, Some("it began at 14:03:03Z, after 12:00:00Z")),
            ("14:02:59Z", 0, Some("it began at 14:03:03Z, after 14:02:59Z")),
            ("14:03Z", 0, None),
            ("14:03:12Z", 0, None),
            ("14:03:13Z", 1, None),
            ("2026-11-20 00:00", 0, Some("it began at 2026-11-22 14:03:03Z, after 2026-11-20 00:00:00Z")),
            ("2026-11-23T00:00Z", 7200, Some("it ends at 2026-11-22 16:03:12Z, before 2026-11-23 00:00:00Z")),
        ] {
            let asked = parse(text, now, &outline).unwrap();
            assert_eq!((asked.at.as_secs(), asked.outside.as_deref()), (secs, outside), "{text}");
        }
        let night = Outline {
            spans: vec![Span { end: Duration::from_secs(12 * 3600), ..Span::default() }],
            ..outline
        };
        let asked = parse("1:03:12Z", now, &night).unwrap();
        assert_eq!((asked.at, asked.outside), (Duration::from_secs(11 * 3600), None), "of the next day");
        let lying = Outline { utc: Some(i64::MIN), ..Outline::default() };
        assert!(parse("12:00Z", now, &lying).is_err());
    }

    #[test]
    fn what_a_clock_that_was_set_back_showed_is_not_outside() {
        // 16:04:10Z; three hours back after three seconds.
        let utc = 1_795_363_450_000;
        let outline = Outline {
            utc: Some(utc),
            anchors: vec![
                Anchor { at: 0, utc, boot: 0 },
                Anchor { at: 3_000, utc: utc + 3_000 - 3 * 3_600_000, boot: 0 },
            ],
            spans: vec![Span { end: Duration::from_secs(7), ..Span::default() }],
            ..Outline::default()
        };
        for (text, secs, outside) in [
            ("16:04:11Z", 1, None),
            ("13:04:13Z", 3, None),
            ("13:04:16Z", 6, None),
            ("16:04Z", 0, None),
            ("13:04:12Z", 0, Some("it began at 16:04:10Z, after 13:04:12Z")),
            ("16:04:15Z", 7, Some("it ends at 13:04:17Z, before 16:04:15Z")),
        ] {
            let asked = parse(text, Duration::ZERO, &outline).unwrap();
            assert_eq!((asked.at.as_secs(), asked.outside.as_deref()), (secs, outside), "{text}");
        }
    }

    #[test]
    fn times_are_written_as_people_read_them() {
        assert_eq!(clock(1_795_356_192_000).as_deref(), Some("14:03:12Z"));
        assert_eq!(date(1_795_356_192_000).as_deref(), Some("2026-11-22 14:03:12Z"));
        assert_eq!(date(i64::MAX), None);
    }
}
