"""Judges the last line of `cargo demo -- --json`.

usage: demo_summary.py FILE
"""

import json
import pathlib
import sys

PER_LINK = ["readings", "refused", "journalled", "acknowledged"]
IN_ALL = ["lost", "duplicates", "acknowledged", "p50_ms", "p99_ms"]


def main() -> int:
    lines = pathlib.Path(sys.argv[1]).read_text().splitlines()
    summary = json.loads(lines[-1])
    problems = []
    for name, link in summary["links"].items():
        problems += [f"{name} has no {key}" for key in PER_LINK + ["lost", "duplicates"] if key not in link]
        if not link.get("readings"):
            problems.append(f"{name} sent nothing")
        if link.get("lost") or link.get("duplicates"):
            problems.append(f"{name}: lost {link['lost']}, duplicates {link['duplicates']}")
    problems += [f"no {key} at the top" for key in IN_ALL if key not in summary]
    if len(summary["links"]) < 5:
        problems.append(f"only {len(summary['links'])} links")
    if summary.get("lost") != 0 or summary.get("duplicates") != 0:
        problems.append(f"lost {summary.get('lost')}, duplicates {summary.get('duplicates')}")
    print(json.dumps(summary))
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
