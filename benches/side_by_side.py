"""The measuring part of side_by_side.sh: side_by_side.py SEALCAST ROUNDS [bulk|echo|memory …]"""
import fcntl
import os
import pty
import random
import select
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time

import compare

# Keys typed for a recorder in a round, and the pause before each, in seconds.
KEYS, PAUSE = 200, (0.004, 0.012)
MIB = 1 << 20


def privately(setting, command):
    """A command in a mount namespace of its own, in which the shell commands of `setting` were run before."""
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", f'{setting} && exec "$@"', "sh", *command]


def sudo_with_log():
    """sudo as it is configured to log what is shown, on this host, changing nothing of it."""
    rules, log = os.path.join(compare.FOLDER, "sudoers"), os.path.join(compare.FOLDER, "sudo-io")
    with open(rules, "w") as out:
        out.write(f"Defaults log_output, use_pty, !syslog, !lecture, iolog_dir={log}\nroot ALL=(ALL:ALL) NOPASSWD: ALL\n")
    os.chmod(rules, 0o440)
    return lambda command: privately(f"mount --bind {rules} /etc/sudoers", ["sudo", "-n", "--", *command])


def recorders(sealcast):
    """Name, and what a command becomes. What is not installed is left out and told."""
    for name, around, _ in compare.recorders(sealcast):
        if shutil.which(around(["true"])[0]) is not None:
            yield name, around
    if shutil.which("tlog-rec") and os.geteuid() == 0:
        out = os.path.join(compare.FOLDER, "tlog")
        # It does not begin where it cannot note that somebody logs in.
        setting = f"mount -t tmpfs none /run && touch /run/utmp {out}.wtmp && mount --bind {out}.wtmp /var/log/wtmp"
        yield "tlog", lambda command: privately(setting, ["tlog-rec", "-w", "file", "-o", out, "--", *command])
    if shutil.which("sudo") and os.geteuid() == 0:
        yield "sudo log_output", sudo_with_log()
    missing = [name for name in ["script", "asciinema", "tlog-rec", "sudo"] if not shutil.which(name)]
    if missing or os.geteuid() != 0:
        print(f"left out: {', '.join(missing) or 'tlog and sudo, which it takes root to measure'}", file=sys.stderr)


def environment():
    home = tempfile.mkdtemp(dir=compare.FOLDER)
    return home, {"HOME": home, "PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8", "PS1": "$ "}


def prepare(sealcast):
    """A home in which sealcast has made its keys: they are made once in a life, not at every session."""
    home, env = environment()
    subprocess.run([sealcast, "run", "--", "true"], env=env, stdin=subprocess.DEVNULL, check=True, capture_output=True)
    return home, env


def bulk(sealcast, rounds):
    """CPU, time and peak memory of much output, all recorders taking turns."""
    for name, command, keys in compare.workloads():
        if keys:
            continue
        taken = {}
        for _ in range(rounds):
            for recorder, around in recorders(sealcast):
                home, env = prepare(sealcast)
                taken.setdefault(recorder, []).append(compare.run(around(command), env)[:3])
                shutil.rmtree(home)
        print(f"\n{name}, median of {rounds} rounds\n")
        print("| | CPU s | time s | peak MiB | CPU to script | time to script |\n|---|---|---|---|---|---|")
        for recorder, values in taken.items():
            cpu, wall, memory = (statistics.median(column) for column in zip(*values))
            # Of each round by itself: what else the machine does touches both.
            ratios = [
                statistics.median(ours[n] / theirs[n] for ours, theirs in zip(values, taken["script"])) for n in (0, 1)
            ]
            print(f"| {recorder} | {cpu:.2f} | {wall:.2f} | {memory / 1024:.1f} | {ratios[0]:.2f} | {ratios[1]:.2f} |", flush=True)


class Session:
    """A command in a terminal of 80 x 24."""

    def __init__(self, command, env):
        self.pid, self.leader = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, env)
        fcntl.ioctl(self.leader, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))

    def read(self, wait):
        if not select.select([self.leader], [], [], wait)[0]:
            return b""
        try:
            return os.read(self.leader, 1 << 16)
        except OSError:
            return b""

    def end(self):
        """Closes the terminal, and waits."""
        os.close(self.leader)
        for _ in range(100):
            if os.waitpid(self.pid, os.WNOHANG)[0]:
                return
            time.sleep(0.05)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


class Typist:
    """Types into a session and times the echoes. They are the kernel's, so nothing but the recorder is measured."""

    def __init__(self, command, env):
        self.command, self.session, self.taken = command, Session(command, env), []
        shown, deadline = b"", time.monotonic() + 60
        while b"READY\r\n" not in shown:
            shown += self.session.read(0.5)
            if time.monotonic() > deadline:
                sys.exit(f"error: {command} does not begin: {shown}")

    def key(self):
        # A new line now and then: the kernel's has 4,096 characters. What comes back of it is read before the next key.
        n = len(self.taken)
        key = b"\r" if n % 60 == 59 else bytes([97 + n % 26])
        while self.session.read(0):
            pass
        begin = time.perf_counter()
        os.write(self.session.leader, key)
        if not self.session.read(10):
            sys.exit(f"error: {self.command} shows no echo")
        self.taken.append(time.perf_counter() - begin)


def echo(sealcast, rounds):
    """Keystroke echo, on an idle machine and with a busy loop on every core. All recorders are open, a key for each in turn."""
    for load in ["idle", "under load"]:
        script = os.path.join(compare.FOLDER, "echo")
        with open(script, "w") as out:
            out.write("#!/bin/sh\necho READY\nexec cat\n")
        os.chmod(script, 0o755)
        typists, busy = {}, []
        for recorder, around in recorders(sealcast):
            home, env = prepare(sealcast)
            typists[recorder] = Typist(around([script]), env)
        # Whatever a session does once it has begun is over.
        time.sleep(1)
        try:
            if load != "idle":
                busy = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(os.cpu_count())]
            for _ in range(KEYS * rounds):
                for typist in random.sample(list(typists.values()), len(typists)):
                    time.sleep(random.uniform(*PAUSE))
                    typist.key()
        finally:
            for process in busy:
                process.kill()
                process.wait()
        print(f"\necho of a key, {load}, microseconds, of {KEYS * rounds} keys\n")
        print("| | median | p90 | p99 | median to script |\n|---|---|---|---|---|")
        middle = statistics.median(typists["script"].taken)
        for recorder, typist in typists.items():
            typist.session.end()
            taken = sorted(typist.taken)
            at = [f"{taken[int(len(taken) * part)] * 1e6:.0f}" for part in (0.5, 0.9, 0.99)]
            print(f"| {recorder} | {' | '.join(at)} | {statistics.median(taken) / middle:.2f} |", flush=True)


def memory(sealcast, _):
    """Peak memory of a recorder after 100 MB, 500 MB and 1 GB of output, and behind a terminal that reads 100 KB/s."""
    marks = [100 * MIB, 500 * MIB, 1000 * MIB]
    print("\npeak memory in MiB\n\n| | " + " | ".join(f"{mark // MIB} MiB shown" for mark in marks) + " | 100 KB/s for 60 s |\n|---|---|---|---|---|")
    text = os.path.join(compare.FOLDER, "text")
    with open(text, "w") as out:
        for n in range(200_000):
            out.write(f"{n} {random.random()} of a text that is different in every line {random.random()}\n")
    for recorder, around in recorders(sealcast):
        if recorder not in ("script", "sealcast"):
            continue
        home, env = prepare(sealcast)
        script = os.path.join(home, "flood")
        with open(script, "w") as out:
            out.write(f"#!/bin/sh\nwhile :; do cat {text}; done\n")
        os.chmod(script, 0o755)
        peaks = []
        session, shown = Session(around([script]), env), 0
        for mark in marks:
            while shown < mark:
                shown += len(session.read(5))
            peaks.append(compare.peak_memory(session.pid))
        session.end()
        # A terminal that reads 100 KB/s: ten reads a second of 10 KB.
        session, end = Session(around([script]), env), time.monotonic() + 60
        while time.monotonic() < end:
            time.sleep(0.1)
            left = 10_000
            while left > 0 and select.select([session.leader], [], [], 0)[0]:
                left -= len(os.read(session.leader, left))
        peaks.append(compare.peak_memory(session.pid))
        session.end()
        shutil.rmtree(home)
        print(f"| {recorder} | " + " | ".join(f"{peak / 1024:.1f}" for peak in peaks) + " |", flush=True)


def main():
    sealcast, rounds, parts = sys.argv[1], int(sys.argv[2]), sys.argv[3:] or ["bulk", "echo", "memory"]
    known = {"bulk": bulk, "echo": echo, "memory": memory}
    try:
        for part in parts:
            if part not in known:
                sys.exit(f"error: there is no part {part}; known: {', '.join(known)}")
            known[part](sealcast, rounds)
    finally:
        shutil.rmtree(compare.FOLDER)


if __name__ == "__main__":
    main()
