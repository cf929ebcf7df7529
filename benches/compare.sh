#!/bin/sh
# Compares sealcast with what people use today: CPU, time, peak memory and size of the same work in a bare terminal, under
# script(1), under asciinema (2 and 3, where installed) and under sealcast.
#
#     benches/compare.sh [ROUNDS]            builds the release binary first; SEALCAST=/path/to/binary skips that
#
# ASCIINEMA=/path/to/another measures that one beside the installed one.
#
# Needs python3 and zstd. Prints a table per workload, and ratios to script.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if [ -z "${SEALCAST:-}" ]; then
    cargo build --release --manifest-path "$here/../Cargo.toml"
    SEALCAST=$(cd "$here/.." && pwd)/target/release/sealcast
fi
command -v zstd >/dev/null || { echo "error: zstd is not installed" >&2; exit 2; }
exec python3 "$here/compare.py" "$SEALCAST" "${1:-3}"
