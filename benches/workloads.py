#!/usr/bin/env python3
"""Makes the sessions on which sizes are measured, as asciicast v2 files: workloads.py DIR [MEGABYTES]

The programs are real and run in a real terminal (80 x 24); the clock is not. What is typed is stamped as a person types it
(about seven keys a second, pauses to read), and output as it comes, so that a session of minutes is made in seconds and comes out
much the same on any machine.
"""
import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

import pexpect

KEY, READ = 0.15, 4.0


class Session:
    def __init__(self, path, command, **options):
        self.out = open(path, "w")
        self.clock = 0.0
        self.out.write(json.dumps({"version": 2, "width": 80, "height": 24}) + "\n")
        self.child = pexpect.spawn(command[0], command[1:], dimensions=(24, 80), timeout=5, encoding=None, **options)
        self.gather()

    def gather(self, quiet=0.15):
        """Takes what comes until nothing comes any more."""
        while True:
            try:
                data = self.child.read_nonblocking(4096, timeout=quiet)
            except (pexpect.TIMEOUT, pexpect.EOF):
                return
            self.put(data)
            self.clock += 0.0005

    def put(self, data):
        text = data.decode("utf-8", "surrogateescape")
        # A cast cannot carry such bytes; the measured workloads have none but for characters cut in two.
        text = text.encode("utf-8", "replace").decode()
        self.out.write(json.dumps([round(self.clock, 4), "o", text]) + "\n")

    def type(self, text, key=KEY):
        for c in text:
            self.child.send(c)
            self.gather(0.01)
            self.clock += random.uniform(0.5, 1.5) * key

    def line(self, text):
        self.type(text)
        self.child.send("\r")
        self.clock += 0.05
        self.gather()
        self.clock += random.uniform(0.3, 1.7) * READ

    def end(self):
        self.child.close(force=True)
        self.out.close()


def bash(path):
    home = tempfile.mkdtemp()
    env = dict(os.environ, HOME=home, TERM="xterm-256color", PS1="root@web-3:\\w# ", LC_ALL="C.UTF-8")
    return Session(path, ["bash", "--norc", "-i"], env=env, cwd="/etc")


def shell(path):
    """Four minutes of looking around; 39 KB."""
    session = bash(path)
    for text in ["ls", "ls -la ssh", "df -h", "cat /etc/os-release", "uptime", "who", "ps aux | head -40", "ip addr || ifconfig",
                 "cd /var/log", "ls -lt | head", "tail -30 dpkg.log", "grep -c installed dpkg.log", "cd /etc", "grep -r Port ssh",
                 "cat fstab", "mount | head -20", "free -m", "id", "history | tail -5", "env | sort", "ls /usr/bin | head -80",
                 "cat passwd", "getent group | tail -30", "dpkg -l | tail -40", "cat services | head -60", "ls -la /etc | head -70",
                 "find /etc -newer /etc/passwd | head -30", "cat /proc/meminfo | head -30", "cat /proc/cpuinfo | head -28",
                 "cat login.defs | head -90", "cat bash.bashrc", "du -sh /var/* 2>/dev/null", "cat hosts", "cat resolv.conf",
                 "grep -v '^#' ssh/sshd_config | head -40", "tail -50 /var/log/dpkg.log", "ls -la /usr/lib | head -60",
                 "date"]:
        session.line(text)
    session.end()


def vim(path):
    """A source file is read and changed; 310 KB."""
    file = os.path.join(tempfile.mkdtemp(), "argparse.py")
    shutil.copy(argparse.__file__, file)
    with open(file) as source:
        words = sorted(set(re.findall(r"[a-z_]{7,}", source.read())))
    session = Session(path, ["vim", "-u", "NONE", "-N", "+syntax on", "+set incsearch hlsearch ruler", file],
                      env=dict(os.environ, TERM="xterm-256color"))
    for n in range(12):
        session.type("/%s\r" % random.choice(words))
        session.type("jjA  # looked at by hand, see the ticket\x1b")
        session.type("nnn", key=1.0)
        session.type("omore = value + %d\x1b" % n)
        session.type("jjjjjjkkkk", key=0.1)
        session.type("\x06" * 9 + "\x02" * 6, key=1.0)
        session.clock += random.uniform(1, READ)
    session.type(":w\r:q\r")
    session.end()


def build(path):
    """Changes are made, looked at, committed and compiled; 736 KB."""
    session = bash(path)
    source = tempfile.mkdtemp()
    library = os.path.dirname(argparse.__file__)
    scripts = {
        "take": f'cp -r {library}/{{json,email,http,unittest,asyncio,logging,xml,ctypes,concurrent,html,urllib}} .; find . -name __pycache__ | xargs rm -r',
        "change": 'for f in $(find . -name "*.py" | sort | awk "NR % 9 == $1"); do sed -i "s/^\\(def [a-z]*\\)/# change $1\\n\\1/; s/self/this/" $f; done',
        "make": 'for i in $(seq 25); do echo "int f$i(int x) { return x * $i + $1; }" > f$i.c; echo "cc -O2 -Wall -c f$i.c -o f$i.o"; gcc -O0 -c -w f$i.c -o f$i.o; done',
    }
    for name, text in scripts.items():
        with open(os.path.join(source, name), "w") as out:
            out.write(text + "\n")
    for text in [f"cd {source}", "git init -q .", "git config user.email a@b.c", "git config user.name a", "bash take",
                 "git add -A; git commit -m 'As it was' | tail -5"]:
        session.line(text)
    for n in range(9):
        session.line(f"bash change {n}")
        session.line("git status | head -30")
        session.line("git --no-pager diff --color=always | head -2000")
        session.line(f"git add -A; git commit -m 'Change {n}'")
        session.line("git --no-pager log --stat -1")
        session.line(f"python3 -m compileall -f json http email unittest | tail -60; bash make {n}")
    session.end()


def tail(path):
    session = Session(path, ["true"])
    words = ["connection", "accepted", "closed", "from", "timeout", "user", "session", "opened", "for", "root", "publickey", "port"]
    written = 0
    while written < 790_000:
        text = f"Nov 25 15:{int(session.clock) // 60 % 60:02}:{int(session.clock) % 60:02} web-3 sshd[{random.randrange(400, 60000)}]: "
        text += " ".join(random.choices(words, k=random.randrange(4, 12))) + f" 10.0.{random.randrange(256)}.{random.randrange(256)}\r\n"
        session.put(text.encode())
        written += len(text)
        session.clock += random.expovariate(20)
    session.end()


def bulk(path, megabytes):
    session = Session(path, ["true"])
    finder = subprocess.Popen(["find", "/usr", "/etc", "/var", "/proc/sys", "-ls"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    written, again = 0, 0
    while written < megabytes << 20:
        data = finder.stdout.read(4096)
        if not data:
            again += 1
            finder = subprocess.Popen(["find", "/usr", "-printf", f"%p %s %T@ {again}\\n"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            continue
        session.put(data.replace(b"\n", b"\r\n"))
        written += len(data)
        session.clock += len(data) / 20e6
    finder.kill()
    session.end()


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    random.seed(1)
    for name, make in [("shell", shell), ("vim", vim), ("build", build), ("tail", tail)]:
        if name == "vim" and not shutil.which("vim"):
            continue
        make(os.path.join(folder, f"{name}.cast"))
    bulk(os.path.join(folder, "bulk.cast"), int(sys.argv[2]) if len(sys.argv) > 2 else 50)


if __name__ == "__main__":
    main()
