#!/bin/sh
# Compares `sealcast search` with `zstd -dc *.zst | rg` over the plaintext of the same sessions, and tells how much was passed
# over and how much memory it took. Makes the store first if it is not there.
#
#   benches/search.sh OUT [RECORDINGS] [MEGABYTES]
#
# Needs cargo, zstd, rg, script and GNU time.
set -eu
out=${1:?usage: benches/search.sh OUT [RECORDINGS] [MEGABYTES]}
recordings=${2:-2000}
megabytes=${3:-5200}
target=${CARGO_TARGET_DIR:-target}/release
export TIMEFORMAT=%R

cargo build --release --quiet
sealcast=$target/sealcast
if [ ! -d "$out/store" ]; then
    cargo build --release --quiet --example generate_store
    "$target/examples/generate_store" "$sealcast" "$out" "$recordings" "$megabytes"
fi
printf 'store: %s recordings, %s; plaintext compressed: %s\n' "$(ls "$out/store" | wc -l)" \
    "$(du -sh "$out/store" | cut -f1)" "$(du -sh "$out/plain" | cut -f1)"

# The best of five, in seconds; peak memory in KiB; the last line that was said.
measure() {
    label=$1
    shift
    best=
    for _ in 1 2 3 4 5; do
        /usr/bin/time -o "$out/time" -f '%e %U %S %M' "$@" >"$out/found" 2>"$out/said" || true
        now=$(tail -n 1 "$out/time")
        if [ -z "$best" ] || [ "$(printf '%s\n%s\n' "$now" "$best" | sort -n | head -n 1)" = "$now" ]; then best=$now; fi
    done
    set -- $best
    printf '%-34s %6s s  (user %s, system %s)  %6s KiB  %s lines\n' "$label" "$1" "$2" "$3" "$4" "$(wc -l <"$out/found")"
    if [ -s "$out/said" ]; then printf '%-34s %s\n' '' "$(tail -n 1 "$out/said")"; fi
}
search() { label=$1; shift; measure "$label" env HOME="$out/home" "$sealcast" search --store "$out/store" "$@"; }

for text in marigold-canary-7q4z zyzzyva-nowhere; do
    echo "rare: $text"
    measure '  zstd -dc | rg' sh -c "zstd -dcq '$out'/plain/*.zst | rg -a -F '$text'"
    search '  sealcast search --no-cache' --no-cache "$text"
    search '  sealcast search' "$text"
done
echo "common, the first 100 hits"
measure '  zstd -dc | rg | head' sh -c "zstd -dcq '$out'/plain/*.zst | rg -a -F error | head -n 100"
search '  sealcast search --limit 100' --no-cache --in screen --limit 100 error
echo "common, in how many recordings"
measure '  zstd -dc | rg -c, every file' sh -c "for f in '$out'/plain/*.zst; do zstd -dcq \$f | rg -a -q -F 'upstream closed' && echo \$f; done"
search '  sealcast search --files' --no-cache --in screen --files 'upstream closed'
echo "indexes only"
search '  ticket, exit, commands' --no-cache -q 'ticket:NOSUCH and exit:99'
echo "headers only, 10,000 recordings"
if [ ! -d "$out/many" ]; then
    mkdir "$out/many"
    n=0
    ls "$out/store" | head -n 2000 | while read -r name; do
        for copy in A B C D E; do
            # Another id, the same file.
            ln "$out/store/$name" "$out/many/$(printf '%s' "$name" | sed "s/.\{7\}$/$copy.scast/")"
        done
        n=$((n + 1))
    done
fi
measure '  sealcast ls --host' env HOME="$out/nobody" "$sealcast" ls --store "$out/many" --host nowhere
