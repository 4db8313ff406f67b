"""A campaign replayed from empty, held against what is stored of it (invariant I14).

The replay knows nothing of the stored outcomes. Every outcome must be what the evidence proves,
every state must have its support, and whoever was given back must have been proved unsent. What
differs inside what the ledger itself records as a contradiction of the device is listed and passes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby
from typing import TypeAlias

from campaign.planner.reconcile import Conclusion, Counters
from campaign.planner.replay import DELIVERED, UNDELIVERED, Item, Replay, TaskReplay, proved_by
from campaign.planner.rulings import AGAIN
from campaign.planner.states import Evidence, Outcome, RecipientState
from campaign.store.audit import Finding
from campaign.store.credited import ALONE, CAME, compare_credits
from campaign.store.inbox import InboxReader
from campaign.store.replaying import answered_items, orphans, pushed_items, task_facts, why_not
from campaign.store.unproved import is_released

R = RecipientState
Order = Callable[[list[Item]], Iterable[Item]]
Word: TypeAlias = tuple[str, int | None]
"""The kind of a decision, and the task whose outcome it is about."""

OUTCOMES = "every outcome is what the evidence proves"
COUNTERS = "counters are the furthest that were reported"
SUPPORT = "every state has its support"
RELEASED = "whoever was given back was proved unsent"
ACCEPTED = "accepted tasks have an answer, a listing or a report"
LAWS = (OUTCOMES, COUNTERS, SUPPORT, RELEASED, ACCEPTED, CAME, ALONE)

_SHOWN = 10
_RESOLVED = {"resolved_sent": R.SENT, "resolved_failed": R.FAILED}


def replayed(
    conn: sqlite3.Connection,
    inbox: InboxReader | None,
    campaign_id: int,
    order: Order | None = None,
) -> list[Finding]:
    """Replay inbox and evidence of one campaign and compare, law by law.

    `order` may permute the items: every order gives the same findings. Without it they are streamed
    and memory is bounded by the campaign's size. Run it inside one read transaction where an engine
    may be writing.
    """
    why = why_not(conn, inbox, campaign_id)
    if why is not None:
        return [Finding(law, "cannot be told", why) for law in LAWS]
    replay = Replay(task_facts(conn, campaign_id))
    pushed = pushed_items(conn, inbox) if inbox is not None else iter(())
    items: Iterable[Item] = chain(pushed, answered_items(conn))
    for item in items if order is None else order(list(items)):
        replay.take(item)
    found = _Found()
    _compare_tasks(conn, campaign_id, replay, found)
    _compare_recipients(conn, campaign_id, replay, found)
    compare_credits(conn, campaign_id, replay, found.check)
    return found.findings()


@dataclass
class _Found:
    """Where stored and replayed differ, by law."""

    checked: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LAWS, 0))
    broken: dict[str, list[str]] = field(default_factory=lambda: {law: [] for law in LAWS})
    within: dict[str, list[str]] = field(default_factory=lambda: {law: [] for law in LAWS})

    def check(self, law: str, holds: bool, where: str, *, excused: bool = False) -> None:
        self.checked[law] += 1
        if not holds:
            (self.within if excused else self.broken)[law].append(where)

    def findings(self) -> list[Finding]:
        return [self._finding(law) for law in LAWS]

    def _finding(self, law: str) -> Finding:
        if self.broken[law]:
            return Finding(law, "broken", _some(self.broken[law]))
        if self.within[law]:
            return Finding(law, "within unknown", _some(self.within[law]))
        return Finding(law, "holds", f"{self.checked[law]} checked")


def _some(where: Sequence[str]) -> str:
    more = f" and {len(where) - _SHOWN} more" if len(where) > _SHOWN else ""
    return "; ".join(where[:_SHOWN]) + more


def _compare_tasks(
    conn: sqlite3.Connection, campaign_id: int, replay: Replay, found: _Found
) -> None:
    early = orphans(conn)
    rows = conn.execute(
        """
        SELECT id, tid, state, size, posts, doubt, accepted_ms, verdict, removed,
            c_sending, c_sent, c_failed, c_unsent
        FROM tasks WHERE campaign_id = ? ORDER BY id
        """,
        (campaign_id,),
    )
    for row in rows:
        task = replay.tasks.get(row["id"])
        if task is None:  # without a place; another law says so
            continue
        where = f"tid {row['tid']}"
        excused = _is_deaf(row, task) or row["tid"] in early
        reported = None if row["doubt"] == "collision" else task.evidence.counters
        found.check(
            COUNTERS, _counters(row) == reported, f"{where}: stored {_counters(row)}, reported"
            f" {reported}", excused=excused,
        )  # fmt: skip
        if row["accepted_ms"] is not None:
            found.check(ACCEPTED, task.on_device, f"{where} rests on nothing")
        verdict = row["verdict"] or ""
        if is_released(verdict):
            proof = _release_proof(row, verdict, task)
            found.check(RELEASED, proof is None, f"{where}: {proof}", excused=excused)


def _counters(row: sqlite3.Row) -> Counters | None:
    if row["c_sent"] is None:
        return None
    return Counters(row["c_sending"], row["c_sent"], row["c_failed"], row["c_unsent"])


def _is_deaf(row: sqlite3.Row, task: TaskReplay) -> bool:
    """Whether words about it may have been left out by rights: its tid was not ours alone, or its
    device both refused it and had it."""
    return row["doubt"] == "collision" or task.collided or (bool(task.refused) and task.on_device)


def _release_proof(row: sqlite3.Row, verdict: str, task: TaskReplay) -> str | None:
    """What is missing of the proof that a released task's open places never went out."""
    why = verdict.removeprefix("released: ")
    if why.startswith("refused: "):
        return None if task.refused else "no answer refuses it"
    if why.startswith("never on the wire"):
        if task.on_device:
            return "it was never on the wire, yet its device knows it"
        return None if row["posts"] == 0 else "never on the wire, yet it was posted"
    if why.startswith("paused, listed as waiting, removed"):
        if row["size"] != 1:
            return "only a task of one recipient is proved unsent by waiting"
        return None if task.waited else "no pause, listing and remove of it that prove it waited"
    if why.startswith("the device's own counters"):
        if not (task.counted and task.removed):
            return "no statistics and no remove of it"
        counters = task.evidence.counters
        at_rest = counters is not None and counters.sending == 0
        return None if at_rest or (counters is None and task.waited) else "it was not at rest"
    return f"nothing that is known proves {why!r}"


@dataclass(frozen=True)
class _Attempt:
    """One stored attempt beside its replay."""

    row: sqlite3.Row
    task: TaskReplay
    conclusion: Conclusion

    @property
    def idx(self) -> int:
        return int(self.row["idx"])

    @property
    def deaf(self) -> bool:
        return bool(self.row["doubt"] == "collision")

    @property
    def released(self) -> bool:
        """Closed as proved unsent, without an outcome of its own."""
        return is_released(self.row["verdict"]) and self.row["outcome"] is None

    @property
    def unproved(self) -> bool:
        """Nobody knows whether it went out: no outcome, or a timeout, in a task that is over."""
        if self.row["outcome"] == Outcome.TIMEOUT:
            return True
        return self.row["outcome"] is None and not self.row["live"] and not self.released

    @property
    def receipts(self) -> int:
        return self.task.receipts[self.idx - 1]

    def rightful(self) -> tuple[Outcome | None, str]:
        if self.row["outcome"] == Outcome.SENT and self.row["evidence"] == Evidence.ACCEPTED:
            return (Outcome.SENT, "accepted") if self.task.taken else (None, "none")
        receipt = self.row["receipts"] > 0
        if self.deaf:
            return (Outcome.SENT, "receipt") if receipt else (None, "none")
        return proved_by(
            self.conclusion, self.idx, receipt=receipt, bad_content=self.task.bad_content
        )


def _compare_recipients(
    conn: sqlite3.Connection, campaign_id: int, replay: Replay, found: _Found
) -> None:
    early, words = orphans(conn), _words(conn, campaign_id)
    conclusions = {task_id: task.conclude() for task_id, task in replay.tasks.items()}
    rows = conn.execute(
        """
        SELECT r.id AS recipient_id, r.row, r.state, r.evidence AS basis, r.cause, r.parts,
            a.task_id, a.idx, a.live, a.outcome, a.evidence, a.receipts, a.receipt,
            t.tid, t.doubt, t.verdict
        FROM recipients AS r LEFT JOIN attempts AS a ON a.recipient_id = r.id
        LEFT JOIN tasks AS t ON t.id = a.task_id
        WHERE r.campaign_id = ? ORDER BY r.id, a.task_id
        """,
        (campaign_id,),
    )
    for _, group in groupby(rows, key=lambda row: row["recipient_id"]):
        places = list(group)
        attempts = [
            _Attempt(row, replay.tasks[row["task_id"]], conclusions[row["task_id"]])
            for row in places
            if row["task_id"] is not None
        ]
        for attempt in attempts:
            _compare_attempt(attempt, replay, attempt.row["tid"] in early, found)
        first = places[0]
        lacking = _lacking(first, attempts, words.get(first["recipient_id"], set()))
        where = f"row {first['row']} is {first['state']}: {lacking}"
        found.check(SUPPORT, lacking is None, where)
        if first["state"] in _GIVEN_BACK:
            _check_given_back(first, attempts, words.get(first["recipient_id"], set()), found)


def _words(conn: sqlite3.Connection, campaign_id: int) -> dict[int, set[Word]]:
    """What somebody decided about single recipients, by recipient."""
    words: dict[int, set[Word]] = {}
    rows = conn.execute(
        """
        SELECT recipient_id, kind, task_id FROM decisions WHERE campaign_id = ?
            AND kind IN ('resolved_sent', 'resolved_failed', 'resend', 'retry_failed')
        """,
        (campaign_id,),
    )
    for row in rows:
        words.setdefault(row["recipient_id"], set()).add((row["kind"], row["task_id"]))
    return words


def _compare_attempt(attempt: _Attempt, replay: Replay, early: bool, found: _Found) -> None:
    row, rightful = attempt.row, attempt.rightful()
    stored = (None if row["outcome"] is None else Outcome(row["outcome"]), row["evidence"])
    where = f"tid {row['tid']} place {row['idx']}: {_said(stored)}, proved {_said(rightful)}"
    known = not attempt.conclusion.consistent or _is_deaf(row, attempt.task) or early
    found.check(OUTCOMES, stored == rightful, where, excused=known)
    named = bool(attempt.receipts) or replay.has_nameless(attempt.task)
    if row["receipts"] and not named:
        found.check(OUTCOMES, False, f"tid {row['tid']} place {row['idx']}: no receipt names it")


def _said(proved: tuple[Outcome | None, str]) -> str:
    return "nothing" if proved[0] is None else f"{proved[0]} by {proved[1]}"


_GIVEN_BACK = frozenset({R.PENDING, R.HELD, R.CANCELLED, R.EXPIRED, R.SKIPPED})


def _check_given_back(
    first: sqlite3.Row, attempts: Sequence[_Attempt], words: set[Word], found: _Found
) -> None:
    """Whoever waits again, or never will, after a task: each attempt failed or was taken back, or
    somebody decided, about that very attempt, to send again."""
    decided = {task_id for kind, task_id in words if kind in AGAIN}
    open_ends = [
        attempt
        for attempt in attempts
        if attempt.unproved and attempt.row["task_id"] not in decided
    ]
    where = f"row {first['row']} is {first['state']}, yet tid "
    where += ", ".join(str(attempt.row["tid"]) for attempt in open_ends)
    if attempts:
        found.check(RELEASED, not open_ends, f"{where} may have gone out")


def _lacking(row: sqlite3.Row, attempts: Sequence[_Attempt], words: set[Word]) -> str | None:
    """What a recipient's state lacks; None if it has its support."""
    outcomes = {attempt.row["outcome"] for attempt in attempts}
    state = R(row["state"])
    if row["basis"] == Evidence.OPERATOR:
        resolved = {_RESOLVED[kind] for kind, _ in words if kind in _RESOLVED}
        return None if state in {*resolved, R.NO_RECEIPT} and resolved else "nobody decided so"
    match state:
        case R.SENT | R.NO_RECEIPT:
            return None if Outcome.SENT in outcomes else "no attempt is proved sent"
        case R.DELIVERED | R.UNDELIVERED:
            return _lacking_receipt(state, attempts)
        case R.FAILED:
            return None if Outcome.FAILED in outcomes else "no attempt is proved failed"
        case R.UNKNOWN:
            return _lacking_doubt(row, attempts)
        case R.ASSIGNED:
            live = sum(attempt.row["live"] for attempt in attempts)
            return None if live == 1 else f"{live} attempts are live"
        case _:
            return "an attempt is proved sent" if Outcome.SENT in outcomes else None


def _lacking_receipt(state: R, attempts: Iterable[_Attempt]) -> str | None:
    bit = DELIVERED if state is R.DELIVERED else UNDELIVERED
    matched = [attempt for attempt in attempts if attempt.row["receipts"]]
    if not matched:
        return "no attempt has a receipt"
    if any(attempt.receipts & bit for attempt in matched):
        return None
    # one without a number was matched by device and port alone; the outcomes' law looks after it
    return "no receipt says so" if any(attempt.receipts for attempt in matched) else None


def _lacking_doubt(row: sqlite3.Row, attempts: Sequence[_Attempt]) -> str | None:
    if any(attempt.row["outcome"] == Outcome.SENT for attempt in attempts):
        return "an attempt is proved sent"
    if row["cause"] == "restored" or any(attempt.unproved for attempt in attempts):
        return None
    return "every attempt is proved"
