//! The second implementation, run on what the library is tested with.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use crate::skipped;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Whether what the Python reader needs is there; says so when it is not.
fn is_there() -> bool {
    let needs = "import zstandard, cryptography.hazmat.primitives.ciphers.aead";
    let there = Command::new("python3").args(["-c", needs]).output();
    let there = there.is_ok_and(|output| output.status.success());
    if !there {
        skipped("python3 with cryptography and zstandard is not installed");
    }
    there
}

/// Runs the Python reader on a recording; `None` when what it needs, age among it, is not installed.
pub fn second_reader_run(recording: &Path, identity: &Path, options: &[&str]) -> Option<Output> {
    if !is_there() {
        return None;
    }
    if Command::new("age").arg("--version").output().is_err() {
        skipped("age is not installed");
        return None;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/read_recording.py");
    let mut command = Command::new("python3");
    command.arg(script).args(options).arg("-i").arg(identity).arg(recording);
    Some(command.stdin(Stdio::null()).output().unwrap())
}

/// What the Python reader gives of a recording, which it must read; `None` when what it needs is not installed.
pub fn second_reader(recording: &Path, identity: &Path, options: &[&str]) -> Option<Vec<u8>> {
    let output = second_reader_run(recording, identity, options)?;
    let said = String::from_utf8_lossy(&output.stderr);
    // Nor is a slot that was for somebody else any concern of who reads it.
    let quiet = output.status.success() && !said.contains("error");
    assert!(quiet, "{}: {said}", recording.display());
    Some(output.stdout)
}

/// Runs the Python reader on many files, in one process; gives exit status and output of each. `None` when what it needs is not
/// installed.
pub fn second_reader_of_many(files: &[&[u8]], root: &[u8; 32]) -> Option<Vec<(bool, String)>> {
    of_many(files, root, &[])
}

/// The same with `--commands`.
pub fn second_commands_of_many(files: &[&[u8]], root: &[u8; 32]) -> Option<Vec<(bool, String)>> {
    of_many(files, root, &["--commands"])
}

fn of_many(files: &[&[u8]], root: &[u8; 32], options: &[&str]) -> Option<Vec<(bool, String)>> {
    const DRIVER: &str = r#"
import contextlib, io, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import read_recording
folder, count, root, options = sys.argv[2], int(sys.argv[3]), bytes.fromhex(sys.argv[4]), sys.argv[5:]
read_recording.root_key = lambda slots, identities: root
for number in range(count):
    sys.argv = ["read_recording.py", "-i", "none", *options, f"{folder}/{number}"]
    out, text = io.BytesIO(), "ok"
    stdout = io.TextIOWrapper(out, write_through=True)
    with contextlib.redirect_stdout(stdout):
        try:
            read_recording.main()
        except SystemExit as error:
            text = str(error)
        except Exception as error:
            text = repr(error)
    with open(f"{folder}/{number}.out", "wb") as file:
        file.write(text.encode() + b"\n" + out.getvalue())
"#;
    if !is_there() {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    for (number, bytes) in files.iter().enumerate() {
        std::fs::write(folder.path().join(number.to_string()), bytes).unwrap();
    }
    let root: String = root.iter().map(|byte| format!("{byte:02x}")).collect();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let done = Command::new("python3")
        .args(["-c", DRIVER])
        .arg(examples)
        .arg(folder.path())
        .args([&files.len().to_string(), &root])
        .args(options)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let told = |number: usize| {
        let text = std::fs::read_to_string(folder.path().join(format!("{number}.out"))).unwrap();
        let (said, out) = text.split_once('\n').unwrap();
        if said == "ok" { (true, out.to_owned()) } else { (false, said.to_owned()) }
    };
    Some((0..files.len()).map(told).collect())
}
