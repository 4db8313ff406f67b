"""The delivery report as one page that stands alone: no script, no other file, no network."""

from __future__ import annotations

import functools
import hashlib
import itertools
import shlex
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from campaign.planner.states import RecipientState
from campaign.reports.figures import (
    DECISION_MEANINGS,
    INCIDENT_MEANINGS,
    MEANINGS,
    READING_ORDER,
    Figures,
    cost_rows,
    percent,
    took,
)
from campaign.reports.rows import ReportRow, full_reason, ledger_time
from campaign.store.campaigns import CampaignRow

FIRST_ROWS = 1000
"""A page with more rows is slow to open; whoever wants them all wants a file of rows."""
_MOST_REASONS = 50
_BAR = 1000.0
_LEAST = 4.0


@dataclass(frozen=True)
class Slice:
    """One state's part of a proportion bar, in thousandths of its width."""

    state: str
    start: float
    width: float


def write_html(
    figures: Figures, rows: Iterable[ReportRow], states: Sequence[str], now: datetime
) -> str:
    """The page: all figures, and the first recipients in one of `states` (of all, if none)."""
    environment, style = _environment()
    shown = list(itertools.islice(rows, FIRST_ROWS))
    template: Template = environment.get_template("report.html.j2")
    return template.render(
        campaign=figures.campaign,
        figures=figures,
        total=sum(figures.counts.values()),
        order=READING_ORDER,
        meanings=MEANINGS,
        incident_meanings=INCIDENT_MEANINGS,
        decision_meanings=DECISION_MEANINGS,
        took_ms=_took(figures.campaign, now),
        now=ledger_time(int(now.timestamp()) * 1000),
        bar=slices({str(state): n for state, n in figures.counts.items()}),
        unknown=figures.counts[RecipientState.UNKNOWN],
        sent_bounds=figures.sent_bounds,
        equation=figures.equation(_grouped),
        costs=cost_rows(figures),
        reasons=figures.reasons[:_MOST_REASONS],
        rows=shown,
        covered=figures.covered(states),
        states=states,
        command=f"campaign report {shlex.quote(figures.campaign.name)}",
        style=style,
        style_hash=b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    )


def slices(counts: dict[str, int]) -> list[Slice]:
    """A stacked bar in reading order; even one recipient of a million stays visible."""
    present = [(str(state), counts.get(state, 0)) for state in READING_ORDER if counts.get(state)]
    total = sum(n for _, n in present)
    widths = [max(_LEAST, _BAR * n / total) for _, n in present]
    scale = _BAR / sum(widths) if widths else 1.0
    bar: list[Slice] = []
    start = 0.0
    for (state, _), width in zip(present, widths, strict=True):
        bar.append(Slice(state, round(start, 2), round(width * scale, 2)))
        start += width * scale
    return bar


def _took(campaign: CampaignRow, now: datetime) -> str | None:
    if campaign.started_ms is None:
        return None
    return took(campaign.started_ms, campaign.finished_ms or int(now.timestamp()) * 1000)


def _label(state: str) -> str:
    return state.replace("_", " ")


def _grouped(n: int) -> str:
    return f"{n:,}"


@functools.cache
def _environment() -> tuple[Environment, Markup]:
    """Templates, and the style sheet in the exact text that its hash in the page's policy covers.

    `trim_blocks` and the like touch the template only, not the style sheet.
    """
    loader = PackageLoader("campaign.reports")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "time": ledger_time,
        "label": _label,
        "slices": slices,
        "number": _grouped,
    }
    environment.globals["full_reason"] = full_reason
    source, _, _ = loader.get_source(environment, "report.css")
    return environment, Markup(source)  # noqa: S704 - our own style sheet
