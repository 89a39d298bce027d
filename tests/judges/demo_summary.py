"""Judges the last line of `cargo demo -- --json`.

usage: demo_summary.py FILE [LINKS]

LINKS: how many devices there must be at least; a chart is judged where the summary has one.
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
    least = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    if len(summary["links"]) < least:
        problems.append(f"only {len(summary['links'])} links")
    if summary.get("lost") != 0 or summary.get("duplicates") != 0:
        problems.append(f"lost {summary.get('lost')}, duplicates {summary.get('duplicates')}")
    if summary.get("proves") != "self-consistency":
        problems.append("it must say that it proves self-consistency and no more")
    if least > 5:
        charted = summary.get("charted", {})
        if not charted.get("right") or not charted.get("episodic"):
            problems.append(f"nothing was charted: {charted}")
        for key in ["wrong", "missing", "made_up", "episodic_wrong"]:
            if charted.get(key) != 0:
                problems.append(f"chart: {key} {charted.get(key)}")
    print(json.dumps(summary))
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
