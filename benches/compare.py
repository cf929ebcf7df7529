"""The measuring part of compare.sh: compare.py SEALCAST ROUNDS"""
import ctypes
import fcntl
import glob
import os
import pty
import random
import resource
import select
import shutil
import statistics
import struct
import subprocess
import sys
import sysconfig
import tempfile
import termios
import time

FOLDER = tempfile.mkdtemp(prefix="compare-")
KEY = 0.03


def peak_memory(pid):
    """KiB. What `wait4` tells would count this script, which the process was forked from."""
    try:
        # Between fork and exec it is still this script. (Not told by the program: asciinema 2 is python too.)
        with open(f"/proc/{pid}/cmdline", "rb") as theirs, open("/proc/self/cmdline", "rb") as ours:
            if theirs.read() == ours.read():
                return 0
        with open(f"/proc/{pid}/status") as status:
            return next((int(line.split()[1]) for line in status if line.startswith("VmHWM")), 0)
    except OSError:
        return 0


# What a program leaves behind without waiting for it (sudo does so with the one that ran the command) is ours to wait for.
PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def cpu_time():
    """Seconds, of all that was waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(command, env, keys=()):
    """Runs a command in a terminal of 80 x 24 and reads what it prints. CPU (s), time (s), peak memory (KiB), bytes printed.

    CPU is that of the command and of all it started; memory that of the command alone, as the kernel shows it while it runs.
    """
    start, memory, before = time.monotonic(), 0, cpu_time()
    pid, leader = pty.fork()
    if pid == 0:
        os.execvpe(command[0], command, env)
    fcntl.ioctl(leader, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    printed, keys, due, look = 0, list(keys), start + 2.5, start
    while True:
        now = time.monotonic()
        # The kernel keeps the highest mark. Asked at each read, it would be our own reading that is measured.
        if now >= look:
            memory, look = max(memory, peak_memory(pid)), now + 0.01
        if now > start + 600:
            sys.exit(f"error: {command} does not end")
        wait = min(0.02, max(0, due - now)) if keys else 0.02
        if select.select([leader], [], [], wait)[0]:
            try:
                data = os.read(leader, 1 << 16)
            except OSError:
                break
            if not data:
                break
            printed += len(data)
        if keys and time.monotonic() >= due:
            key, pause = keys.pop(0)
            os.write(leader, key)
            due = time.monotonic() + pause
            if not keys:
                # What is typed while a program ends can be lost: the last line is typed until it is heard.
                keys.append((b"\rexit\r", 5.0))
                due = time.monotonic() + 5.0
    # To its end: a recorder closes when its terminal is gone already.
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        memory = max(memory, peak_memory(pid))
        if time.monotonic() > start + 600:
            sys.exit(f"error: {command} does not end")
        time.sleep(0.001)
    _, status = os.waitpid(pid, 0)
    took = time.monotonic() - start
    os.close(leader)
    if status != 0:
        sys.exit(f"error: {command} ended with status {status}")
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        return cpu_time() - before, took, memory, printed


def typed():
    """A short session: some commands, an edit in vim, the end."""
    lines = ["ls -la /etc | head -50", "cat /etc/services | head -60", "ps aux | head", "df", "grep -n root /etc/passwd"]
    for line in lines:
        yield from ((c.encode(), KEY) for c in line)
        yield b"\r", 0.5
    if shutil.which("vim"):
        yield from ((c.encode(), KEY) for c in "vim -u NONE -N /etc/services")
        yield b"\r", 2.0
        yield from ((c.encode(), KEY) for c in "/tcp\x1b" + "jjjjjjjjjjjjjjjjjjjjoa new line, typed by hand\x1b\x06\x06\x02dd:q!")
        yield b"\r", 2.0
    yield from ((c.encode(), KEY) for c in "exit\r")


def workloads():
    """Name, command, keys."""
    random.seed(3)
    mixed = os.path.join(FOLDER, "mixed")
    words = ["über", "日本語", "kernel:", "\x1b[32mok\x1b[0m", "/usr/lib/x86_64-linux-gnu", "error", "🦀", "0x7f"]
    with open(mixed, "wb") as out:
        while out.tell() < 50 << 20:
            block = b"".join(
                (" ".join(random.choices(words, k=9)) + f" {random.random()}\n").encode() for _ in range(2000)
            )
            out.write(block + bytes(random.choices(range(256), k=300)))
    noise, source = os.path.join(FOLDER, "noise"), os.path.join(FOLDER, "source")
    # Text that somebody wrote, and that is wherever this runs: python's own library, over and over if it is small.
    library = sysconfig.get_paths()["stdlib"]
    files = sorted(glob.glob(os.path.join(library, "**", "*.py"), recursive=True))
    files = [name for name in files if "site-packages" not in name and "dist-packages" not in name]
    with open(source, "wb") as out:
        while out.tell() < 50 << 20:
            for name in files:
                with open(name, "rb") as part:
                    out.write(part.read()[: max(0, (50 << 20) - out.tell())])
    with open(noise, "wb") as out:
        out.write(os.urandom(50 << 20))
    yield "seq 3000000", ["seq", "3000000"], ()
    yield "50 MB of mixed text", ["cat", mixed], ()
    yield "50 MB of source", ["cat", source], ()
    yield "50 MB of random bytes", ["cat", noise], ()
    yield "typing in bash and vim", ["bash", "--norc", "-i"], tuple(typed())


def recorders(sealcast):
    """Name; command around a command; where the recording is. `quoted` is the command for a shell."""
    def out(name):
        return os.path.join(FOLDER, f"out-{name}")

    yield "bare", lambda command: command, None
    yield "script", lambda command: ["script", "-q", "-c", " ".join(command), out("script")], out("script")
    for program in dict.fromkeys(filter(None, [shutil.which("asciinema"), os.environ.get("ASCIINEMA")])):
        if os.path.exists(program):
            version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout.split()[-1]
            quiet = ["rec", "-q", "--overwrite", "-c"]
            cast = out(version)
            yield f"asciinema {version}", lambda command, program=program, cast=cast: [program, *quiet, " ".join(command), cast], cast
    yield "sealcast", lambda command: [sealcast, "run", "--", *command], "**/*.scast"


def main():
    sealcast, rounds = sys.argv[1], int(sys.argv[2])
    for name, command, keys in workloads():
        print(f"\n{name}, median of {rounds}\n")
        print("| | CPU s | time s | peak MiB | size | CPU to script | time to script |")
        print("|---|---|---|---|---|---|---|")
        script = None
        for recorder, around, where in recorders(sealcast):
            if shutil.which(around(["true"])[0]) is None:
                print(f"| {recorder} | not installed |")
                continue
            taken, size = [], 0
            for _ in range(rounds):
                home = tempfile.mkdtemp(dir=FOLDER)
                env = {"HOME": home, "PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8", "PS1": "$ "}
                taken.append(run(around(command), env, keys))
                if where:
                    found = glob.glob(os.path.join(home, where), recursive=True, include_hidden=True)
                    size = sum(os.path.getsize(path) for path in found)
                shutil.rmtree(home)
            cpu, wall, memory = (statistics.median(values) for values in list(zip(*taken))[:3])
            if recorder == "script":
                script = cpu, wall
            ratios = f"{cpu / script[0]:.2f} | {wall / script[1]:.2f}" if script else " | "
            print(f"| {recorder} | {cpu:.2f} | {wall:.2f} | {memory / 1024:.1f} | {size} | {ratios} |", flush=True)
        if not keys:
            raw = os.path.join(FOLDER, "raw")
            with open(raw, "wb") as out:
                out.write(subprocess.run(command, capture_output=True).stdout.replace(b"\n", b"\r\n"))
            # What compressing alone costs, on one thread and without a terminal: to be added to what any recorder pays.
            for level in ["-3", "-1"]:
                before, taken = cpu_time(), time.monotonic()
                for _ in range(rounds):
                    packed = subprocess.run(["zstd", "--single-thread", level, "-c", raw], capture_output=True, check=True).stdout
                cpu, taken = (cpu_time() - before) / rounds, (time.monotonic() - taken) / rounds
                ratios = f"+{cpu / script[0]:.2f} | +{taken / script[1]:.2f}" if script else " | "
                print(f"| zstd {level} of the raw output | {cpu:.2f} | {taken:.2f} | | {len(packed)} | {ratios} |", flush=True)
    shutil.rmtree(FOLDER)


if __name__ == "__main__":
    main()
