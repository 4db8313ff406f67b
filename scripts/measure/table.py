"""Samples into medians, medians into the table of the README and into JSON."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scripts.measure.figure import Sample
from scripts.measure.rows import Row, Target


@dataclass(frozen=True)
class Measured:
    """All runs of one row; none where it or a program it needs is not there (`lacks`)."""

    row: Row
    samples: Sequence[Sample] = ()
    lacks: str | None = None

    @property
    def name(self) -> str:
        return self.samples[0].row if self.samples else self.row.module.replace("_", " ")

    def values(self, figure: str) -> list[float]:
        """One figure of every run that has it."""
        found = (_value(sample, figure) for sample in self.samples)
        return [value for value in found if value is not None]

    def median(self, figure: str) -> float | None:
        values = self.values(figure)
        return statistics.median(values) if values else None


def _value(sample: Sample, figure: str) -> float | None:
    match figure:
        case "per_second":
            return sample.count / sample.seconds
        case "per_cpu_second":
            return sample.count / max(sample.cpu_seconds, 0.001)
        case "seconds" | "cpu_seconds" | "rss_mb":
            value: float | None = getattr(sample, figure)
            return value
        case _:
            return sample.notes.get(figure)


def markdown(measured: Sequence[Measured]) -> str:
    """The table: medians, the slowest and the quickest run, and whether the targets hold."""
    lines = [
        "| work | how much | per second (range) | per CPU-second | memory | beside it | target |",
        "|---|---|---|---|---|---|---|",
    ]
    by_module = {one.row.module: one for one in measured}
    for one in measured:
        if not one.samples:
            lines.append(f"| {one.name} | – | {one.lacks} | – | – | – | – |")
            continue
        first = one.samples[0]
        speeds = one.values("per_second")
        memory = one.median("rss_mb")
        cells = (
            one.name,
            f"{first.count:,} {first.unit}",
            f"{_short(one.median('per_second'))} ({_short(min(speeds))} to {_short(max(speeds))})",
            _short(one.median("per_cpu_second")),
            "–" if memory is None else f"{memory:.0f} MB",
            _notes(one),
            _verdicts(one, by_module),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def document(measured: Sequence[Measured], machine: Mapping[str, str]) -> dict[str, Any]:
    """Everything that was measured, every run of it."""
    by_module = {one.row.module: one for one in measured}
    figures = ("per_second", "per_cpu_second", "seconds", "cpu_seconds", "rss_mb")
    return {
        "machine": dict(machine),
        "rows": [
            {
                "row": one.name,
                "lacks": one.lacks,
                "medians": {figure: one.median(figure) for figure in figures},
                "holds": all(holds(one, target, by_module) for target in one.row.targets),
                "runs": [asdict(sample) for sample in one.samples],
            }
            for one in measured
        ],
    }


def holds(one: Measured, target: Target, by_module: Mapping[str, Measured]) -> bool:
    """Whether the median keeps within its bound; a bound that nothing was measured for does."""
    value, bound = one.median(target.figure), _bound(target, by_module)
    if value is None:
        return not one.samples
    if bound is None:
        return True
    return value <= bound if target.at_least is None else value >= bound


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cores": str(os.cpu_count()),
        "processor": models[0] if models else platform.machine(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "kernel": platform.release(),
    }


def _bound(target: Target, by_module: Mapping[str, Measured]) -> float | None:
    limit = target.at_most if target.at_least is None else target.at_least
    if target.row is None or limit is None:
        return limit
    other = by_module.get(target.row)
    figure = other.median(target.figure) if other else None
    return None if figure is None else limit * figure


def _verdicts(one: Measured, by_module: Mapping[str, Measured]) -> str:
    """What there is a bound for; one beside a row that was not measured is none."""
    bound = [target for target in one.row.targets if _bound(target, by_module) is not None]
    return "; ".join(_verdict(one, target, by_module) for target in bound) or "–"


def _verdict(one: Measured, target: Target, by_module: Mapping[str, Measured]) -> str:
    words = target.figure.replace("_", " ")
    way = "at most" if target.at_least is None else "at least"
    limit = target.at_most if target.at_least is None else target.at_least
    other = by_module.get(target.row or "")
    than = f" ({_short(limit)} × {other.name})" if other else ""
    told = f"{words} {way} {_short(_bound(target, by_module))}{than}"
    return f"{told}: {'yes' if holds(one, target, by_module) else '**no**'}"


def _notes(one: Measured) -> str:
    names = one.samples[0].notes
    return (
        ", ".join(f"{name.replace('_', ' ')} {_short(one.median(name))}" for name in names) or "–"
    )


def _short(value: float | None) -> str:
    """Three figures are all that a shared machine can tell."""
    if value is None:
        return "–"
    return f"{float(f'{value:.3g}'):,.0f}" if abs(value) >= 100 else f"{value:.3g}"
