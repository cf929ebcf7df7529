use super::*;
use crate::cast::Exec;
use crate::sys::clock::monotonic;
use std::process::Command;

/// Runs `body` under a trace of this very process and gives what was seen below the child that `body` names.
fn traced(mode: Mode, body: impl FnOnce() -> u32) -> Option<(Vec<Event>, u32)> {
    let (trace, availability) = Trace::start(mode, std::process::id(), monotonic());
    if !matches!(availability.mechanism, "ebpf" | "connector") {
        let text = format!("skipped: {}\n", availability.statement);
        std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes()).unwrap();
        return None;
    }
    if mode == Mode::Auto {
        assert_eq!(availability.mechanism, "ebpf", "{}", availability.statement);
    }
    let pid = body();
    let mut events = Vec::new();
    trace.finish(|event| events.push(event));
    // Other tests of this process run beside: only what is below our child counts.
    let mut below = std::collections::HashSet::from([pid]);
    events.retain(|event| match event {
        Event::Forked { pid, parent, .. } => below.contains(parent) && below.insert(*pid),
        Event::Executed(exec) => below.contains(&exec.pid),
        Event::Ended { pid, .. } => below.contains(pid),
        Event::Lost { .. } => true,
    });
    Some((events, pid))
}

fn shell(script: &str) -> impl FnOnce() -> u32 + '_ {
    move || {
        let mut child = Command::new("/bin/sh").args(["-c", script]).current_dir("/usr").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        pid
    }
}

fn execs(events: &[Event]) -> Vec<&Exec> {
    events.iter().filter_map(|e| if let Event::Executed(exec) = e { Some(exec) } else { None }).collect()
}

#[test]
fn the_kernel_tells_program_arguments_place_and_end() {
    let Some((events, pid)) =
        traced(Mode::Auto, shell("/bin/echo one 'two three' >/dev/null; (exit 3); /bin/false; true"))
    else {
        return;
    };
    let execs = execs(&events);
    let shell = std::fs::canonicalize("/bin/sh").unwrap();
    assert_eq!(execs[0].path, shell.to_str().unwrap());
    let echo = execs.iter().find(|e| e.argv.first().is_some_and(|a| a == "/bin/echo")).unwrap();
    assert_eq!(echo.argv, ["/bin/echo", "one", "two three"]);
    assert_eq!((echo.path.as_str(), echo.cwd.as_str(), echo.ppid), ("/usr/bin/echo", "/usr", pid));
    let ended: Vec<i32> = events
        .iter()
        .filter_map(|e| if let Event::Ended { status, .. } = e { Some(*status) } else { None })
        .collect();
    assert_eq!(ended, [0, 3, 1, 0]);
    assert!(events.iter().all(|e| !matches!(e, Event::Lost { .. })));
}
