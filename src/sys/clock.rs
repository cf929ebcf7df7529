//! Three clocks of the kernel. Refuses to be a hidden input: whoever needs the time is given it by its caller, and
//! only the outermost layer reads it here.

use std::time::Duration;

/// Time since an unspecified start, never set back; stands still while the host is suspended (`CLOCK_MONOTONIC`).
pub fn monotonic() -> Duration {
    read(libc::CLOCK_MONOTONIC)
}

/// Time since the host was started, suspension included (`CLOCK_BOOTTIME`).
pub fn boottime() -> Duration {
    read(libc::CLOCK_BOOTTIME)
}

/// Time since 1970-01-01T00:00:00Z as the host believes it; can be set by anyone who may (`CLOCK_REALTIME`).
/// A clock set before 1970 reads as zero.
pub fn realtime() -> Duration {
    read(libc::CLOCK_REALTIME)
}

fn read(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the kernel to write to. The call fails only for a clock it does not know,
    // and then leaves zero.
    unsafe { libc::clock_gettime(clock, &mut time) };
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_time_does_not_go_back() {
        let times: Vec<_> = (0..1000).map(|_| monotonic()).collect();
        assert!(times.is_sorted() && times[0] > Duration::ZERO);
    }

    #[test]
    fn boot_time_includes_at_least_the_monotonic_time() {
        let before = monotonic();
        assert!(boottime() >= before);
    }

    #[test]
    fn real_time_is_the_wall_clock_of_the_standard_library() {
        let theirs = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert!(realtime().abs_diff(theirs) < Duration::from_secs(5));
    }
}
