"""Holds bundles against fhir.resources: python fhir_bundles.py BUNDLES (one bundle a line).

R4B is its model of R4. Decimals are looked at as text: their digits must be those that stand beside
them as sent, up to a sign and leading zeros.
"""

import json
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path

from fhir.resources.R4B import get_fhir_model_class

AS_SENT = "urn:wardgate:fhir:value-as-sent"


def walk(node):
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from walk(value)


class Digits(str):
    """A JSON number with the digits that were written."""


def digits_complaints(text):
    for node in walk(json.loads(text, parse_float=Digits, parse_int=Digits)):
        sent = [one["valueString"] for one in node.get("extension", ())
                if isinstance(one, dict) and one.get("url") == AS_SENT]
        if not sent:
            continue
        written, said = str(node["value"]), sent[0].strip().lstrip("<>= ")
        if Decimal(written) != Decimal(said):
            yield f"{written} is not {said}"
        if Decimal(written).as_tuple().exponent != Decimal(said).as_tuple().exponent:
            yield f"{written} has not the precision of {said}"


def complaints(text):
    bundle = json.loads(text, parse_float=Decimal)
    try:
        get_fhir_model_class("Bundle").model_validate(bundle)
    except Exception as error:  # noqa: BLE001 - whatever the library raises is a complaint
        yield f"Bundle: {error}"
    for index, entry in enumerate(bundle.get("entry", ())):
        resource = entry["resource"]
        try:
            get_fhir_model_class(resource["resourceType"]).model_validate(resource)
        except Exception as error:  # noqa: BLE001
            yield f"entry {index} {resource.get('resourceType')}: {error}"
    yield from digits_complaints(text)


def main():
    kinds, wrong = Counter(), 0
    for number, line in enumerate(Path(sys.argv[1]).read_text().splitlines()):
        for complaint in complaints(line):
            wrong += 1
            print(f"bundle {number}: {complaint}"[:600])
        for entry in json.loads(line).get("entry", ()):
            kinds[entry["resource"]["resourceType"]] += 1
    print(json.dumps({"resources": kinds, "wrong": wrong}))
    return 1 if wrong or not kinds else 0


if __name__ == "__main__":
    sys.exit(main())
