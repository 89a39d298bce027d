"""Holds every device file against the committed JSON Schema, with another reader than the program's.

usage: schema_check.py DEVICE_PROFILES
"""

import json
import pathlib
import sys
import tomllib

import jsonschema


def main() -> int:
    folder = pathlib.Path(sys.argv[1])
    schema = json.loads((folder / "schema" / "device-profile.v1.json").read_text())
    judge = jsonschema.Draft7Validator(schema)
    judge.check_schema(schema)
    files = sorted(folder.glob("*/*/profile.toml"))
    problems = 0
    for file in files:
        for error in judge.iter_errors(tomllib.loads(file.read_text())):
            problems += 1
            print(f"{file}: {'/'.join(map(str, error.absolute_path))}: {error.message[:200]}")
    # A schema that accepts a misspelt key would be no schema.
    broken = tomllib.loads(files[0].read_text())
    broken["devise"] = {}
    if judge.is_valid(broken):
        problems += 1
        print("the schema accepts a misspelt key")
    print(f"{len(files)} device files, {problems} problems")
    return 1 if problems or not files else 0


if __name__ == "__main__":
    sys.exit(main())
