#!/bin/sh
# Sets sealcast beside what people use today: a bare terminal, script(1), asciinema 2 and 3, tlog-rec and sudo with log_output,
# as far as they are installed.
#
#     benches/side_by_side.sh [ROUNDS] [bulk|echo|memory …]     default: 5 rounds of everything
#
# bulk    CPU, time and peak memory of seq, 50 MB of text and 50 MB of random bytes
# echo    keystroke echo, median and 99th percentile, idle and with a busy loop on every core
# memory  peak memory at 100 MB, 500 MB and 1 GB of output, and behind a terminal that reads 100 KB/s
#
# All recorders take turns in every round, and ratios are those of a round: what else the machine does touches all of them.
# Builds the release binary first; SEALCAST=/path/to/binary skips that. ASCIINEMA=/path/to/another measures that one beside the
# installed one. Needs python3, and root for sudo, which is given a
# configuration of its own in a private mount namespace: nothing of the host is changed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if [ -z "${SEALCAST:-}" ]; then
    cargo build --release --manifest-path "$here/../Cargo.toml"
    SEALCAST=$(cd "$here/.." && pwd)/target/release/sealcast
fi
rounds=${1:-5}
[ $# -eq 0 ] || shift
exec python3 "$here/side_by_side.py" "$SEALCAST" "$rounds" "$@"
