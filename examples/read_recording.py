#!/usr/bin/env python3
"""Reads a sealcast recording without sealcast: a second implementation of doc/FORMAT.md.

    read_recording.py -i IDENTITY [-i IDENTITY ...] RECORDING > session.cast
    read_recording.py -i IDENTITY --commands RECORDING > commands.jsonl

Decrypts a recording, closed or torn, to an asciicast v3 document on standard output, or the commands of its index to JSON
lines (and, after those of each segment, the programs that belong to none). Needs the stock `age` command and
the Python packages `cryptography` and `zstandard`. It checks that what it reads is what was sealed; whether the file is
authentic as a whole, and who signed it, is another question (`sealcast verify`). Of one that is damaged it gives nothing but an
error that says where: what can be read before and behind that is what `sealcast export` gives.
"""
import argparse
import base64
import functools
import hashlib
import hmac
import itertools
import json
import re
import struct
import subprocess
import sys
import tempfile
import zlib

import zstandard
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC, MINOR, MARK, BODY_LIMIT = b"\x89SC1\r\n\x1a\n", 0, b"\xa7\x5e", 1 << 20
HEADER, KEYS, CERT, SEG, DATA, INDEX, CHECK, TABLE, TRAILER = 0x01, 0x02, 0x03, 0x10, 0x11, 0x12, 0x20, 0x31, 0x3F
KNOWN, ANCILLARY = {HEADER, KEYS, CERT, SEG, DATA, INDEX, CHECK, TABLE, TRAILER}, 0x80
ENTRY_LIMIT, SEGMENT_LIMIT, LINE_LIMIT, ROOT_SLOT, PERIOD_SLOT = 16 << 20, 256 << 20, 8 << 20, 1, 2
STEP = 1 << 10  # bytes that are decompressed at once: 32 MiB at most come of them
MOST_FRAMES = 64  # behind the beginning of a chunk, whatever their checksums
PUBLIC = ["session", "cipher", "compression", "content", "index", "recipients", "start", "host", "machine", "user", "caller"]
PUBLIC += ["target", "retention", "tool", "policy"]
CLOSES, FINAL = 1, 2
# What may come next (a row), which types may stand there, and what may come then. A CHECK is told apart by its flags below.
ORDER = {
    "header": {HEADER: "keys"},
    "keys": {KEYS: "cert"},
    "cert": {CERT: "metadata"},
    "metadata": {INDEX: "segment"},
    "segment": {SEG: "more", (CHECK, FINAL): "end"},
    "more": {DATA: "more", (CHECK, 0): "more", INDEX: "closing"},
    "closing": {(CHECK, CLOSES): "segment", (CHECK, CLOSES | FINAL): "end"},
    "end": {TABLE: "trailer"},
    "pieces": {TABLE: "trailer", TRAILER: "nothing"},  # of a table that is longer than a chunk
    "trailer": {TRAILER: "nothing"},
    "nothing": {},
}
OPEN_END = "not closed: what comes after this is missing, or was not recorded yet"


def chunks(data):
    """Type, flags, the 12 framing bytes and the body of every whole chunk. What stands where there is none must be the beginning of
    one, or zeros: then the recording just ends there."""
    at, number = 16, 0
    while at < len(data):
        frame = struct.unpack_from("<2sBBIII", data.ljust(at + 16, b"\0"), at)
        mark, kind, flags, length, seq, crc = frame
        body = data[at + 16 : at + 16 + length]
        whole = at + 16 + length <= len(data) and is_frame(frame)
        if not whole or zlib.crc32(data[at : at + 12] + body) != crc:
            if is_tear(data[at:], frame):
                return
            if mark == MARK and kind not in KNOWN and not kind & ANCILLARY:
                sys.exit(f"error: chunk {number} is of the unknown type {kind:#04x}: a later version may know it")
            if mark == MARK and flags & ~(CLOSES | FINAL if kind == CHECK else 0):
                sys.exit(f"error: chunk {number} has the unknown flags {flags:#04x}: a later version may know them")
            sys.exit(f"error: no whole chunk stands at byte {at}, where chunk {number} belongs, and the recording does not end there")
        if seq != number:
            sys.exit(f"error: chunk {seq} stands where chunk {number} belongs")
        yield kind, flags, data[at : at + 12], body
        at, number = at + 16 + length, number + 1


def is_frame(frame):
    mark, kind, flags, length, _, _ = frame
    known = kind in KNOWN or kind & ANCILLARY
    return mark == MARK and known and length <= BODY_LIMIT and not flags & ~(CLOSES | FINAL if kind == CHECK else 0)


def is_tear(rest, frame):
    """Whether a write that was stopped leaves this: the beginning of one chunk and no other behind it, or zeros after so much."""
    written = rest.rstrip(b"\0")
    if len(rest) < 16:
        return not written or rest[:2] == MARK[: len(rest)]
    if is_frame(frame) and 16 + frame[3] > len(rest):
        frames = list(itertools.islice(filter(functools.partial(stands, rest), marks(rest)), MOST_FRAMES + 1))
        return len(frames) <= MOST_FRAMES and not any(map(functools.partial(is_chunk, rest), frames))
    if written and len(rest) - len(written) < 4:  # so few stand at the end of a chunk by themselves now and then
        return False
    if len(written) < 16:
        return written[:2] == MARK[: len(written)]
    return is_frame(frame) and len(written) <= 16 + frame[3]


def marks(rest):
    at = rest.find(MARK, 1)
    while at >= 0:
        yield at
        at = rest.find(MARK, at + 1)


def stands(rest, at):
    """Whether a frame stands there, of a chunk that ends in the file."""
    if at + 16 > len(rest):
        return False
    frame = struct.unpack_from("<2sBBIII", rest, at)
    return is_frame(frame) and at + 16 + frame[3] <= len(rest)


def is_chunk(rest, at):
    """Whether the checksum of the frame there is right."""
    length, _, crc = struct.unpack_from("<III", rest, at + 4)
    return zlib.crc32(rest[at : at + 12] + rest[at + 16 : at + 16 + length]) == crc


def in_order(found, minor):
    """The chunks. One out of its place is an error: what was there before it was changed would be missing. So is one of an unknown type,
    but between segments of a later version, which nobody without a key makes of this one."""
    place = "header"
    for number, (kind, flags, framing, body) in enumerate(found):
        if kind in KNOWN or minor <= MINOR or place != "segment":
            place = ORDER[place].get((kind, flags) if kind == CHECK and len(body) == 100 else kind)
        if place is None:
            sys.exit(f"error: chunk {number}, of type {kind:#04x}, does not belong where it stands")
        if kind == TABLE and len(body) == BODY_LIMIT:
            place = "pieces"
        yield kind, flags, framing, body


def announced(found):
    """The public key of the first CHECK, as the certificate has it."""
    first = re.search(rb"^first-checkpoint: ([0-9a-f]{64})$", found[2][3], re.M)
    if first is None:
        sys.exit("error: the certificate does not say which key signs the first checkpoint")
    return first[1].decode()


def ends(data, found):
    """Whether the last of these chunks is the final CHECK, and every CHECK is signed by the key that was announced for it: then
    nothing came after it. (Whoever signed the certificate: that is another question.)"""
    file_id = hashlib.sha256(data[: 32 + len(found[0][3])]).digest()
    key = bytes.fromhex(announced(found))
    closed, running, epoch = bytes(32), hashlib.sha256(), 0
    for number, (kind, flags, framing, body) in enumerate(found):
        if kind == CHECK:
            signed = struct.pack("<32sIIB", file_id, epoch, number, flags) + closed + running.digest() + body[4:36]
            try:
                Ed25519PublicKey.from_public_bytes(key).verify(body[36:], b"sealcast checkpoint v1\0" + signed)
            except InvalidSignature:
                return False
            if body[:4] != struct.pack("<I", epoch):
                return False
            key, epoch = body[4:36], epoch + 1
        running.update(framing + struct.pack("<I", zlib.crc32(framing + body)) + body)
        if kind == CHECK and flags & CLOSES:
            closed, running = hashlib.sha256(b"\1" + closed + running.digest()).digest(), hashlib.sha256()
    return found[-1][0] == CHECK and found[-1][1] & FINAL != 0


def age(slot, said, *arguments, identity=None):
    """Opens an age file with the stock command; None when none of the identities does: why goes to `said`."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(slot)
        file.flush()
        done = subprocess.run(["age", "-d", *arguments, file.name], input=identity, capture_output=True)
    if done.returncode != 0:
        said.append(done.stderr.decode(errors="replace").strip())
        return None
    return done.stdout


def root_key(body, identities):
    """The root key from the key slots: directly, or with the identity of a longer period."""
    slots, said, at = [], [], 0
    while at < len(body):
        kind, length = struct.unpack_from("<BI", body, at)
        slots.append((kind, body[at + 5 : at + 5 + length]))
        at += 5 + length
    files = [argument for path in identities for argument in ("-i", path)]
    periods = [age(slot, said, *files) for kind, slot in slots if kind == PERIOD_SLOT]
    for slot in (slot for kind, slot in slots if kind == ROOT_SLOT):
        root = age(slot, said, *files)
        for period in filter(None, periods):
            root = root or age(slot, said, "-i", "-", identity=period + b"\n")
        if root:
            return root
    print(*said, sep="\n", file=sys.stderr)  # most slots are not for whoever reads: only now it is of use
    sys.exit("error: no identity opens this recording")


def public(body):
    """The fields of the public header."""
    fields = json.loads(body, object_pairs_hook=list)
    names = [name for name, _ in fields]
    if any(names.count(name) > 1 for name in PUBLIC):
        sys.exit("error: a field of the header appears twice")
    fields = dict(fields)
    if (fields.get("cipher"), fields.get("compression")) != ("chacha20poly1305", "zstd"):
        sys.exit("error: the header names a cipher or compression that version 1 does not have")
    return fields


def step(key, label):
    return hmac.digest(key, label, hashlib.sha256)


def opened(key, file_id, number, framing, body):
    """The plaintext of a sealed chunk."""
    try:
        padded = ChaCha20Poly1305(key).decrypt(body[:12], body[12:], file_id + framing)
    except (InvalidTag, ValueError):  # the latter of a body that is too short
        sys.exit(f"error: chunk {number} is not what was sealed")
    packed = padded.rstrip(b"\0")
    if packed[-1:] != b"\x80":
        sys.exit(f"error: chunk {number} is not padded as it should be")
    return packed[:-1]


def read(data, found, root, entries):
    """First the sealed metadata, then the lines of the recording. The index goes to `entries`."""
    header, file_id = public(found[0][3]), hashlib.sha256(data[: 32 + len(found[0][3])]).digest()
    start = lambda info: HKDF(hashes.SHA256(), 32, salt=bytes.fromhex(header["session"]), info=info).derive(root)
    content = start(b"content")
    if step(content, b"commitment").hex() != header["content"]:
        sys.exit("error: the key does not belong to this recording")
    chain, inflate, index = step(content, b"seg"), None, start(b"index")
    rest, anchored, first = b"", False, True  # the line in hand; whether the segment has its clocks; no line has come
    counted = {"end": 0}
    at = 16
    for number, (kind, flags, framing, body) in enumerate(found):
        offset, at = at, at + 16 + len(body)
        if kind == INDEX:
            plain = opened(step(index, b"key"), file_id, number, framing, body)
            entry = indexed(plain, number)
            if "meta" in entry:
                yield entry
            else:
                entries.append(entry)
            index = step(index, b"next")
        elif kind in (SEG, DATA):
            key, chain = step(chain, b"key"), step(chain, b"next")
            if kind == SEG:
                inflate, anchored, length, reached = new_frame(), False, 0, counted["end"]
                counted = {"offset": offset, "raw": 0, "input": 0, "end": 0}
            packed = opened(key, file_id, number, framing, body)
            while packed:
                if inflate.eof:
                    inflate = new_frame()
                text = inflate.decompress(packed[:STEP])
                packed = inflate.unused_data + packed[STEP:]
                length += len(text)
                if length > SEGMENT_LIMIT:
                    sys.exit(f"error: chunk {number}: a segment of more than {SEGMENT_LIMIT} bytes")
                *lines, rest = (rest + text).split(b"\n")
                if max(map(len, [*lines, rest])) > LINE_LIMIT:
                    sys.exit(f"error: chunk {number} holds a line of more than {LINE_LIMIT} bytes")
                for line in lines:
                    if line.strip()[:1] == b"{" and not first:
                        sys.exit(f"error: chunk {number} holds a second header of the cast")
                    first = False
                    if not is_event(line):
                        continue
                    begins, anchored = not anchored, True
                    if begins and json.loads(line)[1] != "t":
                        sys.exit(f"error: chunk {number} begins a segment without its clocks")
                    tally(counted, *json.loads(line), begins)
                    if begins and counted["end"] + 1 < reached:
                        sys.exit(f"error: chunk {number} begins a segment before the time that the one before it reached")
                    yield line
        elif kind == CHECK and flags & CLOSES:
            if not inflate.eof or rest:
                sys.exit(f"error: chunk {number} closes a segment in the middle of its text")
            if any(entries[-1].get(name, 0) != value for name, value in counted.items()):
                sys.exit(f"error: chunk {number} closes a segment that is not what its index entry says: something is missing")
            content = step(content, b"next")
            chain = step(content, b"seg")


def tally(counted, interval, code, text, begins):
    """Counts a line for the comparison with the entry of its segment."""
    counted["end"] = json.loads(text)["at"] if begins else counted["end"] + round(interval * 1000)
    stream, _, encoded = text.partition(":") if code == "b" else (code, "", "")
    length = len(base64.b64decode(encoded) if code == "b" else text.encode("utf-8"))
    if stream in ("o", "e", "i"):
        counted["input" if stream == "i" else "raw"] += length


def is_event(line):
    return line.strip() and line.strip()[:1] not in (b"#", b"{")


def indexed(plain, number):
    """The JSON of an index entry, or of the metadata. (`decompress` would take a frame for as long as that says it is.)"""
    packed = plain[4 : 4 + int.from_bytes(plain[:4], "little")]
    try:
        text = zstandard.ZstdDecompressor().stream_reader(packed).read(ENTRY_LIMIT + 1)
        if len(text) > ENTRY_LIMIT:
            sys.exit(f"error: chunk {number} holds an index entry of more than {ENTRY_LIMIT} bytes")
        return json.loads(text)
    except (zstandard.ZstdError, ValueError, RecursionError):
        sys.exit(f"error: chunk {number}: the index entry is malformed")


def new_frame():
    return zstandard.ZstdDecompressor(max_window_size=1 << 23).decompressobj()


def programs(columns):
    """The rows of the columns, each as a function of where its list begins: (time, directory) -> program."""
    listed = {name: {row: rest for row, *rest in columns.get(name, [])} for name in ("exit", "cwd", "user")}
    parents, pid, user = {}, 0, [0, 0]
    rows = zip(*(columns.get(name, []) for name in ("file", "args", "start", "took", "pid", "parent")))
    for number, (file, args, start, took, step_to, relation) in enumerate(rows):
        argv = args.split(" ") if isinstance(args, str) else args
        parent = -1 - relation if relation < 0 else pid
        for _ in range(max(relation, 0)):
            parent = parents[parent]
        pid += step_to
        parents[pid] = parent
        user = listed["user"].get(number, [user])[0]
        path = columns["files"][file] if file >= 0 else columns["files"][-1 - file] + "/" + argv[0]

        def row(time, cwd, number=number, start=start, took=took, path=path, argv=argv, pid=pid, parent=parent, user=user):
            time, cwd = time + start, listed["cwd"].get(number, [cwd])[0]
            ids = {"pid": pid, "ppid": parent, "uid": user[0], "euid": user[1]}
            return {"time": time, **ids, "path": path, "argv": argv, "cwd": cwd, **ended(time, took, listed["exit"].get(number))}

        yield row


def ended(start, took, exit):
    """End and status, where they are known: 0 unless listed."""
    status = exit[0] if exit else None if took is None else 0
    known = {"end": None if took is None else start + took, "exit": status}
    return {name: value for name, value in known.items() if value is not None}


def commands(entry):
    """The commands of an index entry, and the programs of none."""
    columns, table = entry.get("commands", {}), programs(entry.get("programs", {}))
    listed = {name: {row: rest for row, *rest in columns.get(name, [])} for name in ("exit", "cwd", "pipe", "flags", "by")}
    time, cwd, by = 0, None, ["shell", "told"]

    def those(rows, time, cwd):
        for row in rows:
            program = row(time, cwd)
            time, cwd = program["time"], program["cwd"]
            yield {name: value for name, value in program.items() if (name, value) != ("cwd", "")}

    rows = zip(*(columns.get(name, []) for name in ("text", "start", "took", "programs")))
    for number, (text, start, took, count) in enumerate(rows):
        time += start
        cwd, by = listed["cwd"].get(number, [cwd])[0], listed["by"].get(number, [by])[0]
        command = {"text": text, "cwd": cwd, "start": time, **ended(time, took, listed["exit"].get(number))}
        command |= {"pipe": listed["pipe"].get(number, [[]])[0], "source": by[0], "trust": by[1]}
        command |= {"flags": listed["flags"].get(number, [[]])[0]}
        command |= {"execs": list(those(itertools.islice(table, count), time, cwd or ""))}
        yield {name: value for name, value in command.items() if value not in (None, [])}
    yield from those(table, 0, "")


def runs_on(running, entry):
    """What runs when a segment ends: what its entry tells, and of what was told before what it has no room for."""
    name = lambda command: (command["start"], command["text"])
    ended = {name(command) for command in commands(entry) if "text" in command}
    told = [command for command in commands(entry.get("running", {})) if "text" not in command or name(command) not in ended]
    if not (any(entry.get("running_left_out", {}).values()) or (not told and entry.get("given_up") in ("late", "unread", "failed"))):
        return told
    known = {name(command): command for command in told}
    for old in running:
        if name(old) in known:
            new = known[name(old)]
            if execs := fuller(old.get("execs", []), new.get("execs", [])):
                new["execs"] = execs
        elif name(old) not in ended:
            told.append(old)
    return sorted(told, key=lambda command: command["start"])


def missing(argv):
    """How many bytes of arguments are missing behind these, as their last one says; -1: none."""
    said = re.fullmatch("… ([0-9]+) more bytes", argv[-1]) if argv else None
    return int(said[1]) if said else -1


def fuller(old, new):
    """The programs of both, with the arguments of which less is missing: both are the first ones of one list, unless a part was sent ahead in between."""
    if any((before["time"], before["pid"]) != (now["time"], now["pid"]) for before, now in zip(old, new)):
        return old + new
    both = [now | {"argv": min(now["argv"], before["argv"], key=missing)} for before, now in zip(old, new)]
    return both + old[len(new) :] + new[len(old) :]


def seconds(ms):
    """Milliseconds as seconds, in the shortest decimal form."""
    whole, rest = divmod(ms, 1000)
    return str(whole) if rest == 0 else f"{whole}.{rest:03}".rstrip("0")


def marker(gap):
    """The label of the marker that stands for a gap."""
    of, count, note = gap.get("of"), gap.get("count"), gap.get("note")
    how = "not delivered" if gap["why"] == "undelivered" else "missing"
    digest = gap.get("sha256") and f"; SHA-256 of all of it: {gap['sha256']}"
    parts = [f"gap: {gap['why']}", of and f" ({of})", count and f", {count} {how}", note and f": {note}", digest]
    return "".join(part for part in parts if part)


# The beginning of a character, at the end of some bytes. (An incremental decoder of Python's holds back the first two bytes of a
# surrogate as well, which no byte can make a character.)
BEGUN = re.compile(
    rb"(?:[\xc2-\xdf]|\xe0[\xa0-\xbf]?|[\xe1-\xec\xee\xef][\x80-\xbf]?|\xed[\x80-\x9f]?"
    rb"|\xf0(?:[\x90-\xbf][\x80-\xbf]?)?|[\xf1-\xf3][\x80-\xbf]{0,2}|\xf4(?:[\x80-\x8f][\x80-\xbf]?)?)\Z"
)


class Stream:
    """Bytes to text: a character cut between two events appears when it is whole, what is none becomes U+FFFD."""

    def __init__(self, bare):
        self.begun, self.bare, self.after_cr = b"", bare, False

    def text(self, data, final=False):
        data = self.begun + data
        begun = None if final else BEGUN.search(data[-3:])
        whole = len(data) - len(begun[0] if begun else b"")
        self.begun, text = data[whole:], data[:whole].decode("utf-8", "replace")
        if self.bare and text and not final:  # no terminal has put a carriage return before a line feed
            joined = ("\r" if self.after_cr else "") + text
            self.after_cr = text[-1] == "\r"
            text = re.sub("(?<!\r)\n", "\r\n", joined)[len(joined) - len(text) :]
        return text


def cast(header, bare, beside, lines, closed):
    """The lines of an asciicast v3: what is ours alone is left out, and its time goes to the next event."""
    dump = lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    yield dump(header)
    streams = {"o": Stream(bare or beside), "e": Stream(True), "i": Stream(False)}
    waited = 0
    event = lambda code, text: f"[{seconds(waited)},{dump(code)},{dump(text)}]"
    for line in lines:
        interval, code, text = json.loads(line)
        waited += round(interval * 1000)
        raw = text.encode("utf-8")
        if code == "b":
            code, _, encoded = text.partition(":")
            raw = base64.b64decode(encoded)
        if code in streams:
            text = streams[code].text(raw)
            code = code.replace("e", "o")
        elif code == "g":
            code, text = "m", marker(json.loads(text))
        elif code not in "mrx" or (code == "r" and "0" in text.split("x")):
            continue
        if text or code not in "oi":
            yield event(code, text)
            waited = 0
    for code, stream in streams.items():
        if text := stream.text(b"", final=True):
            yield event(code.replace("e", "o"), text)
            waited = 0
    if not closed:
        yield event("m", OPEN_END)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-i", dest="identities", metavar="IDENTITY", action="append", required=True)
    parser.add_argument("--commands", action="store_true", help="the commands of the index, as JSON lines")
    parser.add_argument("recording")
    options = parser.parse_args()
    with open(options.recording, "rb") as file:
        data = file.read()
    major, minor, features = struct.unpack_from("<8xHHI", data.ljust(16, b"\0"))
    if data[:8] != MAGIC or (major, features) != (1, 0):
        sys.exit("error: not a recording of version 1")
    found, entries, others = [], [], in_order(chunks(data), minor)
    for chunk in others:
        found.append(chunk)
        if chunk[0] == CHECK and chunk[1] & FINAL:
            break
    if len(found) < 3:
        sys.exit("error: the recording ends before its certificate")
    closed = ends(data, found)
    if not closed:
        for _ in others:  # where the final CHECK is none, what stands behind it may not be just anything
            pass
    pieces = read(data, found, root_key(found[1][3], options.identities), entries)
    opening = next(pieces, None)
    if opening is None:
        sys.exit("error: the recording ends before its sealed metadata")
    if opening.get("first_checkpoint") not in (None, announced(found)):
        sys.exit("error: the certificate announces another first checkpoint than the sealed metadata: it was made anew, and all signatures with it")
    header, meta = opening["cast"], opening["meta"]
    size = (meta["cols"], meta["rows"])
    size = size if all(size) else (header["term"]["cols"], header["term"]["rows"])
    bare = not all(size)
    size = (80, 24) if bare else size
    header["term"].update(cols=size[0], rows=size[1])
    lines = [line.decode("utf-8") for line in pieces]  # a chunk may end anywhere, also inside a character
    if options.commands:
        running = functools.reduce(runs_on, entries, [])
        for line in itertools.chain(*map(commands, entries), running):
            print(json.dumps(line, ensure_ascii=False))
        if not closed:
            print(f"note: {OPEN_END}", file=sys.stderr)
        return
    for line in cast(header, bare, "stdout" in meta.get("beside", []), lines, closed):
        sys.stdout.buffer.write(line.encode("utf-8") + b"\n")


if __name__ == "__main__":
    main()
