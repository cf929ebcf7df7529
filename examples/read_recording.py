#!/usr/bin/env python3
"""Reads a sealcast recording without sealcast: a second implementation of doc/FORMAT.md.

    read_recording.py -i IDENTITY [-i IDENTITY ...] RECORDING > session.cast

Decrypts a recording, closed or torn, to an asciicast v3 document on standard output. Needs the stock `age` command and
the Python packages `cryptography` and `zstandard`. It checks that what it reads is what was sealed; whether the file is
authentic as a whole, and who signed it, is another question (`sealcast verify`).
"""
import argparse
import base64
import hashlib
import hmac
import json
import struct
import subprocess
import sys
import tempfile
import zlib

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC, MARK, BODY_LIMIT = b"\x89SC1\r\n\x1a\n", b"\xa7\x5e", 1 << 20
HEADER, KEYS, SEG, DATA, CHECK, COPY = 0x01, 0x02, 0x10, 0x11, 0x20, 0x30
ROOT_SLOT, PERIOD_SLOT = 1, 2
CLOSES = 1


def chunks(data):
    """Type, flags, the 12 framing bytes and the body of every whole chunk."""
    at, number = 16, 0
    while at + 16 <= len(data):
        mark, kind, flags, length, seq, crc = struct.unpack_from("<2sBBIII", data, at)
        body = data[at + 16 : at + 16 + length]
        if mark != MARK or seq != number or length > BODY_LIMIT or len(body) < length:
            return  # torn here
        if zlib.crc32(data[at : at + 12] + body) != crc:
            return
        yield kind, flags, data[at : at + 12], body
        at, number = at + 16 + length, number + 1


def age(slot, *arguments, identity=None):
    """Opens an age file with the stock command; None when none of the identities does."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(slot)
        file.flush()
        done = subprocess.run(["age", "-d", *arguments, file.name], input=identity, capture_output=True)
    if done.returncode != 0:
        print(done.stderr.decode(errors="replace").strip(), file=sys.stderr)
        return None
    return done.stdout


def root_key(body, identities):
    """The root key from the key slots: directly, or with the identity of a longer period."""
    slots, at = [], 0
    while at < len(body):
        kind, length = struct.unpack_from("<BI", body, at)
        slots.append((kind, body[at + 5 : at + 5 + length]))
        at += 5 + length
    files = [argument for path in identities for argument in ("-i", path)]
    periods = [age(slot, *files) for kind, slot in slots if kind == PERIOD_SLOT]
    for slot in (slot for kind, slot in slots if kind == ROOT_SLOT):
        for period in filter(None, periods):
            root = age(slot, "-i", "-", identity=period + b"\n")
            if root:
                return root
        root = None if periods else age(slot, *files)
        if root:
            return root
    sys.exit("error: no identity opens this recording")


def step(key, label):
    return hmac.digest(key, label, hashlib.sha256)


def texts(data, root):
    """The decompressed text of the recording, in the pieces in which it was sealed."""
    found = list(chunks(data))
    kind, _, framing, body = found[0]
    header = json.loads(body)
    file_id = hashlib.sha256(data[: 16 + 16 + len(body)]).digest()
    session = bytes.fromhex(header["session"])
    content = HKDF(hashes.SHA256(), 32, salt=session, info=b"content").derive(root)
    if step(content, b"commitment").hex() != header["content"]:
        sys.exit("error: the key does not belong to this recording")
    chain, inflate = step(content, b"seg"), None
    for number, (kind, flags, framing, body) in enumerate(found):
        if kind in (SEG, DATA):
            key, chain = step(chain, b"key"), step(chain, b"next")
            try:
                padded = ChaCha20Poly1305(key).decrypt(body[:12], body[12:], file_id + framing)
            except InvalidTag:
                sys.exit(f"error: chunk {number} is not what was sealed")
            packed = padded.rstrip(b"\0")
            if packed[-1:] != b"\x80":
                sys.exit(f"error: chunk {number} is not padded as it should be")
            if kind == SEG:
                inflate = zstandard.ZstdDecompressor(max_window_size=1 << 23).decompressobj()
            yield inflate.decompress(packed[:-1])
        elif kind == CHECK and flags & CLOSES:
            content = step(content, b"next")
            chain = step(content, b"seg")
        elif kind == COPY:
            return


def seconds(ms):
    """Milliseconds as seconds, in the shortest decimal form."""
    whole, rest = divmod(ms, 1000)
    return str(whole) if rest == 0 else f"{whole}.{rest:03}".rstrip("0")


def cast(lines):
    """The lines of an asciicast v3: what is ours alone is left out, and its interval goes to the next event."""
    waited = 0
    for line in lines:
        if line.startswith("{"):
            yield line
            continue
        interval, code, text = json.loads(line)
        waited += round(interval * 1000)
        if code in "ktw":
            continue
        if code == "b":
            code, _, encoded = text.partition(":")
            text = base64.b64decode(encoded).decode("utf-8", "replace")
        elif code == "g":
            gap = json.loads(text)
            code = "m"
            text = " ".join(filter(None, ["gap:", gap["why"], gap.get("of", ""), str(gap.get("count", 0))]))
        yield f"[{seconds(waited)},{json.dumps(code)},{json.dumps(text, ensure_ascii=False)}]"
        waited = 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-i", dest="identities", metavar="IDENTITY", action="append", required=True)
    parser.add_argument("recording")
    options = parser.parse_args()
    with open(options.recording, "rb") as file:
        data = file.read()
    major, features = struct.unpack_from("<8xHxxI", data.ljust(16, b"\0"))
    if data[:8] != MAGIC or (major, features) != (1, 0):
        sys.exit("error: not a recording of version 1")
    slots = [body for kind, _, _, body in chunks(data) if kind == KEYS]
    if not slots:
        sys.exit("error: the recording ends before its key slots")
    text = b"".join(texts(data, root_key(slots[0], options.identities)))
    for line in cast(text.decode("utf-8").split("\n")[:-1]):
        sys.stdout.buffer.write(line.encode("utf-8") + b"\n")


if __name__ == "__main__":
    main()
