"""Sends the messages of files with python-hl7's MLLP client and judges the acknowledgements.

    mllp_send.py HOST PORT FILE... [--timeout SECONDS] [--again]

One JSON line per message. Exit 1 if MSA-2 is not MSH-10 or the codes are not those that MSH-15 and
MSH-16 ask for (facts/semantics.md 1.4, facts/lab.md 3.1):

    MSH-15  MSH-16   a result message (ORU R01 R40 R42, OUL R22)   any other message
    empty   empty    AA                                            AR or AE
    AL      NE       CA                                            CR or CE
    NE      AL       AA                                            AR or AE
    ER      AL       AA                                            CR or CE, or AR or AE
    AL      AL       CA, then AA                                   CR or CE; or CA, then AR or AE
    ER      NE       nothing                                       CR or CE
    NE      NE       nothing                                       nothing
An acknowledgement that comes in as a message may stay without answer.
One of the two empty stands for NE. SU asks only after success, ER only after an error.
"""

import argparse
import json
import re
import socket
import sys
import time
from pathlib import Path

import hl7
from hl7.client import MLLPClient

from hl7_values import TAKEN, messages

REFUSED = {"A": ("AR", "AE"), "C": ("CR", "CE")}


def header(raw: bytes) -> list[str]:
    """MSH with the numbering of the standard: [9] is MSH-9."""
    line = raw.split(b"\r", 1)[0].decode("latin-1")
    return ["MSH"] + [line[3]] + line.split(line[3])[1:] + [""] * 25


def wanted(raw: bytes) -> list[tuple]:
    """The sequences of codes that may answer this message; `()` is silence."""
    msh = header(raw)
    parts = re.split(re.escape(msh[2][0]), msh[9]) + [""]
    good = tuple(parts[:2]) in TAKEN
    accept, application = msh[15].strip(), msh[16].strip()
    if parts[0] == "ACK":
        # Nobody has to answer an acknowledgement; a refusal in the original mode is tolerated.
        return [(), ("AR",), ("AE",)]
    if not accept and not application:
        return [("AA",)] if good else [("AR",), ("AE",)]
    asks = lambda field, when: field == "AL" or field == when
    if good:
        codes = ("CA",) * asks(accept, "SU") + ("AA",) * asks(application, "SU")
        return [codes]
    answers = []
    if asks(accept, "ER"):
        answers += [(code,) for code in REFUSED["C"]]
    if asks(application, "ER"):
        before = ("CA",) if accept == "AL" else ()
        answers += [before + (code,) for code in REFUSED["A"]]
    return answers or [()]


class Link:
    """python-hl7's client, with a reader that waits for whole MLLP blocks."""

    def __init__(self, host: str, port: int, timeout: float):
        self.client = MLLPClient(host, port)
        self.client.socket.settimeout(timeout)
        self.timeout, self.rest = timeout, b""

    def exchange(self, raw: bytes, expected: int) -> list[bytes]:
        """Sends one message; gives the blocks that came back."""
        self.client.socket.sendall(b"\x0b" + raw + b"\x1c\r")
        found = [self.block(self.timeout) for _ in range(expected)]
        # Nothing more may follow; a short wait is enough to see a reply too many.
        extra = self.block(0.3)
        return [one for one in found + [extra] if one is not None]

    def block(self, seconds: float) -> bytes | None:
        self.client.socket.settimeout(seconds)
        until = time.monotonic() + seconds
        while b"\x1c\r" not in self.rest and time.monotonic() < until:
            try:
                data = self.client.socket.recv(4096)
            except socket.timeout:
                return None
            if not data:
                return None
            self.rest += data
        if b"\x1c\r" not in self.rest:
            return None
        one, _, self.rest = self.rest.partition(b"\x1c\r")
        return one.lstrip(b"\x0b")


def judge(raw: bytes, link: Link, name: str) -> tuple[dict, bool]:
    allowed, begun = wanted(raw), time.monotonic()
    replies = link.exchange(raw, max(len(one) for one in allowed))
    took = round(time.monotonic() - begun, 3)
    control = header(raw)[10]
    codes, answered, problem = [], [], ""
    for reply in replies:
        try:
            msa = hl7.parse(reply.decode("utf-8", "replace")).segment("MSA")
            codes.append(str(msa[1]))
            answered.append(str(msa[2]) if len(msa) > 2 else "")
        except (hl7.HL7Exception, KeyError, IndexError) as error:
            problem = f"reply is no acknowledgement: {error}"
    if not problem and tuple(codes) not in allowed:
        problem = f"codes {codes}, wanted one of {[list(one) for one in allowed]}"
    if not problem and any(one != control for one in answered):
        problem = "MSA-2 is not MSH-10"
    line = {"file": name, "msh_10": control, "type": header(raw)[9], "asks": header(raw)[15:17],
            "msa_1": codes, "msa_2": answered, "seconds": took,
            "reply": [one.decode("utf-8", "replace") for one in replies], "problem": problem}
    return line, not problem


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--timeout", type=float, default=10.0)
    parser.add_argument("--again", action="store_true", help="send every message twice")
    given = parser.parse_args()
    link, good = Link(given.host, given.port, given.timeout), True
    for path in given.files:
        for raw in messages(path.read_bytes()):
            for _ in range(2 if given.again else 1):
                line, fits = judge(raw, link, path.name)
                print(json.dumps(line, ensure_ascii=False), flush=True)
                good = good and fits
    link.client.close()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
