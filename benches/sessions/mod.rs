//! What two benches play: a session of a day and one of a gigabyte, as times in milliseconds and what was shown then.

use std::fmt::Write as _;

/// 24 hours, something every two seconds.
pub(crate) fn day() -> impl Iterator<Item = (u64, String)> {
    (0..43_200u64).map(|n| {
        let text = match n % 10 {
            0 => format!("\x1b[2J\x1b[Hscreen {n}\r\n"),
            _ => format!("\x1b[{};{}H\x1b[3{}mfield {n}\x1b[m", n % 24 + 1, n % 60 + 1, n % 8),
        };
        (n * 2000, text)
    })
}

/// 1 GB of a coloured log.
pub(crate) fn log() -> impl Iterator<Item = (u64, String)> {
    let mut line = 0u64;
    (0..250_000u64).map(move |n| {
        let mut text = String::with_capacity(4096);
        while text.len() < 4000 {
            line += 1;
            let _ = write!(
                text,
                "2026-11-25T14:03:{:02}Z \x1b[3{}mworker-{}\x1b[m request {line} took {} ms\r\n",
                n % 60,
                line % 8,
                line % 16,
                line * 7919 % 311
            );
        }
        (n * 4, text)
    })
}
