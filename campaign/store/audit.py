"""Three ledgers held against each other: a task's counters, its details, the device's statistics.

Counters are cumulative and details are the rows they count (spec §6.3.2); the device's own SMS
statistics (§9, type 3) know nothing of tasks. What differs inside what is recorded as unknown is no
contradiction.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Literal

from campaign.store.unproved import not_released

_CONSERVATION = "every recipient has one state"
_LIVE = "in flight means one live attempt, a closed task has none"

Verdict = Literal["holds", "within unknown", "cannot be told", "broken"]


@dataclass(frozen=True)
class Finding:
    """One law and what came of it; `detail` says where and by how much."""

    law: str
    verdict: Verdict
    detail: str


def audit(conn: sqlite3.Connection, campaign_id: int) -> list[Finding]:
    """Every law of one campaign, in a fixed order."""
    return [
        conservation(conn, campaign_id),
        live_attempts(conn, campaign_id),
        _counters(conn, campaign_id),
        *_statistics(conn, campaign_id),
    ]


def conservation(conn: sqlite3.Connection, campaign_id: int | None = None) -> Finding:
    """Counts are the sums over recipients; of one campaign, or of each."""
    ours = "(:campaign IS NULL OR campaign_id = :campaign)"
    queries = (
        f"SELECT campaign_id, state, count(*) FROM recipients WHERE {ours} GROUP BY 1, 2",
        f"SELECT campaign_id, state, n FROM tallies WHERE {ours} AND n <> 0",
    )
    rows, tallies = (
        {(row[0], row[1]): row[2] for row in conn.execute(query, {"campaign": campaign_id})}
        for query in queries
    )
    if rows == tallies:
        return Finding(_CONSERVATION, "holds", f"{sum(rows.values())} recipients")
    wrong = sorted(key for key in rows.keys() | tallies if rows.get(key) != tallies.get(key))
    said = ", ".join(f"{rows.get(key, 0)} {key[1]}, counted {tallies.get(key, 0)}" for key in wrong)
    return Finding(_CONSERVATION, "broken", said)


def live_attempts(conn: sqlite3.Connection, campaign_id: int | None = None) -> Finding:
    """`assigned` has exactly one live attempt, nobody else has one, and no closed task has."""
    wrong, closed = contradicting(conn, campaign_id), live_though_closed(conn, campaign_id)
    if wrong or closed:
        return Finding(_LIVE, "broken", f"{wrong} recipients, {closed} attempts of closed tasks")
    return Finding(_LIVE, "holds", "")


def contradicting(conn: sqlite3.Connection, campaign_id: int | None = None) -> int:
    """How many recipients have another number of live attempts than their state tells."""
    (wrong,) = conn.execute(
        """
        SELECT count(*) FROM recipients AS r
        WHERE (:campaign IS NULL OR r.campaign_id = :campaign) AND (r.state = 'assigned') <>
            (SELECT count(*) FROM attempts AS a WHERE a.recipient_id = r.id AND a.live = 1)
        """,
        {"campaign": campaign_id},
    ).fetchone()
    return int(wrong)


def live_though_closed(conn: sqlite3.Connection, campaign_id: int | None = None) -> int:
    """How many attempts are live in tasks that are closed."""
    (closed,) = conn.execute(
        """
        SELECT count(*) FROM tasks AS t JOIN attempts AS a ON a.task_id = t.id AND a.live = 1
        WHERE (:campaign IS NULL OR t.campaign_id = :campaign) AND t.state = 'closed'
        """,
        {"campaign": campaign_id},
    ).fetchone()
    return int(closed)


def _counters(conn: sqlite3.Connection, campaign_id: int) -> Finding:
    """No task may have more details than its counters count, nor fewer than was accounted for."""
    rows = conn.execute(
        """
        SELECT t.tid, t.c_sent, t.c_failed,
            sum(a.outcome IS 'sent' AND a.evidence = 'report') AS sent,
            sum(a.outcome IS 'sent' AND a.evidence <> 'report') AS otherwise,
            sum(a.outcome IN ('failed', 'timeout') AND a.evidence = 'report') AS failed,
            sum(a.outcome IS NULL) AS open
        FROM tasks AS t JOIN attempts AS a ON a.task_id = t.id
        WHERE t.campaign_id = ? AND t.c_sent IS NOT NULL
            AND t.c_sending + t.c_sent + t.c_failed + t.c_unsent = t.size
        GROUP BY t.id
        """,
        (campaign_id,),
    ).fetchall()
    missing, broken = 0, []
    for row in rows:
        over = row["sent"] > row["c_sent"] or row["failed"] > row["c_failed"]
        told = row["sent"] + row["otherwise"] + row["failed"]
        lacking = row["c_sent"] + row["c_failed"] - told
        if over or lacking > row["open"]:
            broken.append(str(row["tid"]))
        missing += max(0, lacking)
    law = "a task's details are those its counters count"
    if broken:
        return Finding(law, "broken", f"tid {', '.join(broken[:10])}")
    if missing:
        return Finding(law, "within unknown", f"{missing} details never came")
    return Finding(law, "holds", f"{len(rows)} tasks with counters")


@dataclass(frozen=True)
class _Growth:
    """What a port's device counted between two of its samples, and what our tasks there report."""

    ok: int
    failed: int
    ours_ok: int
    ours_failed: int
    unknown: int

    @property
    def verdict(self) -> Verdict:
        over_ok, over_failed = self.ok - self.ours_ok, self.failed - self.ours_failed
        if over_ok == over_failed == 0:
            return "holds"
        inside = over_ok >= 0 and over_failed >= 0 and over_ok + over_failed <= self.unknown
        return "within unknown" if inside else "broken"


def _statistics(conn: sqlite3.Connection, campaign_id: int) -> list[Finding]:
    places = conn.execute(
        """
        SELECT t.gateway_id, g.name, t.port, min(t.intent_ms) AS begun,
            max(coalesce(t.closed_ms, 9e15)) AS ended
        FROM tasks AS t JOIN gateways AS g ON g.id = t.gateway_id
        WHERE t.campaign_id = ? AND t.intent_ms IS NOT NULL AND t.port IS NOT NULL
        GROUP BY t.gateway_id, t.port ORDER BY g.name, t.port
        """,
        (campaign_id,),
    ).fetchall()
    return [_compared(conn, place) for place in places]


def _compared(conn: sqlite3.Connection, place: sqlite3.Row) -> Finding:
    law = f"{place['name']} port {place['port']}: the device's own count"
    before = _sample(conn, place, "at_ms <= ?", "DESC", place["begun"])
    after = _sample(conn, place, "at_ms >= ?", "ASC", place["ended"])
    if before is None or after is None:
        return Finding(law, "cannot be told", "no sample before and after it")
    if before["boot_id"] != after["boot_id"] or not before["boot_id"]:
        return Finding(law, "cannot be told", "the device restarted in between")
    ours = conn.execute(
        f"""
        -- what only a receipt proves was counted sent if the counters leave no room for a failure,
        -- failed if the device said so first, else who knows
        WITH ours AS (
            SELECT a.outcome, a.evidence, a.told, t.intent_ms, t.closed_ms, t.verdict,
                t.c_sending = 0 AND t.c_unsent = 0 AND t.c_failed = (
                    SELECT count(*) FROM attempts AS x
                    WHERE x.task_id = t.id AND x.told BETWEEN 1 AND 3) AS counted
            FROM tasks AS t JOIN attempts AS a ON a.task_id = t.id
            WHERE t.gateway_id = ? AND t.port = ? AND t.intent_ms IS NOT NULL
                AND coalesce(t.closed_ms, 9e15) > ? AND t.intent_ms < ?
        )
        SELECT sum(outcome IS 'sent' AND (evidence IN ('report', 'inferred')
                OR (evidence = 'receipt' AND told = 0 AND counted IS 1))) AS ok,
            sum((outcome IN ('failed', 'timeout') AND evidence <> 'accepted')
                OR (outcome IS 'sent' AND evidence = 'receipt' AND told > 0)) AS failed,
            sum((outcome IS NULL AND {not_released("ours")})
                OR (outcome IS 'sent' AND evidence = 'receipt' AND told = 0 AND counted IS NOT 1))
                AS unknown,
            sum(intent_ms < ? OR coalesce(closed_ms, 9e15) > ?) AS astride
        FROM ours
        """,
        (
            place["gateway_id"], place["port"], before["at_ms"], after["at_ms"],
            before["at_ms"], after["at_ms"],
        ),
    ).fetchone()  # fmt: skip
    if ours["astride"]:
        return Finding(law, "cannot be told", "another task was under way at a sample")
    growth = _Growth(
        after["ok"] - before["ok"],
        after["failed"] - before["failed"],
        ours["ok"] or 0,
        ours["failed"] or 0,
        ours["unknown"] or 0,
    )
    detail = (
        f"{growth.ok} sent and {growth.failed} failed by the device,"
        f" {growth.ours_ok} and {growth.ours_failed} by its reports, {growth.unknown} unknown"
    )
    if growth.verdict == "broken":
        detail += "; does another system send there?"
    return Finding(law, growth.verdict, detail)


def _sample(
    conn: sqlite3.Connection, place: sqlite3.Row, when: str, order: str, at_ms: int
) -> sqlite3.Row | None:
    """The port's totals over all its SIMs at the nearest sample of type 3."""
    row: sqlite3.Row | None = conn.execute(
        f"""
        SELECT at_ms, boot_id, sum(sent_ok) AS ok, sum(sent_failed) AS failed FROM sms_samples
        WHERE gateway_id = ? AND port = ? AND period = 3 AND {when}
        GROUP BY at_ms ORDER BY at_ms {order} LIMIT 1
        """,
        (place["gateway_id"], place["port"], at_ms),
    ).fetchone()
    return row
