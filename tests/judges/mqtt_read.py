"""Reads records over MQTT 5 with paho-mqtt, a client that has nothing of our code.

    mqtt_read.py HOST PORT SECONDS [--topic FILTER] [--stop-after N]
                 [--ca FILE --cert FILE --key FILE]

One JSON line per record: topic, QoS, retain, the MQTT 5 properties and the payload, as text where
it is UTF-8 and as hexadecimal digits where it is not. Exit 1 if it could not connect and subscribe.
"""

import argparse
import json
import sys
import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

PROPERTIES = {
    "PayloadFormatIndicator": "payload_format", "MessageExpiryInterval": "message_expiry",
    "ContentType": "content_type", "ResponseTopic": "response_topic",
    "CorrelationData": "correlation_data", "TopicAlias": "topic_alias",
}


def properties(message) -> dict:
    """Those properties of a PUBLISH that are set, by plain names."""
    found = {}
    for name, plain in PROPERTIES.items():
        if hasattr(message.properties, name):
            value = getattr(message.properties, name)
            found[plain] = text(value) if isinstance(value, bytes) else value
    users = getattr(message.properties, "UserProperty", [])
    if users:
        found["user"] = [list(pair) for pair in users]
    return found


def text(data: bytes) -> str | dict:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return {"hex": data.hex()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--topic", default="wardgate/#")
    parser.add_argument("--stop-after", type=int, default=0, metavar="N")
    for option in ("--ca", "--cert", "--key"):
        parser.add_argument(option, metavar="FILE")
    given = parser.parse_args()
    subscribed, done, seen = threading.Event(), threading.Event(), []

    def on_connect(client, userdata, flags, reason, props):
        if not reason.is_failure:
            client.subscribe(given.topic, qos=1)

    def on_subscribe(client, userdata, mid, reasons, props):
        if all(not reason.is_failure for reason in reasons):
            print("subscribed", file=sys.stderr, flush=True)
            subscribed.set()

    def on_message(client, userdata, message):
        line = {"topic": message.topic, "qos": message.qos, "retain": message.retain,
                "properties": properties(message), "payload": text(message.payload)}
        print(json.dumps(line, ensure_ascii=False), flush=True)
        seen.append(message.topic)
        if given.stop_after and len(seen) >= given.stop_after:
            done.set()

    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="judge-mqtt-read",
                         protocol=mqtt.MQTTv5)
    client.on_connect, client.on_subscribe = on_connect, on_subscribe
    client.on_message = on_message
    if given.ca:
        client.tls_set(ca_certs=given.ca, certfile=given.cert, keyfile=given.key)
    until = time.monotonic() + given.seconds
    try:
        client.connect(given.host, given.port, clean_start=True)
    except OSError as error:
        print(f"cannot connect: {error}", file=sys.stderr)
        return 1
    client.loop_start()
    good = subscribed.wait(min(10.0, given.seconds))
    if good:
        done.wait(max(0.0, until - time.monotonic()))
    else:
        print("not subscribed within its time", file=sys.stderr)
    client.disconnect()
    client.loop_stop()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
