"""Validates HL7 v2 messages with hl7apy, strictly: python hl7apy_check.py FILE...; exit 1 on a fault.

hl7apy judges the base structure of the version that MSH-12 names: segments in their groups, required
fields, data types (facts/semantics.md 3.2 lists what it does not see; ihe_rules.py is for that). It
knows no ORU_R40. Its segments are those of ORU_R01, so a PCD-04 is read as one of these: the segments
and fields are judged, the name of the structure is for ihe_rules.py.
"""

import sys
from pathlib import Path

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_message

import ihe_rules


def fault(raw):
    """What hl7apy says against a message, or nothing."""
    fields = raw.split(b"\r", 1)[0].split(b"|")
    name = fields[17].decode("ascii", "replace") if len(fields) > 17 else ""
    try:
        text = raw.decode(ihe_rules.CHARSETS.get(name, "latin-1"))
        text = text.replace("|ORU^R40^ORU_R40|", "|ORU^R01^ORU_R01|", 1)
        message = parse_message(text, validation_level=VALIDATION_LEVEL.STRICT, find_groups=True)
        message.validate()
    except (HL7apyException, UnicodeDecodeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def main(files):
    count = faults = 0
    for file in files:
        for raw in ihe_rules.messages(Path(file).read_bytes()):
            count += 1
            what = fault(raw)
            if what:
                faults += 1
                print(f"{file}: message {count}: {what}")
    print(f"{count} messages, {faults} faults")
    return 1 if faults or not count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
