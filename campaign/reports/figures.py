"""What a report says above its rows: gathered once, so that all its numbers agree."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from campaign.planner.rulings import Decision
from campaign.planner.states import RecipientState
from campaign.planner.tariffs import Cost
from campaign.reports.planned import Planned, plan_against_actual
from campaign.store.campaigns import CampaignRow, shown_counts
from campaign.store.costs import parts_sent
from campaign.store.summary import (
    by_gateway,
    by_reason,
    decisions,
    incidents,
    retries,
    unproved_counts,
)

R = RecipientState

READING_ORDER = (
    R.DELIVERED, R.SENT, R.NO_RECEIPT, R.UNDELIVERED, R.FAILED, R.UNKNOWN,
    R.SKIPPED, R.EXPIRED, R.CANCELLED, R.ASSIGNED, R.HELD, R.PENDING,
)  # fmt: skip
"""From the best outcome to what has not begun."""
_PROVED_SENT = (R.DELIVERED, R.SENT, R.NO_RECEIPT, R.UNDELIVERED)

MEANINGS: dict[RecipientState, str] = {
    R.DELIVERED: "a delivery receipt says that the phone has it",
    R.SENT: "the network took it; no delivery receipt yet, or none asked for",
    R.NO_RECEIPT: "the network took it, but no delivery receipt came in time",
    R.UNDELIVERED: "the network took it, but a receipt says that it was not delivered",
    R.FAILED: "proved not sent: the device or the network refused it",
    R.UNKNOWN: "it may or may not have been sent, and no evidence tells which; never sent again "
    "unless you decide so",
    R.SKIPPED: "left out: opted out, on a blocklist, or written to often enough",
    R.EXPIRED: "not sent: the campaign's deadline passed",
    R.CANCELLED: "not sent: the campaign was cancelled",
    R.ASSIGNED: "handed to a gateway, which has not reported on it yet",
    R.HELD: "waits for a quota or for its next try",
    R.PENDING: "waits for its turn",
}

INCIDENT_MEANINGS = {
    "duplicate": "two attempts for one recipient are reported sent",
    "anomaly": "evidence contradicts what was recorded",
    "opted_out_in_flight": "went out although the number had just opted out or been blocked",
}

DECISION_MEANINGS = {
    Decision.RESOLVED_SENT: "unknown, taken for sent",
    Decision.RESOLVED_FAILED: "unknown, taken for failed",
    Decision.RESEND: "unknown, to be sent to once more",
    Decision.RETRY_FAILED: "failed, to be sent to once more",
}


@dataclass(frozen=True)
class Figures:
    """The totals of one campaign. `recipients` counts rows, `counts` is kept move by move."""

    campaign: CampaignRow
    counts: dict[RecipientState, int]
    recipients: int
    gateways: list[dict[str, Any]]
    reasons: list[dict[str, Any]]
    incidents: dict[str, int]
    tries: int
    saved: int
    decisions: list[dict[str, Any]]
    unproved: tuple[int, int] = (0, 0)
    """Of those sent, how many on somebody's word only; and how many others that may be sent."""

    costs: tuple[Cost, Cost] | None = None
    """Of what was sent, and on top of it of what may have been; None without a tariff."""
    planned: Planned | None = None

    @property
    def adds_up(self) -> bool:
        return self.recipients == sum(self.counts.values())

    @property
    def present(self) -> list[RecipientState]:
        """States that somebody is in, in reading order."""
        return [state for state in READING_ORDER if self.counts[state]]

    def covered(self, states: Sequence[str]) -> int:
        """How many recipients are in one of `states`; no states means all."""
        return sum(n for state, n in self.counts.items() if not states or state in states)

    @property
    def sent_bounds(self) -> tuple[int, int]:
        """The network took at least, and at most, this many recipients' messages."""
        by_word, unproved = self.unproved
        sent = sum(self.counts[state] for state in _PROVED_SENT)
        doubtful = self.counts[R.UNKNOWN] + self.counts[R.ASSIGNED] + unproved
        return sent - by_word, sent + doubtful

    def equation(self, spelt: Callable[[int], str] = str) -> str:
        """The conservation of recipients in words."""
        terms = " + ".join(f"{spelt(self.counts[state])} {state}" for state in self.present) or "0"
        if self.adds_up:
            return f"{spelt(self.recipients)} = {terms}"
        return (
            f"{spelt(self.recipients)}, but {terms} is "
            f"{spelt(sum(self.counts.values()))}: "
            "the ledger does not add up, see: campaign doctor"
        )

    @property
    def retry_sentence(self) -> str | None:
        if not self.tries:
            return None
        return f"{self.tries} tried again after a proved failure, {self.saved} of them sent"


def gather(conn: sqlite3.Connection, campaign: CampaignRow) -> Figures:
    """Read everything a report says above its rows; call it inside one read transaction."""
    gateways = by_gateway(conn, campaign)
    tries, saved = retries(conn, campaign.id)
    return Figures(
        campaign=campaign,
        counts=shown_counts(conn, campaign),
        recipients=sum(entry["recipients"] for entry in gateways),
        gateways=gateways,
        reasons=by_reason(conn, campaign.id),
        incidents=incidents(conn, campaign.id),
        tries=tries,
        saved=saved,
        decisions=decisions(conn, campaign.id),
        unproved=unproved_counts(conn, campaign.id),
        costs=_costs(conn, campaign),
        planned=plan_against_actual(conn, campaign),
    )


def _costs(conn: sqlite3.Connection, campaign: CampaignRow) -> tuple[Cost, Cost] | None:
    tariff = campaign.options.parsed_tariff
    if not tariff:
        return None
    sent, maybe = parts_sent(conn, campaign.id, tariff.prices)
    return tariff.cost(sent), tariff.cost(maybe)


def cost_rows(figures: Figures) -> list[tuple[str, str]]:
    """What was spent, as (words, amount); nothing without a tariff."""
    if figures.costs is None:
        return []
    sent, maybe = figures.costs
    rows = [("cost of what was sent", sent.shown)]
    if maybe.amount or maybe.unpriced:
        rows.append(("and at most, for what may have been sent", maybe.shown))
    if sent.unpriced + maybe.unpriced:
        rows.append(("SMS parts without a price, not in it", str(sent.unpriced + maybe.unpriced)))
    return rows


def percent(n: int, total: int) -> str:
    """A share with one decimal that never rounds something to nothing or nearly all to all."""
    if not total:
        return "–"
    share = 100 * n / total
    if 0 < share < 0.1:
        return "<0.1 %"
    if 99.9 < share < 100:
        return ">99.9 %"
    return f"{share:.1f} %"


def took(start_ms: int, end_ms: int) -> str:
    """A duration in its two largest units."""
    seconds = max(0, end_ms - start_ms) // 1000
    units = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    parts: list[str] = []
    for name, size in units:
        if seconds >= size or (name == "s" and not parts):
            parts.append(f"{seconds // size} {name}")
            seconds %= size
        elif parts:
            break
    return " ".join(parts[:2])
