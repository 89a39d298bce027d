"""An ASTM E1381 / LIS01 sender over TCP, byte by byte from facts/lab.md 1.2 to 1.4.

    astm_send.py HOST PORT FILE [--lose-ack N] [--twice] [--chunk BYTES]

Stored frames are sent as they stand, wrong checksums included; ENQ, EOT and CR LF are added where
the file lacks them. Records without frames are framed one per frame. The line printed at the end
counts what happened; exit 0 only if every frame was acknowledged.
"""

import argparse
import json
import socket
import sys
import time
from pathlib import Path

from astm_frames import EOT, ETX, STX, checksum, frames, is_lis01, records

ENQ_BYTE, EOT_BYTE, ACK, NAK = b"\x05", b"\x04", b"\x06", b"\x15"
# facts/lab.md 1.3: what a sender waits for an answer, after a refused ENQ, after ENQ against
# ENQ, and how often it repeats.
ANSWER_SECONDS, BUSY_SECONDS, CONTENTION_SECONDS, TRIES = 15.0, 10.0, 1.0, 6


def sessions(data: bytes) -> list[list[bytes]]:
    """The frames of each transmission, ready for the wire."""
    if is_lis01(data):
        found = [frames(part) for part in data.split(bytes([EOT]))]
        wire = lambda frame: bytes([STX]) + frame.body + frame.checksum + b"\r\n"
        return [[wire(frame) for frame in part] for part in found if part]
    made = []
    for index, record in enumerate(records(data)):
        body = b"%d" % ((index + 1) % 8) + record + b"\r" + bytes([ETX])
        made.append(bytes([STX]) + body + checksum(body) + b"\r\n")
    return [made]


class Sender:
    """One connection; `count` is what the last line shows."""

    def __init__(self, host: str, port: int, chunk: int, lose_ack: int):
        self.socket = socket.create_connection((host, port), timeout=ANSWER_SECONDS)
        self.chunk, self.lose_ack = chunk, lose_ack
        self.count = dict(frames=0, sent=0, acks=0, naks=0, enq_naks=0, contentions=0,
                          other=0)

    def write(self, data: bytes):
        step = self.chunk or len(data)
        for start in range(0, len(data), step):
            self.socket.sendall(data[start:start + step])

    def answer(self) -> bytes:
        """One byte, or empty for silence or a closed connection."""
        try:
            return self.socket.recv(1)
        except socket.timeout:
            return b""

    def establish(self) -> str:
        """ENQ until it is acknowledged."""
        for attempt in range(TRIES):
            self.write(ENQ_BYTE)
            answer = self.answer()
            if answer == ACK:
                return ""
            if not answer:
                self.write(EOT_BYTE)
                return "no answer to ENQ"
            # ENQ against ENQ: the instrument has priority and tries again after a second.
            contention = answer == ENQ_BYTE
            self.count["contentions" if contention else "enq_naks"] += 1
            if attempt + 1 < TRIES:
                time.sleep(CONTENTION_SECONDS if contention else BUSY_SECONDS)
        return "ENQ refused"

    def frame(self, wire: bytes) -> str:
        """One frame until it is acknowledged, refused six times or interrupted."""
        self.count["frames"] += 1
        for _ in range(TRIES):
            self.count["sent"] += 1
            self.write(wire)
            answer = self.answer()
            if answer == EOT_BYTE:
                # Accepted, and a request to stop (facts/lab.md 1.3, receiver interrupt).
                self.count["acks"] += 1
                return "interrupted"
            if answer == ACK:
                self.count["acks"] += 1
                return ""
            if not answer:
                return "no answer to a frame"
            self.count["naks" if answer == NAK else "other"] += 1
        return "frame refused"

    def transmit(self, wires: list[bytes]) -> str:
        problem = self.establish()
        if problem:
            return problem
        for number, wire in enumerate(wires, start=1):
            problem = self.frame(wire)
            if not problem and number == self.lose_ack:
                # The receiver acknowledged, the sender never saw it: the same frame again.
                self.lose_ack = 0
                problem = self.frame(wire)
                self.count["frames"] -= 1
            if problem:
                break
        self.write(EOT_BYTE)
        return problem


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("--lose-ack", type=int, default=0, metavar="N",
                        help="act as if the ACK of frame N was lost: send that frame again")
    parser.add_argument("--twice", action="store_true", help="send everything a second time")
    parser.add_argument("--chunk", type=int, default=0, metavar="BYTES",
                        help="cut every write into pieces of this size")
    given = parser.parse_args()
    transmissions = sessions(given.file.read_bytes()) * (2 if given.twice else 1)
    begun, problem = time.monotonic(), ""
    sender = Sender(given.host, given.port, given.chunk, given.lose_ack)
    for wires in transmissions:
        problem = sender.transmit(wires)
        if problem:
            break
    sender.socket.close()
    took = round(time.monotonic() - begun, 3)
    outcome = problem or "complete"
    print(json.dumps({"file": given.file.name, "transmissions": len(transmissions), **sender.count,
                      "outcome": outcome, "seconds": took}))
    return 0 if outcome == "complete" else 1


if __name__ == "__main__":
    sys.exit(main())
