"""Waits in words: equal ones are told once, ports as ranges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from campaign.protocol.ports import ranges
from campaign.reports.cells import terminal_text


def wait_lines(waits: Iterable[Mapping[str, Any]]) -> list[str]:
    """`sim1 ports 1-4, 7: pacing until 12:00:05 UTC` for each reason (`status --json`: `waits`).

    Where equal waits end at different times, the first is told.
    """
    groups: dict[tuple[str, str | None, bool], list[Mapping[str, Any]]] = {}
    whole: dict[tuple[str, str | None], list[Mapping[str, Any]]] = {}
    for wait in waits:
        if wait["port"] is None:
            whole.setdefault((wait["why"], wait["until"]), []).append(wait)
        else:
            key = wait["why"], wait["gateway"], wait["until"] is None
            groups.setdefault(key, []).append(wait)
    lines = []
    for (why, _), same in whole.items():
        names = ", ".join(wait["gateway"] for wait in same if wait["gateway"])
        lines.append(_line(names, why, [same[0]["until"]]))
    for (why, gateway, _), same in groups.items():
        numbers = sorted(int(wait["port"]) for wait in same)
        who = f"{gateway} port{'s' * (len(numbers) > 1)} {ranges(numbers)}"
        lines.append(_line(who, why, [wait["until"] for wait in same]))
    return lines


def _line(who: str, why: str, ends: Sequence[str | None]) -> str:
    known = sorted({end for end in ends if end is not None})
    when = ""
    if known:
        first = "the first " if len(known) > 1 else ""
        when = f", {first}until {known[0][:10]} {known[0][11:19]} UTC"
    return terminal_text(f"{who}: {why}{when}" if who else f"{why}{when}")
