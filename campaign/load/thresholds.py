"""Thresholds on what a load run measured: `accept_p99>500ms`, `errors>1%`, `unreported>0`."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from campaign.errors import UsageError

CLOCKS: Final = ("accept", "report", "receipt")
"""From the intended time to the HTTP answer, the status report, the delivery receipt."""
FIGURES: Final = ("p50", "p90", "p95", "p99", "p999", "max")
COUNTS: Final = ("errors", "dropped", "late", "unreported")

_EXPRESSION: Final = re.compile(
    r"\s*([a-z_0-9]+)\s*(>=|<=|==|>|<)\s*(-?\d+(?:\.\d+)?)\s*([a-z%]*)\s*", re.ASCII
)
_OPERATORS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
}
_MILLISECONDS: Final = {
    "us": 0.001,
    "ms": 1.0,
    "s": 1000.0,
    "m": 60_000.0,
    "min": 60_000.0,
    "h": 3_600_000.0,
}
_LATENCIES: Final = frozenset(f"{clock}_{figure}" for clock in CLOCKS for figure in FIGURES)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a threshold said of a run.

    `measured` is in milliseconds for latencies, else in percent or a plain count, as written in
    the threshold (`unit`: "ms", "%" or ""); None where the run has no such figure.
    """

    threshold: str
    measured: float | None
    unit: str
    broken: bool


@dataclass(frozen=True, slots=True)
class Threshold:
    """`METRIC OP NUMBER[unit|%]`: the run has failed if it holds.

    `number` is in the unit a `Verdict` has. Percent is of what was meant to be sent (errors,
    dropped, late) or of the accepted messages (unreported).
    """

    text: str
    metric: str
    compare: str
    number: float
    unit: str

    @classmethod
    def parse(cls, text: str, *, option: str = "--fail-if") -> Threshold:
        """Raises `UsageError` that says what to write instead."""
        match = _EXPRESSION.fullmatch(text)
        if match is None:
            raise UsageError(
                f"{option} {text!r}: write METRIC OP NUMBER[unit|%], as"
                " 'accept_p99>500ms', 'errors>1%' or 'dropped>0'"
            )
        metric, compare, digits, unit = match.groups()
        number = float(digits)
        wrong = _wrong(metric, compare, number, unit)
        if wrong:
            raise UsageError(f"{option} {text!r}: {wrong}")
        if metric in _LATENCIES:
            number, unit = number * _MILLISECONDS[unit], "ms"
        return cls(text.strip(), metric, compare, number, unit)

    def judge(self, summary: Mapping[str, Any]) -> Verdict:
        """Reads a summary as `load run --json` prints it, with the keys `latency_ms`, `requests`
        (those sent), `errors`, `dropped`, `late`, `accepted` and `unreported` (messages).

        What was never measured breaks a threshold: no receipt at all is not a quick one.
        """
        if self.unit == "ms":
            clock, _, figure = self.metric.partition("_")
            measured = (summary["latency_ms"].get(clock) or {}).get(figure)
        else:
            measured = _counted(summary, self.metric, percent=self.unit == "%")
        broken = measured is None or _OPERATORS[self.compare](measured, self.number)
        return Verdict(self.text, measured, self.unit, broken)


def _wrong(metric: str, compare: str, number: float, unit: str) -> str | None:
    """What is wrong with the parts of an expression, if anything."""
    latency = metric in _LATENCIES
    if not latency and metric not in COUNTS:
        times = f"{'_, '.join(CLOCKS)}_ followed by {', '.join(FIGURES)}"
        return f"metrics are {', '.join(COUNTS)}; and {times}, as accept_p99"
    if number < 0 or not math.isfinite(number):
        return "no run measures that; give a number from 0 up"
    if latency and unit not in _MILLISECONDS:
        return f"{metric} is a time: give it a unit ({', '.join(_MILLISECONDS)}), as 500ms"
    if latency and compare == "==":
        return f"{metric} is never exactly one time; compare with > or <"
    if not latency and unit not in ("", "%"):
        return f"{metric} is a count: give a plain number, or a share as 1%"
    if unit == "%" and number > 100:
        return "a share is at most 100%"
    return None


def _counted(summary: Mapping[str, Any], metric: str, *, percent: bool) -> float | None:
    """A count of the summary or its share in percent; None where it was not counted."""
    found = summary.get(metric)
    if found is None:
        return None
    count = sum(found.values()) if metric == "errors" else found
    if not percent:
        return float(count)
    whole = ("accepted",) if metric == "unreported" else ("requests", "dropped")
    return float(100 * count / max(1, sum(summary[part] for part in whole)))
