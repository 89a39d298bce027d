"""Proves that the judges can fail: python self_test.py (needs requirements.txt; no corpus)."""

import json
import shutil
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


SENT = (
    "MSH|^~\\&|WARDGATE||CORE||20261120081012.0000+0000||ORU^R01^ORU_R01|1f1f1f1f-7|P|2.6|||AL|NE||"
    "UNICODE UTF-8|||IHE_PCD_001^IHE PCD^1.3.6.1.4.1.19376.1.6.1.1.1^ISO\r"
    "PID|1||010594Y9032^^^DVV&1.2.246.21&ISO^NNFIN||^^^^^^U\r"
    "PV1||I|icu^^bed-1\r"
    "OBR|1||1f1f1f1f-7^WARDGATE|182777000^monitoring of patient^SCT|||20261120081012.0000+0000\r"
    "OBX|1|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC|1.1.1.1|97|262688^MDC_DIM_PERCENT^MDC^%^%^UCUM||N|||R"
    "|||20261120081012.0000+0000||||oximeter^WARDGATE\r"
    "NTE|1||Äijälä \\F\\ Šõ\r"
    "OBX|2||149530^MDC_PULS_OXIM_PULS_RATE^MDC|1.1.1.2||264864^MDC_DIM_BEAT_PER_MIN^MDC||NAV|||X"
    "|||20261120081012.0000+0000||||oximeter^WARDGATE\r"
)


ALARM = (
    "MSH|^~\\&|WARDGATE||CORE||20261120081012.0000+0000||ORU^R40^ORU_R40|1f1f1f1f-8|P|2.6|||AL|NE||"
    "UNICODE UTF-8|||IHE_PCD_ACM_001^IHE PCD^1.3.6.1.4.1.19376.1.6.1.4.1^ISO\r"
    "OBR|1||1f1f1f1f-8^WARDGATE|196616^MDC_EVT_ALARM^MDC|||20261120081012.0000+0000\r"
    "OBX|1|ST|196616^MDC_EVT_ALARM^MDC|1.1.1.1.1|occlusion||||||F|||20261120081012.0000+0000\r"
    "OBX|2|ST|68481^MDC_ATTR_EVENT_PHASE^MDC|1.1.1.1.3|start||||||F|||20261120081012.0000+0000\r"
    "OBX|3|ST|68482^MDC_ATTR_ALARM_STATE^MDC|1.1.1.1.4|active||||||F|||20261120081012.0000+0000\r"
)

SPECIMEN = (
    "MSH|^~\\&|WARDGATE||LAB||20261120081012.0000+0000||OUL^R22^OUL_R22|1f1f1f1f-9|P|2.5.1||||||"
    "8859/1\r"
    "SPM|1|S-1&LAB||BLD^Whole blood^HL70487\r"
    "OBR|1|S-1^LAB|1f1f1f1f-9^WARDGATE|pH^pH^L|||20261120081012.0000+0000||||||||||||||||||F\r"
    "OBX|1|NM|pH^pH^L|1|7.40||||||F|||20261120081012.0000+0000\r"
)


class SentMessages(unittest.TestCase):
    def judged(self, script, *texts):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "sent.hl7"
            file.write_bytes(b"".join(b"\x0b" + one.encode() + b"\x1c\r" for one in texts))
            return run(script, file)

    def test_what_is_right_passes(self):
        for script in ("ihe_rules.py", "hl7apy_check.py"):
            code, said = self.judged(script, SENT, SENT)
            self.assertEqual((code, said), (0, "2 messages, 0 faults\n"))

    def test_the_rules_of_the_sheet_can_fail(self):
        changes = {
            "time without offset": ("20261120081012.0000+0000||ORU", "20261120081012.0000||ORU"),
            "two components": ("ORU^R01^ORU_R01", "ORU^R01"),
            "control id too long": ("1f1f1f1f-7|P", "1f1f1f1f-7aaaaaaaaaaa|P"),
            "processing id": ("|P|2.6", "|X|2.6"),
            "another version": ("|2.6|", "|2.5|"),
            "no acknowledgement asked": ("|AL|NE|", "|||"),
            "a wrong name of a charset": ("UNICODE UTF-8", "UTF-8"),
            "a profile without EI-2 to 4": ("^IHE PCD^1.3.6.1.4.1.19376.1.6.1.1.1^ISO",
                                            "^^1.3.6.1.4.1.19376.1.6.1.1.1"),
            "an OID that is none": ("DVV&1.2.246.21&ISO", "DVV&1.02.246&ISO"),
            "no type of identifier": ("^NNFIN", ""),
            "no XPN-7": ("||^^^^^^U", ""),
            "no patient class": ("PV1||I|", "PV1|||"),
            "OBR-3 with EI-1 alone": ("1f1f1f1f-7^WARDGATE|182", "1f1f1f1f-7|182"),
            "OBR-4 without words": ("182777000^monitoring of patient^SCT", "182777000^^SCT"),
            "OBX-1 twice": ("OBX|2|", "OBX|1|"),
            "no type": ("|NM|", "||"),
            "SN": ("|NM|150456", "|SN|150456"),
            "no number": ("|97|", "|9x7|"),
            "a code of another name": ("150456^MDC_PULS", "150457^MDC_PULS"),
            "a name of another code": ("MDC_PULS_OXIM_SAT_O2", "MDC_ECG_HEART_RATE"),
            "no MDC code": ("150456^MDC_PULS_OXIM_SAT_O2^MDC", "59408-5^SpO2^LN"),
            "OBX-4": ("|1.1.1.1|", "|a|"),
            "the same place twice": ("149530^MDC_PULS_OXIM_PULS_RATE^MDC|1.1.1.2",
                                     "150456^MDC_PULS_OXIM_SAT_O2^MDC|1.1.1.1"),
            "a unit of another name": ("262688^MDC_DIM_PERCENT", "262688^MDC_DIM_MMHG"),
            "no UCUM": ("^%^%^UCUM", "^pc^pc^UCUM"),
            "a flag that is none": ("||N|||R", "||W00T|||R"),
            "test data": ("||N|||R", "||TEST|||R"),
            "a value beside INV": ("||N|||R", "||INV|||R"),
            "a status that is none": ("|||R|", "|||Q|"),
            "X beside a value": ("|||R|", "|||X|"),
            "zero for nothing": ("1.1.1.2||", "1.1.1.2|0|"),
            "final and empty": ("NAV|||X", "NAV|||F"),
            "a time without offset": ("R|||20261120081012.0000+0000", "R|||20261120081012"),
            "segments out of order": ("PV1||I|icu^^bed-1\r", "NTE|1||x\r"),
            "an unknown segment": ("NTE|1||", "ZZ9|1||"),
            "an escape that is none": ("\\F\\ ", "\\Q\\ "),
            "an open escape": ("\\F\\ ", "\\ "),
            "line feeds": ("bed-1\r", "bed-1\n"),
        }
        for name, (right, wrong) in changes.items():
            with self.subTest(name):
                self.assertIn(right, SENT)
                code, said = self.judged("ihe_rules.py", SENT.replace(right, wrong))
                self.assertEqual(code, 1, said)
        other = SENT.replace("|97|", "|98|")
        self.assertEqual(self.judged("ihe_rules.py", SENT, other)[0], 1, "MSH-10 for other bytes")
        self.assertEqual(self.judged("ihe_rules.py")[0], 1, "no message at all")

    def test_the_rules_of_alarms_and_specimens_can_fail(self):
        for right in (ALARM, SPECIMEN):
            for script in ("ihe_rules.py", "hl7apy_check.py"):
                code, said = self.judged(script, right)
                self.assertEqual((code, said), (0, "1 messages, 0 faults\n"), script)
        changes = {
            "the structure of another": (ALARM, "ORU_R40", "ORU_R01"),
            "an order that is no alarm": (ALARM, "|196616^MDC_EVT_ALARM^MDC|||2026",
                                          "|182777000^monitoring of patient^SCT|||2026"),
            "a phase in the place of the state": (ALARM, "1.1.1.1.3", "1.1.1.1.5"),
            "an event in another place": (ALARM, "1.1.1.1.1", "1.1.1.1.2"),
            "two sources": (ALARM, "1.1.1.1.4", "1.1.1.2.4"),
            "no type of specimen": (SPECIMEN, "BLD^Whole blood^HL70487", ""),
            "no number of a specimen": (SPECIMEN, "|S-1&LAB|", "||"),
            "a specimen before 2.5": (SPECIMEN, "|2.5.1|", "|2.4|"),
            "a result before its specimen": (SPECIMEN, "SPM|1|S-1&LAB||BLD^Whole blood^HL70487\r", ""),
        }
        for name, (message, right, wrong) in changes.items():
            with self.subTest(name):
                self.assertIn(right, message)
                code, said = self.judged("ihe_rules.py", message.replace(right, wrong))
                self.assertEqual(code, 1, said)

    def test_hl7apy_can_fail(self):
        changes = {
            "no control id": ("|1f1f1f1f-7|P", "||P"),
            "no identifier": ("010594Y9032^^^DVV&1.2.246.21&ISO^NNFIN", ""),
            "no service": ("182777000^monitoring of patient^SCT", ""),
            "no status": ("|||R|", "||||"),
            "a time in words": ("R|||20261120081012.0000+0000", "R|||2026-11-20T08:10:12Z"),
        }
        for name, (right, wrong) in changes.items():
            with self.subTest(name):
                self.assertIn(right, SENT)
                code, said = self.judged("hl7apy_check.py", SENT.replace(right, wrong))
                self.assertEqual(code, 1, said)
        wrong = ALARM.replace("|196616^MDC_EVT_ALARM^MDC|||", "||||")
        self.assertEqual(self.judged("hl7apy_check.py", wrong)[0], 1, "an alarm without OBR-4")
        self.assertEqual(self.judged("hl7apy_check.py")[0], 1, "no message at all")

    def test_node_can_fail(self):
        node = shutil.which("node")
        modules = HERE.parent.parent / "target/node/node_modules/node-hl7-client"
        if not node or not modules.exists():
            self.skipTest("no node-hl7-client")
        odd_unit = SENT.replace("^%^%^UCUM", "^bpm^bpm^UCUM")
        swapped = SENT.replace("MSH|^~", "MSH|~^")
        for text, expected in ((SENT, 0), (odd_unit, 1), (swapped, 1), ("nothing", 1)):
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "sent.hl7"
                file.write_bytes(text.encode())
                judge = HERE / "node/hl7_read.cjs"
                done = subprocess.run([node, judge, file], capture_output=True, timeout=60)
                self.assertEqual(done.returncode, expected, done.stdout)


def bundle():
    """A transaction with a heart rate, a blood pressure and what they refer to."""
    mdc, loinc = "urn:iso:std:iso:11073:10101", "http://loinc.org"
    ucum = "http://unitsofmeasure.org"
    base = "http://hl7.org/fhir/StructureDefinition/"
    category = "http://terminology.hl7.org/CodeSystem/observation-category"

    def codes(*pairs):
        return {"coding": [{"system": system, "code": code} for system, code in pairs]}

    def quantity(text, number, unit):
        return {"extension": [{"url": "urn:wardgate:fhir:value-as-sent", "valueString": text}],
                "value": number, "unit": unit, "system": ucum, "code": unit}

    def observation(name, profile, **more):
        return {"resourceType": "Observation", "status": "final",
                "meta": {"profile": [base + profile]},
                "identifier": [{"system": "urn:uuid:1", "value": name}],
                "category": [codes((category, "vital-signs"))],
                "subject": {"identifier": {"system": "urn:oid:1.2", "value": "P"}},
                "effectiveDateTime": "2026-11-20T08:10:10Z", **more}

    heart = observation("a.0", "vitalsigns", code=codes((loinc, "8867-4"), (mdc, "147842")),
                        valueQuantity=quantity("080", 80, "/min"))
    pressure = observation("b.0", "bp", code=codes((loinc, "85354-9")), component=[
        {"code": codes((loinc, "8480-6"), (mdc, "150021")),
         "valueQuantity": quantity("120", 120, "mm[Hg]")},
        {"code": codes((loinc, "8462-4"), (mdc, "150022")),
         "valueQuantity": quantity("80", 80, "mm[Hg]")}])
    metric = {"resourceType": "DeviceMetric", "type": codes((mdc, "147842")),
              "category": "measurement"}
    device = {"resourceType": "Device", "identifier": [{"system": "urn:uuid:1", "value": "d"}]}

    def entry(resource):
        kind = resource["resourceType"]
        return {"resource": resource, "request": {"method": "POST", "url": kind}}

    return {"resourceType": "Bundle", "type": "transaction",
            "entry": [entry(one) for one in (heart, pressure, metric, device)]}


class Fhir(unittest.TestCase):
    MODULES = HERE.parents[1] / "target" / "node" / "node_modules"

    def judged(self, text):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "bundles"
            file.write_text(text + "\n")
            python = run("fhir_bundles.py", file)
            if not self.MODULES.is_dir():
                return python, None
            command = ["node", HERE / "fhir_bundles.js", self.MODULES, HERE / "fhirpath_rules.txt",
                       file]
            done = subprocess.run(list(map(str, command)), capture_output=True, text=True,
                                  timeout=120)
        return python, (done.returncode, done.stdout + done.stderr)

    def test_what_is_right_passes(self):
        for code, said in filter(None, self.judged(json.dumps(bundle()))):
            self.assertEqual(code, 0, said)

    def test_fhir_resources_can_fail(self):
        changes = {
            "no status": lambda heart: heart.pop("status"),
            "two values": lambda heart: heart.update(valueString="80"),
            "an element that FHIR does not have": lambda heart: heart.update(foo=1),
            "another number than was sent": lambda heart: heart["valueQuantity"].update(value=81),
        }
        for name, change in changes.items():
            wrong = bundle()
            change(wrong["entry"][0]["resource"])
            with self.subTest(name):
                self.assertEqual(self.judged(json.dumps(wrong))[0][0], 1, name)
        lost = json.dumps(bundle()).replace('"valueString": "120"', '"valueString": "120.0"')
        self.assertEqual(self.judged(lost)[0][0], 1, "a lost zero")

    def test_the_judges_in_node_can_fail(self):
        if not self.MODULES.is_dir():
            print("SKIPPED the judges in node: not installed")
            return

        def part(heart, pressure):
            pressure["component"].pop()

        changes = {
            "a status that there is not": lambda heart, _: heart.update(status="bogus"),
            "no identifier": lambda heart, _: heart.pop("identifier"),
            "half a blood pressure": part,
            "a unit that is not UCUM": lambda heart, _: heart["valueQuantity"].update(code="bpm"),
            "no subject under the profile": lambda heart, _: heart.pop("subject"),
            "a local time": lambda heart, _: heart.update(effectiveDateTime="2026-11-20T08:10:10"),
            "a patient by reference": lambda heart, _: heart["subject"].update(
                reference="Patient/1"),
        }
        for name, change in changes.items():
            wrong = bundle()
            change(*(entry["resource"] for entry in wrong["entry"][:2]))
            with self.subTest(name):
                self.assertEqual(self.judged(json.dumps(wrong))[1][0], 1, name)


if __name__ == "__main__":
    unittest.main()
