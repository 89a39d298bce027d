#!/usr/bin/env python3
"""Cuts the power of a virtual machine under load, again and again, and looks for what was lost.

See README.md beside this file for what it shows and what it does not.
"""

import argparse
import datetime
import hashlib
import json
import os
import platform
import random
import shutil
import socket
import subprocess
import sys
import threading
import time

import disk
import guest
import load

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
FIRST_ACK_WITHIN_S = 600
DRAIN_WITHIN_S = 600
# Under load a flush comes many times a second.
FLUSH_WITHIN_S = 5
# One cut in so many is followed by one while the box starts.
CUT_AT_START_EVERY = 5


class Findings:
    """What the journal showed, over all boots."""

    def __init__(self):
        self.kept = {}  # MSH-10 -> sequence of the wire record that is no repeat
        self.repeats = 0
        self.highest = 0
        self.stream = None
        self.problems = []

    def read(self, lines, ledger, first):
        """Follows an export from the sequence `first`; nothing in it may be missing or odd."""
        expected, batch_left = first, 0
        for text in lines:
            try:
                record = json.loads(text)
            except ValueError:
                self.problems.append(f"not a record: {text[:100]}")
                continue
            sequence = record["sequence"]
            if sequence != expected:
                self.problems.append(f"sequence {sequence} where {expected} comes next")
            expected = sequence + 1
            if record["kind"] == "wire":
                if batch_left > 0:
                    self.problems.append(f"a message before {sequence} lacks {batch_left} records")
                batch_left = self._wire(record, ledger)
            elif record["kind"] == "observation":
                batch_left -= 1
                if batch_left < 0:
                    self.problems.append(f"observation {sequence} belongs to no message")
        if batch_left > 0:
            self.problems.append(f"the last message lacks {batch_left} records")
        self.highest = max(self.highest, expected - 1)
        return expected - first

    def _wire(self, record, ledger):
        raw = bytes.fromhex(record["raw"])
        segments = raw.split(b"\r")
        control_id = segments[0].split(b"|")[9].decode(errors="replace") if segments else "?"
        sequence, head = record["sequence"], record["head"]
        if ledger.sent.get(control_id) != hashlib.sha256(raw).hexdigest():
            self.problems.append(f"{control_id} in record {sequence} is not what was sent")
        if head.get("repeat_of") is not None:
            self.repeats += 1
            if self.kept.get(control_id) != head["repeat_of"]:
                self.problems.append(f"record {sequence} repeats what is not there")
            return 0
        if self.kept.get(control_id, sequence) != sequence:
            self.problems.append(f"{control_id} is there twice, in record {sequence} again")
        self.kept[control_id] = sequence
        return head["observations"]

    def lost(self, ledger):
        with ledger.lock:
            return sorted(ledger.acknowledged - self.kept.keys())


class Bench:
    def __init__(self, options):
        self.options = options
        self.work = os.path.join(REPOSITORY, "target", "power-cut")
        os.makedirs(self.work, exist_ok=True)
        disk.self_test(self.work)
        self.binaries = {}
        for name in ("wardgate", "wardgate-hil"):
            # A copy: the build may go on while this runs.
            built = os.path.join(REPOSITORY, "target", "release", name)
            self.binaries[name] = shutil.copy2(built, os.path.join(self.work, name))
        self.image = os.path.join(self.work, "disk.raw")
        self.ports = [free_port(), free_port()]
        self.ledger = load.Ledger()
        self.findings = Findings()
        self.seed = options.seed
        self.senders = [load.Sender(n, self.seed, self.ledger) for n in range(load.CONNECTIONS)]
        self.rows = []
        self.started = time.monotonic()
        self.commit = commit()

    def run(self):
        guest.make_disk(self.image, self.options.disk_megabytes)
        self._start_core()
        root, self.kernel = guest.prepare(self.work, REPOSITORY)
        self.initrd = guest.make_initrd(self.work, root, REPOSITORY, self.binaries["wardgate"],
                                        self.core_port, self.options.segment_bytes)
        for cut in range(1, self.options.cuts + 1):
            self._one(cut)
            if cut % CUT_AT_START_EVERY == 0:
                self._cut_at_start(cut)
            if self.findings.problems or self.rows[-1].get("lost", 0):
                break
        self._last_look()
        return self._report()

    def _start_core(self):
        store = os.path.join(self.work, "core.jsonl")
        if os.path.exists(store):
            os.unlink(store)
        command = [self.binaries["wardgate-hil"], "core", "--listen", "127.0.0.1:0",
                   "--store", store]
        self.core = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.core_port = json.loads(self.core.stdout.readline())["port"]

    def _boot(self):
        address = os.path.join(self.work, "disk.socket")
        console = os.path.join(self.work, "console.log")
        if os.path.exists(console):
            os.unlink(console)
        server = disk.Disk(self.image, address)
        machine = guest.Machine(self.kernel, self.initrd, address, self.ports, console)
        return server, machine

    def _one(self, cut):
        chance = random.Random(self.seed + cut)
        server, machine = self._boot()
        booted = time.monotonic()
        row = {"cut": cut, "seed": self.seed + cut, "lost": 0, "records": 0}
        self.rows.append(row)
        try:
            self._look(machine)
            row["start_s"] = time.monotonic() - booted
            row["records"] = self.findings.highest
            row["lost"] = len(self.findings.lost(self.ledger))
            before = len(self.ledger.acknowledged)
            wait_s = chance.uniform(1, 15)
            self._load(lambda: time.sleep(wait_s))
            row["load_s"] = wait_s
            # Two of three cuts hit the disk in the middle of a flush, the others any moment.
            if chance.random() < 2 / 3:
                server.die_at_flush(FLUSH_WITHIN_S)
            row["flushes"] = server.flushes
        finally:
            machine.cut()
            pending, kept = server.cut(chance)
            self._join()
        row["acknowledged"] = len(self.ledger.acknowledged) - before
        row["unflushed"], row["survived"] = pending, kept
        print(self._line(row), flush=True)

    def _cut_at_start(self, cut):
        """While the file system and the journal recover from the cut before."""
        chance = random.Random(self.seed + cut + 500_000)
        server, machine = self._boot()
        while "MOUNTED" not in guest.read(machine.console) and machine.process.poll() is None:
            time.sleep(0.05)
        time.sleep(chance.uniform(0, 2.5))
        machine.cut()
        pending, kept = server.cut(chance)
        row = {"cut": f"{cut}b", "seed": self.seed + cut + 500_000, "unflushed": pending,
               "survived": kept}
        self.rows.append(row)
        print(self._line(row), flush=True)

    def _load(self, wait):
        self.stop = threading.Event()
        self.ledger.first.clear()
        serve = [threading.Thread(target=sender.serve, args=(self.ports[0], self.stop))
                 for sender in self.senders]
        self.threads = serve
        for thread in serve:
            thread.start()
        if not self.ledger.first.wait(FIRST_ACK_WITHIN_S):
            raise RuntimeError("no message was acknowledged")
        wait()

    def _join(self):
        if hasattr(self, "stop"):
            self.stop.set()
            for thread in self.threads:
                thread.join()

    def _look(self, machine):
        """After the start: is everything there that was acknowledged?"""
        status = json.loads("".join(machine.ask("status")))
        stream = status["stream"]
        if self.findings.stream not in (None, stream):
            self.findings.problems.append("the journal began a new stream")
        self.findings.stream = stream
        first = self.findings.highest + 1
        self.findings.read(machine.ask(f"export {first}"), self.ledger, first)

    def _last_look(self):
        """One more start: the whole journal, record by record, and what the core has."""
        server, machine = self._boot()
        try:
            self._look(machine)
            again = Findings()
            lines = machine.ask("export 1")
            again.read(lines, self.ledger, 1)
            self.findings.problems += again.problems
            self.final = again
            print(machine.ask("verify")[-1], flush=True)
            deadline = time.monotonic() + DRAIN_WITHIN_S
            backlog = 1
            while backlog > 0 and time.monotonic() < deadline:
                status = json.loads("".join(machine.ask("status")))
                backlog = status["destinations"][0]["backlog"]
                time.sleep(1)
            if backlog > 0:
                self.findings.problems.append(f"{backlog} records did not reach the core")
        finally:
            machine.cut()
            server.close()
        self.core.stdin.close()
        self.core_counts = json.loads(self.core.stdout.read().splitlines()[-1])
        self.core.wait()

    def _line(self, row):
        text = [f"{row['cut']:>4}", f"{row['seed']:>8}"]
        for key in ("load_s", "acknowledged", "unflushed", "survived", "start_s", "records", "lost"):
            value = row.get(key, "-")
            text.append(f"{value:.1f}" if isinstance(value, float) else str(value))
        return " | ".join(text)

    def _report(self):
        lost = sorted(self.ledger.acknowledged - self.final.kept.keys())
        missing = in_core(os.path.join(self.work, "core.jsonl"), self.final, self.ledger)
        good = not lost and not self.findings.problems and not missing
        date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
        seconds = time.monotonic() - self.started
        cuts_at_start = sum(1 for row in self.rows if str(row["cut"]).endswith("b"))
        lines = [
            "# Power cuts", "",
            f"{date}, commit {self.commit}, kernel {os.path.basename(self.kernel)}, "
            f"{os.cpu_count()} cores ({platform.machine()}), {seconds / 60:.0f} minutes.", "",
            f"| | |\n|---|---|\n| first seed | {self.seed} |",
            f"| cuts under load | {len(self.rows) - cuts_at_start} |",
            f"| cuts while starting | {cuts_at_start} |",
            f"| messages sent | {len(self.ledger.sent)} |",
            f"| messages acknowledged | {len(self.ledger.acknowledged)} |",
            f"| acknowledged and lost | {len(lost)} |",
            f"| acknowledged and not in the core at the end | {len(missing)} |",
            f"| repeats (kept, the acknowledgement cut off, sent again) | {self.final.repeats} |",
            f"| records in the journal, none missing | {self.final.highest} |",
            f"| problems (torn, altered, out of sequence, twice) | {len(self.findings.problems)} |",
            f"| records that the core got twice | {self.core_counts['duplicates']} |", "",
            "`unflushed`: sectors that the disk had in its cache at the cut; `survived`: how many "
            "of them were on the platters all the same. `start`: from power to the end of the "
            "check, in the guest's slow time. `records` and `lost` are what the journal showed "
            "at this start, after the cuts before it.", "",
            "| cut | seed | load, s | acknowledged | unflushed | survived | start, s | records | "
            "lost |", "|---|---|---|---|---|---|---|---|---|",
        ]
        lines += ["| " + self._line(row).strip() + " |" for row in self.rows]
        lines += ["", *self.findings.problems[:50]]
        text = "\n".join(lines).rstrip() + "\n"
        with open(self.options.log, "w", encoding="utf-8") as file:
            file.write(text)
        print(text)
        return good


def in_core(store, findings, ledger):
    """Acknowledged messages whose observations the core does not have."""
    have = set()
    with open(store, encoding="utf-8") as file:
        for line in file:
            data = json.loads(line)["record"]["data"]
            have.add(data.get("wire"))
    kept = findings.kept
    return sorted(one for one in ledger.acknowledged if kept.get(one) not in have)


def commit():
    ask = ["git", "-C", REPOSITORY, "describe", "--always", "--dirty", "--abbrev=12"]
    return subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=50)
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--disk-megabytes", type=int, default=4096)
    parser.add_argument("--segment-bytes", type=int, default=1 << 20)
    parser.add_argument("--log", default=os.path.join(HERE, "log.md"))
    options = parser.parse_args()
    return 0 if Bench(options).run() else 1


if __name__ == "__main__":
    sys.exit(main())
