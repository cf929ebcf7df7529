//! Signals that whoever runs the tests ignores: `nohup`, and a shell that is no terminal's for what it runs beside itself. Whatever
//! is started would ignore them too, and a test of what they do would wait for ever.
#![allow(unsafe_code)]

use std::sync::Once;

/// Those whose default is an end, but for SIGPIPE, which is at its default in whatever the standard library starts.
const RESET: [libc::c_int; 13] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGTERM,
    libc::SIGXCPU,
    libc::SIGXFSZ,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGIO,
    libc::SIGPWR,
];

extern "C" fn nothing(_: libc::c_int) {}

/// From here on nothing that is started ignores a signal because we do. We ourselves still do nothing at one: a signal that is caught
/// is at its default in whatever is executed.
pub fn reset() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for signal in RESET {
            // SAFETY: plain data, filled through a pointer to a live local.
            let found = unsafe {
                let mut found: libc::sigaction = std::mem::zeroed();
                libc::sigaction(signal, std::ptr::null(), &mut found);
                found.sa_sigaction
            };
            if found == libc::SIG_IGN {
                let handler: extern "C" fn(libc::c_int) = nothing;
                // SAFETY: the handler touches nothing.
                unsafe { libc::signal(signal, handler as libc::sighandler_t) };
            }
        }
    });
}
