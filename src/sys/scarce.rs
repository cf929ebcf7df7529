//! What the kernel offers, and has none left of at the moment: memory, processes, descriptors, room.
//!
//! Whoever starts us may have chosen that, by a control group of his own. A host that is busy has more in a moment.

use super::poll::Set;
use std::time::Duration;

/// How often something is tried that there may be more of in a moment…
const TRIES: u32 = 20;
/// …and how long after one another.
const PAUSE: Duration = Duration::from_millis(50);

/// Whether this error of the kernel says that what was asked for is to be had here, and nothing is left of it at the moment: not that
/// it is not known, or not allowed.
pub fn is_scarce(errno: i32) -> bool {
    [libc::EAGAIN, libc::ENOMEM, libc::ENOSPC, libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::EDQUOT]
        .contains(&errno)
}

/// Tries it until there was enough for it, for a second at most. Gives what came of the last try.
pub fn insist<T>(mut attempt: impl FnMut() -> T, is_scarce: impl Fn(&T) -> bool) -> T {
    for _ in 1..TRIES {
        let came = attempt();
        if !is_scarce(&came) {
            return came;
        }
        // It gives back what it took.
        drop(came);
        if Set::default().wait(Some(PAUSE)).is_err() {
            break;
        }
    }
    attempt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_scarce_is_tried_again_and_not_for_ever_and_what_is_refused_is_not() {
        let tried = |answers: &[i32]| {
            let mut tried = 0;
            let came = insist(
                || {
                    let answer = answers.get(tried).copied().unwrap_or(libc::EAGAIN);
                    tried += 1;
                    if answer == 0 { Ok(7) } else { Err(answer) }
                },
                |came| came.is_err_and(is_scarce),
            );
            (came, tried)
        };
        assert_eq!(tried(&[0]), (Ok(7), 1));
        assert_eq!(tried(&[libc::EAGAIN, libc::ENOMEM, libc::EMFILE, 0]), (Ok(7), 4));
        for refused in [libc::EPERM, libc::EACCES, libc::ENOSYS, libc::EINVAL, libc::ENOENT, libc::E2BIG] {
            assert_eq!(tried(&[libc::ENFILE, refused]), (Err(refused), 2));
        }
        assert_eq!(tried(&[]), (Err(libc::EAGAIN), 20));
    }
}
