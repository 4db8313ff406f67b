"""What a run really reached: faults, steps of the ladder, rules of reconciliation.

Product code holds no hooks for tests. What it did is read from what it wrote down: moves of states,
decisions with their reasons, incidents, evidence and verdicts.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter

from tests.simulation.scenario import ACTS, PUSH_FAULTS, REQUEST_FAULTS

_DECISIONS = (
    ("ladder 1: listed", "accepted", r"the device lists it"),
    ("ladder 2: another boot, not offered again", "fence", r"the device restarted since"),
    ("ladder 3: offered again", "repost", r""),
    ("ladder 4: fenced in doubt", "fence", r"no answer, not to be re-posted"),
    ("R6: silent task fenced", "fence", r"no word of it for push-silence"),
    ("R8: restart seen", "restart", r""),
    ("R8: fenced after a restart", "fence", r"the device restarted and lists it no more"),
    ("fence: cancelled", "fence", r"campaign was cancelled"),
    ("fence: opted out", "fence", r"opted out"),
    ("fence: its port does not send", "fence", r"port does not send"),
    ("released: waited and was removed", "release", r"paused, listed as waiting, removed"),
    ("released: the device's own counters", "release", r"the device's own counters"),
    ("released: refused", "release", r"refused"),
    ("released: never on the wire", "release", r"never on the wire"),
    ("collision: 13 on a first post", "alarm", r"answered 13"),
    ("doubt: an answer leaves a task out", "doubt", r"leaves this task out"),
    ("doubt: died between intent and answer", "doubt", r"the program ended"),
    ("retry after a proved failure", "retry", r""),
    ("decision: sent again", "resend", r""),
    ("decision: failed, sent again", "retry_failed", r""),
    ("decision: taken for sent", "resolved_sent", r""),
    ("no receipt in time", "no_receipt", r""),
)
_INCIDENTS = (
    ("R1: orphan", "orphan", r""),
    ("R2: a detail of no place here", "anomaly", r"not in the task"),
    ("collision: reports prove nothing", "anomaly", r"used by another system"),
)
_QUESTIONS = (
    ("R4: closed by details", "tasks WHERE verdict = 'every attempt final'"),
    ("R5: inferred from counters", "attempts WHERE evidence = 'inferred'"),
    ("R5: ambiguous", "recipients WHERE cause = 'ambiguous'"),
    ("R11: a receipt matched", "receipts WHERE task_id IS NOT NULL"),
    ("R11: a receipt parked", "receipts WHERE task_id IS NULL"),
    ("R11: proved by a receipt alone", "attempts WHERE evidence = 'receipt'"),
    ("R12: inbound kept", "inbound"),
    ("evidence: offered again and answered", "evidence WHERE kind = 'repost'"),
)


def what_happened(conn: sqlite3.Connection) -> Counter[str]:
    """How often each named thing happened in a ledger's life."""
    found: Counter[str] = Counter()
    for table, column, patterns in (
        ("decisions", "why", _DECISIONS),
        ("incidents", "detail", _INCIDENTS),
    ):
        rows = conn.execute(f"SELECT kind, {column} FROM {table}").fetchall()
        for name, kind, pattern in patterns:
            found[name] += sum(row[0] == kind and bool(re.search(pattern, row[1])) for row in rows)
    for name, question in _QUESTIONS:
        found[name] += conn.execute(f"SELECT count(*) FROM {question}").fetchone()[0]
    unknown = "SELECT cause, count(*) FROM recipients WHERE state = 'unknown' GROUP BY cause"
    for row in conn.execute(unknown):
        found[f"unknown: {row[0]}"] += row[1]
    return +found


_MOVES = (
    "recipient: unknown -> sent",  # R9: late evidence
    "recipient: unknown -> delivered",
    "recipient: assigned -> held",
    "recipient: assigned -> unknown",
    "recipient: assigned -> pending",
    "recipient: assigned -> cancelled",
    "recipient: pending -> skipped",
    "recipient: sent -> no_receipt",
    "task: accepted -> paused",
    "task: paused -> accepted",
    "task: doubt -> accepted",
    "task: intent -> planned",
    "task: fencing -> closed",
    "task: fenced -> closed",
)

REQUIRED = (
    *(name for name, *_ in (*_DECISIONS, *_INCIDENTS, *_QUESTIONS)),
    *_MOVES,
    *(f"fault: {name}" for name in (*REQUEST_FAULTS, *PUSH_FAULTS, "clock-1970")),
    *(f"act: {kind}" for kind in ACTS),
    "run ended by its ledger",
    *(f"unknown: {cause}" for cause in ("silence", "reboot", "no_answer", "timeout", "collision",
                                        "ambiguous", "unreachable")),
)  # fmt: skip
"""Everything that the seeds of the test must reach at least once."""
