"""ASTM E1381 / LIS01 transmissions as stored in a file, cut by rules of facts/lab.md 1 and 2 alone.

    astm_frames.py list CORPUS              one JSON line per file: frames, checksums, records
    astm_frames.py table CORPUS ASTM_TOML   recounts tests/corpus/astm.toml; exit 1 on a difference

    STX  FN  text  ETX|ETB  C1 C2  CR LF        C1 C2 = sum of FN..ETX|ETB mod 256, two hex digits
"""

import argparse
import json
import re
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import NamedTuple

STX, ETX, EOT, ENQ, ETB = 0x02, 0x03, 0x04, 0x05, 0x17
KINDS = ("H", "P", "O", "R", "C", "M", "Q", "L")
COUNTED = ("sessions", "frames", "checksum_good", "checksum_bad", "checksum_none", "etb",
           "trailer_missing") + tuple(f"records_{kind.lower()}" for kind in KINDS)


class Frame(NamedTuple):
    """One frame: `body` runs from the frame number through ETX or ETB."""

    body: bytes
    checksum: bytes
    trailer: bytes

    @property
    def text(self) -> bytes:
        return self.body[1:-1]

    @property
    def last(self) -> bool:
        return self.body[-1] == ETX

    @property
    def good(self) -> bool:
        return self.checksum.upper() == checksum(self.body)


def checksum(body: bytes) -> bytes:
    return b"%02X" % (sum(body) % 256)


def frames(data: bytes) -> list[Frame]:
    """Every STX .. ETX|ETB with what follows it. An STX inside a frame begins it anew."""
    found = []
    for match in re.finditer(rb"\x02([^\x02\x03\x17]*[\x03\x17])([0-9A-Fa-f]{2})?([\r\n]*)", data):
        found.append(Frame(match.group(1), match.group(2) or b"", match.group(3)))
    return found


def is_lis01(data: bytes) -> bool:
    """Frames that have a frame number; a text report between STX and ETX has none."""
    return any(re.match(rb"[0-7][A-Z]\|", frame.body) for frame in frames(data))


def texts(data: bytes) -> list[bytes]:
    """The record text of every session in the file; ETB and ETX frames are simply concatenated."""
    if is_lis01(data):
        sessions = [part for part in data.split(bytes([EOT])) if frames(part)]
        return [b"".join(frame.text for frame in frames(part)) for part in sessions]
    return [data]


def records(text: bytes) -> list[bytes]:
    """Records end with CR; CR LF and LF are tolerated."""
    return [one for one in re.split(rb"\r\n|\r|\n", text) if one.strip()]


def is_records(data: bytes) -> bool:
    """Records without frames: a header first, and every line begins with a record letter."""
    lines = records(data)
    return (STX not in data and bool(lines) and lines[0].startswith(b"H|")
            and all(re.match(rb"[A-Z]\|", line) for line in lines))


def counts(data: bytes) -> Counter:
    result = Counter()
    if is_lis01(data):
        found = frames(data)
        result["frames"] = len(found)
        for frame in found:
            kind = "none" if not frame.checksum else "good" if frame.good else "bad"
            result[f"checksum_{kind}"] += 1
            result["etb"] += not frame.last
            result["trailer_missing"] += not frame.trailer.startswith(b"\r\n")
    for text in texts(data):
        result["sessions"] += 1
        for record in records(text):
            result[f"records_{record[:1].decode('latin-1').lower()}"] += 1
    return result


def results(data: bytes) -> list[dict]:
    """R.3, R.4 and R.5 as sent. The field delimiter is the character behind H."""
    found = []
    for session in texts(data):
        split = b"|"
        for record in records(session):
            if record[:1] == b"H":
                split = record[1:2]
            if record[:1] == b"R":
                text = record.decode("utf-8", "replace")
                fields = text.split(split.decode("latin-1")) + [""] * 5
                found.append({"test_id": fields[2], "value": fields[3], "unit": fields[4]})
    return found


def corpus_files(corpus: Path):
    """Framed or bare ASTM transmissions below the corpus."""
    for path in sorted(corpus.rglob("*")):
        if path.is_file() and path.suffix in (".astm", ".txt", ".records"):
            data = path.read_bytes()
            if is_lis01(data) or is_records(data):
                yield path.relative_to(corpus).as_posix(), data


def run_table(corpus: Path, table: Path) -> int:
    with open(table, "rb") as file:
        expected = tomllib.load(file)["file"]
    wrong = []
    for name, data in corpus_files(corpus):
        row, numbers = expected.pop(name, None), counts(data)
        if row is None:
            wrong.append(f"{name}: not in the table")
            continue
        for key in COUNTED:
            if row.get(key, 0) != numbers[key]:
                stated = row.get(key, 0)
                wrong.append(f"{name}: {key} is {stated} in the table, {numbers[key]} here")
        found = results(data)
        for one in row.get("results", []):
            asked = {key: one[key] for key in ("test_id", "value", "unit")}
            if asked not in found:
                wrong.append(f"{name}: no result {asked}")
    wrong += [f"{name}: in the table, not in the corpus" for name in expected]
    print("\n".join(wrong) or "every number and result of the table was found in the corpus")
    return 1 if wrong else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("mode", choices=("list", "table"))
    parser.add_argument("corpus", type=Path)
    parser.add_argument("table", type=Path, nargs="?")
    given = parser.parse_args()
    if given.mode == "table":
        return run_table(given.corpus, given.table)
    for name, data in corpus_files(given.corpus):
        numbers = counts(data)
        print(json.dumps({"file": name, **{key: numbers[key] for key in COUNTED}}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
