"""Invariants of a ledger that can be told from the ledger alone, at any moment.

Each function asks for one law and says where it is broken. With a campaign's id only its rows are
looked at; without one, the whole ledger. Times are the ledger's own, so that laws about pace hold
within one run of the engine (an epoch): the next run ties its clock anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from campaign.planner.options import CampaignOptions
from campaign.protocol.codec import task_digest, with_attachments
from campaign.protocol.device_codec import decode_task
from campaign.protocol.submission import write_attachments
from campaign.store.attachments import list_attachments
from campaign.store.audit import Finding, conservation, live_attempts
from campaign.store.contactlaws import nobody_blocked, nobody_too_often
from campaign.store.limit_laws import caps_kept, pace_kept, usage_fits
from campaign.store.timely import windows
from campaign.store.unproved import not_released

TID_REST_MS = 30 * 86_400_000
_JITTER_MS = 2000
"""Two clocks, and the time between deciding and writing down, may differ by this much."""

_SHOWN = 10
_OURS = "(:campaign IS NULL OR t.campaign_id = :campaign)"


def invariants(conn: sqlite3.Connection, campaign_id: int | None = None) -> list[Finding]:
    """Every law, in a fixed order; of the whole ledger unless a campaign is named."""
    laws: tuple[Callable[[sqlite3.Connection, int | None], Finding], ...] = (
        conservation,
        live_attempts,
        _tids_rest,
        _task_objects,
        _counters_fit,
        _outcomes_fit,
        _tries,
        _budget,
        pace_kept,
        caps_kept,
        usage_fits,
        windows,
        _optouts,
        nobody_blocked,
        nobody_too_often,
    )
    return [law(conn, campaign_id) for law in laws]


def _finding(law: str, broken: Sequence[str], detail: str = "") -> Finding:
    if not broken:
        return Finding(law, "holds", detail)
    more = f" and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
    return Finding(law, "broken", "; ".join(broken[:_SHOWN]) + more)


def _tids_rest(conn: sqlite3.Connection, campaign_id: int | None) -> Finding:
    """A late report may still name a tid for 30 days."""
    rows = conn.execute(
        f"""
        -- index tasks_tid
        SELECT t.tid, g.name FROM tasks AS t JOIN gateways AS g ON g.id = t.gateway_id
        JOIN tasks AS o ON o.gateway_id = t.gateway_id AND o.tid = t.tid AND o.id < t.id
        WHERE {_OURS} AND (o.closed_ms IS NULL OR o.closed_ms > t.created_ms - :rest)
        ORDER BY t.id
        """,
        {"campaign": campaign_id, "rest": TID_REST_MS},
    )
    broken = [f"tid {row['tid']} of {row['name']}" for row in rows]
    return _finding("no task id comes twice on a device within 30 days", broken)


def _task_objects(conn: sqlite3.Connection, campaign_id: int | None) -> Finding:
    """The stored object is what went out, byte for byte: its digest, its one port, its numbers."""
    files: dict[int, str] = {}
    broken, count = [], 0
    for task, numbers in _tasks(conn, campaign_id):
        count += 1
        if task["campaign_id"] not in files:
            attached = list_attachments(conn, task["campaign_id"])
            files[task["campaign_id"]] = write_attachments(tuple(item.wire for item in attached))
        wrong = _wrong(task, numbers, files[task["campaign_id"]])
        if wrong:
            broken.append(f"tid {task['tid']}: {wrong}")
    law = "a task object never changes, and names one port and each number once"
    return _finding(law, broken, f"{count} tasks")


def _tasks(
    conn: sqlite3.Connection, campaign_id: int | None
) -> Iterator[tuple[sqlite3.Row, list[str]]]:
    """Every task with the numbers of its places, in their order."""
    rows = conn.execute(
        f"""
        SELECT t.id, t.campaign_id, t.tid, t.port, t.size, t.body, t.sha256, a.idx, r.number
        FROM tasks AS t LEFT JOIN attempts AS a ON a.task_id = t.id
        LEFT JOIN recipients AS r ON r.id = a.recipient_id
        WHERE {_OURS} ORDER BY t.id, a.idx
        """,
        {"campaign": campaign_id},
    )
    for _, places in groupby(rows, key=lambda row: row["id"]):
        first = next(places)
        yield first, [row["number"] for row in (first, *places) if row["idx"] is not None]


def _wrong(task: sqlite3.Row, numbers: Sequence[str], files: str) -> str | None:
    wire = with_attachments(task["body"], files) if files else task["body"]
    if task_digest(wire) != task["sha256"]:
        return "its digest is another"
    stored = decode_task(task["body"])
    if stored.tid != task["tid"]:
        return f"it names tid {stored.tid}"
    if stored.port is None or stored.port.number != task["port"]:
        return "it does not name its one port"
    named = [number.lstrip("+") for number in stored.to]
    if len(set(named)) != len(named):
        return "a number stands in it twice"
    if named != list(numbers) or len(named) != task["size"]:
        return "its numbers are not its places"
    return None


def _counters_fit(conn: sqlite3.Connection, campaign_id: int | None) -> Finding:
    rows = conn.execute(
        f"""
        SELECT t.tid FROM tasks AS t WHERE {_OURS} AND t.c_sent IS NOT NULL
            AND (t.c_sending + t.c_sent + t.c_failed + t.c_unsent <> t.size
                OR min(t.c_sending, t.c_sent, t.c_failed, t.c_unsent) < 0)
        ORDER BY t.id
        """,
        {"campaign": campaign_id},
    )
    return _finding("stored counters account for their task", [f"tid {row['tid']}" for row in rows])


def _outcomes_fit(conn: sqlite3.Connection, campaign_id: int | None) -> Finding:
    """One outcome a place, never below what was told of it, and an evidence that can give it."""
    rows = conn.execute(
        f"""
        SELECT t.tid, a.idx FROM tasks AS t JOIN attempts AS a ON a.task_id = t.id
        WHERE {_OURS} AND NOT (
            CASE WHEN a.outcome IS NULL THEN a.evidence = 'none' AND a.told = 0
                WHEN a.outcome = 'timeout' THEN a.evidence = 'report' AND a.told = 1
                WHEN a.outcome = 'failed' THEN (a.evidence = 'report' AND a.told IN (2, 3))
                    OR (a.evidence IN ('accepted', 'operator') AND a.told < 2)
                ELSE (a.evidence = 'report') = (a.told > 3)
                    AND (a.evidence <> 'receipt' OR a.receipts > 0) AND a.evidence <> 'none' END
            AND (a.live = 0 OR a.outcome IS NULL) AND a.idx <= t.size)
        ORDER BY t.id, a.idx
        """,
        {"campaign": campaign_id},
    )
    broken = [f"tid {row['tid']} place {row['idx']}" for row in rows]
    return _finding("one outcome a place, on evidence that can give it", broken)


def _tries(conn: sqlite3.Connection, campaign_id: int | None) -> Finding:
    """Every attempt but the last failed for certain, was proved unsent, or somebody decided."""
    rows = conn.execute(
        f"""
        SELECT r.row, t.tid FROM tasks AS t JOIN attempts AS a ON a.task_id = t.id
        JOIN recipients AS r ON r.id = a.recipient_id
        WHERE {_OURS} AND EXISTS (SELECT 1 FROM attempts AS n
                WHERE n.recipient_id = a.recipient_id AND n.task_id > a.task_id)
            AND a.told & 2 = 0 AND a.outcome IS NOT 'failed'
            AND {not_released("t")}
            AND NOT EXISTS (SELECT 1 FROM decisions AS d WHERE d.recipient_id = r.id
                -- by its task, not by its time: whoever decides may have another clock
                AND d.kind IN ('resend', 'retry_failed') AND d.task_id = t.id)
        ORDER BY r.id, t.id
        """,
        {"campaign": campaign_id},
    )
    broken = [f"row {row['row']} after tid {row['tid']}" for row in rows]
    return _finding("nobody is tried again without a proved failure or a decision", broken)


def _budget(conn: sqlite3.Connection, campaign_id: int | None) -> Finding:
    """Attempts that were given back do not count; a decision permits one more."""
    rows = conn.execute(
        f"""
        SELECT c.name, c.options, r.row, r.attempts,
            (SELECT count(*) FROM attempts AS a WHERE a.recipient_id = r.id) AS tries,
            (SELECT count(*) FROM attempts AS a JOIN tasks AS t ON t.id = a.task_id
             WHERE a.recipient_id = r.id AND NOT ({not_released("t")})) AS released,
            (SELECT count(*) FROM decisions AS d WHERE d.recipient_id = r.id
                AND d.kind IN ('resend', 'retry_failed')) AS decided
        FROM recipients AS r JOIN campaigns AS c ON c.id = r.campaign_id
        WHERE :campaign IS NULL OR c.id = :campaign
        ORDER BY c.id, r.id
        """,
        {"campaign": campaign_id},
    )
    broken = []
    for options, group in groupby(rows, key=lambda row: row["options"]):
        most = CampaignOptions.decode(options).attempts
        broken += [
            f"{row['name']} row {row['row']}: {row['attempts']} attempts, {row['tries']} tasks"
            for row in group
            if row["attempts"] > most + row["decided"]
            or not row["tries"] - row["released"] <= row["attempts"] <= row["tries"]
        ]
    return _finding("nobody has more attempts than there is budget for", broken)


def _optouts(conn: sqlite3.Connection, campaign_id: int | None) -> Finding:
    law = "nobody is written to after opting out"
    if "optouts" not in {row["name"] for row in conn.execute("PRAGMA database_list")}:
        return Finding(law, "cannot be told", "there is no opt-out store")
    rows = conn.execute(
        f"""
        SELECT r.row, t.tid FROM tasks AS t JOIN attempts AS a ON a.task_id = t.id
        JOIN recipients AS r ON r.id = a.recipient_id
        JOIN optouts.optouts AS o ON o.number = r.number
        WHERE {_OURS} AND t.posts > 0 AND t.intent_ms > o.at_ms + :jitter ORDER BY t.id, a.idx
        """,
        {"campaign": campaign_id, "jitter": _JITTER_MS},
    )
    return _finding(law, [f"row {row['row']} by tid {row['tid']}" for row in rows])
