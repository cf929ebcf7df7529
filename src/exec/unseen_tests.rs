//! What a trace does not see, and whether that is said: what is too long or has no room, where it may not look, what others start.

use super::*;

#[test]
fn what_is_too_long_is_said_to_be_cut() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!(
        "/bin/true $(head -c 30000 /dev/zero | tr '\\0' x); cd {}; i=0
        while [ $i -lt 60 ]; do mkdir d; cd d; i=$((i+1)); [ $i != 40 ] || {{ cp /bin/true .; ./true whole; }}; done
        /bin/true deep; cp /bin/true .; ./true both",
        dir.path().display()
    );
    let Some((events, _)) = traced(Mode::Auto, shell(&script)) else { return };
    let all = execs(&events);
    let long = all.iter().find(|e| e.argv.get(1).is_some_and(|a| a.starts_with("xxx"))).unwrap();
    assert_eq!(long.argv.len(), 3);
    assert!(long.argv[2].starts_with("… ") && long.argv[2].ends_with(" more bytes"), "{}", long.argv[2]);
    let deep = all.iter().find(|e| e.argv == ["/bin/true", "deep"]).unwrap();
    assert!(deep.cwd.starts_with("…/d/d/d") && deep.cwd.len() > 80, "{}", deep.cwd);
    let both = all.iter().find(|e| e.argv == ["./true", "both"]).unwrap();
    assert_eq!(
        both.path,
        format!("{}/true", deep.cwd.strip_prefix("…/d").map(|rest| format!("…{rest}")).unwrap())
    );
    assert_eq!(both.cwd, deep.cwd);
    let whole = all.iter().find(|e| e.argv == ["./true", "whole"]).unwrap();
    let place = format!("{}{}", std::fs::canonicalize(dir.path()).unwrap().display(), "/d".repeat(40));
    assert_eq!((&whole.path, &whole.cwd), (&format!("{place}/true"), &place));
}

/// Runs `script`, a user of `$TAMPER`, as [`followed`] does. What the script printed, and what was seen.
fn tampered(script: &str) -> Option<(String, Vec<Event>)> {
    if !has("python3", "-V") {
        return None;
    }
    let (mut child, trace) = followed(Mode::Auto, &format!("read go; {script}"))?;
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let said = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    Some((said, all(trace)))
}

#[test]
fn a_process_that_root_takes_off_the_list_from_within_the_kernel_is_missed() {
    let Some((said, events)) = tampered("python3 $TAMPER take $$; /bin/true unseen") else { return };
    assert_eq!(said, "gone\n", "{events:?}");
    assert!(!execs(&events).iter().any(|exec| exec.argv == ["/bin/true", "unseen"]), "{events:?}");
    let taken = |event: &&Event| matches!(event, Event::Lost { count: 1, why: "taken" });
    assert_eq!(events.iter().filter(taken).count(), 1, "{events:?}");
}

#[test]
fn a_process_for_which_the_list_has_no_room_is_counted() {
    let sleeps = "for n in 1 2 3 4 5 6 7 8; do /bin/sleep 0.2 & done; wait";
    let Some((said, events)) = tampered(&format!("python3 $TAMPER fill $$; {sleeps}")) else { return };
    assert_eq!(said, "full\n", "{events:?}");
    let seen = execs(&events).iter().filter(|exec| exec.path == "/usr/bin/sleep").count() as u64;
    let full = |event: &Event| if let Event::Lost { count, why: "full" } = event { *count } else { 0 };
    let lost: u64 = events.iter().map(full).sum();
    assert_eq!((lost + seen, lost > 0), (8, true), "{lost} lost, {seen} seen: {events:?}");
}

#[test]
fn no_process_can_be_taken_off_the_list_by_a_system_call() {
    if !has("bpftool", "version") {
        return;
    }
    // By number: other tests of this program have maps of the same names at the same time.
    let script = "for id in $(bpftool map list | sed -n 's/^\\([0-9]*\\):.*name sc_[fcw].*/\\1/p'); do \
        for key in 00 01; do bpftool map delete id $id key hex $key 00 00 00 2>&1; done; \
        bpftool map update id $id key hex 01 00 00 00 value hex 01 00 00 00 2>&1; done; /bin/true after";
    let mut said = String::new();
    let body = || {
        let child = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let pid = child.id();
        said = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        pid
    };
    let Some((events, _)) = traced(Mode::Auto, body) else { return };
    let after = execs(&events).into_iter().find(|exec| exec.argv == ["/bin/true", "after"]);
    assert_eq!(after.map(|exec| &*exec.path), Some("/usr/bin/true"), "{events:?}");
    assert!(said.contains("Operation not permitted"), "{said}");
    assert!(!said.contains("deleted"), "{said}");
}

#[test]
fn switched_off_it_says_so_and_sees_nothing() {
    let (trace, availability) = Trace::start(Mode::Off, std::process::id(), monotonic());
    assert_eq!(availability.mechanism, Mechanism::Off);
    shell("true")();
    trace.finish(|event| panic!("{event:?}"));
}

/// Run by the test below, without any rights.
#[test]
#[ignore = "a part of `without_rights_the_statement_tells_why`"]
fn says_what_is_available() {
    let (_trace, availability) = Trace::start(Mode::Auto, std::process::id(), monotonic());
    std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("said: {availability:?}\n")).unwrap();
}

/// What is available to this program when another starts it. `None`, with the reason said, where that one is missing, or may not.
fn said_below(mut starter: Command) -> Option<String> {
    starter.arg(std::env::current_exe().unwrap());
    starter.args(["--ignored", "--exact", "--nocapture", "exec::tests::unseen::says_what_is_available"]);
    let output = match starter.output() {
        Ok(output) => output,
        Err(error) => {
            skipped(&format!("{:?}: {error}", starter.get_program()));
            return None;
        }
    };
    let [harness, said] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    if !harness.contains("running ") {
        skipped(&format!("{:?}: {said}", starter.get_program()));
        return None;
    }
    assert!(harness.contains("1 passed"), "{harness}{said}");
    Some(said)
}

#[test]
fn without_rights_the_statement_tells_why() {
    let mut starter = Command::new("setpriv");
    starter.args(["--inh-caps=-all", "--bounding-set=-all"]);
    let Some(said) = said_below(starter) else { return };
    assert!(said.contains("eBPF: cannot make a kernel map sc_followed: Operation not permitted"), "{said}");
    // Newer kernels let anybody listen to process events.
    let refused = said
        .contains("process events: cannot listen to the kernel's process events: Operation not permitted");
    assert_eq!(refused, said.contains("mechanism: None"), "{said}");
}

#[test]
fn in_another_pid_namespace_nothing_is_claimed() {
    // There the kernel takes the wish to listen to process events, and never answers.
    let mut starter = Command::new("unshare");
    starter.args(["--pid", "--fork", "--mount-proc"]);
    let Some(said) = said_below(starter) else { return };
    assert!(said.contains("mechanism: None"), "{said}");
    // In a container without rights over the host the user namespace is another one too, and may be asked for first.
    for mechanism in ["eBPF", "process events"] {
        let told = ["pid", "user"]
            .map(|kind| said.contains(&format!("{mechanism}: not in the first {kind} namespace")));
        assert!(told.contains(&true), "{mechanism}: {said}");
    }
}

/// As the documentation says of at, cron, systemd-run and container daemons: what somebody else starts is not seen. The real ones
/// are asked in `tests/escapes.rs`.
#[test]
fn what_a_daemon_starts_on_request_escapes() {
    let dir = tempfile::tempdir().unwrap();
    let (fifo, done) = (dir.path().join("fifo"), dir.path().join("done"));
    let script = format!(
        "mkfifo {0}; read order <{0}; /bin/true by daemon; echo >{1}",
        fifo.display(),
        done.display()
    );
    let mut daemon = Command::new("sh").args(["-c", &script]).spawn().unwrap();
    let asks = format!(
        "read start; /bin/echo please >{0}; while ! [ -e {1} ]; do /bin/sleep 0.02; done",
        fifo.display(),
        done.display()
    );
    let mut client = Command::new("sh").args(["-c", &asks]).stdin(Stdio::piped()).spawn().unwrap();
    let (trace, availability) = Trace::start(Mode::Auto, client.id(), monotonic());
    assert!(eventually(|| fifo.exists()), "no {}", fifo.display());
    std::io::Write::write_all(client.stdin.as_mut().unwrap(), b"go\n").unwrap();
    client.wait().unwrap();
    daemon.wait().unwrap();
    let events = all(trace);
    if availability.mechanism != Mechanism::Ebpf {
        skipped(&availability.statement);
        return;
    }
    let argvs: Vec<String> = execs(&events).iter().map(|e| e.argv.join(" ")).collect();
    assert!(argvs.contains(&"/bin/echo please".to_string()), "{argvs:?}");
    assert!(!argvs.contains(&"/bin/true by daemon".to_string()), "{argvs:?}");
}
