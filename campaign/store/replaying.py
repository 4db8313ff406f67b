"""Evidence, read anew: inbox rows and the ledger's own answers as items of a replay.

The inbox is streamed up to where the ledger has folded it; nothing of it is kept. Answers that do
not decode prove nothing, today as when they came.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby

from campaign.errors import RemoteProtocolError
from campaign.planner.replay import (
    Counted,
    Item,
    Judged,
    Listed,
    Receipted,
    Reported,
    Steered,
    TaskFacts,
)
from campaign.protocol.codec import (
    decode_push,
    decode_sms_page,
    decode_task_list,
    decode_task_status,
    decode_tids_answer,
)
from campaign.protocol.codes import (
    CodeClass,
    ReceiptClass,
    classify_first_post,
    classify_receipt,
)
from campaign.protocol.legacy import decode_legacy_answer
from campaign.protocol.messages import QueuedTask, ReceivedSms, RecvSms, StatusReport
from campaign.store.inbox import InboxReader, InboxRow
from campaign.store.journal import read_meta

_BATCH = 500
_PAUSED = 1


def why_not(conn: sqlite3.Connection, inbox: InboxReader | None, campaign_id: int) -> str | None:
    """Why the inbox beside a ledger cannot tell what was pushed of a campaign; None if it can."""
    cursor = int(read_meta(conn, "inbox_cursor") or 0)
    if not cursor:
        return None
    if inbox is None:
        return "there is no inbox beside the ledger"
    if read_meta(conn, "inbox_file") != inbox.file_id:
        return "the inbox is another file than the one that was folded"
    if inbox.last_id() < cursor:
        return "the inbox is older than the ledger: it ends before what was folded"
    first = next(iter(inbox.rows_after(0, 1)), None)
    if first is not None and first.id == 1:
        return None
    (begun,) = conn.execute(
        "SELECT min(created_ms) FROM tasks WHERE campaign_id = ?", (campaign_id,)
    ).fetchone()
    if begun is None or (first is not None and first.received_ms <= begun):
        return None
    return "the inbox was purged of what came while it ran"


def task_facts(conn: sqlite3.Connection, campaign_id: int) -> Iterator[TaskFacts]:
    """What was written down of a campaign's tasks before they were sent, and the tasks of others
    that ever had one of their tids there."""
    rows = conn.execute(
        """
        SELECT t.id, t.gateway_id, t.tid, t.port, t.created_ms, r.number
        FROM tasks AS t JOIN attempts AS a ON a.task_id = t.id
        JOIN recipients AS r ON r.id = a.recipient_id
        WHERE t.campaign_id = ? ORDER BY t.id, a.idx
        """,
        (campaign_id,),
    )
    for _, places in groupby(rows, key=lambda row: row["id"]):
        first = next(places)
        numbers = (row["number"] for row in (first, *places))
        yield _facts(first, numbers=tuple(numbers))
    others = conn.execute(
        # index tasks_tid
        """
        SELECT o.id, o.gateway_id, o.tid, o.port, o.created_ms FROM tasks AS t
        JOIN tasks AS o ON o.gateway_id = t.gateway_id AND o.tid = t.tid
        WHERE t.campaign_id = ? AND o.campaign_id <> t.campaign_id ORDER BY o.id
        """,
        (campaign_id,),
    )
    for row in others:
        yield _facts(row, foreign=True)


def _facts(row: sqlite3.Row, *, numbers: tuple[str, ...] = (), foreign: bool = False) -> TaskFacts:
    return TaskFacts(
        row["id"], row["gateway_id"], row["tid"], row["port"], row["created_ms"], numbers, foreign
    )


def pushed_items(conn: sqlite3.Connection, inbox: InboxReader) -> Iterator[Item]:
    """What devices pushed, as far as the ledger has folded it."""
    cursor, at = int(read_meta(conn, "inbox_cursor") or 0), 0
    while rows := inbox.rows_after(at, _BATCH):
        for row in rows:
            if row.id > cursor:
                return
            yield from _pushed(row)
        at = rows[-1].id


def _pushed(row: InboxRow) -> Iterator[Item]:
    try:
        push = decode_push(row.body, row.content_type, row.query)
    except RemoteProtocolError:
        return
    match push:
        case StatusReport():
            for report in push.reports:
                yield Reported(row.gateway_id, row.received_ms, report)
        case RecvSms():
            yield from _receipts(row.gateway_id, row.received_ms, push.messages)


def _receipts(gateway_id: int, at_ms: int, messages: Iterable[ReceivedSms]) -> Iterator[Receipted]:
    seen: Counter[tuple[int | None, str, int | None, int]] = Counter()
    for message in messages:
        if not message.receipt or message.receipt_code is None:
            continue
        port = message.port.number if message.port else None
        number, code = message.recipient_digits, message.receipt_code
        seen[port, number, message.at, code] += 1  # one for each part of a message
        same = message.at, code, seen[port, number, message.at, code]
        kind = classify_receipt(code)
        if kind is not ReceiptClass.TRYING:
            delivered = kind is ReceiptClass.DELIVERED
            yield Receipted(gateway_id, at_ms, port, number, delivered, same)


def answered_items(conn: sqlite3.Connection) -> Iterator[Item]:
    """What devices answered where an answer decides something (table evidence)."""
    old = _old_interfaces(conn)
    rows = conn.execute(
        """
        SELECT at_ms, gateway_id, kind, asked, answer FROM evidence
        WHERE kind IN ('post', 'repost', 'tasks', 'pause', 'remove', 'stat', 'inbox') ORDER BY id
        """
    )
    for row in rows:
        try:
            yield from _answered(row, row["gateway_id"] in old)
        except RemoteProtocolError:
            continue


def _old_interfaces(conn: sqlite3.Connection) -> set[int]:
    rows = conn.execute(
        """
        SELECT id FROM gateways WHERE json_extract(settings, '$."api-version"') = '1.0'
        UNION SELECT gateway_id FROM tasks WHERE verdict LIKE 'taken by the old interface%'
        """
    )
    return {row[0] for row in rows}


def _answered(row: sqlite3.Row, old: bool) -> Iterator[Item]:
    gateway_id, at_ms, asked, raw = row["gateway_id"], row["at_ms"], row["asked"], row["answer"]
    match row["kind"]:
        case "post" if old:
            yield Judged(gateway_id, at_ms, _legacy_codes(raw, asked))
        case "post" | "repost":
            yield Judged(gateway_id, at_ms, _codes(raw, asked), row["kind"] == "repost")
        case "tasks":
            paused = {task.tid: task.state == _PAUSED for task in _listed(raw)}
            yield Listed(gateway_id, at_ms, asked, paused)
        case "pause" | "remove":
            verdicts = decode_tids_answer(raw).verdicts or ()
            tids = frozenset(verdict.tid for verdict in verdicts if verdict.code == 0)
            yield Steered(gateway_id, at_ms, asked, row["kind"] == "remove", tids)
        case "stat" if asked.startswith("task "):
            yield Counted(gateway_id, at_ms, int(asked.removeprefix("task ")))
        case "inbox":
            yield from _receipts(gateway_id, at_ms, decode_sms_page(raw).messages)


def _codes(raw: bytes, asked: str) -> dict[int, int]:
    """The verdict on each task; a refusal of the user is one on every task of the request."""
    status = decode_task_status(raw)
    if not status.verdicts and classify_first_post(status.code) is CodeClass.CREDENTIALS:
        return dict.fromkeys(_tids(asked), status.code)
    return {verdict.tid: verdict.code for verdict in status.verdicts}


def _legacy_codes(raw: bytes, asked: str) -> dict[int, int]:
    answer = decode_legacy_answer(raw)
    return dict.fromkeys(_tids(asked), 0 if answer.ok else answer.code)


def _tids(asked: str) -> list[int]:
    return [int(tid) for tid in asked.split(",") if tid]


def _listed(raw: bytes) -> Iterator[QueuedTask]:
    """The tasks of every page of a sweep; its pages are stored one after the other."""
    text, decoder, at = raw.decode("utf-8", "replace").strip(), json.JSONDecoder(), 0
    while at < len(text):
        try:
            _, end = decoder.raw_decode(text, at)
        except ValueError:
            end = len(text)  # what the tolerant decoder may still read
        yield from decode_task_list(text[at:end].encode()).tasks
        at = end + len(text[end:]) - len(text[end:].lstrip())


def orphans(conn: sqlite3.Connection) -> Counter[int]:
    """Tids of which reports came while no task of ours had them on the wire."""
    rows = conn.execute(
        "SELECT detail FROM incidents WHERE kind = 'orphan' AND detail LIKE 'report for tid %'"
    )
    words = (row["detail"].removeprefix("report for tid ").partition(",")[0] for row in rows)
    return Counter(int(word) for word in words if word.isdigit())
