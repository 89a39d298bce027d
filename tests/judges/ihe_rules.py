"""Holds HL7 v2 messages against the rules of IHE DEC (PCD-01, PCD-10, PCD-04) and of laboratory
results.

    python ihe_rules.py FILE...        messages with CR ends, MLLP bytes allowed; exit 1 on a fault

Written from facts/semantics.md 1.1 to 1.5 (fields, flags, times, OIDs, facets of an alarm), facts/lab.md 3.2 (grammar)
and HL7 tables 0078, 0085, 0123, 0211, and from nothing of the gateway. The numbers and names of MDC
are looked up in `device-profiles/vocabulary`. What a message claims in MSH-21 decides which rules
hold for it: without an IHE profile only those of a laboratory message do.
"""

import re
import sys
import tomllib
from decimal import Decimal, InvalidOperation
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
EUI = re.compile(r"[0-9A-Fa-f]{16}")
DTM = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?(\.\d{1,4})?[+-](\d\d)(\d\d)")
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?|[+-]?\.\d+")
SUB_ID = re.compile(r"\d+(\.\d+){0,5}")
# HL7 table 0211, and the names the facts list as valid.
CHARSETS = {"": "ascii", "ASCII": "ascii", "8859/1": "latin-1", "8859/15": "iso8859-15",
            "UNICODE UTF-8": "utf-8"}
# MSH-21 of the profile -> (EI-1, OID, trigger).
PROFILES = {
    "1.3.6.1.4.1.19376.1.6.1.1.1": ("PCD-01", "R01"),
    "1.3.6.1.4.1.19376.1.6.4.10": ("PCD-10", "R42"),
    "1.3.6.1.4.1.19376.1.6.1.4.1": ("PCD-04", "R40"),
    "1.3.6.1.4.1.19376.1.6.4.4": ("PCD-04", "R40"),
}
STRUCTURES = {"R01": "ORU_R01", "R42": "ORU_R01", "R40": "ORU_R40"}
# An alarm by facets: the last number of OBX-4 of each attribute (facts/semantics.md 1.5).
ALARM_EVENT = "196616"
FACETS = {"68481": "3", "68482": "4", "68483": "5", "68484": "6", "68485": "7", "68546": "8"}
TYPES = {"NM", "NA", "ST", "CWE", "DTM", "NR"}
LABORATORY_TYPES = {"NM", "ST", "SN", "CE", "CWE", "TX", "FT", "TS", "DT"}
STATUS = set("RFXCDPSUWI")
# Table 0078, the quality flags of DEC, and the alarm marks.
ABNORMAL = {"L", "H", "LL", "HH", "<", ">", "N", "A", "AA", "U", "D", "B", "W", "S", "R", "I", "MS",
            "VS"}
QUALITY = {"NI", "NAV", "OFF", "INV", "QUES", "CAL", "TEST", "DEMO", "VAL", "EARLY", "BUSY",
           "ALACT", "ALINH"}
ALARM = {"PN", "PL", "PM", "PH", "SP", "ST", "SA"}
# Flags with which a value cannot stand beside OBX-11 = R or F (facts/semantics.md 1.2).
NO_VALUE = {"INV", "NAV", "BUSY"}


class Vocabulary:
    def __init__(self, folder):
        load = lambda name: tomllib.loads((folder / name).read_text(encoding="utf-8"))
        self.names, self.ucum = {}, set()
        for row in load("parameters.toml")["parameter"].values():
            if "mdc_code" in row and row.get("mdc"):
                names = {row["mdc"], *row.get("mdc_synonyms", [])}
                self.names.setdefault(row["mdc_code"], set()).update(names)
        for name, row in load("units.toml")["unit"].items():
            self.names.setdefault(row["mdc_code"], set()).add(name)
            self.ucum.update(row["ucum"])

    def fault(self, coding):
        """What is wrong with an MDC coding, if anything."""
        code, name = coding[0], coding[1]
        if not code.isdigit():
            return f"MDC code {code!r} is no number"
        known = self.names.get(int(code))
        if known is None:
            return f"MDC {code} is in no row of the vocabulary"
        if name not in known:
            return f"MDC {code} is not {name}"
        return None


class Message:
    def __init__(self, raw):
        self.faults = []
        fields = raw.split(b"\r", 1)[0].split(b"|")
        name = fields[17].decode("ascii", "replace") if len(fields) > 17 else ""
        if name not in CHARSETS:
            self.fault(f"MSH-18 {name!r} is no name of table 0211 that is known here")
        try:
            text = raw.decode(CHARSETS.get(name, "latin-1"))
        except UnicodeDecodeError:
            self.fault(f"bytes that are not {name or 'ASCII'}")
            text = raw.decode("latin-1")
        if not text.endswith("\r"):
            self.fault("the last segment does not end with CR")
        if "\n" in text:
            self.fault("a line feed")
        self.segments = []
        for line in text.split("\r"):
            if line:
                parts = line.split("|")
                # MSH-1 is the separator itself.
                self.segments.append([parts[0], "|", *parts[1:]] if parts[0] == "MSH" else parts)
        if any(len(one[0]) != 3 for one in self.segments):
            self.fault("a segment without a three-letter name")

    def fault(self, what):
        self.faults.append(what)


def at(segment, number):
    return segment[number] if number < len(segment) else ""


def parts(field):
    return field.split("^") + [""] * 9


def repeats(field):
    return field.split("~") if field else []


def unescaped_is_whole(field):
    """Every escape sequence is one of the standard's and closed."""
    rest = re.sub(r"\\([FSTRE]|\.br|H|N|X([0-9A-Fa-f]{2})+)\\", "", field)
    return "\\" not in rest


class Judge:
    def __init__(self, vocabulary):
        self.vocabulary = vocabulary
        self.control_ids = {}

    def judge(self, raw):
        message = Message(raw)
        if not message.segments or message.segments[0][0] != "MSH":
            message.fault("it does not begin with MSH")
            return message.faults
        msh = message.segments[0]
        self.header(message, msh, raw)
        profile = None
        for claimed in repeats(at(msh, 21)):
            profile = profile or PROFILES.get(parts(claimed)[2])
        if profile:
            self.device_header(message, msh, profile)
        for segment in message.segments[1:]:
            for number, field in enumerate(segment[1:], 1):
                if not unescaped_is_whole(field):
                    message.fault(f"{segment[0]}-{number}: an escape that is none")
        self.grammar(message, msh)
        self.groups(message, profile)
        return message.faults

    def header(self, message, msh, raw):
        if at(msh, 2) != "^~\\&":
            message.fault(f"MSH-2 {at(msh, 2)!r}")
        for number in (3, 4, 5, 6):
            if at(msh, number):
                self.hierarchic(message, f"MSH-{number}", parts(at(msh, number)))
        if not at(msh, 3):
            message.fault("MSH-3 is empty")
        self.time(message, "MSH-7", at(msh, 7), required=True)
        control = at(msh, 10)
        if not 1 <= len(control) <= 20:
            message.fault("MSH-10 has not 1 to 20 characters")
        before = self.control_ids.setdefault(control, raw)
        if before != raw:
            message.fault("MSH-10 stood before on other bytes")
        if at(msh, 11) not in ("P", "T", "D"):
            message.fault(f"MSH-11 {at(msh, 11)!r}")
        version = at(msh, 12)
        if version not in ("2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6"):
            message.fault(f"MSH-12 {version!r}")
        components = [one for one in at(msh, 9).split("^") if one]
        wanted = 2 if version == "2.3" else 3
        if len(components) != wanted:
            message.fault(f"MSH-9 has {len(components)} components, not {wanted}")
        for number in (15, 16):
            if at(msh, number) not in ("", "AL", "NE", "ER", "SU"):
                message.fault(f"MSH-{number} {at(msh, number)!r}")

    def device_header(self, message, msh, profile):
        name, trigger = profile
        kind = at(msh, 9).split("^")
        if kind != ["ORU", trigger, STRUCTURES[trigger]]:
            message.fault(f"MSH-9 {at(msh, 9)} is not {name}")
        if at(msh, 12) != "2.6":
            message.fault(f"MSH-12 {at(msh, 12)!r} under {name}")
        if (at(msh, 15), at(msh, 16)) not in (("AL", "NE"), ("NE", "AL"), ("AL", "AL")):
            message.fault("MSH-15 and MSH-16 ask for no acknowledgement")
        for claimed in repeats(at(msh, 21)):
            self.entity(message, "MSH-21", parts(claimed))

    def hierarchic(self, message, where, value):
        name, universal, kind = value[:3]
        if bool(universal) != bool(kind):
            message.fault(f"{where}: universal id and its type come together")
        if not name and not universal:
            message.fault(f"{where} names nobody")
        self.universal(message, where, universal, kind)

    def universal(self, message, where, universal, kind):
        if kind == "ISO" and not OID.fullmatch(universal):
            message.fault(f"{where}: {universal!r} is no OID")
        if kind == "EUI-64" and not EUI.fullmatch(universal):
            message.fault(f"{where}: {universal!r} is no EUI-64")
        if kind not in ("", "ISO", "EUI-64", "DNS", "URI", "UUID"):
            message.fault(f"{where}: type {kind!r} of a universal id")

    def entity(self, message, where, value):
        if not value[0] or not (value[1] or (value[2] and value[3])):
            message.fault(f"{where}: EI-1 and EI-2 or EI-3 with EI-4 are needed")
        if bool(value[2]) != bool(value[3]):
            message.fault(f"{where}: EI-3 and EI-4 come together")
        self.universal(message, where, value[2], value[3])

    def time(self, message, where, text, required=False):
        if not text:
            if required:
                message.fault(f"{where} is empty")
            return
        found = DTM.fullmatch(text)
        if not found:
            message.fault(f"{where}: {text!r} is no time with an offset")
            return
        month, day, hour, minute = (int(one) for one in found.group(2, 3, 4, 5))
        if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60):
            message.fault(f"{where}: {text!r} is no time")

    def grammar(self, message, msh):
        names = " ".join(one[0] for one in message.segments)
        result = r"OBR( NTE)*( OBX( NTE)*)*"
        if at(msh, 9).startswith("OUL"):
            rule = rf"MSH( PID( PV1)?)?( SPM( OBX)*( SAC)*( {result})+)+"
        elif at(msh, 12) in ("2.3", "2.3.1", "2.4"):
            rule = rf"MSH(( PID( PV1)?)?( (ORC )?{result})+)+"
        else:
            rule = rf"MSH(( PID( PV1)?)?( (ORC )?{result}( SPM)*)+)+"
        if not re.fullmatch(rule, names):
            message.fault(f"segments in no order of {at(msh, 9)}: {names}")

    def groups(self, message, profile):
        obr, orders, seen, identities, production = None, set(), set(), set(), False
        production = at(message.segments[0], 11) == "P"
        for segment in message.segments:
            if segment[0] == "PID":
                self.patient(message, segment)
            elif segment[0] == "PV1":
                if not at(segment, 2):
                    message.fault("PV1-2 is empty")
            elif segment[0] == "OBR":
                obr, seen = segment, set()
                self.order(message, segment, orders, profile)
            elif segment[0] == "NTE" and not at(segment, 3):
                message.fault("NTE-3 is empty")
            elif segment[0] == "OBX" and obr is not None:
                if at(segment, 1) in seen or not at(segment, 1).isdigit():
                    message.fault(f"OBX-1 {at(segment, 1)!r} is not unique in its OBR")
                seen.add(at(segment, 1))
                identity = (at(obr, 3), at(segment, 3), at(segment, 4))
                if identity in identities:
                    message.fault(f"OBR-3, OBX-3 and OBX-4 twice: {identity}")
                identities.add(identity)
                self.result(message, obr, segment, profile, production)
        if not identities:
            message.fault("no OBX at all")
        if profile and profile[0] == "PCD-04":
            self.alarm(message)
        if at(message.segments[0], 9).startswith("OUL"):
            self.specimens(message)

    def alarm(self, message):
        """One alarm per OBR, its facets by OBX-4."""
        obrs = [one for one in message.segments if one[0] == "OBR"]
        for obr in obrs:
            if parts(at(obr, 4))[0:3] != [ALARM_EVENT, "MDC_EVT_ALARM", "MDC"]:
                message.fault(f"OBR-4 {at(obr, 4)!r} is no alarm")
        facets, sources = [], set()
        for obx in (one for one in message.segments if one[0] == "OBX"):
            code, place = parts(at(obx, 3))[0], at(obx, 4).split(".")
            facets.append(place[-1])
            sources.add(tuple(place[:-1]))
            wanted = FACETS.get(code)
            if wanted and place[-1] != wanted:
                message.fault(f"OBX-3 {code} is facet {wanted}, not {place[-1]}")
            if code == ALARM_EVENT and place[-1] != "1":
                message.fault(f"the event is facet 1, not {place[-1]}")
        if len(obrs) == 1 and (len(sources) > 1 or facets[:1] != ["1"]):
            message.fault(f"facets {facets} of {len(sources)} sources, not one event and more of it")

    def specimens(self, message):
        """HL7 2.5, chapter 7: SPM-4 is required; a laboratory's number is in SPM-2."""
        if at(message.segments[0], 12) < "2.5":
            message.fault("OUL^R22 came with 2.5")
        for spm in (one for one in message.segments if one[0] == "SPM"):
            if not parts(at(spm, 4))[0] and not parts(at(spm, 4))[1]:
                message.fault("SPM-4 is empty")
            if not at(spm, 2).strip("^&"):
                message.fault("SPM-2 is empty")

    def patient(self, message, pid):
        ids = repeats(at(pid, 3))
        if not ids:
            message.fault("PID-3 is empty")
        for one in ids:
            value = parts(one)
            if not (value[0] and value[3] and value[4]):
                message.fault("PID-3: CX-1, CX-4 and CX-5 are needed")
            authority = value[3].split("&") + ["", ""]
            self.hierarchic(message, "PID-3.4", authority)
        if at(pid, 31) == "Y" and ids:
            message.fault("an identity that is unknown and yet stated")
        if not any(parts(one)[6] for one in repeats(at(pid, 5))):
            message.fault("PID-5: XPN-7 is needed")

    def order(self, message, obr, orders, profile):
        if not at(obr, 1).isdigit() or at(obr, 1) in orders:
            message.fault(f"OBR-1 {at(obr, 1)!r} is not unique")
        orders.add(at(obr, 1))
        self.entity(message, "OBR-3", parts(at(obr, 3)))
        if at(obr, 2):
            self.entity(message, "OBR-2", parts(at(obr, 2)))
        service = parts(at(obr, 4))
        if not service[0] or (profile and not service[1]):
            message.fault("OBR-4: CWE-1 and CWE-2 are needed")
        for number in (7, 8, 22):
            self.time(message, f"OBR-{number}", at(obr, number))
        if profile is None and at(obr, 25) not in set("FPRCIXS"):
            message.fault(f"OBR-25 {at(obr, 25)!r}")

    def result(self, message, obr, obx, profile, production):
        where = f"OBX {at(obx, 4)}"
        kind, value, status = at(obx, 2), at(obx, 5), at(obx, 11)
        flags = set(repeats(at(obx, 8)))
        types = TYPES if profile else LABORATORY_TYPES
        if value and kind not in types:
            message.fault(f"{where}: OBX-2 {kind!r} beside a value")
        if not value and kind:
            message.fault(f"{where}: OBX-2 {kind!r} without a value")
        if kind == "NM" and not is_number(value):
            message.fault(f"{where}: NM that is no number")
        self.code(message, where, at(obx, 3), profile)
        if not SUB_ID.fullmatch(at(obx, 4)):
            message.fault(f"{where}: OBX-4 is not one to six numbers")
        self.unit(message, where, at(obx, 6), profile)
        if status not in STATUS or len(status) != 1:
            message.fault(f"{where}: OBX-11 {status!r}")
        if status == "X" and value:
            message.fault(f"{where}: X says that there is no result, and there is a value")
        if not value and status not in set("XIWDC"):
            message.fault(f"{where}: no value, and OBX-11 {status!r} as if there were one")
        if flags & NO_VALUE and value:
            message.fault(f"{where}: a value beside {sorted(flags & NO_VALUE)}")
        unknown = flags - ABNORMAL - (QUALITY | ALARM if profile else set())
        if unknown:
            message.fault(f"{where}: OBX-8 {sorted(unknown)}")
        if production and flags & {"TEST", "DEMO"}:
            message.fault(f"{where}: test data with MSH-11 P")
        self.time(message, f"{where} OBX-14", at(obx, 14))
        self.time(message, f"{where} OBX-19", at(obx, 19))
        if not at(obx, 14) and not at(obr, 7):
            message.fault(f"{where}: no time")
        for one in repeats(at(obx, 18)):
            if not parts(one)[0]:
                message.fault(f"{where}: OBX-18 names nothing")

    def code(self, message, where, field, profile):
        value = parts(field)
        if not value[0] or (profile and not value[1]):
            message.fault(f"{where}: OBX-3 needs a code and a name")
        triplets = [value[0:3], value[3:6]]
        mdc = [one for one in triplets if one[2] == "MDC"]
        if profile and not mdc:
            message.fault(f"{where}: OBX-3 has no MDC code")
        for one in triplets:
            if any(one) and not one[0]:
                message.fault(f"{where}: OBX-3 has words without a code")
            if one[0] and not one[2]:
                message.fault(f"{where}: OBX-3 names no coding system")
        for wrong in filter(None, map(self.vocabulary.fault, mdc)):
            message.fault(f"{where}: {wrong}")

    def unit(self, message, where, field, profile):
        if not field:
            return
        value = parts(field)
        triplets = [one for one in (value[0:3], value[3:6]) if any(one)]
        if profile and not any(one[2] in ("MDC", "UCUM") for one in triplets):
            message.fault(f"{where}: OBX-6 is neither MDC nor UCUM")
        for one in triplets:
            wrong = self.vocabulary.fault(one) if one[2] == "MDC" else None
            if wrong:
                message.fault(f"{where}: OBX-6: {wrong}")
            if one[2] == "UCUM" and one[0] not in self.vocabulary.ucum:
                message.fault(f"{where}: OBX-6: {one[0]!r} is no UCUM code of the vocabulary")


def is_number(text):
    try:
        Decimal(text)
    except InvalidOperation:
        return False
    return bool(NUMBER.fullmatch(text))


def messages(data):
    """The messages of a file, one after another, without MLLP bytes."""
    data = data.replace(b"\x1c\r", b"").replace(b"\x0b", b"")
    starts = [found.start() for found in re.finditer(rb"(?:(?<=\r)|\A)MSH\|", data)]
    return [data[a:b] for a, b in zip(starts, [*starts[1:], len(data)])]


def main(files):
    judge = Judge(Vocabulary(ROOT / "device-profiles" / "vocabulary"))
    count = faults = 0
    for file in files:
        for raw in messages(Path(file).read_bytes()):
            count += 1
            for what in judge.judge(raw):
                faults += 1
                print(f"{file}: message {count}: {what}")
    print(f"{count} messages, {faults} faults")
    return 1 if faults or not count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
