"""The delivery report as plain lines for a terminal."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterable, Sequence

from campaign.planner.states import RecipientState
from campaign.reports.cells import terminal_text
from campaign.reports.columns import aligned
from campaign.reports.figures import DECISION_MEANINGS, Figures, cost_rows, percent, took
from campaign.reports.rows import ReportRow, full_reason, ledger_time

_MOST_REASONS = 20
_MOST_RECIPIENTS = 50
_MOST_PORTS = 32


def figure_lines(figures: Figures) -> list[str]:
    """Totals by state, by gateway and by reason, incidents and retries; blank lines between."""
    blocks = (
        _heading(figures),
        _states(figures),
        _gateways(figures),
        _planned(figures),
        _reasons(figures),
        _decisions(figures),
        _remarks(figures),
        _unknown(figures),
    )
    lines: list[str] = []
    for block in blocks:
        lines += ["", *block] if lines and block else block
    return [terminal_text(line) for line in lines]


def recipient_lines(rows: Iterable[ReportRow], covered: int) -> list[str]:
    """The first recipients of a choice of states, and where the others are."""
    cells = [
        [str(row.row), row.number, row.state, row.gateway or "-", row.port or "-", row.reason or ""]
        for row in itertools.islice(rows, _MOST_RECIPIENTS)
    ]
    if not cells:
        return ["no recipients in these states"]
    lines = aligned([["row", "number", "state", "gateway", "port", "reason"], *cells], "r")
    if covered > len(cells):
        lines.append(f"and {covered - len(cells)} more: all of them with --format csv -o FILE")
    return [terminal_text(line) for line in lines]


def _heading(figures: Figures) -> list[str]:
    campaign = figures.campaign
    waits = f", waiting for {campaign.waiting_for}" if campaign.waiting_for else ""
    lines = [f"{campaign.name}: {campaign.state}{waits}", f"list {campaign.list_name}"]
    if campaign.started_ms is not None:
        times = f"started {ledger_time(campaign.started_ms)}"
        if campaign.finished_ms is not None:
            times += f", ended {ledger_time(campaign.finished_ms)}"
            times += f" after {took(campaign.started_ms, campaign.finished_ms)}"
        lines.append(times)
    return lines


def _states(figures: Figures) -> list[str]:
    total = sum(figures.counts.values())
    table = [
        [f"  {state}", str(figures.counts[state]), percent(figures.counts[state], total)]
        for state in figures.present
    ]
    refused = figures.campaign.refused
    extra = [f"refused rows of the list, not recipients: {refused}"] if refused else []
    return [*aligned(table, "lrr"), f"recipients {figures.equation()}", *extra]


def _gateways(figures: Figures) -> list[str]:
    lines = []
    for name, entry in [(entry["gateway"], entry) for entry in figures.gateways]:
        shares = _shares(entry["counts"], figures.present)
        lines.append([f"  {name or '(none)'}", str(entry["recipients"]), shares])
    return ["by gateway", *aligned(lines, "lr")] if lines else []


def _planned(figures: Figures) -> list[str]:
    """Plan against actual."""
    planned = figures.planned
    if planned is None:
        return []
    table = [["  ", "planned", "actual", ""]]
    table += [[f"  {row.what}", row.planned, row.actual, row.off] for row in planned.rows]
    ports = [
        [f"  {port.gateway or '(assumed)'} port {port.port}", str(port.planned), str(port.sent)]
        for port in planned.ports[:_MOST_PORTS]
    ]
    rest = len(planned.ports) - len(ports)
    more = [f"  and {rest} more ports: see --format json"] if rest else []
    return ["plan against actual", *aligned(table, "lrrl"), *aligned(ports, "lrr"), *more]


def _shares(counts: dict[str, int], order: Sequence[RecipientState]) -> str:
    return ", ".join(f"{counts[state]} {state}" for state in order if counts.get(state))


def _reasons(figures: Figures) -> list[str]:
    shown = figures.reasons[:_MOST_REASONS]
    lines = [
        [
            f"  {entry['recipients']}",
            entry["state"],
            "" if entry["code"] is None else str(entry["code"]),
            full_reason(entry["state"], entry["cause"], entry["reason"]) or "",
        ]
        for entry in shown
    ]
    rest = sum(entry["recipients"] for entry in figures.reasons[_MOST_REASONS:])
    more = [f"  and {rest} recipients for rarer reasons: see --format json"] if rest else []
    return ["by reason", *aligned(lines, "rlr"), *more] if lines else []


def _decisions(figures: Figures) -> list[str]:
    lines = [
        [
            f"  {entry['recipients']}",
            DECISION_MEANINGS[entry["decision"]],
            entry["by"],
            entry["why"],
        ]
        for entry in figures.decisions[:_MOST_REASONS]
    ]
    return ["decisions", *aligned(lines, "r")] if lines else []


def _remarks(figures: Figures) -> list[str]:
    kinds = ", ".join(f"{n} {kind}" for kind, n in figures.incidents.items() if n) or "none"
    lines = [f"incidents: {kinds}"]
    if figures.retry_sentence:
        lines.append(f"retries: {figures.retry_sentence}")
    return lines + [f"{words}: {amount}" for words, amount in cost_rows(figures)]


def _unknown(figures: Figures) -> list[str]:
    unknown = figures.counts[RecipientState.UNKNOWN]
    if not unknown:
        return []
    least, most = figures.sent_bounds
    name = shlex.quote(figures.campaign.name)
    return [
        f"{unknown} unknown: each may or may not have been sent, and no evidence tells which;",
        f"between {least} and {most} recipients were sent. None of them is sent again by itself.",
        "To list them, and to decide:",
        f"  campaign report {name} --state unknown -o next.csv",
        f"  campaign resolve {name} --cause all --as resend --dry-run",
    ]
