//! Whoever starts a recorder has a say in its limits, signals and children: none of it takes a witness away.

use crate::support::sandbox::Sandbox;
use crate::{commands, sealcast, support};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::process::Stdio;

/// What the header of the last recording says of a witness.
fn in_force(sandbox: &Sandbox, what: &str) -> String {
    let told = sealcast(sandbox, &["show", "--json", "last"]).output().unwrap().stdout;
    let told: Value = serde_json::from_slice(&told).unwrap();
    told["meta"]["in_force"][what].as_str().unwrap_or_default().to_owned()
}

/// Whoever starts it must not choose which witnesses there are. (Soft limits: to lift the others takes a privilege.)
#[test]
fn limits_of_who_starts_it_take_away_no_witness() {
    if !support::there(&["python3"]) {
        return;
    }
    let sandbox = Sandbox::new();
    assert!(sealcast(&sandbox, &["run", "--", "true"]).status().unwrap().success());
    let usual = in_force(&sandbox, "exec-trace");
    let script = sandbox.file(
        "limits.py",
        "import os, resource, sys
which = getattr(resource, sys.argv[1])
resource.setrlimit(which, (int(sys.argv[2]), resource.getrlimit(which)[1]))
os.execv(sys.argv[3], sys.argv[3:])
",
    );
    let mut begun = 0;
    let descriptors = ["16", "18", "20", "24"].map(|most| ("RLIMIT_NOFILE", most));
    let memory = ["2000000", "2560000", "3000000", "6000000"].map(|most| ("RLIMIT_DATA", most));
    for (which, most) in descriptors.into_iter().chain(memory) {
        let mut command = sandbox.command("python3");
        command.arg(&script).args([
            which,
            most,
            env!("CARGO_BIN_EXE_sealcast"),
            "run",
            "--",
            "/bin/true",
            most,
        ]);
        let output = command.output().unwrap();
        // With too little of it no session begins, and nothing has run.
        if output.status.code() == Some(0) {
            begun += 1;
            assert_eq!(in_force(&sandbox, "exec-trace"), usual, "{which} {most}");
            assert_eq!(commands(&sandbox)[0]["text"], format!("/bin/true {most}"), "{which} {most}");
        }
    }
    assert!(begun >= 4, "{begun} sessions began");
}

/// How long its arguments are is said by a process itself (`PR_SET_MM_MAP`).
#[test]
fn the_arguments_of_who_starts_it_take_no_memory() {
    if !support::there(&["python3"]) {
        return;
    }
    let sandbox = Sandbox::new();
    let script = sandbox.file(
        "long.py",
        r"import ctypes, mmap, resource, subprocess, sys
class Map(ctypes.Structure):
    names = 'start_code end_code start_data end_data start_brk brk start_stack arg_start arg_end env_start env_end auxv'
    _fields_ = [(name, ctypes.c_uint64) for name in names.split()] + [('auxv_size', ctypes.c_uint32), ('exe_fd', ctypes.c_uint32)]
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = libc.sbrk.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
size = 256 << 20
at = libc.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000, -1, 0)
stat = open('/proc/self/stat').read().rsplit(')', 1)[1].split()
of = lambda field: int(stat[field - 3])
told = Map(of(26), of(27), of(45), of(46), of(47), libc.sbrk(0), of(28), at, at + size, of(50), of(51), 0, 0, 0xffffffff)
if libc.prctl(35, 14, ctypes.byref(told), ctypes.sizeof(told), 0):  # PR_SET_MM, PR_SET_MM_MAP
    sys.exit(77)
status = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
",
    );
    let mut command = sandbox.command("python3");
    let output =
        command.arg(script).args([env!("CARGO_BIN_EXE_sealcast"), "run", "--", "true"]).output().unwrap();
    if output.status.code() == Some(77) {
        support::skipped("this kernel has no PR_SET_MM_MAP");
        return;
    }
    let kilobytes: u64 = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or(u64::MAX);
    assert!(output.status.success() && kilobytes < 128 << 10, "{kilobytes} KiB: {output:?}");
}

/// A program can give its parent children, and that parent is the process that waits for it.
#[test]
fn a_program_whose_children_are_its_parents_ends_as_it_ends() {
    if !support::there(&["python3"]) {
        return;
    }
    let sandbox = Sandbox::new();
    assert!(sealcast(&sandbox, &["run", "--", "true"]).status().unwrap().success());
    let script = "import ctypes, os, platform, sys, time
print('ready', flush=True)
sys.stdin.readline()
clone = {'x86_64': 56, 'aarch64': 220}.get(platform.machine())
if clone is None or ctypes.CDLL(None).syscall(clone, 0x8000 | 17, 0, 0, 0, 0) == 0:  # CLONE_PARENT, SIGCHLD
    os.closerange(0, 3)
    time.sleep(20 if clone else 0)
os._exit(7)
";
    let mut command = sealcast(&sandbox, &["run", "--", "python3", "-c", script]);
    let mut run =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // By then it has been told that the program was started.
    let mut ready = [0; 6];
    run.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    run.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    let ended = run.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(7), "{ended:?}");
    let told = sealcast(&sandbox, &["show", "last"]).output().unwrap().stdout;
    let told = String::from_utf8(told).unwrap();
    assert!(!told.contains("stage:"), "{told}");
}

/// Whether it ends at once or waits for itself for ever must not hang on a variable of whoever starts it.
#[test]
fn a_start_without_memory_ends() {
    if !support::there(&["python3"]) {
        return;
    }
    let sandbox = Sandbox::new();
    assert!(sealcast(&sandbox, &["run", "--", "true"]).status().unwrap().success());
    let script = "import resource, subprocess, sys
for kilobytes in range(1000, 7000, 250):
    limit = lambda: resource.setrlimit(resource.RLIMIT_DATA, (kilobytes << 10, kilobytes << 10))
    try:
        run = subprocess.Popen([sys.argv[1], 'run', '--', 'true'], preexec_fn=limit, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except subprocess.SubprocessError:  # there was none for python either
        continue
    try:
        run.wait(float(sys.argv[2]))
    except subprocess.TimeoutExpired:
        run.kill()
        print(kilobytes)
";
    let mut command = sandbox.command("python3");
    command.args(["-c", script, env!("CARGO_BIN_EXE_sealcast"), &support::DEADLINE.as_secs().to_string()]);
    command.env("RUST_BACKTRACE", "1");
    let output = command.output().unwrap();
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
}

#[test]
fn signals_that_whoever_starts_it_ignores_or_blocks_are_so_for_the_program() {
    if !support::there(&["python3"]) {
        return;
    }
    let sandbox = Sandbox::new();
    assert!(sealcast(&sandbox, &["run", "--", "true"]).status().unwrap().success());
    let script = "import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGRTMAX])
os.execvp(sys.argv[1], sys.argv[1:])
";
    let run = |words: &[&str]| {
        let mut command = sandbox.command("python3");
        let output = command.args(["-c", script]).args(words).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let told = ["grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"];
    let ours = run(&[&[env!("CARGO_BIN_EXE_sealcast"), "run", "--"], &told[..]].concat());
    assert_eq!(ours, run(&told));
}
