"""The invariants of RELIABILITY, checked against every commit and against the ground truth.

An independent checker: it knows the ledger's tables and the simulators' truth, and none of the
product's own decisions. `after_commit` looks at what one commit touched, `at_checkpoint` at the
whole ledger, `at_the_end` at what must hold once everything is over.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from campaign.planner.states import RECIPIENT_MOVES, TASK_MOVES
from campaign.protocol.device_codec import decode_task
from campaign.simulator.truth import Attempt
from tests.simulation.witness import Touched

_RANK = {None: 0, "timeout": 1, "failed": 2, "sent": 3}
_WENT_OUT = ("sent", "delivered", "undelivered", "no_receipt")
_NEVER = ("failed", "cancelled", "skipped", "expired", "pending", "held")
_RECIPIENT_MOVES = frozenset((str(old), str(new)) for old, new in RECIPIENT_MOVES)
_TASK_MOVES = frozenset((str(old), str(new)) for old, new in TASK_MOVES)
_BY_DECISION = "('resend', 'retry_failed')"
"""Kinds of decisions that permit one more attempt each."""
_WAITED_FOR = ("silence", "reboot", "no_answer", "ambiguous")


class Broken(AssertionError):
    """An invariant does not hold."""

    def __init__(self, law: str, detail: str) -> None:
        super().__init__(f"{law}: {detail}")
        self.law = law


@dataclass
class Checker:
    """Remembers what may never change, and compares."""

    horizons: Mapping[int, float]
    """Report horizon in seconds, by gateway."""
    _tasks: dict[int, tuple[int, int, str, str]] = field(default_factory=dict)
    _progress: dict[int, int] = field(default_factory=dict)
    _opted_out: set[str] = field(default_factory=set)

    # -- after every commit ----------------------------------------------------------------

    def after_commit(self, conn: sqlite3.Connection, changes: Sequence[Touched]) -> None:
        recipients: set[int] = set()
        tasks: set[int] = set()
        for change in changes:
            match change.kind:
                case "recipient":
                    _legal("recipient", _RECIPIENT_MOVES, change)
                    recipients.add(change.a)
                case "task":
                    if change.old is not None and change.old != change.new:
                        _legal("task", _TASK_MOVES, change)
                    tasks.add(change.a)
                case "intent":
                    self._intent(conn, change.a, change.b)
                    tasks.add(change.a)
                case "attempt":
                    if _RANK[change.new] < _RANK[change.old]:
                        raise Broken("I9", f"attempt {change.a}/{change.b} fell back: {change}")
                case "deleted":
                    raise Broken("I1", f"recipient {change.a} was deleted while {change.old}")
        for recipient in sorted(recipients):
            _one_live_attempt(conn, recipient)
        for task in sorted(tasks):
            self._task(conn, task)

    def _intent(self, conn: sqlite3.Connection, task_id: int, idx: int) -> None:
        """A new attempt: nobody who opted out, nobody without the right to one more."""
        row = conn.execute(
            """
            SELECT r.id, r.number, r.campaign_id, c.options,
                (SELECT 1 FROM optouts.optouts AS o WHERE o.number = r.number) AS opted_out
            FROM attempts AS a JOIN recipients AS r ON r.id = a.recipient_id
            JOIN campaigns AS c ON c.id = r.campaign_id WHERE a.task_id = ? AND a.idx = ?
            """,
            (task_id, idx),
        ).fetchone()
        if row["opted_out"]:
            raise Broken("I13", f"task {task_id}: intent for recipient {row['id']} who opted out")
        earlier = conn.execute(
            """
            SELECT a.outcome, a.evidence, t.verdict FROM attempts AS a
            JOIN tasks AS t ON t.id = a.task_id
            WHERE a.recipient_id = ? AND a.task_id <> ? ORDER BY a.task_id
            """,
            (row["id"], task_id),
        ).fetchall()
        spent = [e for e in earlier if not (e["verdict"] or "").startswith("released")]
        (decided,) = conn.execute(
            f"SELECT count(*) FROM decisions WHERE recipient_id = ? AND kind IN {_BY_DECISION}",
            (row["id"],),
        ).fetchone()
        unproved = [e for e in spent if e["outcome"] != "failed"]
        if len(unproved) > decided:
            raise Broken("I10", f"recipient {row['id']}: tried again without proof or decision")
        retries = _retries(row["options"])
        if len(spent) > retries + decided:
            raise Broken("I10", f"recipient {row['id']}: attempt {len(spent) + 1} of {retries + 1}")

    def _task(self, conn: sqlite3.Connection, task_id: int) -> None:
        row = conn.execute(
            """
            SELECT id, gateway_id, tid, port, body, sha256, state, size, closed_ms, fenced_ms,
                fence, verdict, coalesce(c_sent, 0) + coalesce(c_failed, 0) AS progress,
                (SELECT count(*) FROM attempts WHERE task_id = tasks.id AND live = 1) AS live
            FROM tasks WHERE id = ?
            """,
            (task_id,),
        ).fetchone()
        if row["state"] == "closed" and row["live"]:
            raise Broken("I3", f"task {task_id} is closed with {row['live']} live attempts")
        digest = hashlib.sha256(row["body"]).hexdigest()
        known = self._tasks.get(task_id)
        now = (row["gateway_id"], row["tid"], row["sha256"], digest)
        if known is None:
            self._first_sight(conn, row)
            self._tasks[task_id] = now
        elif known != now:
            raise Broken("I5", f"task {task_id} changed after its intent")
        if row["progress"] < self._progress.get(task_id, 0):
            raise Broken("I8", f"task {task_id}: its counters fell")
        self._progress[task_id] = row["progress"]
        self._waited(conn, row)

    def _first_sight(self, conn: sqlite3.Connection, row: sqlite3.Row) -> None:
        (same,) = conn.execute(
            "SELECT count(*) FROM tasks WHERE gateway_id = ? AND tid = ?",
            (row["gateway_id"], row["tid"]),
        ).fetchone()
        if same > 1:
            raise Broken("I5", f"tid {row['tid']} is used twice on gateway {row['gateway_id']}")
        task = decode_task(row["body"])
        numbers = [number.lstrip("+") for number in task.to]
        stored = [
            r["number"]
            for r in conn.execute(
                """
                SELECT r.number FROM attempts AS a JOIN recipients AS r ON r.id = a.recipient_id
                WHERE a.task_id = ? ORDER BY a.idx
                """,
                (row["id"],),
            )
        ]
        if task.port is None or task.port.number != row["port"]:
            raise Broken("I11", f"task {row['id']} does not name its one port")
        if numbers != stored or len(set(numbers)) != len(numbers) or task.tid != row["tid"]:
            raise Broken("I11", f"task {row['id']}: its object is not its attempts")

    def _waited(self, conn: sqlite3.Connection, row: sqlite3.Row) -> None:
        """A fenced task is given up only a whole report horizon after its fence's answer."""
        if row["state"] != "closed" or row["fenced_ms"] is None:
            return
        unknown = conn.execute(
            """
            SELECT 1 FROM attempts AS a JOIN recipients AS r ON r.id = a.recipient_id
            WHERE a.task_id = ? AND a.outcome IS NULL AND r.state = 'unknown' AND r.cause IN
                ('silence', 'reboot', 'no_answer', 'ambiguous') LIMIT 1
            """,
            (row["id"],),
        ).fetchone()
        released = (row["verdict"] or "").startswith("released: the device's own counters")
        waited = row["closed_ms"] - row["fenced_ms"]
        if (unknown or released) and waited < self.horizons[row["gateway_id"]] * 1000 - 1:
            raise Broken("horizon", f"task {row['id']} was given up {waited} ms after its fence")

    # -- at checkpoints --------------------------------------------------------------------

    def at_checkpoint(self, conn: sqlite3.Connection) -> None:
        """I1, and I2 for everybody."""
        sums = conn.execute(
            "SELECT campaign_id, state, count(*) FROM recipients GROUP BY 1, 2 ORDER BY 1, 2"
        ).fetchall()
        tallies = conn.execute(
            "SELECT campaign_id, state, n FROM tallies WHERE n > 0 ORDER BY 1, 2"
        ).fetchall()
        if [tuple(row) for row in sums] != [tuple(row) for row in tallies]:
            raise Broken("I1", f"sums {list(map(tuple, sums))}, kept {list(map(tuple, tallies))}")
        (wrong,) = conn.execute(
            """
            SELECT count(*) FROM recipients AS r WHERE (r.state = 'assigned') <>
                EXISTS (SELECT 1 FROM attempts AS a WHERE a.recipient_id = r.id AND a.live = 1)
            """
        ).fetchone()
        if wrong:
            raise Broken("I2", f"{wrong} recipients")


def _legal(what: str, moves: frozenset[tuple[str, str]], change: Touched) -> None:
    if change.old != change.new and (change.old, change.new) not in moves:
        raise Broken("moves", f"{what} {change.a}: {change.old} -> {change.new}")


def _one_live_attempt(conn: sqlite3.Connection, recipient: int) -> None:
    row = conn.execute(
        """
        SELECT state, (SELECT count(*) FROM attempts WHERE recipient_id = r.id AND live = 1) AS live
        FROM recipients AS r WHERE id = ?
        """,
        (recipient,),
    ).fetchone()
    if row is not None and row["live"] != (row["state"] == "assigned"):
        raise Broken("I2", f"recipient {recipient} is {row['state']} with {row['live']} live")


def _retries(options: str) -> int:
    found = options.partition('"retries":')[2]
    digits = found[: next((i for i, c in enumerate(found) if not c.isdigit()), len(found))]
    return int(digits) if digits else 2


# -- against the ground truth ------------------------------------------------------------------


@dataclass(frozen=True)
class Facts:
    """Ledger and ground truth side by side: how often each (campaign, number) really went out."""

    on_air: Counter[tuple[int, str]]
    refused: Counter[tuple[int, str]]
    strangers: int


def on_air(
    conn: sqlite3.Connection, names: Mapping[str, int], attempts: Sequence[Attempt]
) -> Facts:
    """Assign every transmission to the task whose tid it carries. `names`: gateway id by name."""
    owners = {
        (row["gateway_id"], row["tid"]): row
        for row in conn.execute("SELECT id, gateway_id, tid, campaign_id, body FROM tasks")
    }
    air: Counter[tuple[int, str]] = Counter()
    refused: Counter[tuple[int, str]] = Counter()
    strangers = 0
    for attempt in attempts:
        if attempt.text == STRANGERS_TEXT:
            strangers += 1
            continue
        owner = owners.get((names[attempt.device], attempt.tid))
        if owner is None:
            raise Broken("I4", f"tid {attempt.tid} went on air without an intent")
        number = attempt.number.lstrip("+")
        (air if attempt.ok else refused)[owner["campaign_id"], number] += 1
    return Facts(air, refused, strangers)


STRANGERS_TEXT = "from another system"


def against_truth(conn: sqlite3.Connection, facts: Facts) -> None:
    """I6 and I7: nobody twice, and no fact the truth denies."""
    decided: Counter[tuple[int, str]] = Counter(
        {
            (row[0], row[1]): row[2]
            for row in conn.execute(
                f"""
                SELECT r.campaign_id, r.number, count(*) FROM decisions AS d
                JOIN recipients AS r ON r.id = d.recipient_id
                WHERE d.kind IN {_BY_DECISION} GROUP BY 1, 2
                """
            )
        }
    )
    for key, times in facts.on_air.items():
        if times > 1 + decided[key]:
            raise Broken("I6", f"campaign {key[0]}: a number went out {times} times")
    for row in conn.execute("SELECT id, campaign_id, number, state, evidence FROM recipients"):
        key = (row["campaign_id"], row["number"])
        times = facts.on_air[key]
        if row["evidence"] == "operator" or decided[key]:
            continue
        if row["state"] in _WENT_OUT and not times:
            raise Broken("I7", f"recipient {row['id']} is {row['state']}, but never went out")
        if row["state"] in _NEVER and times:
            raise Broken("I7", f"recipient {row['id']} is {row['state']}, but went out")
