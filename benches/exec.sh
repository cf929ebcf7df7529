#!/bin/sh
# What the trace of executed programs sees and costs: a loop of 5,000 programs, a make of a small tree, a cargo build of a small
# crate. Each is run recorded with the trace and without, in turn; and once under strace, whose count of successful execve
# is what the index must have. Then what all witnesses together (marks of the shell, trace) cost in a shell that prints much, and
# what they add to the time until a typed key is seen.
#
#     benches/exec.sh [ROUNDS [PART…]]       builds the release binary first; SEALCAST=/path/to/binary skips that
#
# Needs root (a mount namespace with an /etc of its own, and the trace), strace, make, gcc, cargo, python3. Tells of the medians
# of the rounds (9); the parts are `programs`, `bulk` and `echo`. CPU is user and system time of everything, the recorder
# included.
set -eu
if [ "${1:-}" != inside ]; then
    here=$(cd "$(dirname "$0")" && pwd)
    if [ -z "${SEALCAST:-}" ]; then
        cargo build --release --manifest-path "$here/../Cargo.toml"
        SEALCAST=$(cd "$here/.." && pwd)/target/release/sealcast
    fi
    [ "$(id -u)" = 0 ] || { echo "error: only root can trace what is executed" >&2; exit 2; }
    for tool in strace make gcc cargo python3 unshare; do
        command -v $tool >/dev/null || { echo "error: $tool is not installed" >&2; exit 2; }
    done
    SEALCAST=$(readlink -f "$SEALCAST")
    export SEALCAST
    exec unshare --mount --propagation private sh "$here/exec.sh" inside "$@"
fi

shift
rounds=${1:-9}
[ $# -eq 0 ] || shift
parts=${*:-programs bulk echo}
work=$(mktemp -d)
# Recordings can only be appended to.
trap 'chattr -R -a "$work/store" 2>/dev/null; umount /etc; rm -rf "$work"' EXIT
mkdir "$work/etc" && cp -a /etc/. "$work/etc" 2>/dev/null || true
mount --bind "$work/etc" /etc
mkdir -p /etc/sealcast
ssh-keygen -q -t ed25519 -N '' -f /etc/sealcast/signing
recipient=$("$SEALCAST" keys new -o "$work/identity" | tail -n 1)
configure() {
    cat >/etc/sealcast/config.toml <<END
[store]
path = "$work/store"
low-space = 0
[signing]
key = "/etc/sealcast/signing"
[recipients]
default = ["$recipient"]
[index]
exec-trace = "$1"
shell-integration = $2
END
}

# The three workloads; each is a command for sh.
mkdir -p "$work/make" "$work/crate/src"
(
    echo "all: all.bin"
    printf 'all.bin:'; for n in $(seq 60); do printf ' f%s.o' "$n"; done; printf '\n\tgcc -o $@ $^\n'
    for n in $(seq 60); do
        printf 'f%s.o: f%s.c\n\tgcc -c -o $@ $<\n' "$n" "$n"
        if [ "$n" = 1 ]; then echo 'int main(void) { return 0; }'; else echo "int f$n(int x) { return x * $n; }"; fi >"$work/make/f$n.c"
    done
) >"$work/make/Makefile"
cat >"$work/crate/Cargo.toml" <<'END'
[package]
name = "small"
version = "0.1.0"
edition = "2021"
END
echo 'fn main() { println!("{}", std::env::args().count()); }' >"$work/crate/src/main.rs"
loop='i=0; while [ $i -lt 5000 ]; do /bin/true; i=$((i+1)); done'
make="cd $work/make; rm -f *.o all.bin; make -s -j2"
# The toolchain itself, not the proxy before it.
bin=$(dirname "$(rustup which cargo 2>/dev/null || command -v cargo)")
cargo="cd $work/crate; rm -rf target; PATH=$bin:\$PATH; exec cargo build --quiet --offline"

cat >"$work/run.py" <<'END'
import json, os, pty, random, resource, select, statistics, subprocess, sys, time

work, rounds = sys.argv[1], int(sys.argv[2])
sealcast, configure = os.environ["SEALCAST"], sys.argv[3]
workloads = list(zip(["loop of 5,000", "make", "cargo build"], sys.argv[4:7]))
quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}


def run(command):
    """CPU and time, seconds."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, **quiet)
    if done.returncode != 0:
        sys.exit(f"error: {command} ended with {done.returncode}: {done.stderr.decode()}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.monotonic() - begun


def trace(mode, marks="true"):
    with open("/etc/sealcast/config.toml", "w") as file:
        file.write(configure.replace("@MODE@", mode).replace("@MARKS@", marks))


def typed(line):
    """CPU and time of a recorded shell in a terminal that is given this line, and ends with it."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    pid, leader = pty.fork()
    if pid == 0:
        os.execvp(sealcast, [sealcast, "run", "--", "bash"])
    time.sleep(1)
    os.write(leader, line.encode() + b"; exit\r")
    try:
        while os.read(leader, 1 << 16):
            pass
    except OSError:
        pass
    os.waitpid(pid, 0)
    os.close(leader)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.monotonic() - begun - 1


def recorded():
    """Programs in the index of the last recording, and what is said of the trace."""
    show = [sealcast, "show", "--store", f"{work}/store", "-i", f"{work}/identity", "last", "--json"]
    story = json.loads(subprocess.run(show, capture_output=True, check=True).stdout)
    commands = story["commands"]
    lost = [n["text"] for n in story.get("notices", [])]
    return sum(len(command.get("execs", [])) for command in commands), lost, story["size"], story["meta"]["in_force"]["exec-trace"]


def programs():
    print("| | programs, strace | in the index | CPU s, off | on | ratio | time s, off | on | ratio | µs CPU per program | size, off | on |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for name, command in workloads:
        log = f"{work}/strace"
        subprocess.run(["strace", "-f", "-qq", "-e", "trace=execve,execveat", "-e", "status=successful", "-o", log,
                        "sh", "-c", command], check=True, **quiet)
        # strace writes a line for every call that succeeded, in one piece or resumed.
        counted = sum(line.rstrip().endswith("= 0") for line in open(log, errors="replace"))
        taken, sizes, seen = {"off": [], "auto": []}, {}, set()
        for _ in range(rounds):
            for mode in taken:
                trace(mode)
                taken[mode].append(run([sealcast, "run", "--", "sh", "-c", command]))
                programs, lost, sizes[mode], mechanism = recorded()
                if mode == "auto":
                    seen.add((programs, mechanism, *lost))
        (off, off_time), (on, on_time) = ([statistics.median(v) for v in zip(*taken[mode])] for mode in taken)
        found = "; ".join(f"{programs} ({', '.join(map(str, rest))})" for programs, *rest in sorted(seen))
        each = 1e6 * (on - off) / counted
        print(f"| {name} | {counted} | {found} | {off:.3f} | {on:.3f} | {on / off:.3f} | {off_time:.3f} | {on_time:.3f} "
              f"| {on_time / off_time:.3f} | {each:.0f} | {sizes['off']} | {sizes['auto']} |", flush=True)


def bulk():
    print("\n| in a recorded bash | CPU s, no witnesses | all | ratio | time s, no witnesses | all | ratio |")
    print("|---|---|---|---|---|---|---|")
    for line in ["seq 3000000", "find / -xdev -ls 2>/dev/null | head -c 50000000", "for i in $(seq 300); do ls -l /etc; done"]:
        taken = {"off": [], "auto": []}
        for _ in range(rounds):
            for mode, marks in [("off", "false"), ("auto", "true")]:
                trace(mode, marks)
                taken[mode].append(typed(line))
        (off, off_time), (on, on_time) = ([statistics.median(v) for v in zip(*taken[mode])] for mode in taken)
        print(f"| `{line}` | {off:.2f} | {on:.2f} | {on / off:.3f} | {off_time:.2f} | {on_time:.2f} | {on_time / off_time:.3f} |", flush=True)


class Open:
    """A recorded bash in a terminal, to type at its prompt or, with `cat`, into a program that reads lines."""

    def __init__(self, mode, marks, program):
        trace(mode, marks)
        self.pid, self.leader = pty.fork()
        if self.pid == 0:
            os.execvp(sealcast, [sealcast, "run", "--", "bash"])
        self.quiet(1.0)
        os.write(self.leader, program.encode() + b"\r")
        self.quiet(1.0)
        self.keys, self.taken = 0, []

    def quiet(self, wait):
        while select.select([self.leader], [], [], wait)[0]:
            os.read(self.leader, 1 << 16)

    def key(self):
        # Taken back before the line is full: ^U.
        self.keys += 1
        if self.keys % 50 == 0:
            os.write(self.leader, b"\x15")
            self.quiet(0.1)
        begin = time.perf_counter()
        os.write(self.leader, bytes([97 + self.keys % 26]))
        if not select.select([self.leader], [], [], 10)[0]:
            sys.exit("error: no echo")
        os.read(self.leader, 1 << 16)
        self.taken.append(1e6 * (time.perf_counter() - begin))

    def end(self):
        os.write(self.leader, b"\x15\x03")
        self.quiet(0.3)
        os.write(self.leader, b"exit\r")
        try:
            while os.read(self.leader, 1 << 16):
                pass
        except OSError:
            pass
        os.waitpid(self.pid, 0)
        os.close(self.leader)


def echo():
    print("\n| echo of a key, µs | median, no witnesses | all | 99th percentile, no witnesses | all |\n|---|---|---|---|---|")
    for place, program in [("at the prompt", ":"), ("in cat", "cat")]:
        off, on = sessions = [Open("off", "false", program), Open("auto", "true", program)]
        for n in range(200 * rounds):
            # A key for each in turn, each first as often as second.
            for session in sessions[:: 1 if n % 2 else -1]:
                time.sleep(random.uniform(0.004, 0.012))
                session.key()
        for session in sessions:
            session.end()
        of = lambda taken: (statistics.median(taken), statistics.quantiles(taken, n=100)[98])
        (off_half, off_most), (on_half, on_most) = of(off.taken), of(on.taken)
        print(f"| {place} | {off_half:.0f} | {on_half:.0f} | {off_most:.0f} | {on_most:.0f} |", flush=True)


for part in sys.argv[7].split():
    {"programs": programs, "bulk": bulk, "echo": echo}[part]()
END
configure @MODE@ @MARKS@
python3 "$work/run.py" "$work" "$rounds" "$(cat /etc/sealcast/config.toml)" "$loop" "$make" "$cargo" "$parts"
