#!/usr/bin/env python3
"""Runs a command once: timed.py TIMES OUT ERR COMMAND...

Appends a line to the file TIMES: seconds, seconds of processor time (children included), peak memory in KiB of the largest
process. GNU time tells hundredths of seconds only, and some of what is compared takes two of them."""
import os
import sys
import time

times, out, err, *command = sys.argv[1:]
flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
actions = [(os.POSIX_SPAWN_OPEN, 1, out, flags, 0o644), (os.POSIX_SPAWN_OPEN, 2, err, flags, 0o644)]
begun = time.perf_counter()
child = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
_, _, usage = os.wait4(child, 0)
took = time.perf_counter() - begun
with open(times, "a") as kept:
    print(f"{took:.6f} {usage.ru_utime + usage.ru_stime:.6f} {usage.ru_maxrss}", file=kept)
