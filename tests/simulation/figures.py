"""The figures of many seeds, added up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.simulation.play import Verdict

DAY = 86_400.0


@dataclass
class Figures:
    """Sums over verdicts; `broken` holds every seed that broke an invariant, with the law."""

    seeds: int = 0
    days: float = 0.0
    deaths: int = 0
    reboots: int = 0
    recipients: int = 0
    sent: int = 0
    refused: int = 0
    broken: dict[int, str] = field(default_factory=dict)
    states: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    sometimes: Counter[str] = field(default_factory=Counter)

    def add(self, verdict: Verdict) -> None:
        self.seeds += 1
        self.days += verdict.seconds / DAY
        self.deaths += verdict.deaths
        self.reboots += verdict.reboots
        self.recipients += verdict.recipients
        self.sent += verdict.sent
        self.refused += verdict.refused
        self.states += verdict.states
        self.unknown += verdict.unknown
        self.sometimes += verdict.sometimes
        if verdict.broken:
            self.broken[verdict.seed] = (
                f"step {verdict.step}, commit {verdict.commit}: {verdict.broken.strip()}"
            )

    def broken_by(self, law: str) -> int:
        """Seeds in which this law broke."""
        return sum(f": {law}: " in text for text in self.broken.values())

    def missing(self, names: Iterable[str]) -> list[str]:
        """What was to be reached, and never was."""
        return [name for name in names if not self.sometimes[name]]

    def table(self) -> str:
        """For people, and for the README."""
        rows = [
            ("seeds", f"{self.seeds:,}"),
            ("virtual days", f"{self.days:,.1f}"),
            ("deaths of the engine", f"{self.deaths:,}"),
            ("device restarts", f"{self.reboots:,}"),
            ("recipients", f"{self.recipients:,}"),
            ("messages on air", f"{self.sent:,}"),
            ("double sends (I6)", str(self.broken_by("I6"))),
            ("false facts (I7)", str(self.broken_by("I7"))),
            ("invariants broken, all", str(len(self.broken))),
            ("unknown", _share(self.unknown.total(), self.recipients)),
        ]
        rows += [
            (f"unknown: {cause}", _share(count, self.recipients))
            for cause, count in self.unknown.most_common()
        ]
        return "\n".join(["| | |", "| --- | --- |", *(f"| {a} | {b} |" for a, b in rows)])


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({100 * part / max(1, whole):.2f} %)"
