"""Stored decisions: what somebody rules about recipients that are unknown or failed.

Theory of operation. One row of `decisions` for each recipient says who decided, when and why, and
names the task whose outcome it is about. A word (`resolved_sent`, `resolved_failed`) is evidence
`operator`, the weakest there is: whatever proves the message sent raises it, and a proved failure
raises `failed`; beside `sent`, from which the ledger has no way back, it stands as an anomaly.
`resend` and `retry_failed` put the recipient back to `pending` and permit exactly one more attempt;
the move happens once, for it starts from `unknown` or `failed`. Nobody is sent to again whose
attempt may still be under way in an open task, nor who opted out: both are left, and counted.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from campaign.planner.rulings import KIND, MAY_BE_QUEUED, Decision, Risk, Ruling
from campaign.planner.states import CampaignState, Evidence, RecipientState, UnknownCause
from campaign.store.campaigns import CampaignRow, set_campaign_state
from campaign.store.journal import Tally
from campaign.store.suppression import UNWANTED

R = RecipientState
_CAUSES = frozenset(UnknownCause)


@dataclass(frozen=True)
class Undecided:
    """One recipient somebody may rule about. `task_id` and `gateway` are those of its last attempt.

    `under_way`: an attempt of it has no outcome in a task that is not closed. `taken_back`: its
    device confirmed the remove.
    """

    id: int
    state: RecipientState
    cause: str | None
    code: int | None
    task_id: int | None
    gateway: str
    taken_back: bool
    under_way: bool
    unwanted: str | None
    """Why nobody may write to it: it opted out, or is on a blocklist."""

    @property
    def label(self) -> str:
        """What it is counted by: its cause if it is unknown, else the code it failed with."""
        if self.cause is not None:
            return self.cause
        return "no code" if self.code is None else f"code {self.code}"


_SELECT = f"""
    SELECT r.id, r.state, r.cause, r.code, t.id AS task_id, coalesce(g.name, '') AS gateway,
        coalesce(t.removed, 0) AS taken_back, {UNWANTED} AS unwanted,
        EXISTS (SELECT 1 FROM attempts AS a JOIN tasks AS s ON s.id = a.task_id
                WHERE a.recipient_id = r.id AND a.outcome IS NULL AND s.state <> 'closed')
            AS under_way
    FROM recipients AS r
    LEFT JOIN tasks AS t ON t.id =
        (SELECT max(a.task_id) FROM attempts AS a WHERE a.recipient_id = r.id)
    LEFT JOIN gateways AS g ON g.id = t.gateway_id
"""
"""By index attempts_recipient."""


def unknown_recipients(
    conn: sqlite3.Connection, campaign_id: int, causes: Sequence[UnknownCause]
) -> list[Undecided]:
    """Those of a campaign that are unknown for one of these causes, in the list's order."""
    marks = ", ".join("?" * len(causes))
    return _read(
        conn,
        f"WHERE r.campaign_id = ? AND r.state = 'unknown' AND r.cause IN ({marks}) ORDER BY r.id",
        campaign_id, *causes,
    )  # fmt: skip


def failed_recipients(
    conn: sqlite3.Connection, campaign_id: int, codes: Sequence[int] = ()
) -> list[Undecided]:
    """Those of a campaign that failed (with one of these codes, if any), in the list's order."""
    only = f"AND r.code IN ({', '.join('?' * len(codes))})" if codes else ""
    return _read(
        conn,
        f"WHERE r.campaign_id = ? AND r.state = 'failed' {only} ORDER BY r.id",
        campaign_id, *codes,
    )  # fmt: skip


def these_recipients(conn: sqlite3.Connection, recipient_ids: Sequence[int]) -> list[Undecided]:
    """Those of these that are unknown."""
    return [
        one
        for id_ in sorted(recipient_ids)
        for one in _read(conn, "WHERE r.id = ? AND r.state = 'unknown'", id_)
    ]


def _read(conn: sqlite3.Connection, where: str, *parameters: object) -> list[Undecided]:
    return [
        Undecided(
            row["id"], R(row["state"]), row["cause"], row["code"], row["task_id"], row["gateway"],
            bool(row["taken_back"]), bool(row["under_way"]), row["unwanted"],
        )
        for row in conn.execute(_SELECT + where, parameters)
    ]  # fmt: skip


def undecided_counts(
    conn: sqlite3.Connection, campaign_id: int, state: RecipientState
) -> dict[str, int]:
    """What there is to rule about: recipients by cause (unknown) or by code (failed)."""
    label = "r.cause" if state is R.UNKNOWN else "coalesce('code ' || r.code, 'no code')"
    rows = conn.execute(
        f"""
        SELECT {label} AS label, count(*) AS n FROM recipients AS r
        WHERE r.campaign_id = ? AND r.state = ? GROUP BY 1 ORDER BY 2 DESC, 1
        """,
        (campaign_id, state),
    )
    return {row["label"]: row["n"] for row in rows}


def risk_of(chosen: Sequence[Undecided]) -> Risk:
    """What sending to these again risks (a `failed` one has a cause only if nobody proved it)."""
    unknown = [one for one in chosen if one.cause in _CAUSES]
    queued = [one for one in unknown if one.cause in MAY_BE_QUEUED and not one.taken_back]
    return Risk(
        by_cause=dict(Counter(str(one.cause) for one in unknown).most_common()),
        queued=dict(Counter(one.gateway for one in queued).most_common()),
    )


def settle_by_word(
    conn: sqlite3.Connection,
    now_ms: int,
    campaign_id: int,
    chosen: Sequence[Undecided],
    ruling: Ruling,
    *,
    by: str,
    why: str,
) -> None:
    """unknown -> sent or failed on somebody's word; the cause stays, for nothing else is known."""
    state = R.SENT if ruling is Ruling.SENT else R.FAILED
    conn.executemany(
        """
        UPDATE recipients SET state = ?, evidence = ?, code = NULL, reason = ?
        WHERE id = ? AND state = 'unknown'
        """,
        [(state, Evidence.OPERATOR, f"{one.label}, taken for {state} by {by}: {why}", one.id)
         for one in chosen],
    )  # fmt: skip
    _store(conn, now_ms, campaign_id, chosen, KIND[ruling], by, why)
    _count(conn, campaign_id, chosen, state)


def send_again(
    conn: sqlite3.Connection,
    now_ms: int,
    campaign_id: int,
    chosen: Sequence[Undecided],
    kind: Decision,
    *,
    by: str,
    why: str,
) -> None:
    """unknown or failed -> pending: one more attempt each, by this decision."""
    conn.executemany(
        """
        UPDATE recipients SET state = 'pending', evidence = 'none', code = NULL, reason = ?
        WHERE id = ? AND state = ?
        """,
        [(f"{one.label}, to be sent again by {by}: {why}", one.id, one.state) for one in chosen],
    )
    _store(conn, now_ms, campaign_id, chosen, kind, by, why)
    _count(conn, campaign_id, chosen, R.PENDING)


def _store(
    conn: sqlite3.Connection,
    now_ms: int,
    campaign_id: int,
    chosen: Sequence[Undecided],
    kind: Decision,
    by: str,
    why: str,
) -> None:
    conn.executemany(
        """
        INSERT INTO decisions (at_ms, kind, campaign_id, task_id, recipient_id, why, by)
        VALUES (?, ?, ?, ?, ?, ?, ?)
        """,
        [
            (now_ms, kind, campaign_id, one.task_id, one.id, f"{one.label}: {why}", by)
            for one in chosen
        ],
    )


def _count(
    conn: sqlite3.Connection, campaign_id: int, chosen: Sequence[Undecided], state: RecipientState
) -> None:
    tally = Tally()
    for one in chosen:
        tally.moved(campaign_id, one.state, state)
    tally.store(conn)


def reopen(
    conn: sqlite3.Connection, now_ms: int, campaign: CampaignRow, why: str, *, by: str
) -> CampaignState:
    """A finished campaign runs again; any other stays what it is. Returns its state."""
    if campaign.state is not CampaignState.FINISHED:
        return campaign.state
    set_campaign_state(conn, now_ms, campaign.id, CampaignState.RUNNING, why, by=by)
    return CampaignState.RUNNING
