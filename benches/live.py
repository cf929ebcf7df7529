#!/usr/bin/env python3
"""Records the sessions of workloads.py live, with everything on, in real time: live.py SEALCAST DIR [SESSION...]

Shell and build are typed into a recorded bash with its integration, vim and `tail -f` (of a log that grows meanwhile) are
started from one; the bulk of workloads.py has no commands. Recordings and their key stay in DIR, for `examples/sizes.rs`, which
tells what their parts cost. Takes about two (shell), six (build), nine (tail) and eleven minutes (vim), all at once.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import time

import pexpect

import workloads


class Live:
    """A session whose clock is that of the host: what workloads.py adds to its clock is waited for."""

    def __init__(self, child):
        object.__setattr__(self, "child", child)
        object.__setattr__(self, "clock", 0.0)
        self.gather()

    def __setattr__(self, name, value):
        if name == "clock":
            until = time.monotonic() + value - self.clock
            while (left := until - time.monotonic()) > 0:
                self.gather(left)
        object.__setattr__(self, name, value)

    def gather(self, quiet=0.15):
        end = time.monotonic() + quiet
        while (left := end - time.monotonic()) > 0:
            try:
                self.child.read_nonblocking(4096, timeout=left)
            except (pexpect.TIMEOUT, pexpect.EOF):
                return

    type = workloads.Session.type
    line = workloads.Session.line

    def put(self, data):
        """A line of the log that a program in the session reads."""
        with open(self.log, "ab") as log:
            log.write(data)

    def end(self):
        if hasattr(self, "log"):
            self.child.send("\x03")
        while self.child.isalive():
            self.child.send("\rexit\r")
            self.gather(2.0)


def main():
    sealcast, folder = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    wanted = sys.argv[3:] or ["shell", "build", "vim", "tail"]
    pids = []
    for name in wanted:
        if name == "vim" and not shutil.which("vim"):
            continue
        home = os.path.join(folder, name)
        os.makedirs(home)
        with open(os.path.join(home, ".bashrc"), "w") as rc:
            rc.write("PS1='root@web-3:\\w# '\n")
        env = dict(os.environ, HOME=home, TERM="xterm-256color", LC_ALL="C.UTF-8", SHELL="/bin/bash")
        subprocess.run([sealcast, "run", "--", "true"], env=env, stdin=subprocess.DEVNULL, capture_output=True, check=True)
        pid = os.fork()
        if pid:
            pids.append(pid)
            continue

        def start(command=None, cwd="/etc"):
            return Live(pexpect.spawn(sealcast, ["run", "--", "bash"], dimensions=(24, 80), encoding=None, env=env, cwd=cwd))

        def session(path, command, **options):
            live = start()
            if name == "tail":
                live.log = os.path.join(home, "auth.log")
                open(live.log, "w").close()
                live.line("tail -f " + live.log)
            elif command[0] != "bash":
                live.line(" ".join(f"'{word}'" if " " in word else word for word in command))
            return live

        workloads.Session = session
        workloads.bash = lambda path: start()
        getattr(workloads, name)("")
        os._exit(0)
    for pid in pids:
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
