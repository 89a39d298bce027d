"""Checks manifests against what a core has stored, as docs/ingestion/README.md says.

usage: manifest_check.py DESTINATION STORE

STORE is the stand-in core's: one JSON object per line, the event under `record`, byte for byte.
Prints one JSON line with the number of manifests and of records that they cover, and one line per
problem; the exit code is 0 only without problems and with at least one manifest.
"""

import hashlib
import json
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MARK = b'"record":'


def payload_of(line: bytes) -> bytes:
    """The event's own bytes: all behind the mark but the brace that closes the line."""
    return line[line.index(MARK) + len(MARK):].rstrip()[:-1]


def statement(source: str, data: dict) -> bytes:
    ranges = ",".join(f"{first}-{last}" for first, last in data["unavailable"])
    lines = ["wardgate manifest v1", source, data["destination"], data["stream"],
             f"{data['first']} {data['last']}", str(data["count"]), data["sha256"], ranges]
    return "".join(f"{line}\n" for line in lines).encode()


def problems_of(event: dict, payloads: dict) -> list:
    data, found = event["data"], []
    hashes = [hashlib.sha256(payload).digest()
              for (stream, sequence), payload in sorted(payloads.items())
              if stream == data["stream"] and data["first"] <= sequence <= data["last"]]
    if len(hashes) != data["count"]:
        found.append(f"has {len(hashes)} records, the manifest says {data['count']}")
    if hashlib.sha256(b"".join(hashes)).hexdigest() != data["sha256"]:
        found.append("another hash")
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(data["key"]))
        key.verify(bytes.fromhex(data["signature"]), statement(event["source"], data))
    except (InvalidSignature, ValueError):
        found.append("the signature is not the key's")
    return found


def main() -> int:
    destination, path = sys.argv[1:]
    payloads, manifests = {}, []
    for line in open(path, "rb"):
        payload = payload_of(line)
        event = json.loads(payload)
        data = event["data"]
        if event["type"] == "fi.wardgate.manifest.v1":
            manifests += [event] if data["destination"] == destination else []
        else:
            payloads[data["stream"], data["sequence"]] = payload
    problems = [f"manifest {event['id']}: {problem}" for event in manifests
                for problem in problems_of(event, payloads)]
    follows = sorted((one["data"]["first"], one["data"]["last"]) for one in manifests)
    problems += [f"between {last} and {first} nothing is covered"
                 for (_, last), (first, _) in zip(follows, follows[1:]) if first != last + 1]
    covered = sum(event["data"]["count"] for event in manifests)
    print(json.dumps({"manifests": len(manifests), "records": covered}))
    print("\n".join(problems))
    return 0 if manifests and not problems else 1


sys.exit(main())
