"""What operators ask the ledger: counts, incidents, and the rows of a delivery report."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from campaign.planner.rulings import Decision
from campaign.store.campaigns import CampaignRow, shown_counts
from campaign.store.unproved import UNPROVED

REPORT_COLUMNS = (
    "row", "number", "state", "evidence", "attempts", "gateway", "port", "iccid", "tid",
    "sent_at", "delivered_at", "code", "reason",
)  # fmt: skip
"""First columns of every export, in this order; the list's own columns follow."""


_texts: Final = msgspec.json.Decoder(list[str]).decode
_SHOWN = "CASE WHEN r.state = 'pending' AND :hold IS NOT NULL THEN 'held' ELSE r.state END"
"""A recipient's state as it is shown (`CampaignRow.hold`)."""


def report_rows(
    conn: sqlite3.Connection, campaign: CampaignRow, states: Sequence[str] = ()
) -> Iterator[sqlite3.Row]:
    """Every recipient in the order of the list: the columns above plus `cause` and `columns`
    (a JSON array of the list's own values, or NULL), in this order. Streams."""
    chosen = {f"state{i}": state for i, state in enumerate(states)}
    only = f"AND {_SHOWN} IN ({', '.join(f':{name}' for name in chosen)})" if chosen else ""
    return conn.execute(
        # index recipients_campaign: primary-key order is the list's order
        f"""
        SELECT r.row, r.number, {_SHOWN} AS state, r.evidence, r.attempts, g.name AS gateway,
            r.port, r.iccid, r.tid, r.sent_at, r.delivered_at, r.code, r.reason,
            CASE WHEN r.state = 'pending' THEN :hold ELSE r.cause END AS cause, r.columns
        FROM recipients AS r LEFT JOIN gateways AS g ON g.id = r.gateway_id
        WHERE r.campaign_id = :campaign {only} ORDER BY r.id
        """,
        {"campaign": campaign.id, "hold": campaign.hold, **chosen},
    )


def own_values(stored: str | None, width: int) -> Sequence[str]:
    """The values of the list's own columns out of their JSON array; a missing one is blank."""
    if not width:
        return ()
    try:
        own = _texts(stored or "[]")
    except msgspec.DecodeError:  # ledgers of earlier versions may hold other than texts
        own = ["" if value is None else str(value) for value in json.loads(stored or "[]")]
    return own if len(own) == width else (*own, *[""] * width)[:width]


def refusal_rows(conn: sqlite3.Connection, campaign_id: int) -> Iterator[sqlite3.Row]:
    """Every refused row of the list, by line."""
    yield from conn.execute(
        "SELECT row, raw, code, reason FROM refusals WHERE campaign_id = ? ORDER BY row, rowid",
        (campaign_id,),
    )


def incidents(conn: sqlite3.Connection, campaign_id: int) -> dict[str, int]:
    """Incidents of a campaign by kind; every kind is there."""
    found = dict(
        conn.execute(
            "SELECT kind, count(*) FROM incidents WHERE campaign_id = ? GROUP BY kind",
            (campaign_id,),
        ).fetchall()
    )
    return {kind: found.get(kind, 0) for kind in ("duplicate", "anomaly", "opted_out_in_flight")}


def by_gateway(conn: sqlite3.Connection, campaign: CampaignRow) -> list[dict[str, Any]]:
    """Recipients by gateway, port and state, for the report."""
    rows = conn.execute(
        f"""
        SELECT g.name AS gateway, {_SHOWN} AS state, count(*) AS n FROM recipients AS r
        LEFT JOIN gateways AS g ON g.id = r.gateway_id
        WHERE r.campaign_id = :campaign GROUP BY 1, 2 ORDER BY 1, 2
        """,
        {"campaign": campaign.id, "hold": campaign.hold},
    )
    grouped: dict[str | None, dict[str, int]] = {}
    for row in rows:
        grouped.setdefault(row["gateway"], {})[row["state"]] = row["n"]
    return [
        {"gateway": name, "recipients": sum(states.values()), "counts": states}
        for name, states in grouped.items()
    ]


def by_reason(conn: sqlite3.Connection, campaign_id: int) -> list[dict[str, Any]]:
    """Why recipients were not sent or are not known: the 50 most frequent reasons."""
    rows = conn.execute(
        """
        SELECT state, cause, code, reason, count(*) AS n FROM recipients
        WHERE campaign_id = ? AND (reason IS NOT NULL OR cause IS NOT NULL)
            AND state NOT IN ('sent', 'delivered')
        GROUP BY state, cause, code, reason ORDER BY n DESC, state, code LIMIT 50
        """,
        (campaign_id,),
    )
    return [
        {
            "state": row["state"],
            "cause": row["cause"],
            "code": row["code"],
            "reason": row["reason"],
            "recipients": row["n"],
        }
        for row in rows
    ]


def retries(conn: sqlite3.Connection, campaign_id: int) -> tuple[int, int]:
    """(recipients tried again after a proved failure, those of them that were sent then)."""
    (decided,) = conn.execute(
        """
        SELECT count(DISTINCT recipient_id) FROM decisions
        WHERE campaign_id = ? AND kind IN ('retry', 'retry_failed')
        """,
        (campaign_id,),
    ).fetchone()
    (saved,) = conn.execute(
        """
        SELECT count(*) FROM recipients WHERE campaign_id = ? AND failures > 0
            AND state IN ('sent', 'delivered', 'undelivered', 'no_receipt')
        """,
        (campaign_id,),
    ).fetchone()
    return decided, saved


def decisions(conn: sqlite3.Connection, campaign_id: int) -> list[dict[str, Any]]:
    """What was decided about single recipients, by whom and why: the 50 most frequent."""
    marks = ", ".join("?" * len(Decision))
    rows = conn.execute(
        f"""
        SELECT kind, by, why, count(*) AS n FROM decisions
        WHERE campaign_id = ? AND kind IN ({marks})
        GROUP BY kind, by, why ORDER BY n DESC, min(id) LIMIT 50
        """,
        (campaign_id, *Decision),
    )
    return [
        {"decision": row["kind"], "by": row["by"], "why": row["why"], "recipients": row["n"]}
        for row in rows
    ]


def unproved_counts(conn: sqlite3.Connection, campaign_id: int) -> tuple[int, int]:
    """(recipients that are sent on somebody's word only, those that are failed on it or wait to be
    sent to again: of neither is it proved whether they were sent to)."""
    word, open_ = conn.execute(
        f"""
        SELECT count(*) FILTER (WHERE state = 'sent'),
            count(*) FILTER (WHERE state <> 'sent')
        FROM recipients WHERE campaign_id = ? AND (evidence = 'operator'
            OR (state IN ('pending', 'held') AND attempts > 0 AND {UNPROVED}))
        """,
        (campaign_id,),
    ).fetchone()
    return word, open_


def campaign_object(conn: sqlite3.Connection, campaign: CampaignRow) -> dict[str, Any]:
    """A campaign as `status --json` shows it, without what only a running engine knows."""
    tallies = shown_counts(conn, campaign)
    return {
        "name": campaign.name,
        "state": str(campaign.state),
        "recipients": sum(tallies.values()),
        "refused": campaign.refused,
        "counts": {str(state): n for state, n in tallies.items()},
        "rate_per_second": None,
        "eta": None,
        "waiting_for": campaign.waiting_for,
    }
