//! What a trace sees of what is executed, by real programs.

use super::*;
use crate::cast::Exec;
use crate::sys::clock::monotonic;
use crate::sys::{DEADLINE, eventually, skipped};
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};

#[path = "unseen_tests.rs"]
mod unseen;

/// All that has been seen, once its thread has come to now: at the end of a session it is not waited for that long.
fn all(trace: Trace) -> Vec<Event> {
    let now = monotonic();
    assert!(eventually(|| trace.through() >= now), "the trace does not get on");
    let mut events = Vec::new();
    trace.finish(|event| events.push(event));
    events
}

/// Runs `body` under a trace of this very process and gives what was seen below the child that `body` names.
fn traced(mode: Mode, body: impl FnOnce() -> u32) -> Option<(Vec<Event>, u32)> {
    let (trace, availability) = Trace::start(mode, std::process::id(), monotonic());
    if !matches!(availability.mechanism, Mechanism::Ebpf | Mechanism::Connector) {
        skipped(&availability.statement);
        return None;
    }
    if mode == Mode::Auto {
        assert_eq!(availability.mechanism, Mechanism::Ebpf, "{}", availability.statement);
    }
    let pid = body();
    let mut events = all(trace);
    // Other tests of this process run beside: only what is below our child counts.
    let mut below = std::collections::HashSet::from([pid]);
    events.retain(|event| match event {
        Event::Forked { pid, parent, .. } => below.contains(parent) && below.insert(*pid),
        Event::Executed(exec) => below.contains(&exec.pid),
        Event::Ended { pid, .. } => below.contains(pid),
        Event::Lost { .. } => true,
        Event::Left { .. } => false,
    });
    Some((events, pid))
}

/// Whether there is such a program, which only tells its version; a test of one that is not says so and passes.
fn has(program: &str, version: &str) -> bool {
    let has = Command::new(program).arg(version).output().is_ok_and(|output| output.status.success());
    if !has {
        skipped(&format!("there is no {program}"));
    }
    has
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

/// A shell in `/usr`, followed by a trace of it and of nothing else; its script must wait for a line before it does anything.
/// `$TAMPER` is the program of `fixtures/exec/tamper.py`. `None`, with the reason said, where the kernel cannot be asked.
fn followed(mode: Mode, script: &str) -> Option<(Child, Trace)> {
    let mut child = Command::new("sh")
        .args(["-c", &format!("echo; {script}")])
        .env("TAMPER", concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/exec/tamper.py"))
        .current_dir("/usr")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Only then is its own start over, and nothing of it told.
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let (trace, availability) = Trace::start(mode, child.id(), monotonic());
    if availability.mechanism == if mode == Mode::Connector { Mechanism::Connector } else { Mechanism::Ebpf }
    {
        return Some((child, trace));
    }
    skipped(&availability.statement);
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

#[test]
fn the_kernel_tells_program_arguments_place_and_end() {
    let script = "/bin/echo one 'two three' >/dev/null; (exit 3); /bin/false; true";
    let Some((mut child, trace)) = followed(Mode::Auto, &format!("read go; exec /bin/sh -c \"{script}\""))
    else {
        return;
    };
    let pid = child.id();
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    child.wait().unwrap();
    let events = all(trace);
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

/// Ten times five hundred, each after the last were told: half of what the kernel keeps for a reader that is held up, however long.
#[test]
fn nothing_is_missed_in_a_loop_of_5000_programs() {
    let script = "while read go; do i=0; while [ $i -lt 500 ]; do /bin/true; i=$((i+1)); done; done";
    let Some((mut child, trace)) = followed(Mode::Auto, script) else { return };
    let mut stdin = child.stdin.take().unwrap();
    let mut events = Vec::new();
    let count = |events: &[Event], wanted: fn(&Event) -> bool| events.iter().filter(|e| wanted(e)).count();
    for turn in 1..=10 {
        stdin.write_all(b"go\n").unwrap();
        let told = eventually(|| {
            trace.drain(|event| events.push(event));
            count(&events, |e| matches!(e, Event::Ended { .. })) >= turn * 500
        });
        assert!(told, "{} events in turn {turn}; the last: {:?}", events.len(), events.last());
    }
    drop(stdin);
    child.wait().unwrap();
    trace.finish(|event| events.push(event));
    assert_eq!(execs(&events).len(), 5000);
    assert_eq!(count(&events, |e| matches!(e, Event::Forked { .. })), 5000);
    assert_eq!(count(&events, |e| matches!(e, Event::Ended { .. })), 5001, "the programs and the shell");
    assert_eq!(count(&events, |e| matches!(e, Event::Lost { .. })), 0);
}

#[test]
fn parallel_programs_are_counted_as_strace_counts_them() {
    if !has("strace", "-V") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let script = "seq 120 | xargs -P 8 -n 1 sh -c '/bin/true; /bin/echo $0 >/dev/null; exec /bin/true'";
    let body = || {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-e", "trace=execve,execveat", "-e", "status=successful", "-o"]).arg(&log);
        let mut child = strace.args(["sh", "-c", script]).spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        pid
    };
    let Some((events, _)) = traced(Mode::Auto, body) else { return };
    let text = std::fs::read_to_string(log).unwrap();
    let theirs = text.lines().filter(|line| line.contains("= 0")).count();
    // strace itself is below our child as well.
    assert!(theirs > 480, "{theirs}");
    assert_eq!(execs(&events).len(), theirs + 1);
}

#[test]
fn programs_in_memory_scripts_and_pipes_are_seen() {
    let memfd = r#"perl -e 'use IO::Handle; $n="ghost"; $fd=syscall(319,$n,0); open(F,">&=",$fd); binmode F; open(T,"<","/bin/true");
        local $/; print F <T>; F->flush; $f="/proc/$$/fd/$fd"; exec {$f} "ghost","arg"'"#;
    let Some((events, _)) = traced(Mode::Auto, shell(memfd)) else { return };
    let ghost = execs(&events).into_iter().find(|e| e.argv == ["ghost", "arg"]).cloned();
    let paths: Vec<&str> = execs(&events).iter().map(|e| e.path.as_str()).collect();
    assert_eq!(ghost.map(|e| e.path).as_deref(), Some("/memfd:ghost (deleted)"), "{paths:?}");

    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("x.sh");
    // Written by the shell: what is open for writing here, a process that another test just starts may still have open.
    let run = format!(
        "printf '#!/bin/sh -e\\nid -u >/dev/null\\n' >{0}; chmod +x {0}; {0} one
        echo aWQgLWcgPi9kZXYvbnVsbAo= | base64 -d | sh",
        script.display()
    );
    let (events, _) = traced(Mode::Auto, shell(&run)).unwrap();
    let argvs: Vec<String> = execs(&events).iter().map(|e| e.argv.join(" ")).collect();
    assert!(argvs.contains(&format!("/bin/sh -e {} one", script.display())), "{argvs:?}");
    for wanted in ["id -u", "base64 -d", "sh", "id -g"] {
        assert!(argvs.iter().any(|a| a == wanted), "{wanted}: {argvs:?}");
    }
}

#[test]
fn other_roots_namespaces_and_users_hide_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().display();
    let script = format!(
        "chmod 755 {at}; cp /bin/true {at}/suid; chmod 4755 {at}/suid; mkdir {at}/root
        setpriv --reuid 65534 --clear-groups {at}/suid
        unshare -m sh -c 'mount --bind / {at}/root && chroot {at}/root /bin/true in chroot'
        unshare -pf --mount-proc sh -c '/bin/true in pid namespace; exit 3'
        (setsid sh -c '(/bin/true double fork; echo >{at}/forked) &' &)
        i=0; until [ -e {at}/forked ] || [ $i -ge 1000 ]; do i=$((i+1)); /bin/sleep 0.02; done"
    );
    let Some((events, _)) = traced(Mode::Auto, shell(&script)) else { return };
    let find = |argv: &str| {
        let all: Vec<String> = execs(&events).iter().map(|e| e.argv.join(" ")).collect();
        execs(&events)
            .into_iter()
            .find(|e| e.argv.join(" ") == argv)
            .unwrap_or_else(|| panic!("{argv}: {all:?}"))
            .clone()
    };
    let suid = find(&format!("{at}/suid"));
    assert_eq!((suid.uid, suid.euid), (65534, 0));
    assert_eq!(find("/bin/true in chroot").path, format!("{at}/root/usr/bin/true"));
    let inside = find("/bin/true in pid namespace");
    assert!(inside.pid > 2, "the number outside of the namespace");
    find("/bin/true double fork");
}

#[test]
fn what_is_mounted_nowhere_is_not_told_as_what_lies_at_the_root() {
    if !Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|status| status.success()) {
        skipped("no mount namespace can be made");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().display();
    // Taken off with somebody in it; moved out of what is mounted; never mounted (fsopen, fsconfig, fsmount).
    let script = format!(
        r#"unshare -m sh -c 'mount -t tmpfs x {at} && mkdir -p {at}/usr/bin && cp /bin/true {at}/usr/bin/true &&
            cd {at} && ./usr/bin/true mounted && umount -l {at} && ./usr/bin/true taken off'
        unshare -m sh -c 'mount -t tmpfs x {at} && cd {at} && mkdir -p sub/bin m && cp /bin/true sub/bin/true &&
            mount --bind sub m && cd m/bin && mv {at}/sub/bin {at}/bin && ./true moved out'
        python3 - <<'END'
import ctypes, os, shutil
call = ctypes.CDLL(None).syscall
fs = call(430, b"tmpfs", 1)
call(431, fs, 6, None, None, 0)
at = "/proc/self/fd/%d/" % call(432, fs, 1, 0)
os.mkdir(at + "bin")
shutil.copy("/bin/true", at + "bin/true")
os.execv(at + "bin/true", ["true", "never mounted"])
END"#
    );
    let Some((events, _)) = traced(Mode::Auto, shell(&script)) else { return };
    let find = |argv: &str| {
        let all = execs(&events);
        let found = all.iter().find(|e| e.argv[1..].join(" ") == argv);
        found.map(|e| e.path.clone()).unwrap_or_else(|| panic!("{argv}: {all:?}"))
    };
    assert_eq!(find("mounted"), format!("{at}/usr/bin/true"));
    assert_eq!(find("taken off"), "(unreachable)/usr/bin/true");
    assert_eq!(find("moved out"), "(unreachable)/bin/true");
    if has("python3", "-V") {
        assert_eq!(find("never mounted"), "(unreachable)/bin/true");
    }
}

/// A program made of a few instructions: it ends with status 5.
fn made(dir: &std::path::Path, assemble: &str, link: &str, source: &str) -> Option<String> {
    let at = dir.join("x").display().to_string();
    std::fs::write(format!("{at}.s"), source).unwrap();
    let script = format!("as {assemble} -o {at}.o {at}.s && ld {link} -o {at} {at}.o");
    let made = Command::new("sh").arg("-c").arg(&script).status().is_ok_and(|status| status.success());
    let runs = made && Command::new(&at).status().is_ok_and(|s| s.code() == Some(5));
    if !runs {
        skipped(&format!("a program of `{script}` cannot be made, or does not run"));
    }
    runs.then_some(at)
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_static_program_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let source = ".globl _start\n_start: movl $60, %eax\n movl $5, %edi\n syscall\n";
    let Some(program) = made(dir.path(), "--64", "-m elf_x86_64 -static", source) else { return };
    let Some((events, _)) = traced(Mode::Auto, shell(&format!("{program} a b; true"))) else { return };
    let seen = execs(&events).into_iter().find(|e| e.path == program).unwrap();
    assert_eq!(seen.argv[1..], ["a", "b"]);
    let ended = |e: &Event| matches!(e, Event::Ended { pid, status: 5, .. } if *pid == seen.pid);
    assert!(events.iter().any(ended), "{events:?}");
}

/// A filter of its own, as containers and browsers set one; and all namespaces new, as a container has them.
#[cfg(target_arch = "x86_64")]
#[test]
fn programs_under_a_seccomp_filter_and_in_a_container_are_seen() {
    // prctl(PR_SET_NO_NEW_PRIVS), prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, { BPF_RET: SECCOMP_RET_ALLOW })
    let filter = r#"perl -e '$f=pack("SCCL",6,0,0,0x7fff0000); $p=pack("Sx6P",1,$f); $z=0;
        syscall(157,38,1,0,0,0)==0 && syscall(157,22,2,$p)==0 or die $!; exec "/bin/true","under seccomp"'"#;
    let container =
        "unshare -Urmpfiun --mount-proc sh -c '/bin/true in container; exec /bin/true last of it'";
    let script = format!("{filter}; grep Seccomp /proc/self/status >/dev/null; {container}; true");
    let Some((events, _)) = traced(Mode::Auto, shell(&script)) else { return };
    let all: Vec<String> = execs(&events).iter().map(|e| e.argv.join(" ")).collect();
    let mut wanted = vec!["/bin/true under seccomp"];
    if Command::new("unshare").args(["-Ur", "true"]).status().is_ok_and(|status| status.success()) {
        wanted.extend(["/bin/true in container", "/bin/true last of it"]);
    } else {
        skipped("no user namespace can be made");
    }
    for wanted in wanted {
        assert!(all.iter().any(|argv| argv == wanted), "{wanted}: {all:?}");
    }
}

/// With the supervisor of a seccomp notification every exec would fail from then on. This trace only watches.
#[test]
fn the_death_of_the_tracer_hinders_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let (fifo, done) = (dir.path().join("fifo"), dir.path().join("done"));
    let script = format!(
        "mkfifo {0}; read go <{0}; /bin/true after && echo well >{1}",
        fifo.display(),
        done.display()
    );
    let mut child = Command::new("sh").args(["-c", &script]).spawn().unwrap();
    let (trace, availability) = Trace::start(Mode::Auto, child.id(), monotonic());
    if availability.mechanism != Mechanism::Ebpf {
        skipped(&availability.statement);
        child.kill().unwrap();
        child.wait().unwrap();
        return;
    }
    drop(trace);
    assert!(eventually(|| fifo.exists()), "no {}", fifo.display());
    std::fs::write(&fifo, "go\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(std::fs::read_to_string(done).unwrap(), "well\n");
}

#[test]
fn a_32_bit_program_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let source = ".globl _start\n_start: movl $1, %eax\n movl $5, %ebx\n int $0x80\n";
    let Some(program) = made(dir.path(), "--32", "-m elf_i386", source) else { return };
    let Some((events, _)) = traced(Mode::Auto, shell(&format!("{program} a b"))) else { return };
    let seen = execs(&events).into_iter().any(|e| e.path == program && e.argv[1..] == ["a", "b"]);
    assert!(seen, "{events:?}");
}

#[test]
fn the_connector_sees_every_process_if_not_every_argument() {
    let script = "read go; i=0; while [ $i -lt 300 ]; do /bin/true; i=$((i+1)); done; exec /bin/cat";
    let Some((mut child, trace)) = followed(Mode::Connector, script) else { return };
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"go\n").unwrap();
    // What it ran with is read once its start was told: it must be there until then.
    let mut events = Vec::new();
    let mut last = None;
    let is_told = eventually(|| {
        trace.drain(|event| events.push(event));
        last = execs(&events).into_iter().find(|e| e.argv == ["/bin/cat"]).cloned();
        last.is_some()
    });
    assert!(is_told, "{} events; the last: {:?}", events.len(), events.last());
    drop(stdin);
    child.wait().unwrap();
    trace.finish(|event| events.push(event));
    assert_eq!(execs(&events).len(), 301);
    let last = last.unwrap();
    assert_eq!((last.path.as_str(), last.cwd.as_str(), last.pid), ("/usr/bin/cat", "/usr", child.id()));
    assert!(events.iter().any(|e| matches!(e, Event::Ended { pid, status: 0, .. } if *pid == last.pid)));
}

#[test]
fn what_there_is_nothing_left_for_is_told_apart_from_what_is_not_to_be_had() {
    let refusal = |errno: i32| {
        let error = std::io::Error::from_raw_os_error(errno);
        Refusal::from(crate::sys::Error::new("make a kernel map", "sc_followed", error))
    };
    for errno in [libc::EPERM, libc::EACCES, libc::ENOSYS, libc::EINVAL] {
        let none = none(&[refusal(errno), refusal(libc::ENOENT)]);
        assert_eq!((none.mechanism, none.scarce), (Mechanism::None, None), "{errno}");
    }
    for errno in [libc::ENOMEM, libc::EAGAIN, libc::EMFILE, libc::ENFILE, libc::ENOSPC] {
        let none = none(&[refusal(libc::EPERM), refusal(errno)]);
        let scarce = none.scarce.unwrap();
        assert_eq!(scarce.errno, errno);
        assert!(scarce.why.starts_with("cannot make a kernel map sc_followed: "), "{scarce:?}");
        assert!(none.statement.ends_with(&scarce.why), "{}", none.statement);
    }
}

#[test]
fn the_list_is_looked_at_seldom_while_nothing_is_told() {
    let mut child = Command::new("sh")
        .args(["-c", "read go; /bin/true; read end"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let told = kernel::KernelTrace::start(child.id(), monotonic()).map(|mut trace| {
        trace.look(drop);
        let before = trace.is_quiet();
        stdin.write_all(b"go\n").unwrap();
        let mut ended = false;
        let mut set = Set::default();
        while !ended {
            set.clear();
            let news = set.add(&trace, true, false);
            set.wait(Some(DEADLINE)).unwrap();
            assert!(set.ready(news).read, "the end of a program was not told");
            trace.read(|event| ended |= matches!(event, Event::Ended { .. }));
        }
        let meanwhile = trace.is_quiet();
        trace.look(drop);
        trace.look(drop);
        (before, meanwhile, trace.is_quiet())
    });
    drop(stdin);
    child.wait().unwrap();
    match told {
        Ok(told) => assert_eq!(told, (true, false, true)),
        Err(refusal) => skipped(&refusal.why),
    }
}

/// Not a test but the measurement: `cargo test --release --lib cost_of_an_exec -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement: run it in a release build"]
fn cost_of_an_exec() {
    let script = "i=0; while [ $i -lt 3000 ]; do /bin/true; i=$((i+1)); done";
    let time = |mode: Mode| {
        let (trace, availability) = Trace::start(mode, std::process::id(), monotonic());
        let begin = std::time::Instant::now();
        shell(script)();
        let took = begin.elapsed();
        let mut seen = 0;
        trace.finish(|event| seen += u32::from(matches!(event, Event::Executed(_))));
        (availability.mechanism.word(), took.as_micros() / 3000, seen)
    };
    for _ in 0..3 {
        for mode in [Mode::Off, Mode::Auto, Mode::Connector] {
            let (mechanism, each, seen) = time(mode);
            let line = format!("{mechanism}: {each} µs an exec, {seen} seen\n");
            std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).unwrap();
        }
    }
}

/// One build of a real program: as many programs as strace counts.
#[test]
fn a_build_with_make_is_seen_whole() {
    let dir = tempfile::tempdir().unwrap();
    let rules: String =
        (0..40).map(|n| format!("t{n}: ; @/bin/sh -c '/bin/true {n}; /bin/true again'\n")).collect();
    let all: String = (0..40).map(|n| format!(" t{n}")).collect();
    std::fs::write(dir.path().join("Makefile"), format!("all:{all}\n{rules}")).unwrap();
    if !has("make", "-v") {
        return;
    }
    let run = format!("exec make -s -j4 -C {}", dir.path().display());
    let Some((events, _)) = traced(Mode::Auto, shell(&run)) else { return };
    let trues = execs(&events).iter().filter(|e| e.argv[0] == "/bin/true").count();
    let shells = execs(&events).iter().filter(|e| e.argv[0] == "/bin/sh").count();
    assert_eq!(
        (trues, shells),
        (80, 41),
        "forty rules of two programs, each in a shell, and the shell that became make"
    );
}
