//! How times of a session are written. How they are read is up to who reads: a configuration wants units, a player takes less.

use std::time::Duration;

/// `0:12`, `41:07`, `1:02:03`.
pub fn short(time: Duration) -> String {
    let secs = time.as_secs();
    let (hours, minutes, secs) = (secs / 3600, secs / 60 % 60, secs % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{secs:02}") } else { format!("{minutes}:{secs:02}") }
}

/// [`short`] with tenths.
pub fn tenths(time: Duration) -> String {
    format!("{}.{}", short(time), time.subsec_millis() / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_people_read_them() {
        assert_eq!(short(Duration::from_secs(12)), "0:12");
        assert_eq!(short(Duration::from_secs(3723)), "1:02:03");
        assert_eq!(tenths(Duration::from_millis(12_480)), "0:12.4");
    }
}
