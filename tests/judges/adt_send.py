"""Builds ADT messages with hl7apy, by its own structures of HL7 2.5, and sends them with python-hl7.

    adt_send.py HOST PORT WORD...

A word is an event, a patient's number, a bed and a minute: `A01:A1:1:30`. Of a merge (A40) the third
part is the number that is retired. One JSON line per message: the event, MSA-1, MSA-2 and whether the answer
names the message and is an acknowledgement of that event. Exit 1 if one does not.
"""

import json
import sys

import hl7
from hl7.client import MLLPClient
from hl7apy.core import Message

# The structures in which HL7 2.5 has these events.
STRUCTURES = {
    "A01": "ADT_A01", "A04": "ADT_A01", "A08": "ADT_A01", "A13": "ADT_A01", "A28": "ADT_A05",
    "A02": "ADT_A02", "A03": "ADT_A03", "A11": "ADT_A09", "A12": "ADT_A12", "A40": "ADT_A39",
    "A60": "ADT_A60",
}


def built(event: str, number: str, third: str, minute: str, control_id: str) -> str:
    """One message in ER7."""
    structure = STRUCTURES[event]
    message = Message(structure, version="2.5")
    message.msh.msh_3 = "ADT"
    message.msh.msh_5 = "WARDGATE"
    message.msh.msh_7 = f"2026030208{minute}00"
    message.msh.msh_9 = f"ADT^{event}^{structure}"
    message.msh.msh_10 = control_id
    message.msh.msh_11 = "P"
    message.evn.evn_2 = f"2026030208{minute}00"
    at = message
    if event == "A40":
        at = message.add_group("ADT_A39_PATIENT")
    at.pid.pid_3 = f"{number}^^^PI"
    at.pid.pid_5 = "ZZZ^AAA"
    at.pid.pid_7 = "19730811"
    if event == "A40":
        at.mrg.mrg_1 = f"{third}^^^PI"
    if event not in ("A40", "A60"):
        message.pv1.pv1_2 = "I"
        message.pv1.pv1_3 = f"ICU^3^{third}"
        message.pv1.pv1_19 = "E-1"
    return message.to_er7()


def main() -> int:
    host, port, *words = sys.argv[1:]
    good = True
    with MLLPClient(host, int(port)) as client:
        for place, word in enumerate(words):
            event, number, third, minute = word.split(":")
            control_id = f"m{place}"
            message = built(event, number, third, minute, control_id)
            answer = hl7.parse(client.send_message(message).decode())
            msa, kind = answer.segment("MSA"), str(answer.segment("MSH")[9])
            named = str(msa[2]) == control_id and kind.startswith(f"ACK^{event}")
            good &= named
            print(json.dumps({"event": event, "code": str(msa[1]), "named": named}))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
