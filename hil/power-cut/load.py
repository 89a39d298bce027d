"""Monitors that send HL7 v2 messages over MLLP and keep each until it is acknowledged.

What is sent, and what an answer must be, is written from the standard's words alone: `0B`, the
message with CR after each segment, `1C 0D`; the answer's MSA-2 is the message's MSH-10.
"""

import hashlib
import random
import socket
import threading
import time

CONNECTIONS = 4
ANSWER_WITHIN_S = 20
NUMERICS = [
    (147842, "MDC_ECG_HEART_RATE", 264864, "MDC_DIM_BEAT_PER_MIN"),
    (151562, "MDC_RESP_RATE", 264928, "MDC_DIM_RESP_PER_MIN"),
    (150456, "MDC_PULS_OXIM_SAT_O2", 262688, "MDC_DIM_PERCENT"),
    (150033, "MDC_PRESS_BLD_ART_SYS", 266016, "MDC_DIM_MMHG"),
    (150034, "MDC_PRESS_BLD_ART_DIA", 266016, "MDC_DIM_MMHG"),
    (150035, "MDC_PRESS_BLD_ART_MEAN", 266016, "MDC_DIM_MMHG"),
]


class Ledger:
    """What every sender knows: the digest of each message, and which were acknowledged."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sent = {}  # MSH-10 -> SHA-256 of the message as sent
        self.acknowledged = set()
        self.refused = []
        self.first = threading.Event()

    def acknowledge(self, control_id):
        with self.lock:
            self.acknowledged.add(control_id)
        self.first.set()


class Sender:
    """One connection's device: it has at most one message that is not acknowledged yet."""

    def __init__(self, number, seed, ledger):
        self.number = number
        self.random = random.Random(seed * 1000 + number)
        self.ledger = ledger
        self.serial = 0
        self.pending = None

    def serve(self, port, stop):
        """Sends until `stop` is set, reconnecting whenever the link fails."""
        while not stop.is_set():
            try:
                with socket.create_connection(("127.0.0.1", port), 5) as link:
                    link.settimeout(ANSWER_WITHIN_S)
                    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._talk(link, stop)
            except OSError:
                stop.wait(0.2)

    def _talk(self, link, stop):
        while not stop.is_set():
            if self.pending is None:
                self.pending = self._message()
            control_id, message = self.pending
            link.sendall(framed(message))
            code, answered = answer(link)
            if answered != control_id:
                raise OSError("the answer to another message")
            if code in ("AA", "CA"):
                self.ledger.acknowledge(control_id)
            elif code in ("AE", "CE"):
                # Later perhaps: the same bytes again.
                stop.wait(0.2)
                continue
            else:
                self.ledger.refused.append((control_id, code))
            self.pending = None
            # Bursts without a pause, and rests.
            stop.wait(self.random.choice([0, 0, 0, 0.01, 0.05]))

    def _message(self):
        self.serial += 1
        control_id = f"C{self.number}N{self.serial}"
        # A time of the device's own that no other message of any sender has.
        count = self.serial * CONNECTIONS + self.number
        clock = time.strftime("%Y%m%d%H%M%S", time.gmtime(1_795_000_000 + count // 1000))
        stamp = f"{clock}.{count % 1000:03d}+0000"
        segments = [
            "MSH|^~\\&|MON^0011223344556677^EUI-64|BENCH|||"
            f"{stamp}||ORU^R01^ORU_R01|{control_id}|P|2.6",
            "PID|||P-1^^^WARD^MR",
            f"OBR|1||{control_id}^MON|182777000^monitoring of patient^SCT|||{stamp}",
        ]
        for row in range(self.random.choice([1, 1, 3, 6, 15, 60])):
            code, name, unit, unit_name = NUMERICS[row % len(NUMERICS)]
            value = self.random.randint(30, 160)
            segments.append(
                f"OBX|{row + 1}|NM|{code}^{name}^MDC|1.{row // len(NUMERICS) + 1}.1.{row + 1}|"
                f"{value}|{unit}^{unit_name}^MDC|||||R"
            )
        message = "".join(segment + "\r" for segment in segments).encode()
        with self.ledger.lock:
            # The journal keeps what came on the wire, the frame's bytes included.
            self.ledger.sent[control_id] = hashlib.sha256(framed(message)).hexdigest()
        return control_id, message


def framed(message):
    return b"\x0b" + message + b"\x1c\x0d"


def answer(link):
    """MSA-1 and MSA-2 of the next answer."""
    data = bytearray()
    while not data.endswith(b"\x1c\x0d"):
        part = link.recv(4096)
        if not part:
            raise OSError("closed")
        data.extend(part)
    for segment in data.decode("ascii", "replace").split("\r"):
        if segment.startswith("MSA|"):
            fields = segment.split("|")
            return fields[1], fields[2]
    raise OSError("an answer without MSA")
