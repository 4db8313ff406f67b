"""A load run, or several, as plain lines for a terminal: what broke stands first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from campaign.reports.cells import terminal_text
from campaign.reports.columns import aligned
from campaign.reports.load_sheet import (
    LATENCY_COLUMNS,
    ComparedLine,
    ComparisonSheet,
    LoadSheet,
    Point,
    in_ms,
    measured,
    rate,
)
from campaign.reports.rows import ledger_time

_CHARTED = "accept"


def load_lines(sheet: LoadSheet) -> list[str]:
    """Thresholds, then what was asked for, latencies, requests and messages."""
    blocks = (
        _invalid(sheet),
        _thresholds(sheet),
        _facts(sheet),
        _latencies(sheet),
        _requests(sheet),
        _account(sheet),
    )
    lines: list[str] = []
    for block in blocks:
        lines += ["", *block] if lines and block else block
    return [terminal_text(line) for line in lines]


def live_line(point: Point, elapsed: float) -> str:
    """One second of a running load: achieved against target, what waits, errors."""
    accept = point.clocks.get(_CHARTED)
    parts = [
        f"{elapsed:.0f}s",
        f"{rate(point.answered / point.seconds)} of {rate(point.due / point.seconds)}",
        f"p99 {in_ms(accept.p99)}" if accept else "no answer",
        f"in flight {point.in_flight}",
        f"waiting {point.waiting}",
    ]
    if point.queue is not None:
        parts.append(f"device queue {point.queue}")
    parts += [
        f"{words} {n}"
        for words, n in (("errors", point.failed), ("dropped", point.dropped), ("late", point.late))
        if n
    ]
    return "  ".join(parts)


def comparison_lines(sheet: ComparisonSheet) -> list[str]:
    """Runs side by side, each against the first one."""
    letters = [letter for letter, *_ in sheet.runs]
    runs = [
        [letter, title, load, ledger_time(started) or ""]
        for letter, title, load, started in sheet.runs
    ]
    head = ["", *letters, *(f"{letter} against {letters[0]}" for letter in letters[1:])]
    table = [head, *(_compared(line) for line in sheet.lines)]
    remarks = [f"! {remark}" for remark in sheet.remarks]
    lines = [*aligned(runs, "l"), "", *remarks, *([""] if remarks else [])]
    lines += aligned(table, "l" + "r" * len(letters))
    lines += [
        "",
        "In brackets: the middle 99 % of what chance makes of the seconds of these runs.",
        "Runs differ from one to the next by more than that: repeat both before you decide.",
    ]
    return [terminal_text(line) for line in lines]


def _compared(line: ComparedLine) -> list[str]:
    said = [
        f"{words}  {change}".rstrip() for words, change in zip(line.said, line.change, strict=True)
    ]
    return [line.what, *line.values, *said]


def _invalid(sheet: LoadSheet) -> list[str]:
    if not sheet.invalid:
        return []
    return [
        "INVALID: the generator was the bottleneck, so these figures say nothing of the target:",
        *(f"  {reason}" for reason in sheet.invalid),
    ]


def _thresholds(sheet: LoadSheet) -> list[str]:
    lines = [
        ["  BROKEN" if line.broken else "  held", line.threshold, measured(line)]
        for line in sheet.thresholds
    ]
    if not lines:
        return []
    total = len(lines)
    head = f"{sheet.broken} of {total} thresholds broke" if sheet.broken else "all thresholds held"
    return [head, *aligned(lines, "llr")]


def _facts(sheet: LoadSheet) -> list[str]:
    rows = [("Target", sheet.title), ("Started", ledger_time(sheet.started_ms) or ""), *sheet.facts]
    return aligned([[f"{label.lower()}", words] for label, words in rows], "l")


def _latencies(sheet: LoadSheet) -> list[str]:
    if not sheet.latencies:
        return ["no answer came: there is no latency"]
    head = ["latency", *LATENCY_COLUMNS, "over", ""]
    table = [
        [f"  {line.clock}", *map(in_ms, line.figures), f"{line.count:,}", line.meaning]
        for line in sheet.latencies
    ]
    closed = [
        "  closed model: while the target stalls nothing is sent,",
        "  and what would have waited then is missing from every figure above",
    ]
    note = closed if sheet.model == "closed" else []
    return [*aligned([head, *table], "l" + "r" * (len(head) - 2)), *note]


def _requests(sheet: LoadSheet) -> list[str]:
    offered = sheet.offered_per_second
    achieved = f"achieved {rate(sheet.achieved_per_second)}"
    failed = sheet.requests - sheet.answered
    return [
        f"{achieved} of {rate(offered)} offered" if offered is not None else achieved,
        f"requests {sheet.requests:,} = {sheet.answered:,} answered + {failed:,} without an answer",
        *_named("errors", sheet.errors),
        f"dropped {sheet.dropped:,}, never sent; late {sheet.late:,}, sent more than 10 ms late",
        f"generator: {sheet.cpu_seconds:.1f} s of processor time",
    ]


def _account(sheet: LoadSheet) -> list[str]:
    queue = sheet.summary.get("queue_max")
    deepest = [] if queue is None else [f"device queue: at most {queue:,} tasks"]
    return [*_named("messages", sheet.account), *deepest]


def _named(what: str, counts: Mapping[str, int]) -> list[str]:
    parts = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in _nonzero(counts))
    return [f"{what}: {parts or 'none'}"] if counts else []


def _nonzero(counts: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    return ((name, n) for name, n in counts.items() if n)
