"""Charts as places on a page: where lines, bars and labels stand. A template draws them.

A plot is `WIDTH` by `HEIGHT` units and is stretched to whatever width there is; labels stand
outside of it, in percent of the width, so that letters keep their size on a telephone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 1000.0
HEIGHT: Final = 200.0

_STEPS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600)
_MOST_LABELS: Final = 6
_LEAST_BAR: Final = 2.0


@dataclass(frozen=True)
class Label:
    """Words at a place: `at` is percent of the width on the lower axis, units of height beside it.

    `anchor` is where the place is in the words: `start`, `middle` or `end`.
    """

    at: float
    text: str
    anchor: str = "middle"


@dataclass(frozen=True)
class Line:
    """A line of a plot; `kind` gives it its colour, `name` its words in the legend."""

    kind: str
    name: str
    path: str


@dataclass(frozen=True)
class Bar:
    """A rectangle of a plot; without `kind` it is there only to show `words` under a pointer."""

    x: float
    y: float
    width: float
    height: float
    words: str
    kind: str = ""


@dataclass(frozen=True)
class Chart:
    """One plot with its axes; `note` says what is measured and how its axis runs."""

    title: str
    note: str
    left: Sequence[Label]
    below: Sequence[Label]
    lines: Sequence[Line]
    bars: Sequence[Bar] = ()
    hovers: Sequence[Bar] = ()


@dataclass(frozen=True)
class Scale:
    """From values to 0 (the lower end) to 1, and the values that are labelled."""

    place: Callable[[float], float]
    ticks: Sequence[float]

    def y(self, value: float) -> float:
        """Units from the top, kept inside the plot."""
        return round(HEIGHT * (1 - min(1.0, max(0.0, self.place(value)))), 2)

    def left(self, say: Callable[[float], str]) -> list[Label]:
        """Labels of a vertical axis."""
        return [Label(self.y(tick), say(tick), "end") for tick in self.ticks]


def linear(highest: float) -> Scale:
    """From 0 to a round figure above `highest`, with three to six labels."""
    highest = max(highest, 1e-9)
    step = 10.0 ** math.floor(math.log10(highest))
    step = next(step * part for part in (0.2, 0.5, 1.0, 2.0, 5.0) if highest / (step * part) <= 5)
    top = step * math.ceil(highest / step - 1e-9)
    return Scale(lambda value: value / top, [step * nth for nth in range(round(top / step) + 1)])


def logarithmic(lowest: float, highest: float) -> Scale:
    """Between round figures around both; neither may be 0 or less."""
    parts = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0) if highest < 4 * lowest else (1.0, 2.0, 5.0)
    rounds = [
        part * 10.0**power
        for power in range(math.floor(math.log10(lowest)), math.ceil(math.log10(highest)) + 1)
        for part in parts
    ]
    low = max((one for one in rounds if one <= lowest), default=lowest)
    high = min((one for one in rounds if one >= highest and one > low), default=highest)
    inside = [one for one in rounds if low <= one <= high]
    decades = [one for one in inside if math.isclose(math.log10(one) % 1, 0.0, abs_tol=1e-9)]
    ticks = inside if len(inside) <= _MOST_LABELS or len(decades) < 2 else decades
    span = math.log(high / low)
    return Scale(lambda value: math.log(max(value, low) / low) / span, ticks)


def time_labels(seconds: float) -> list[Label]:
    """Labels of a lower axis that runs from 0 to so many seconds."""
    step = next((one for one in _STEPS if seconds / one <= _MOST_LABELS), seconds)
    return across([(nth * step, clock(nth * step)) for nth in range(int(seconds / step) + 1)],
                  lambda at: at / seconds if seconds else 0.0)  # fmt: skip


def across(named: Iterable[tuple[float, str]], place: Callable[[float], float]) -> list[Label]:
    """Labels of a lower axis; those at its ends stay inside."""
    labels = []
    for value, text in named:
        at = round(100 * place(value), 2)
        anchor = "start" if at < 3 else "end" if at > 97 else "middle"
        labels.append(Label(at, text, anchor))
    return labels


def clock(seconds: float) -> str:
    """`0:05`, `12:30`, `1:00:00`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def path(places: Iterable[tuple[float, float] | None]) -> str:
    """A line through places (in units); None interrupts it. A place alone is a dot."""
    parts: list[str] = []
    begun = False
    for place in places:
        if place is None:
            begun = False
            continue
        x, y = place
        # a length of nothing with a round end is a dot, and only until the line goes on
        parts.append(f"L{x:g} {y:g}" if begun else f"M{x:g} {y:g}h0")
        begun = True
    return "".join(parts)


def stairs(stretches: Iterable[tuple[float, float, float]]) -> str:
    """A line that is level over each stretch: (from, to, height), in units."""
    parts: list[str] = []
    for start, end, y in stretches:
        parts.append(f"{'L' if parts else 'M'}{start:g} {y:g}H{end:g}")
    return "".join(parts)


def bar(start: float, end: float, share: float, words: str, kind: str = "") -> Bar:
    """A bar from the ground; `share` of the height. Even the least of something stays visible."""
    height = max(_LEAST_BAR, HEIGHT * share) if share > 0 else 0.0
    return Bar(
        round(start, 2), round(HEIGHT - height, 2), round(end - start, 2), round(height, 2), words,
        kind,
    )  # fmt: skip
