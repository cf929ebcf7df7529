#!/usr/bin/env python3
"""Makes the sessions on which sizes are measured, as asciicast v2 files: workloads.py DIR [MEGABYTES]

The programs are real and run in a real terminal (80 x 24); the clock is not. What is typed is stamped as a person types it
(about seven keys a second, pauses to read), and output as it comes, so that a session of minutes is made in seconds and comes out
much the same on any machine.
"""
import json
import os
import random
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
    session = bash(path)
    for text in ["ls", "ls -la ssh", "df -h", "cat /etc/os-release", "uptime", "who", "ps aux | head -40", "ip addr || ifconfig",
                 "cd /var/log", "ls -lt | head", "tail -30 dpkg.log", "grep -c installed dpkg.log", "cd /etc", "grep -r Port ssh",
                 "cat fstab", "mount | head -20", "free -m", "id", "history | tail -5", "env | sort", "ls /usr/bin | head -80"]:
        session.line(text)
    session.end()


def vim(path):
    folder = tempfile.mkdtemp()
    file = os.path.join(folder, "main.c")
    with open(file, "w") as out:
        for n in range(300):
            out.write(f"/* step {n} */\nstatic int step_{n}(struct job *job, int value)\n{{\n\treturn job->total += value * {n};\n}}\n\n")
    session = Session(path, ["vim", "-u", "NONE", "-N", "+syntax on", file], env=dict(os.environ, TERM="xterm-256color"))
    for n in range(22):
        session.type("/step_%d\r" % random.randrange(300))
        session.type("jjA // looked at by hand, see the ticket\x1b")
        session.type("oint more = value + %d;\x1b" % n)
        session.type("jjjjjjkkkk", key=0.1)
        session.type("\x06" * 12 + "\x02" * 9, key=0.4)
        session.clock += random.uniform(1, READ)
    session.type(":w\r:q\r")
    session.end()


def build(path):
    session = bash(path)
    source = tempfile.mkdtemp()
    scripts = {
        "change": 'for i in $(seq 40); do echo "int f${i}_$1(int x) { return x * $i + $1; }" >> file$i.c; done',
        "make": 'for i in $(seq 40); do echo "cc -O2 -Wall -c file$i.c -o file$i.o"; gcc -O0 -c -w file$i.c -o file$i.o; done',
    }
    for name, text in scripts.items():
        with open(os.path.join(source, name), "w") as out:
            out.write(text + "\n")
    for text in [f"cd {source}", "git init -q .", "git config user.email a@b.c", "git config user.name a"]:
        session.line(text)
    for n in range(12):
        session.line(f"sh change {n}")
        session.line(f"git add -A; git commit -m {n}")
        session.line("git --no-pager log -p -1 --color=always")
        session.line("sh make")
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
