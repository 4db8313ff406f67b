"""The rows of the table in their order, and what each is to come to."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

from scripts.measure.figure import Sample, Scale


@dataclass(frozen=True)
class Target:
    """A bound on one figure of a row: `per_second`, `per_cpu_second`, `seconds`, `rss_mb`, or a
    note. `row` is the module of another row: then the bound is so many times its figure, and
    there is none where that row was not measured."""

    figure: str
    at_least: float | None = None
    at_most: float | None = None
    row: str | None = None


@dataclass(frozen=True)
class Row:
    """A line of the table: the module under scripts/measure that measures it, and its targets."""

    module: str
    targets: tuple[Target, ...] = ()
    peer: bool = False
    """Another program, measured beside ours only where that is asked for."""
    once: bool = False
    """It takes minutes, and one run is as good as five."""

    def measure(self, scale: Scale) -> Sample:
        """Run once. Raises `NotInstalled`, and RuntimeError where the work went wrong."""
        run: Callable[[Scale], Sample] = importlib.import_module(
            f"scripts.measure.{self.module}"
        ).run
        return run(scale)


_SMALL = Target("rss_mb", at_most=150)

ROWS = (
    Row(
        "dispatch",
        (
            Target("per_cpu_second", at_least=25_000),
            Target("per_cpu_second", at_least=10, row="peer_kannel"),
        ),
    ),
    Row(
        "dispatch_personal",
        (
            Target("per_cpu_second", at_least=10_000),
            Target("per_cpu_second", at_least=4, row="peer_kannel"),
        ),
    ),
    Row("dispatch_single"),
    Row("receiver"),
    Row(
        "imports",
        (
            Target("per_second", at_least=100_000),
            Target("per_second", at_least=1, row="imports_plain"),
            _SMALL,
        ),
    ),
    Row("imports_plain"),
    Row("plan", (_SMALL,)),
    Row("resume", (Target("first_intent_s", at_most=2), _SMALL)),
    Row("memory", (_SMALL,), once=True),
    Row("report_csv", (Target("per_second", at_least=150_000), _SMALL)),
    Row("report_json", (_SMALL,)),
    Row("report_html", (_SMALL,)),
    Row(
        "loadclient",
        (
            Target("cpu_s_per_10k", at_most=0.65),
            Target("cpu_s_per_10k", at_most=0.5, row="peer_locust"),
        ),
    ),
    Row("peer_kannel", peer=True),
    Row("peer_locust", peer=True),
    Row("peer_wrk", peer=True),
    Row("peer_hey", peer=True),
)


def there(row: Row) -> bool:
    """Whether this checkout has the row's module."""
    return importlib.util.find_spec(f"scripts.measure.{row.module}") is not None
