"""Which form of a model is the default, and why, in words for its card."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from asr_dro_plugin.export.int8.candidates import Candidate
from asr_dro_plugin.export.int8.errors import LossGate
from asr_dro_plugin.export.int8.speed import Speed
from asr_dro_plugin.reporting.card.model_card import table
from asr_dro_plugin.runtime.manifest import INT8, MODEL
from asr_dro_plugin.scoring.table import percent

FASTER, AS_FAST = 1.05, 0.95  # ratios of speed that a busy machine does not make up
SMALLER = 0.9  # of the bytes


@dataclass(frozen=True)
class Measured:
    """One candidate, or fp32 (``candidate`` None), with what was measured of it.

    Attributes:
        file: the model written; None where it could not be, for ``reason``.
        size: bytes.
        speed: by number of threads.
        cer: of all text pooled, 0..1.
        comparison: ``errors.compared``; None of fp32.
    """

    candidate: Candidate | None
    file: Path | None = None
    reason: str = ""
    size: int = 0
    speed: Mapping[int, Speed] = field(default_factory=dict)
    cer: float = 0.0
    comparison: Mapping | None = None

    @property
    def name(self) -> str:
        """In tables."""
        return self.candidate.name if self.candidate else "fp32"

    @property
    def ratio(self) -> float:
        """Speed to fp32 on the fewest threads, which is what a worker of a service has."""
        return self.speed[min(self.speed)].ratio

    def verdict(self, base: "Measured", gate: LossGate) -> str:
        """Why it cannot be the default; empty if it can."""
        if self.file is None:
            return self.reason
        worse = gate.fails(self.comparison)
        if worse:
            return f"worse in {' '.join(worse)}"
        if self.ratio >= FASTER:
            return ""
        if self.size > SMALLER * base.size:
            return "neither faster nor smaller"
        return "" if self.ratio >= AS_FAST else "smaller, but slower"


def chosen(rows: Sequence[Measured], gate: LossGate) -> Measured:
    """The fastest that can be the default; the first row, which is fp32, where none can."""
    base, *others = rows
    able = [row for row in others if not row.verdict(base, gate)]
    return max(able, key=lambda row: row.ratio, default=base)


def as_data(rows: Sequence[Measured], gate: LossGate, facts: Mapping) -> dict:
    """Everything measured, for the manifest: ``facts`` and a row each."""
    base, best = rows[0], chosen(rows, gate)
    return {
        **facts, "gate": str(gate), "chosen": best.name,
        "by_company": bool(best.candidate and best.candidate.by_company),
        "rows": [_row(row, base, gate) for row in rows],
    }  # fmt: skip


def _row(row: Measured, base: Measured, gate: LossGate) -> dict:
    found: dict = {"name": row.name, "bytes": row.size, "cer": row.cer}
    if row.candidate:
        found["why_not"] = row.verdict(base, gate)
        found["by_company"] = row.candidate.by_company
    found["speed"] = {
        str(threads): {"times_real_time": round(each.times_real_time, 2),
                       "ratio": round(each.ratio, 3)}
        for threads, each in row.speed.items()
    }  # fmt: skip
    if row.comparison:
        found["compared"] = row.comparison
    return found


def summary_line(data: Mapping) -> str:
    """What was chosen, for the terminal."""
    by_name = {row["name"]: row for row in data["rows"]}
    base, best = by_name["fp32"], by_name[data["chosen"]]
    if best is base:
        return "No form of fewer bits passes and is faster or smaller: fp32 is the default."
    threads, speed = next(iter(best["speed"].items()))
    return (
        f"Default {MODEL[INT8]} ({best['name']}): {speed['ratio']:.2f} times as fast as fp32 with "
        f"{threads} thread, {best['bytes'] / 1e6:.1f} of {base['bytes'] / 1e6:.1f} MB, CER "
        f"{percent(best['cer'], 2)} against {percent(base['cer'], 2)} %."
    )


def card_section(data: Mapping) -> list[str]:
    """The lines of the card's section: what was measured, the tables, what to mind."""
    rows = [row for row in data["rows"] if row["speed"]]
    threads = list(rows[0]["speed"])
    head = [
        "",
        "MB",
        *(f"{n} thread{'s' if n != '1' else ''}" for n in threads),
        "CER %",
        "verdict",
    ]
    lines = [_measured_on(data), "", *table(head, [_cells(row, data) for row in rows]), ""]
    compared = [row for row in rows if "compared" in row]
    if compared:
        langs = sorted(compared[0]["compared"]["languages"])
        body = [_differences(row, langs) for row in compared]
        lines += ["CER minus that of fp32, % absolute, with 95 % intervals (paired):", "",
                  *table(["", *langs], body), ""]  # fmt: skip
    return [*lines, *_remarks(data)]


def _measured_on(data: Mapping) -> str:
    machine, hours = data["processor"], data["seconds"] / 3600
    able = " ".join(machine["dot_products"]) or "no"
    return (
        f"Measured on {data['utterances']} utterances ({hours:.2f} h) of {data['set']}, on "
        f"{machine['name']} ({able} 8-bit dot products). Speed is seconds of speech in a second, "
        f"and beside it the ratio to fp32 in the same run. Gate: {data['gate']}."
    )


def _cells(row: Mapping, data: Mapping) -> list[str]:
    speeds = [
        f"{each['times_real_time']:.0f} ({each['ratio']:.2f})" for each in row["speed"].values()
    ]
    verdict = row.get("why_not", "") or ("passes" if "why_not" in row else "")
    if row["name"] == data["chosen"]:
        verdict = "default"
    return [row["name"], f"{row['bytes'] / 1e6:.1f}", *speeds, percent(row["cer"], 2), verdict]


def _differences(row: Mapping, langs: Sequence[str]) -> list[str]:
    cells = [row["name"]]
    for lang in langs:
        each = row["compared"]["languages"][lang]
        mark = "*" if each["significant"] else ""
        between = each["ci"] and f" [{_signed(each['ci'][0])}, {_signed(each['ci'][1])}]"
        cells.append(f"{_signed(each['difference'])}{mark}{between or ''}")
    return cells


def _signed(value: float) -> str:
    return f"{100 * value:+.2f}"


def _remarks(data: Mapping) -> list[str]:
    """What the tables do not say."""
    lines = []
    if data["chosen"] == "fp32":
        lines.append(
            "- No candidate passes the gate and is faster or smaller: fp32 is the default."
        )
    else:
        lines.append(
            f"- {data['chosen']} is `model.int8.onnx` and the default; fp32 stays beside it."
        )
        if data["by_company"]:
            lines.append(
                "- Its scales are found at work, so that log probabilities depend a little on what "
                "is in a batch together and on where long audio is cut; fp32 is exact there."
            )
    for row in data["rows"]:
        if not row["speed"]:
            lines.append(f"- {row['name']} could not be made: {row['why_not']}.")
    for lang, count in data["few"].items():
        lines.append(
            f"- Only {count} utterances of {lang}: too few for a test, so it may lose nothing."
        )
    for lang in data["not_measured"]:
        lines.append(f"- No utterance of {lang}: nothing is known of it.")
    lines.append(
        "- Processors without 8-bit dot products (VNNI) are slower with them, and may saturate "
        "where weights have all 8 bits (dynamic): measure there again."
    )
    return lines
