"""A core over MQTT 5 with paho-mqtt, a client that has nothing of our code: one consumer of several.

    mqtt_core.py HOST PORT --store FILE --client ID --receiver ID [--share GROUP] [--clean]
                 [--have GENERATION]

Keeps its session between connections (unless --clean), stores every record that comes, also one
that it has (nothing is filtered: what the transport repeats can be counted), syncs the file, and
only then acknowledges. With --have it first says what its store holds, as after a restore.
One line per record in the store: {"topic": ..., "record": the event, byte for byte}.
"""

import argparse
import json
import os
import pathlib
import sys
import time

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

KINDS = ("observation", "alarm", "pump-event", "device-state", "association", "gap", "manifest")
FILTER = "wardgate/v1/+/+/+/+/+/+"
SESSION_S = 3600
# A broker goes on sharing records out to a consumer that is away for as long as it keeps its
# session; what it holds for a dead one comes again from the gateway, after its silence.
SHARED_SESSION_S = 0


def ranges_of(sequences) -> list:
    ranges = []
    for sequence in sorted(set(sequences)):
        if ranges and ranges[-1][1] + 1 == sequence:
            ranges[-1][1] = sequence
        else:
            ranges.append([sequence, sequence])
    return ranges


def held(store: pathlib.Path) -> dict:
    """Stream to the have topic and the sequences that the store holds."""
    found = {}
    for line in store.read_text().splitlines() if store.exists() else []:
        topic, data = json.loads(line)["topic"], json.loads(line)["record"]["data"]
        root = topic.rsplit("/", 2)[0]
        found.setdefault((root, data["stream"]), []).append(data["sequence"])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    for name in ("--store", "--client", "--receiver"):
        parser.add_argument(name, required=True)
    parser.add_argument("--share")
    parser.add_argument("--clean", action="store_true")
    parser.add_argument("--have", type=int)
    given = parser.parse_args()
    store = pathlib.Path(given.store)
    restored = held(store) if given.have else {}
    file = store.open("ab")

    def on_connect(client, userdata, flags, reason, props):
        if reason.is_failure:
            return
        share = f"$share/{given.share}/" if given.share else ""
        client.subscribe(share + FILTER, qos=1)

    def on_subscribe(client, userdata, mid, reasons, props):
        if any(reason.is_failure for reason in reasons):
            return
        for (root, stream), sequences in restored.items():
            have = {"stream": stream, "ranges": ranges_of(sequences),
                    "receiver_id": given.receiver, "generation": given.have}
            client.publish(f"{root}/have/core", json.dumps(have), qos=1)
        restored.clear()
        print("subscribed", file=sys.stderr, flush=True)

    def on_message(client, userdata, message):
        if message.topic.split("/")[6] not in KINDS:
            return
        event = json.loads(message.payload)
        line = b'{"topic":%s,"record":%s}\n' % (json.dumps(message.topic).encode(), message.payload)
        file.write(line)
        file.flush()
        os.fdatasync(file.fileno())
        sequence = event["data"]["sequence"]
        answer = {"stream": event["data"]["stream"], "accepted": [[sequence, sequence]],
                  "rejected": [], "receiver_id": given.receiver,
                  "receiver_time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        client.publish(message.properties.ResponseTopic, json.dumps(answer), qos=1)

    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=given.client,
                         protocol=mqtt.MQTTv5)
    client.on_connect, client.on_subscribe = on_connect, on_subscribe
    client.on_message = on_message
    client.reconnect_delay_set(0.05, 0.5)
    session = Properties(PacketTypes.CONNECT)
    session.SessionExpiryInterval = SHARED_SESSION_S if given.share else SESSION_S
    while True:
        try:
            client.connect(given.host, given.port, clean_start=given.clean, properties=session)
            break
        except OSError:
            time.sleep(0.05)
    client.loop_forever(retry_first_connection=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
