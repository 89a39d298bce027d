"""Holds records, acknowledgements and `have` messages against the published schemas.

usage: contract_check.py SCHEMA_DIR FILE.jsonl|FILE.json...

A .json file holds one message, a .jsonl file one per line. Which schema judges a message is told by
its own fields: `accepted` makes an acknowledgement, `generation` a `have`, `manifest` the answer to
one, anything else is taken for a record. Prints every problem with its place, never the text of a message.
"""

import json
import pathlib
import sys

import jsonschema

NAMES = ("record", "acknowledgement", "have", "manifest-answer")


def judges(folder: pathlib.Path) -> dict:
    found = {}
    for name in NAMES:
        schema = json.loads((folder / f"{name}.v1.schema.json").read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        found[name] = jsonschema.Draft202012Validator(schema)
    return found


def kind_of(message) -> str:
    if isinstance(message, dict) and "accepted" in message:
        return "acknowledgement"
    if isinstance(message, dict) and "generation" in message:
        return "have"
    if isinstance(message, dict) and "manifest" in message:
        return "manifest-answer"
    return "record"


def backwards(message) -> bool:
    """What JSON Schema cannot say: a range runs forwards."""
    ranges = message.get("accepted", message.get("ranges", message.get("differs", [])))
    return any(first > last for first, last in ranges)


def texts(file: pathlib.Path) -> list:
    text = file.read_text(encoding="utf-8")
    return [line for line in text.split("\n") if line] if file.suffix == ".jsonl" else [text]


def leaves(error) -> list:
    """The errors inside `oneOf` and `anyOf` say more than the one around them."""
    return [leaf for inner in error.context for leaf in leaves(inner)] or [error]


def main() -> int:
    judge = judges(pathlib.Path(sys.argv[1]))
    counts, problems = dict.fromkeys(NAMES, 0), 0
    for file in map(pathlib.Path, sys.argv[2:]):
        for number, text in enumerate(texts(file), start=1):
            message = json.loads(text)
            kind = kind_of(message)
            counts[kind] += 1
            said = []
            for error in judge[kind].iter_errors(message):
                for leaf in leaves(error):
                    place = "/".join(map(str, leaf.absolute_path))
                    said.append(f"{place}: {leaf.validator} {str(leaf.validator_value)[:120]}")
            if not said and kind != "record" and backwards(message):
                said.append("a range runs backwards")
            problems += len(said)
            for one in said:
                print(f"{file.name}:{number}: {one}")
    print(json.dumps({**counts, "problems": problems}))
    return 1 if problems or not sum(counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
