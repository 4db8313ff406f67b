"""Delivery receipts: matched without a tid, parked until their message is known to be sent.

A receipt names device, port and recipient (spec §7.2.3). It belongs to the newest message to that
number from there that has none yet; with no recipient in it, only to a single candidate.

A receipt alone proves that a message went out which no report proves sent. That is believed only
where it can be nobody else's: receipts were asked for, and no other message to that number from
there may have been on air within the 72 hours in which receipts come.

In which order a message's detail, its receipt and its closing come does not matter. What is left to
order lies in what receipts cannot say: of several messages to one number through one port the
newest by then is taken (two campaigns may so exchange a delivered for an undelivered); one without
a recipient is matched when it comes or never; of two final receipts for one part the first counts.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from campaign.planner.states import Evidence, RecipientState
from campaign.protocol.codes import ReceiptClass, classify_receipt, receipt_meaning
from campaign.store.journal import Tally, incident

R = RecipientState


@dataclass(frozen=True)
class Receipt:
    """One receipt as pushed or polled; `number` may be empty, `at` is the device's clock."""

    port: int | None
    number: str
    at: int | None
    code: int
    ordinal: int = 1


def fold_receipt(
    conn: sqlite3.Connection, arrived_ms: int, gateway_id: int, receipt: Receipt
) -> bool:
    """Apply or park one receipt; False if it was seen before.

    `arrived_ms` is when it reached us, which may be days before it is folded.
    """
    if classify_receipt(receipt.code) is ReceiptClass.TRYING:
        return True  # the network has not given up: nothing to conclude yet
    cursor = conn.execute(
        """
        INSERT OR IGNORE INTO receipts (gateway_id, port, number, at, code, ordinal, received_ms)
        VALUES (?, ?, ?, ?, ?, ?, ?)
        """,
        (
            gateway_id,
            receipt.port,
            receipt.number,
            receipt.at,
            receipt.code,
            receipt.ordinal,
            arrived_ms,
        ),
    )
    if not cursor.rowcount:
        return False
    candidates = _candidates(conn, arrived_ms, gateway_id, receipt)
    if not receipt.number and len(candidates) != 1:
        if candidates:
            incident(
                conn, arrived_ms, "anomaly",
                "a receipt without a number fits more than one message",
                gateway_id=gateway_id,
            )  # fmt: skip
        return True
    if candidates:
        _match(conn, arrived_ms, int(cursor.lastrowid or 0), receipt, candidates[0])
    return True


_ANYBODY = """
    r.state = 'sent' AND r.campaign_id IN
        (SELECT id FROM campaigns WHERE state IN ('running', 'paused', 'waiting'))
"""

_ASKED_FOR = "coalesce(json_extract(c.options, '$.receipts'), 1)"
"""Whether the tasks of a campaign asked for receipts (they do by default)."""

_LIFE_MS = 72 * 3_600_000
"""A receipt comes within 72 hours, or is no longer waited for."""


def _nobody_elses(port: str, received_ms: str) -> str:
    """SQL: no other message to attempt a's number from there may have been on air."""
    return f"""
        NOT EXISTS (
            SELECT 1 FROM recipients AS q JOIN attempts AS b ON b.recipient_id = q.id
            JOIN tasks AS u ON u.id = b.task_id
            WHERE q.number = r.number AND (b.task_id, b.idx) <> (a.task_id, a.idx)
                AND u.gateway_id = t.gateway_id AND ({port} IS NULL OR u.port = {port})
                AND u.intent_ms > {received_ms} - {_LIFE_MS}
                AND (b.outcome IN ('sent', 'timeout') OR (b.outcome IS NULL
                    AND (b.live = 1 OR coalesce(u.verdict, '') NOT LIKE 'released%')))
        )
    """


_DECIDED = "('pending', 'held', 'assigned', 'sent', 'delivered', 'undelivered', 'no_receipt')"
"""States in which a recipient with an attempt that was never proved to be anything is only because
it is to be sent to again, or was."""


def _candidates(
    conn: sqlite3.Connection, arrived_ms: int, gateway_id: int, receipt: Receipt
) -> list[sqlite3.Row]:
    where = "r.number = :number" if receipt.number else _ANYBODY
    return conn.execute(
        f"""
        SELECT a.task_id, a.idx, a.recipient_id, a.receipts, a.receipt, a.outcome, r.parts, r.state,
            r.campaign_id, r.evidence, a.live
        FROM recipients AS r JOIN attempts AS a ON a.recipient_id = r.id
        JOIN tasks AS t ON t.id = a.task_id JOIN campaigns AS c ON c.id = r.campaign_id
        WHERE {where} AND t.gateway_id = :gateway AND (:port IS NULL OR t.port = :port)
            AND a.receipts < r.parts AND a.live = 0 AND {_ASKED_FOR}
            AND (a.outcome = 'sent'
                OR (t.intent_ms <= :arrived AND {_nobody_elses(":port", ":arrived")}))
            AND (a.outcome = 'sent' OR (a.outcome IS NOT 'failed' AND r.state = 'unknown')
                -- reported failed, yet the network has it; not if the device never took it
                OR (a.outcome = 'failed' AND a.evidence = 'report' AND r.state = 'failed')
                -- never proved to be anything, and somebody has decided about it since
                OR ((r.evidence = 'operator' OR r.state IN {_DECIDED})
                    AND (a.outcome = 'timeout' OR (a.outcome IS NULL AND t.state = 'closed'
                        AND t.verdict NOT LIKE 'released%'))))
            AND (a.at IS NULL OR :at IS NULL OR a.at <= :at)
        ORDER BY a.outcome IS 'failed', a.outcome IS NOT 'sent', a.task_id DESC, a.idx LIMIT 2
        """,
        {
            "number": receipt.number,
            "gateway": gateway_id,
            "port": receipt.port,
            "at": receipt.at,
            "arrived": arrived_ms,
        },
    ).fetchall()


def has_parked(conn: sqlite3.Connection, gateway_id: int) -> bool:
    """Whether any receipt of a gateway waits for its message (index receipts_parked)."""
    row = conn.execute(
        "SELECT 1 FROM receipts WHERE gateway_id = ? AND task_id IS NULL LIMIT 1", (gateway_id,)
    )
    return row.fetchone() is not None


def claim_parked(
    conn: sqlite3.Connection,
    gateway_id: int,
    task_id: int,
    *,
    open_too: bool = False,
) -> None:
    """Match receipts that came before their detail; `open_too`: also places that have none and
    will get none, for the receipt itself proves that they went out."""
    # one by one: several may be parts of one message, and a match changes what the next may be
    while True:
        row = conn.execute(
            # index receipts_parked is small: only receipts that are early or nobody's
            f"""
            SELECT p.id, p.port, p.number, p.at, p.code, p.received_ms, a.task_id, a.idx,
                a.recipient_id, a.receipts, a.receipt, a.outcome, r.parts, r.state, r.campaign_id,
                r.evidence, a.live
            FROM attempts AS a JOIN tasks AS t ON t.id = a.task_id
            JOIN recipients AS r ON r.id = a.recipient_id
            JOIN campaigns AS c ON c.id = r.campaign_id
            CROSS JOIN receipts AS p ON p.number = r.number
            WHERE a.task_id = ? AND p.gateway_id = ? AND p.task_id IS NULL
                AND (p.port IS NULL OR p.port = t.port) AND p.received_ms >= t.intent_ms
                AND (a.at IS NULL OR p.at IS NULL OR a.at <= p.at) AND a.receipts < r.parts
                AND {_ASKED_FOR}
                AND (a.outcome = 'sent' OR {_nobody_elses("p.port", "p.received_ms")})
                AND (a.outcome = 'sent' OR (? AND a.live = 1 AND a.outcome IS NULL)
                    OR (a.outcome = 'timeout' AND r.state = 'unknown')
                    OR (a.outcome = 'failed' AND a.evidence = 'report' AND r.state = 'failed'))
            ORDER BY p.id LIMIT 1
            """,
            (task_id, gateway_id, open_too),
        ).fetchone()
        if row is None:
            return
        receipt = Receipt(row["port"], row["number"], row["at"], row["code"])
        _match(conn, row["received_ms"], row["id"], receipt, row)


def _match(
    conn: sqlite3.Connection, now_ms: int, receipt_id: int, receipt: Receipt, row: sqlite3.Row
) -> None:
    trouble = _trouble(conn, row)
    if trouble is not None:
        incident(
            conn, now_ms, *trouble, campaign_id=row["campaign_id"], task_id=row["task_id"],
            recipient_id=row["recipient_id"],
        )  # fmt: skip
    conn.execute(
        "UPDATE receipts SET task_id = ?, idx = ? WHERE id = ?",
        (row["task_id"], row["idx"], receipt_id),
    )
    delivered = classify_receipt(receipt.code) is ReceiptClass.DELIVERED
    received = row["receipts"] + 1
    whole = not delivered or received >= row["parts"]
    # the first part that failed decides; later receipts of the message only count
    code = row["receipt"] if row["receipt"] is not None else receipt.code if whole else None
    conn.execute(
        """
        UPDATE attempts SET receipts = ?, receipt = ?, live = 0,
            outcome = 'sent',
            -- a detail is better evidence than a receipt, and a receipt better than an inference
            evidence = CASE WHEN outcome = 'sent' AND evidence = 'report' THEN evidence
                ELSE 'receipt' END
        WHERE task_id = ? AND idx = ?
        """,
        (received, code, row["task_id"], row["idx"]),
    )
    if trouble is not None and trouble[0] == "duplicate":
        return  # the recipient is what its other attempt made it
    state = _state_after(R(row["state"]), row["evidence"], delivered=delivered, whole=whole)
    if state is None:
        return
    if row["state"] == R.ASSIGNED and not row["live"]:  # what is on its way now is to be fenced
        conn.execute(
            "UPDATE attempts SET live = 0, reason = ? WHERE recipient_id = ? AND live = 1",
            ("an earlier attempt has a delivery receipt", row["recipient_id"]),
        )
    if row["state"] in (R.PENDING, R.HELD):  # it went out before it was sent again: no need to
        conn.execute(
            "UPDATE recipients SET state = 'sent', due_ms = NULL WHERE id = ?",
            (row["recipient_id"],),
        )
    conn.execute(
        """
        UPDATE recipients SET state = ?, evidence = 'receipt', delivered_at = ?, cause = NULL,
            code = ?, reason = ? WHERE id = ?
        """,
        (
            state,
            receipt.at if state is R.DELIVERED else None,
            None if delivered else receipt.code,
            None if delivered else receipt_meaning(receipt.code),
            row["recipient_id"],
        ),
    )
    tally = Tally()
    tally.moved(row["campaign_id"], row["state"], state)
    tally.store(conn)


def _trouble(conn: sqlite3.Connection, row: sqlite3.Row) -> tuple[str, str] | None:
    """(kind, words) of what this receipt contradicts, if anything."""
    if row["outcome"] == "failed":
        return "anomaly", "reported failed, yet it has a delivery receipt"
    if row["state"] == R.FAILED:
        return "anomaly", "resolved as failed, yet it has a delivery receipt"
    if (
        row["outcome"] != "sent"
        and conn.execute(
            "SELECT 1 FROM attempts WHERE recipient_id = ? AND task_id <> ? AND outcome = 'sent'",
            (row["recipient_id"], row["task_id"]),
        ).fetchone()
    ):
        return "duplicate", "two attempts have a delivery receipt"
    return None


def _state_after(state: R, evidence: str, *, delivered: bool, whole: bool) -> R | None:
    """The recipient's next state, None if this receipt moves nothing."""
    if state in (R.DELIVERED, R.UNDELIVERED, R.CANCELLED, R.SKIPPED, R.EXPIRED):
        return None
    if not whole:
        known = state in (R.SENT, R.NO_RECEIPT) and evidence != Evidence.OPERATOR
        return None if known else R.SENT
    return R.DELIVERED if delivered else R.UNDELIVERED
