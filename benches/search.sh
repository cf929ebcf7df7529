#!/bin/sh
# Compares `sealcast search` with `zstd -dc *.zst | rg` over the plaintext of the same sessions, and tells how much was passed
# over and how much memory it took. Makes the store first if it is not there.
#
#   benches/search.sh OUT [RECORDINGS] [MEGABYTES]
#
# Needs cargo, zstd, script, python3, and rg or grep. SEALCAST and GENERATE_STORE name binaries that are built already; ROUNDS
# is how often each is run (3); RARE is looked for instead of the word that the generator puts into a thousandth of the
# recordings. The two are run in turn, and the best of each counts: seconds, and seconds of processor time, which on a busy
# machine are what can be compared. Nothing of our own is kept from before (--no-cache): every key is unwrapped anew. The files
# are in the system's cache for both.
#
# What came of it, with 2,000 recordings (5.5 GB of output): a word that two of them showed is found in 0.2 s, 30 times faster than
# by the pipe; an id of eight hexadecimal digits 8 times faster. Where no index can tell (an address: its digits stand in every log)
# all is read, about as fast as by the pipe. The first hundred hits of a common word come 2 to 14 times sooner, of one in every other
# line at best 1.5 times.
set -eu
out=${1:?usage: benches/search.sh OUT [RECORDINGS] [MEGABYTES]}
recordings=${2:-2000}
megabytes=${3:-4850}
target=${CARGO_TARGET_DIR:-target}/release
sealcast=${SEALCAST:-$target/sealcast}
generate=${GENERATE_STORE:-$target/examples/generate_store}
rounds=${ROUNDS:-3}

if [ -z "${SEALCAST:-}" ]; then cargo build --release --quiet; fi
if [ ! -d "$out/store" ]; then
    if [ -z "${GENERATE_STORE:-}" ]; then cargo build --release --quiet --example generate_store; fi
    "$generate" "$sealcast" "$out" "$recordings" "$megabytes" | tee "$out.log"
fi
if command -v rg >/dev/null; then grep='rg -a'; else grep='grep -a'; fi
printf 'store: %s recordings, %s; plaintext compressed: %s; compared with %s\n' "$(ls "$out/store" | wc -l)" \
    "$(du -sh "$out/store" | cut -f1)" "$(du -sh "$out/plain" | cut -f1)" "$grep"

# once NAME COMMAND…: appends seconds, seconds of processor time and KiB to $out/NAME; leaves output and the last words.
once() {
    name=$1
    shift
    python3 "$(dirname "$0")/timed.py" "$out/$name" "$out/$name.found" "$out/$name.said" "$@"
}

# The best of a column of $out/NAME; the last one is the worst: peak memory.
best() { awk -v c="$2" 'NR == 1 || $c < b { b = $c } END { printf "%.3f", b }' "$out/$1"; }
worst() { awk -v c="$2" '$c > b { b = $c } END { print b + 0 }' "$out/$1"; }

# compare LABEL PIPE ARGUMENT…: the pipe and a search with these arguments, in turn.
compare() {
    label=$1 pipe=$2
    shift 2
    rm -f "$out/pipe" "$out/search"
    for _ in $(seq "$rounds"); do
        once pipe sh -c "$pipe"
        once search env HOME="$out/home" "$sealcast" search --no-cache --store "$out/store" "$@"
    done
    awk -v label="$label" -v ps="$(best pipe 1)" -v pc="$(best pipe 2)" -v pl="$(wc -l <"$out/pipe.found")" \
        -v ss="$(best search 1)" -v sc="$(best search 2)" -v sl="$(wc -l <"$out/search.found")" \
        -v mem="$(worst search 3)" 'BEGIN {
            printf "%-44s pipe %8.3f s (cpu %7.3f) %6d lines   sealcast %7.3f s (cpu %6.3f) %6d lines %5.0f MiB   %5.1f times faster (cpu %5.1f)\n",
                label, ps, pc, pl, ss, sc, sl, mem / 1024, ps / (ss + 0.0001), pc / (sc + 0.0001)
        }'
    printf '%44s %s\n' '' "$(tail -n 1 "$out/search.said")"
}

cat="zstd -dcq '$out'/plain/*.zst"
for text in ${RARE:-marigold-canary-7q4z} zyzzyva-nowhere; do
    compare "rare: $text" "$cat | $grep -F '$text'" "$text"
done
# An id as logs have them: its trigrams are everywhere. An address: no filter can tell, all logs are read.
for text in id=0a1b2c3d 203.0.113.77; do
    compare "of digits: $text" "$cat | $grep -F '$text'" "$text"
done
# In every session of one or two kinds, and in no other: most of the store is passed over.
for text in PermitRootLogin uptime install; do
    compare "common, first 100: $text" "$cat | $grep -F '$text' | head -n 100" --in screen --limit 100 "$text"
done
# In every other line of the first sessions: whatever reads anything finds a hundred at once.
for text in root error 'upstream closed'; do
    compare "in every line, first 100: $text" "$cat | $grep -F '$text' | head -n 100" --in screen --limit 100 "$text"
done
compare 'in how many recordings: upstream closed' \
    "for f in '$out'/plain/*.zst; do zstd -dcq \$f | $grep -q -F 'upstream closed' && echo \$f; done" \
    --in screen --files 'upstream closed'
compare 'index only: ticket and exit status' true -q 'ticket:NOSUCH and exit:99'

echo 'headers only, 10,000 recordings'
if [ ! -d "$out/many" ]; then
    mkdir "$out/many"
    ls "$out/store" | head -n 2000 | while read -r name; do
        for copy in A B C D E; do
            # Another id, the same file.
            ln "$out/store/$name" "$out/many/$(printf '%s' "$name" | sed "s/.\{7\}$/$copy.scast/")"
        done
    done
fi
rm -f "$out/many.times"
for _ in $(seq "$rounds"); do
    once many.times env HOME="$out/nobody" "$sealcast" ls --store "$out/many" --host nowhere
done
printf '%-44s %s s (cpu %s) for %s recordings\n' 'ls --host' "$(best many.times 1)" "$(best many.times 2)" \
    "$(ls "$out/many" | wc -l)"
rm -f "$out/many.times"
for _ in $(seq "$rounds"); do
    once many.times env HOME="$out/home" "$sealcast" ls --json --store "$out/store" --ticket NOSUCH
done
printf '%-44s %s s (cpu %s) for %s recordings: %s ms of processor time each\n' 'ls --ticket: every index opened, key and all' \
    "$(best many.times 1)" "$(best many.times 2)" "$(ls "$out/store" | wc -l)" \
    "$(awk -v c="$(best many.times 2)" -v n="$(ls "$out/store" | wc -l)" 'BEGIN { printf "%.2f", 1000 * c / n }')"
