//! Sizes and durations as people write them in a configuration.

use std::time::Duration;

/// A size in bytes: `64MiB`, `512 kB`, `1.5GiB`, `0`. Binary units are powers of 1024, decimal ones of 1000; a number
/// without a unit is bytes.
///
/// # Errors
/// In words, what was expected.
pub(super) fn size(text: &str) -> Result<u64, String> {
    const UNITS: &[(&str, u64)] = &[
        ("", 1),
        ("B", 1),
        ("kB", 1_000),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
    ];
    let expected = || "a size such as \"64MiB\" or \"2GB\" is expected".to_owned();
    let (number, unit) = split(text);
    let scale = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(expected)?.1;
    scaled(number, scale).ok_or_else(expected)
}

/// A duration: `1s`, `250ms`, `2m`, `1h`. A unit is needed.
///
/// # Errors
/// In words, what was expected.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: &[(&str, u64)] =
        &[("ms", 1), ("s", 1_000), ("m", 60_000), ("min", 60_000), ("h", 3_600_000)];
    let expected = || "a duration such as \"1s\" or \"250ms\" is expected".to_owned();
    let (number, unit) = split(text);
    let scale = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(expected)?.1;
    scaled(number, scale).map(Duration::from_millis).ok_or_else(expected)
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

/// `number` times `scale`, with at most three digits after the point; `None` when it is no number or too large.
fn scaled(number: &str, scale: u64) -> Option<u64> {
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || part.is_empty() || part.len() > 3 {
        return None;
    }
    let thousandths = part
        .parse::<u64>()
        .ok()?
        .checked_mul(10_u64.pow(3_u32.checked_sub(u32::try_from(part.len()).ok()?)?))?;
    let whole = whole.parse::<u64>().ok()?.checked_mul(scale)?;
    whole.checked_add(u64::try_from(u128::from(thousandths) * u128::from(scale) / 1000).ok()?)
}

/// A size in the largest binary unit that shows it whole.
pub(super) fn size_text(bytes: u64) -> String {
    for (name, shift) in [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if bytes > 0 && bytes.trailing_zeros() >= shift {
            return format!("{}{name}", bytes >> shift);
        }
    }
    bytes.to_string()
}

/// A duration in seconds, where it has no fraction of one, else in milliseconds.
pub fn duration_text(duration: Duration) -> String {
    match duration.as_millis() {
        ms if ms == 0 || ms % 1000 != 0 => format!("{ms}ms"),
        ms => format!("{}s", ms / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("64MiB", 64 << 20),
            ("512 kB", 512_000),
            ("1.5GiB", 3 << 29),
            ("0", 0),
            ("4096", 4096),
            ("7B", 7),
            ("0.001kB", 1),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for wrong in [
            "",
            "MiB",
            "64 mib",
            "1..5MiB",
            "-1",
            "1e6",
            "99999999TiB",
            "1.5.",
            ".5MiB",
            "18446744073709551616",
        ] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("1s"), Ok(Duration::from_secs(1)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1.5 h"), Ok(Duration::from_secs(5400)));
        for wrong in ["1", "s", "1d", "-1s", "1 s s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_shown_is_read_back() {
        for bytes in [0, 1, 1023, 1024, 64 << 20, (64 << 20) + 1, 3 << 40] {
            assert_eq!(size(&size_text(bytes)), Ok(bytes));
        }
        for ms in [0, 1, 999, 1000, 1001, 60_000] {
            let d = Duration::from_millis(ms);
            assert_eq!(duration(&duration_text(d)), Ok(d));
        }
    }
}
