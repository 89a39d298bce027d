"""What stands in HL7 v2 result messages, read by python-hl7 and by none of our own code.

    hl7_values.py list CORPUS OUT_DIR       one JSON line per OBX, one file per corpus file
    hl7_values.py table CORPUS HL7_TOML     recounts tests/corpus/hl7.toml; exit 1 on a difference
    hl7_values.py compare FILE OUR_LINES    our program's JSON lines for FILE against FILE itself

Messages taken: ORU^R01, ORU^R40, ORU^R42, OUL^R22. LF and CR LF are turned into CR first, because
python-hl7 splits on CR only. Only `hl7` (python-hl7 0.4.5) is needed.
"""

import argparse
import json
import re
import sys
import tomllib
from collections import Counter
from pathlib import Path

import hl7

from vocabulary import Vocabulary

TAKEN = {("ORU", "R01"), ("ORU", "R40"), ("ORU", "R42"), ("OUL", "R22")}
CHARSETS = {"UNICODE UTF-8": "utf-8", "UNICODE": "utf-8", "UTF-8": "utf-8", "ASCII": "ascii",
            "8859/1": "latin-1", "8859/15": "iso8859-15"}
# Facts about the device, by their reference id. MDC_TIME_PD_* are lengths of time that are
# measured or set (remaining infusion time, apnoea) and therefore no facts.
FACTS = ("MDC_ATTR_", "MDC_DEV_", "MDC_TIME_SYNC_", "MDC_TIME_CAP_")
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)")
STATUS = {"R": "unverified", "P": "preliminary", "F": "final", "C": "corrected", "X": "no-result",
          "": "not-stated"}
NO_VALUE_FLAGS = {"INV", "NAV", "OFF", "BUSY", "NI"}
NOT_PRODUCTION = {"T", "D", "Q"}


# ------------------------------------------------------------------------------- reading the source
def messages(data: bytes) -> list[bytes]:
    """The messages of a file, each with CR ends and without MLLP bytes and blank lines."""
    data = re.sub(rb"[\x0b\x1c]", b"\r", data)
    found: list[list[bytes]] = []
    for line in re.split(rb"\r\n|\r|\n", data):
        if line.startswith(b"MSH"):
            found.append([])
        if found and line.strip():
            found[-1].append(line)
    return [b"\r".join(lines) + b"\r" for lines in found]


def decode(raw: bytes) -> str:
    """By MSH-18 where it is a known name, else strict UTF-8, else Windows-1252."""
    fields = raw.split(b"\r", 1)[0].split(raw[3:4])
    name = fields[17].split(b"~")[0].decode("ascii", "replace").strip() if len(fields) > 17 else ""
    for charset in (CHARSETS.get(name), "utf-8", "cp1252"):
        if charset:
            try:
                return raw.decode(charset)
            except UnicodeDecodeError:
                continue
    return raw.decode("latin-1")


def at(segment, number: int) -> str:
    """One field as it stands on the wire, empty if the segment is shorter."""
    return str(segment[number]) if number < len(segment) else ""


def unescape(text: str, message) -> str:
    """The standard's escapes; anything unknown or unfinished stays as it is."""
    escape = message.esc
    plain = {"F": message.separators[1], "S": message.separators[3], "R": message.separators[2],
             "T": message.separators[4], "E": escape}

    def one(match):
        inner = match.group(1)
        if inner in plain:
            return plain[inner]
        if re.fullmatch(r"X([0-9A-Fa-f]{2})+", inner):
            sent = bytes.fromhex(inner[1:])
            try:
                return sent.decode("utf-8")
            except UnicodeDecodeError:
                return sent.decode("latin-1")
        return match.group(0)

    e = re.escape(escape)
    return re.sub(f"{e}([^{e}]*){e}", one, text)


def codings(text: str, message) -> list[dict]:
    """Components 1-3 and 4-6 of the first repetition; empty ones are left out."""
    first = text.split(message.separators[2])[0]
    parts = [unescape(part, message) for part in first.split(message.separators[3])]
    parts += [""] * 6
    triplets = [parts[0:3], parts[3:6]]
    return [dict(zip(("code", "words", "system"), three)) for three in triplets if any(three)]


def kind_of(message) -> tuple[str, str]:
    parts = at(message.segment("MSH"), 9).split(message.separators[3]) + [""]
    return parts[0], parts[1]


def entries(data: bytes, vocabulary: Vocabulary):
    """Every OBX of the messages taken, and how many messages were not taken."""
    found, taken, others = [], 0, 0
    for index, raw in enumerate(messages(data)):
        message = hl7.parse(decode(raw))
        kind = kind_of(message)
        if kind not in TAKEN:
            others += 1
            continue
        taken += 1
        header, obr = message.segment("MSH"), None
        for segment in message:
            name = str(segment[0]).strip()
            if name == "OBR":
                obr = segment
            elif name == "OBX":
                found.append(entry(message, header, obr, segment, index, kind, vocabulary))
    return found, taken, others


def entry(message, header, obr, obx, index, kind, vocabulary) -> dict:
    """One OBX in words that do not depend on any reading of ours."""
    codes = codings(at(obx, 3), message)
    meanings = [vocabulary.parameter_of(**one_coding(code)) for code in codes]
    meant = next((one for one in meanings if one.by == "disagree"), None) or next(
        (one for one in meanings if one.parameter), None)
    raw = at(obx, 5)
    value = unescape(raw, message)
    unit = codings(at(obx, 6), message)
    reference = next((code["words"] for code in codes if code["words"].startswith("MDC_")), "")
    parameter = meant.parameter if meant else None
    accepted = vocabulary.parameters[parameter].get("units", []) if parameter else []
    return {
        "message": index, "control_id": at(header, 10), "type": "^".join(kind),
        "processing": at(header, 11).split(message.separators[3])[0],
        "set_id": at(obx, 1), "value_type": at(obx, 2), "codings": codes, "sub_id": at(obx, 4),
        "value": value, "value_raw": raw, "parts": raw.split(message.separators[3]),
        "unit": unit, "unit_key": vocabulary.unit_of(unit, accepted),
        "unit_accepted": not accepted or vocabulary.unit_of(unit, accepted) in accepted,
        "time_obx_14": at(obx, 14), "time_obr_7": at(obr, 7) if obr is not None else "",
        "time_obx_19": at(obx, 19), "flags": [one for one in at(obx, 8).split("~") if one],
        "status": at(obx, 11), "parameter": parameter, "by": meant.by if meant else "none",
        "number": meant.number if meant else None, "fact": reference.startswith(FACTS),
        "numeric": at(obx, 2) == "NM" and bool(NUMBER.fullmatch(value.strip())),
        "structure": not raw and not at(obx, 2),
    }


def one_coding(coding: dict) -> dict:
    return {"code": coding["code"], "words": coding["words"], "system": coding["system"]}


# --------------------------------------------------------------------------------- counts and table
def counts(data: bytes, vocabulary: Vocabulary) -> dict:
    """The numbers of tests/corpus/hl7.toml; the head of that file says what each one means."""
    found, taken, others = entries(data, vocabulary)
    result = Counter(messages=taken, other_messages=others, obx=len(found))
    for one in found:
        if not one["value_raw"]:
            result["structure" if one["structure"] else "empty"] += 1
            continue
        result["values"] += 1
        coded = one["parameter"] is not None
        result["numeric_with_mdc"] += one["numeric"] and coded
        result["unit_unexpected"] += one["numeric"] and coded and not one["unit_accepted"]
        if one["fact"]:
            result["facts"] += 1
        elif one["by"] == "disagree":
            result["disagree"] += 1
        elif coded:
            result["mapped"] += 1
        elif one["type"] == "ORU^R40":
            result["event_parts"] += 1
        else:
            result["unmapped"] += 1
    return result


COUNTED = ("messages", "other_messages", "obx", "structure", "empty", "values", "numeric_with_mdc",
           "unit_unexpected", "facts", "mapped", "disagree", "event_parts", "unmapped")


def corpus_files(corpus: Path, vocabulary: Vocabulary):
    """Every file below the corpus that holds a message taken."""
    for path in sorted(corpus.rglob("*")):
        if path.is_file() and path.suffix != ".py":
            data = path.read_bytes()
            if re.search(rb"(^|[\r\n\x0b])MSH.", data) and counts(data, vocabulary)["messages"]:
                yield path.relative_to(corpus).as_posix(), data


def run_list(corpus: Path, out: Path, vocabulary: Vocabulary) -> int:
    out.mkdir(parents=True, exist_ok=True)
    for name, data in corpus_files(corpus, vocabulary):
        found, _, _ = entries(data, vocabulary)
        target = out / (name.replace("/", "__") + ".jsonl")
        lines = [json.dumps(one, ensure_ascii=False) for one in found]
        target.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        numbers = counts(data, vocabulary)
        print(json.dumps({"file": name, **{key: numbers[key] for key in COUNTED}}))
    return 0


def run_table(corpus: Path, table: Path, vocabulary: Vocabulary) -> int:
    with open(table, "rb") as file:
        expected = tomllib.load(file)["file"]
    wrong = []
    for name, data in corpus_files(corpus, vocabulary):
        row, numbers = expected.pop(name, None), counts(data, vocabulary)
        if row is None:
            wrong.append(f"{name}: not in the table")
            continue
        for key in COUNTED:
            if row.get(key, 0) != numbers[key]:
                stated = row.get(key, 0)
                wrong.append(f"{name}: {key} is {stated} in the table, {numbers[key]} here")
        total = sum(row.get(key, 0) for key in
                    ("facts", "mapped", "disagree", "event_parts", "unmapped", "refused"))
        if total != row["values"]:
            wrong.append(f"{name}: the classes sum to {total}, values are {row['values']}")
    wrong += [f"{name}: in the table, not in the corpus" for name in expected]
    print("\n".join(wrong) or "every number of the table was found in the corpus")
    return 1 if wrong else 0


# ------------------------------------------------------------------------------------------ compare
def ours(path: Path) -> list[dict]:
    """Our program's lines; lines that are no metric (refusals, headers) are passed over."""
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    return [row for row in rows if "codings" in row and ("value" in row or "absent" in row)]


def full(coding: dict) -> dict:
    return {key: coding.get(key) or "" for key in ("code", "words", "system")}


def spellings(source: dict) -> set[str]:
    """All texts that may stand for the source's value without changing it."""
    parts = source["parts"]
    texts = {source["value"], source["value_raw"], source["value"].strip()}
    if not source["numeric"]:
        texts |= {part for part in parts[:2] if part} | {" ".join(filter(None, parts[:2]))}
    return texts


def same_place(metric: dict, source: dict) -> bool:
    return (metric.get("sub_id", "") == source["sub_id"]
            and [full(one) for one in metric["codings"]] == source["codings"])


def same_value(metric: dict, source: dict) -> bool:
    if "absent" in metric:
        return not source["value_raw"] or bool(NO_VALUE_FLAGS & set(source["flags"]))
    return bool(source["value_raw"]) and metric["value"] in spellings(source)


def differences(metric: dict, source: dict, vocabulary: Vocabulary) -> list[str]:
    """What our metric says otherwise than the source, apart from value, code and place."""
    wrong = []
    if [full(one) for one in metric.get("unit") or []] != source["unit"]:
        wrong.append(f"unit {metric.get('unit')} is {source['unit']} in the source")
    if metric.get("ucum") and source["unit_key"]:
        known = vocabulary.units[source["unit_key"]]["ucum"]
        sent = [text for one in source["unit"] for text in (one["code"], one["words"])]
        if metric["ucum"] not in known + sent:
            wrong.append(f"ucum {metric['ucum']!r} is none of {known}")
    wrong += time_differences(metric, source)
    parameter, doubts = metric.get("parameter"), metric.get("doubts") or []
    if source["by"] == "disagree":
        if parameter and "code-and-name-disagree" not in doubts:
            wrong.append("number and reference id contradict each other, and no doubt says so")
    elif parameter != source["parameter"] and (source["parameter"] or parameter):
        wrong.append(f"parameter {parameter!r}, the source's code means {source['parameter']!r}")
    number = metric.get("mdc_code")
    if number is not None and source["parameter"] and source["by"] != "disagree":
        own = vocabulary.parameters[source["parameter"]].get("mdc_code")
        if number not in (own, source["number"]):
            wrong.append(f"mdc_code {number}, the source's is {source['number'] or own}")
    status = metric.get("status")
    if status is not None and status not in (STATUS.get(source["status"], "other"),
                                             source["status"]):
        wrong.append(f"status {status!r}, OBX-11 is {source['status']!r}")
    apart = {"TEST", "DEMO"} & set(source["flags"]) or source["processing"] in NOT_PRODUCTION
    if metric.get("mode") == "production" and apart:
        wrong.append("mode production, the source marks test, demo or control data")
    return wrong


def time_differences(metric: dict, source: dict) -> list[str]:
    time = metric.get("device_time") or ""
    if source["time_obx_14"]:
        fits = time == source["time_obx_14"]
    else:
        own = {source["time_obr_7"], source["time_obx_19"]} - {""}
        fits = time in own if own else time == ""
    return [] if fits else [
        f"device_time {time!r}; OBX-14 {source['time_obx_14']!r}, OBR-7 {source['time_obr_7']!r}, "
        f"OBX-19 {source['time_obx_19']!r}"]


def run_compare(file: Path, lines: Path, vocabulary: Vocabulary) -> int:
    left, _, _ = entries(file.read_bytes(), vocabulary)
    wrong, pending, matched = [], [], 0
    for metric in ours(lines):
        hits = [one for one in left if same_place(metric, one) and same_value(metric, one)]
        # Of several equal ones take the one that differs least (the same value at another time).
        hit = min(hits, key=lambda one: len(differences(metric, one, vocabulary)), default=None)
        if hit is None:
            pending.append(metric)
            continue
        left.remove(hit)
        matched += 1
        wrong += [f"{label(hit)}: {text}" for text in differences(metric, hit, vocabulary)]
    for metric in pending:
        near = next((one for one in left if same_place(metric, one)), None)
        shown = metric.get("value", f"absent ({metric.get('absent')})")
        if near is None:
            wrong.append(f"not in the source: {metric['codings']} {metric.get('sub_id')} = {shown}")
        else:
            left.remove(near)
            wrong.append(f"{label(near)}: value {shown!r} is {near['value']!r} in the source")
    for one in left:
        if one["numeric"] and (one["parameter"] or one["by"] == "disagree"):
            wrong.append(f"{label(one)}: missing in our output, value {one['value']!r}")
    print("\n".join(wrong) or f"{matched} metrics are as in the source, and none is missing")
    return 1 if wrong else 0


def label(source: dict) -> str:
    first = source["codings"][0] if source["codings"] else {"code": "?", "words": ""}
    return (f"message {source['message'] + 1} OBX-4 {source['sub_id'] or '(empty)'} "
            f"{first['code']}^{first['words']}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--vocabulary", type=Path, help="folder of parameters.toml, units.toml")
    modes = parser.add_subparsers(dest="mode", required=True)
    for mode, first, second in (("list", "corpus", "out_dir"), ("table", "corpus", "table"),
                                ("compare", "file", "our_lines")):
        sub = modes.add_parser(mode)
        sub.add_argument(first, type=Path)
        sub.add_argument(second, type=Path)
    given = parser.parse_args()
    vocabulary = Vocabulary(given.vocabulary) if given.vocabulary else Vocabulary()
    if given.mode == "list":
        return run_list(given.corpus, given.out_dir, vocabulary)
    if given.mode == "table":
        return run_table(given.corpus, given.table, vocabulary)
    return run_compare(given.file, given.our_lines, vocabulary)


if __name__ == "__main__":
    sys.exit(main())
