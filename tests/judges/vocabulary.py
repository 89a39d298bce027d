"""The vocabulary as a judge reads it: parameters.toml and units.toml, and nothing of our program.

Knows one thing more than the files: numbers that the same attribute had before (facts/semantics.md
1.5), because a device that sends the older number with the right name does not contradict itself.
"""

import tomllib
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parents[2] / "device-profiles" / "vocabulary"

# Alarm attributes in the numbering of 2012 to 2019 (facts/semantics.md 1.5).
OLD_NUMBERS = {
    68164: "MDC_ATTR_ALERT_SOURCE",
    68165: "MDC_ATTR_EVENT_PHASE",
    68166: "MDC_ATTR_ALARM_STATE",
    68167: "MDC_ATTR_ALARM_INACTIVATION_STATE",
    68168: "MDC_ATTR_ALARM_PRIORITY",
    68169: "MDC_ATTR_ALERT_TYPE",
}


class Found(NamedTuple):
    """What a coding says: which parameter, and how the wire's number and name stand together."""

    parameter: str | None
    number: int | None
    reference: str
    # "both", "number", "name", "disagree" or "none"
    by: str


class Vocabulary:
    """Look-ups by MDC number and by reference id."""

    def __init__(self, folder: Path = HERE):
        with open(folder / "parameters.toml", "rb") as file:
            self.parameters = tomllib.load(file)["parameter"]
        with open(folder / "units.toml", "rb") as file:
            self.units = tomllib.load(file)["unit"]
        self.by_number = {}
        self.by_reference = {}
        for name, row in self.parameters.items():
            if "mdc_code" in row:
                self.by_number[row["mdc_code"]] = name
            for reference in [row.get("mdc", "")] + row.get("mdc_synonyms", []):
                if reference:
                    self.by_reference[reference] = name
        self.unit_by_number = {row["mdc_code"]: name for name, row in self.units.items()}

    def parameter_of(self, code: str, words: str, system: str) -> Found:
        """The parameter that one coding (code, words, system) means."""
        if system == "MDIL":
            number = mdil(code)
            name = self.by_number.get(number)
            return Found(name, number, "", "number" if name else "none")
        if system != "MDC" and not words.startswith("MDC_"):
            return Found(None, None, "", "none")
        number = int(code) if code.isascii() and code.isdigit() else None
        named, numbered = self.by_reference.get(words), self.by_number.get(number)
        if OLD_NUMBERS.get(number) == words:
            return Found(named, number, words, "both")
        if not number:
            # 0 stands for a term without a number yet (facts/pumps.md 7, trap 6).
            return Found(named, number, words, "name" if named else "none")
        if named and numbered:
            agree = named == numbered
            return Found(named if agree else None, number, words, "both" if agree else "disagree")
        if numbered:
            return Found(None, number, words, "disagree") if words else (
                Found(numbered, number, words, "number"))
        if named:
            # The 16-bit code in place of the context-free one (facts/semantics.md 1.1, OBX-3).
            if self.parameters[named].get("mdc_code", 0) % 65536 == number:
                return Found(named, number, words, "both")
            return Found(None, number, words, "disagree")
        return Found(None, number, words, "none")

    def unit_of(self, codings: list[dict], accepted: list[str]) -> str | None:
        """The key of the unit that OBX-6 means, `accepted` first where a text means several."""
        for coding in codings:
            code, words, system = coding["code"], coding["words"], coding["system"]
            if system == "MDIL":
                if mdil(code) in self.unit_by_number:
                    return self.unit_by_number[mdil(code)]
            elif code.isascii() and code.isdigit() and int(code) in self.unit_by_number:
                return self.unit_by_number[int(code)]
            for text in filter(None, (words, code)):
                if text in self.units:
                    return text
                fits = [name for name, row in self.units.items()
                        if text in row["ucum"] or text in row.get("written", [])]
                for name in [one for one in accepted if one in fits] + fits:
                    return name
        return None


def mdil(code: str) -> int | None:
    """`0002-4bb8` is partition 2, code 0x4bb8 (facts/monitors.md 0)."""
    partition, _, low = code.partition("-")
    try:
        return int(partition, 16) * 65536 + int(low, 16)
    except ValueError:
        return None
