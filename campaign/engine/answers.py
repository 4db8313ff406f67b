"""What the answer to a first post does to its tasks, by code class."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

from campaign.gateway.answers import (
    Answered,
    CredentialsBad,
    Doubtful,
    LegacyAnswered,
    LegacyOutcome,
    NeverSent,
    PostOutcome,
)
from campaign.planner.states import UnknownCause
from campaign.protocol.codes import CodeClass, classify_first_post, task_meaning
from campaign.store.claims import ClaimedTask, jump_tids
from campaign.store.gateways import update_gateway
from campaign.store.journal import decide, keep_evidence
from campaign.store.legacy import settle_taken
from campaign.store.tasks import mark_accepted, mark_doubt, mark_planned, reject

CREDENTIALS_REFUSED = "credentials refused"
"""How every alarm begins that a wrong user or password raised."""


@dataclass
class Effects:
    """What a dispatcher has to do after an answer was settled."""

    accepted: int = 0
    full_ports: set[int] = field(default_factory=set)
    sick_ports: set[int] = field(default_factory=set)
    working_ports: set[int] = field(default_factory=set)
    doubtful: bool = False
    never_sent: str | None = None
    strike: str | None = None
    stop: str | None = None


def settle_first_post(
    conn: sqlite3.Connection,
    now_ms: int,
    gateway_id: int,
    tasks: Sequence[ClaimedTask],
    outcome: PostOutcome,
    rng: random.Random,
) -> Effects:
    """Move every task of a POST by the device's word on it; silence about a task is doubt."""
    effects = Effects()
    ids = [task.id for task in tasks]
    match outcome:
        case NeverSent(reason):
            mark_planned(conn, ids)
            effects.never_sent = reason
        case Doubtful(reason):
            mark_doubt(conn, ids, now_ms, UnknownCause.NO_ANSWER)
            decide(conn, now_ms, "doubt", reason, gateway_id=gateway_id, task_id=ids[0])
            effects.doubtful = True
        case CredentialsBad(reason, raw):
            keep_evidence(conn, now_ms, gateway_id, "post", _tids(tasks), raw)
            for task in tasks:
                reject(conn, task.id, now_ms, 1, reason, fail=False)
            _stop(conn, now_ms, gateway_id, f"{CREDENTIALS_REFUSED}: {reason}", effects)
        case Answered(status, raw):
            keep_evidence(conn, now_ms, gateway_id, "post", _tids(tasks), raw)
            codes = {verdict.tid: verdict.code for verdict in status.verdicts}
            mark_accepted(conn, [t.id for t in tasks if codes.get(t.tid) == 0], now_ms)
            effects.accepted = sum(t.size for t in tasks if codes.get(t.tid) == 0)
            for task in tasks:
                if codes.get(task.tid) != 0:
                    _not_accepted(conn, now_ms, gateway_id, task, codes.get(task.tid), effects, rng)
    return effects


def settle_legacy(
    conn: sqlite3.Connection,
    now_ms: int,
    gateway_id: int,
    task: ClaimedTask,
    outcome: LegacyOutcome,
    rng: random.Random,
) -> Effects:
    """Settle one message of the old interface: taken is sent, and nothing more is ever told."""
    if not isinstance(outcome, LegacyAnswered):
        return settle_first_post(conn, now_ms, gateway_id, [task], outcome, rng)
    effects = Effects()
    keep_evidence(conn, now_ms, gateway_id, "post", str(task.tid), outcome.raw)
    if outcome.code == 0:
        settle_taken(conn, now_ms, task.id)
        effects.accepted = task.size
        effects.working_ports.add(task.port)
    elif classify_first_post(outcome.code) is CodeClass.DUPLICATE:
        effects.strike = f"{outcome.code} {outcome.reason}"  # it knows no ids to be used twice
        reject(conn, task.id, now_ms, outcome.code, effects.strike, fail=False)
    else:
        _not_accepted(conn, now_ms, gateway_id, task, outcome.code, effects, rng)
    return effects


def _not_accepted(
    conn: sqlite3.Connection,
    now_ms: int,
    gateway_id: int,
    task: ClaimedTask,
    code: int | None,
    effects: Effects,
    rng: random.Random,
) -> None:
    if code is None:
        mark_doubt(conn, [task.id], now_ms, UnknownCause.NO_ANSWER)
        decide(conn, now_ms, "doubt", "the answer leaves this task out", task_id=task.id)
        effects.doubtful = True
        return
    words = f"{code} {task_meaning(code)}"
    kind = classify_first_post(code)
    if kind is CodeClass.DUPLICATE:
        mark_doubt(conn, [task.id], now_ms, UnknownCause.COLLISION)
        why = "a tid never used here was answered 13: another system numbers tasks on this device"
        decide(conn, now_ms, "alarm", why, gateway_id=gateway_id, task_id=task.id)
        jump_tids(conn, rng)
        effects.doubtful = True
        return
    reject(conn, task.id, now_ms, code, words, fail=kind is CodeClass.BAD_CONTENT)
    match kind:
        case CodeClass.BACK_PRESSURE:
            effects.full_ports.add(task.port)
        case CodeClass.PORT_TROUBLE:
            effects.sick_ports.add(task.port)
        case CodeClass.CREDENTIALS:
            _stop(conn, now_ms, gateway_id, f"{CREDENTIALS_REFUSED}: {words}", effects)
        case CodeClass.OUR_FAULT:
            why = f"it answered {words}: it misreads our requests, or we its answers"
            _stop(conn, now_ms, gateway_id, why, effects)
        case CodeClass.BAD_CONTENT:
            decide(conn, now_ms, "alarm", words, gateway_id=gateway_id, task_id=task.id)
        case _:
            effects.strike = words


def _stop(
    conn: sqlite3.Connection, now_ms: int, gateway_id: int, why: str, effects: Effects
) -> None:
    if effects.stop is None:
        effects.stop = why
        update_gateway(conn, gateway_id, stopped=why)
        decide(conn, now_ms, "alarm", why, gateway_id=gateway_id)


def _tids(tasks: Sequence[ClaimedTask]) -> str:
    return ",".join(str(task.tid) for task in tasks)
