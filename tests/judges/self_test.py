"""Proves that the judges can fail: python self_test.py (needs requirements.txt; no corpus)."""

import json
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
MESSAGE = (
    "MSH|^~\\&|TEST^0011223344556677^EUI-64||||20260101120000+0200||ORU^R01^ORU_R01|M-1|P|2.6|||"
    "{asks}||UNICODE UTF-8\r"
    "PID|||||^^^^^^U\r"
    "OBR|1||1^TEST|182777000^monitoring of patient^SCT|||20260101115900+0200\r"
    "OBX|1||69965^MDC_DEV_MON_PHYSIO_MULTI_PARAM_MDS^MDC|1.0.0.0|||||||X\r"
    "OBX|2|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC|1.3.1.1|97|262688^MDC_DIM_PERCENT^MDC|||||R\r"
    "OBX|3|NM|147842^MDC_ECG_HEART_RATE^MDC|1.5.1.1|80|264864^MDC_DIM_BEAT_PER_MIN^MDC|||||R|||"
    "20260101115958+0200\r"
    "OBX|4|NM|196670^MDC_EVT_PUMP_GENERAL_ALARM^MDC|1.9.1.1|1||||||R\r"
    "OBX|5|NM|0002-4a15^ABPs^MDIL|1.6.1.1|120|0004-0f20^mmHg^MDIL|||||F\r"
    "OBX|6|ST|GLU^Glucose^L|1.7.1.1|< 2\\T\\3|mmol/L|||||F\r"
)


def coding(code, words="", system=""):
    return {"code": code, "words": words, "system": system}


def right_lines():
    """What a program should say of MESSAGE."""
    group = "20260101115900+0200"
    base = {"mode": "production", "flags": [], "doubts": []}
    return [
        {**base, "parameter": "spo2", "mdc_code": 150456, "sub_id": "1.3.1.1", "value": "97",
         "codings": [coding("150456", "MDC_PULS_OXIM_SAT_O2", "MDC")],
         "unit": [coding("262688", "MDC_DIM_PERCENT", "MDC")], "ucum": "%",
         "device_time": group, "status": "unverified"},
        {**base, "parameter": "heart-rate", "mdc_code": 147842, "sub_id": "1.5.1.1", "value": "80",
         "codings": [coding("147842", "MDC_ECG_HEART_RATE", "MDC")],
         "unit": [coding("264864", "MDC_DIM_BEAT_PER_MIN", "MDC")], "ucum": "/min",
         "device_time": "20260101115958+0200", "status": "unverified"},
        {**base, "parameter": None, "mdc_code": None, "sub_id": "1.9.1.1", "value": "1",
         "codings": [coding("196670", "MDC_EVT_PUMP_GENERAL_ALARM", "MDC")],
         "unit": [], "device_time": group, "status": "unverified"},
        {**base, "parameter": "press-bld-art-abp-sys", "mdc_code": 150037, "sub_id": "1.6.1.1",
         "codings": [coding("0002-4a15", "ABPs", "MDIL")], "value": "120",
         "unit": [coding("0004-0f20", "mmHg", "MDIL")], "ucum": "mm[Hg]",
         "device_time": group, "status": "final"},
        {**base, "parameter": None, "mdc_code": None, "sub_id": "1.7.1.1", "value": "< 2&3",
         "codings": [coding("GLU", "Glucose", "L")], "unit": [coding("mmol/L")],
         "device_time": group, "status": "final"},
    ]


def run(script, *arguments):
    done = subprocess.run([sys.executable, HERE / script, *map(str, arguments)],
                          capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


class Compare(unittest.TestCase):
    def compare(self, lines):
        with tempfile.TemporaryDirectory() as folder:
            source, ours = Path(folder) / "source.hl7", Path(folder) / "ours.jsonl"
            source.write_text(MESSAGE.format(asks="AL|NE"), newline="")
            ours.write_text("".join(json.dumps(line) + "\n" for line in lines))
            return run("hl7_values.py", "compare", source, ours)

    def test_what_is_right_passes(self):
        code, said = self.compare(right_lines())
        self.assertEqual(code, 0, said)

    def test_what_is_wrong_fails(self):
        changes = {
            "a digit": lambda lines: lines[0].update(value="98"),
            "a rounded figure": lambda lines: lines[0].update(value="97.0"),
            "a unit": lambda lines: lines[1].update(unit=[coding("264896", "x", "MDC")]),
            "a UCUM text": lambda lines: lines[3].update(ucum="kPa"),
            "another parameter": lambda lines: lines[0].update(parameter="pulse-rate-pleth"),
            "another code": lambda lines: lines[0].update(mdc_code=149530),
            "a time": lambda lines: lines[1].update(device_time="20260101115900+0200"),
            "no time": lambda lines: lines[0].update(device_time=None),
            "a status": lambda lines: lines[0].update(status="final"),
            "one missing": lambda lines: lines.pop(3),
            "one too many": lambda lines: lines.append(dict(lines[0], value="96")),
            "one twice": lambda lines: lines.append(dict(lines[0])),
            "a contradiction hidden": lambda lines: lines[2].update(parameter="evt-lo"),
            "a value made absent": lambda lines: (lines[0].pop("value"),
                                                  lines[0].update(absent="invalid")),
            "a value to the wrong code": lambda lines: lines[0].update(value="80"),
        }
        for name, change in changes.items():
            lines = right_lines()
            change(lines)
            with self.subTest(name):
                self.assertEqual(self.compare(lines)[0], 1, name)


class Peer(threading.Thread):
    """A TCP listener for one connection; `talk(connection)` plays the other side."""

    def __init__(self, talk):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port, self.talk, self.seen = self.listener.getsockname()[1], talk, []
        self.start()

    def run(self):
        with self.listener:
            connection, _ = self.listener.accept()
        with connection:
            self.talk(connection, self.seen)


def acknowledge(*codes, control="M-1"):
    def talk(connection, seen):
        data = b""
        while b"\x1c\r" not in data:
            data += connection.recv(4096)
        for code in codes:
            reply = f"MSH|^~\\&|A|B|C|D|20260101||ACK^R01^ACK|9|P|2.6\rMSA|{code}|{control}\r"
            # In two pieces, so that a reader who takes one read for one block is found out.
            block = b"\x0b" + reply.encode() + b"\x1c\r"
            connection.sendall(block[:20])
            connection.sendall(block[20:])
        connection.recv(1)
    return talk


class Mllp(unittest.TestCase):
    def send(self, asks, *codes, control="M-1", kind="ORU^R01^ORU_R01"):
        peer = Peer(acknowledge(*codes, control=control))
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "one.hl7"
            text = MESSAGE.format(asks=asks).replace("ORU^R01^ORU_R01", kind)
            file.write_text(text, newline="")
            return run("mllp_send.py", "127.0.0.1", peer.port, file, "--timeout", "1")[0]

    def test_right_answers(self):
        for asks, codes in (("|", ["AA"]), ("AL|NE", ["CA"]), ("NE|AL", ["AA"]), ("ER|AL", ["AA"]),
                            ("AL|AL", ["CA", "AA"]), ("NE|NE", [])):
            with self.subTest(asks):
                self.assertEqual(self.send(asks, *codes), 0)

    def test_wrong_answers(self):
        for asks, codes in (("|", ["CA"]), ("AL|NE", ["AA"]), ("NE|AL", ["CA", "AA"]),
                            ("AL|AL", ["AA", "CA"]), ("AL|AL", ["CA"]), ("AL|NE", []),
                            ("AL|NE", ["CE"])):
            with self.subTest(f"{asks} {codes}"):
                self.assertEqual(self.send(asks, *codes), 1)
        self.assertEqual(self.send("AL|NE", "CA", control="M-2"), 1)

    def test_an_order_is_refused(self):
        order = "RGV^O15^RGV_O15"
        self.assertEqual(self.send("AL|AL", "CR", kind=order), 0)
        self.assertEqual(self.send("|", "AR", kind=order), 0)
        self.assertEqual(self.send("|", "AA", kind=order), 1)


def receiver(answers):
    """Answers ENQ and frames from the list, then ACK for ever."""
    def talk(connection, seen):
        left, frame = list(answers), b""
        while data := connection.recv(1):
            if data == b"\x04":
                seen.append(b"EOT")
                continue
            frame += data
            if frame == b"\x05" or frame.endswith(b"\r\n"):
                seen.append(frame)
                connection.sendall(left.pop(0) if left else b"\x06")
                frame = b""
    return talk


class Astm(unittest.TestCase):
    TEXT = b"H|\\^&|||TEST\rP|1\rL|1|N\r"

    def send(self, answers, *options):
        peer = Peer(receiver(answers))
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "one.astm"
            file.write_bytes(self.TEXT)
            code, said = run("astm_send.py", "127.0.0.1", peer.port, file, *options)
        peer.join(5)
        return code, json.loads(said), peer.seen

    def test_frames_by_the_rule(self):
        code, said, seen = self.send([])
        self.assertEqual((code, said["frames"], said["acks"]), (0, 3, 3))
        # facts/lab.md 1.2: `3L|1|N<CR><ETX>` has the checksum 06.
        self.assertEqual(seen[0], b"\x05")
        self.assertEqual(seen[3], b"\x023L|1|N\r\x0306\r\n")
        self.assertEqual(seen[4], b"EOT")

    def test_a_refused_frame_is_sent_again_unchanged(self):
        code, said, seen = self.send([b"\x06", b"\x15"])
        self.assertEqual((code, said["naks"], said["sent"]), (0, 1, 4))
        self.assertEqual(seen[1], seen[2])

    def test_six_refusals_end_it(self):
        code, said, seen = self.send([b"\x06"] + [b"\x15"] * 6)
        self.assertEqual((code, said["outcome"], said["naks"]), (1, "frame refused", 6))
        self.assertEqual(seen[-1], b"EOT")

    def test_a_lost_acknowledgement(self):
        code, said, seen = self.send([], "--lose-ack", "2")
        self.assertEqual((code, said["frames"], said["sent"]), (0, 3, 4))
        self.assertEqual(seen[2], seen[3])

    def test_twice_in_small_pieces(self):
        code, said, seen = self.send([], "--twice", "--chunk", "3")
        self.assertEqual((code, said["frames"], seen.count(b"\x05")), (0, 6, 2))


def broker(payload):
    """As much of an MQTT 5 broker as one subscriber and one QoS 0 publish need."""
    def packet(kind, body):
        return bytes([kind, len(body)]) + body

    def talk(connection, seen):
        def read():
            head = connection.recv(1)
            length = connection.recv(1)[0] if head else 0
            body = b""
            while len(body) < length:
                body += connection.recv(length - len(body))
            return head, body
        read()
        connection.sendall(packet(0x20, b"\x00\x00\x00"))
        _, body = read()
        connection.sendall(packet(0x90, body[:2] + b"\x00\x01"))
        topic, props = b"wardgate/v1/a", b"\x03\x00\x01j\x26\x00\x01k\x00\x01v"
        head = struct.pack(">H", len(topic)) + topic + bytes([len(props)]) + props
        connection.sendall(packet(0x30, head + payload))
        connection.recv(1)
    return talk


class Mqtt(unittest.TestCase):
    def test_a_record_with_its_properties(self):
        peer = Peer(broker(b'{"seq":1}'))
        code, said = run("mqtt_read.py", "127.0.0.1", peer.port, "10", "--stop-after", "1")
        self.assertEqual(code, 0, said)
        line = json.loads(next(one for one in said.splitlines() if one.startswith("{")))
        self.assertEqual((line["topic"], line["payload"]), ("wardgate/v1/a", '{"seq":1}'))
        self.assertEqual(line["properties"], {"content_type": "j", "user": [["k", "v"]]})

    def test_no_broker(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        self.assertEqual(run("mqtt_read.py", "127.0.0.1", port, "1")[0], 1)


if __name__ == "__main__":
    unittest.main()
