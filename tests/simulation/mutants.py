"""Mutants: the mistakes of this field, made in our own code, so that the suite can catch them.

Each is a context manager that replaces one decision by the mistaken one. Here, and only here, our
own modules are patched: a check that was never seen to fail proves nothing.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from campaign.engine import answers, claiming, dispatch, doubt, fencing, wire
from campaign.engine.device import Gateway
from campaign.engine.runtime import Run
from campaign.gateway.answers import Doubtful, StatsReading, TidsReading
from campaign.planner import reconcile, retry
from campaign.planner.settings import Settings
from campaign.protocol.codec import task_digest
from campaign.protocol.messages import TaskReport
from campaign.protocol.ports import Port
from campaign.receiver.sink import InboxSink
from campaign.store import claims, opening, outcomes
from campaign.store.tasks import TaskRow, live_tasks

Mutant = Callable[[], AbstractContextManager[None]]


@contextmanager
def _replaced(*places: tuple[Any, str, Any]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for owner, name, value in places:
            stack.enter_context(patch.object(owner, name, value))
        yield


@contextmanager
def intent_after_the_wire() -> Iterator[None]:
    """The claim is forgotten again, posted, and written down only then."""
    claim, post = claims.claim_due, dispatch._post
    orders: dict[int, tuple[Any, Any]] = {}

    def uncommitted(conn: sqlite3.Connection, order: Any, build: Any) -> Any:
        conn.execute("SAVEPOINT mutant")
        claimed = claim(conn, order, build)
        conn.execute("ROLLBACK TO mutant")
        conn.execute("RELEASE mutant")
        if claimed.tasks:
            orders[claimed.tasks[0].tid] = (order, build)
        return claimed

    async def late(run: Run, gateway: Gateway, claimed: Sequence[Any], began: Any) -> None:
        order = orders.pop(claimed[0].tid, None)
        if order is None:
            await post(run, gateway, claimed, began)
            return
        settings = run.settings(gateway, claimed[0].campaign_id)
        body = await wire.request_body(
            run, gateway, settings, [(task.campaign_id, task.body) for task in claimed]
        )
        outcome = await gateway.device.post(body)
        again = (await run.write(claim, *order)).tasks
        await run.write(
            answers.settle_first_post, run.now_ms(), gateway.id, again, outcome, run.env.rng
        )
        run.changed.ring()

    with _replaced((claiming, "claim_due", uncommitted), (dispatch, "_post", late)):
        yield


@contextmanager
def timeout_is_failure() -> Iterator[None]:
    """No answer in time: the tasks count as not sent and go out again."""
    settle = answers.settle_first_post

    def mutated(conn: Any, now_ms: int, gateway_id: int, tasks: Any, outcome: Any, rng: Any) -> Any:
        if isinstance(outcome, Doubtful):
            for task in tasks:
                claims.release(conn, task.id, now_ms, "refused: no answer")
            return answers.Effects()
        return settle(conn, now_ms, gateway_id, tasks, outcome, rng)

    with _replaced((dispatch, "settle_first_post", mutated)):
        yield


@contextmanager
def new_tid_on_retry() -> Iterator[None]:
    """A doubtful task is offered again under another number."""

    async def mutated(
        run: Run, gateway: Gateway, tasks: Sequence[TaskRow], _asked: object
    ) -> set[int]:
        for task in tasks:
            await run.write(claims.release, task.id, run.now_ms(), "refused: in doubt")
        run.ring()
        return {task.id for task in tasks}

    with _replaced((doubt, "_repost", mutated)):
        yield


@contextmanager
def repost_without_boot_check() -> Iterator[None]:
    """Offered again to a device that may have forgotten everything."""

    def mutated(run: Run, gateway: Gateway, task: TaskRow, _boot: str | None) -> bool:
        return task.intent_ms is not None

    with _replaced((doubt, "_may_repost", mutated)):
        yield


@contextmanager
def repost_before_the_horizon() -> Iterator[None]:
    """Offered again while a report may still be on its way."""
    with _replaced((Settings, "doubt_wait", property(lambda _self: 0.0))):
        yield


@contextmanager
def ambiguous_closed_at_once() -> Iterator[None]:
    """Given up as soon as the fence was answered, without waiting for buffered reports."""

    def mutated(_run: Run, _gateway: Gateway, task: TaskRow) -> int:
        return task.fenced_ms or 0

    with _replaced(
        (fencing, "_over_ms", mutated), (fencing, "_proved_unsent", lambda *_args: False)
    ):
        yield


@contextmanager
def counters_across_epochs() -> Iterator[None]:
    """The latest counters are believed, whether or not they account for the whole task."""

    def told(report: TaskReport, _size: int) -> reconcile.Counters:
        counts = (report.sending, report.sent, report.failed, report.unsent)
        return reconcile.Counters(*(count or 0 for count in counts))

    def latest(_one: object, other: object) -> object:
        return other

    with _replaced((reconcile, "_counters", told), (reconcile, "_further", latest)):
        yield


@contextmanager
def several_ports() -> Iterator[None]:
    """A task of one recipient names two ports: the device sends it by each."""
    build = wire.builder

    def mutated(campaign: Any, settings: Settings, files: str) -> Any:
        inner = build(campaign, settings, files)

        def make(tid: int, port: int, numbers: Sequence[str], text: str | None) -> Any:
            body, _ = inner(tid, port, numbers, text)
            other = 1 if port > 1 else 2
            ports = f'"from":"{Port(port)},{Port(other)}"'.encode()
            before = f'"from":"{Port(port)}"'.encode()
            changed = body.replace(before, ports)
            return changed, task_digest(changed)

        return make

    with _replaced((claiming, "builder", mutated)):
        yield


@contextmanager
def answered_before_the_commit() -> Iterator[None]:
    """The receiver says 200 and writes with the next push."""
    waiting: list[Any] = []

    async def mutated(self: InboxSink, arrived: Any) -> None:
        late, waiting[:] = list(waiting), [arrived]
        self._inbox.append_many(late)
        self._on_commit()

    with _replaced((InboxSink, "commit", mutated)):
        yield


@contextmanager
def timeout_row_retried() -> Iterator[None]:
    """`6 Timeout` in a report is taken for a proved failure."""
    judge = retry.judge_failure

    def mutated(program: int | None, *rest: Any) -> Any:
        failure = judge(program, *rest)
        if program == 6:
            return replace(failure, kind=retry.FailureKind.TRANSIENT)
        return failure

    with _replaced((reconcile, "judge_failure", mutated)):
        yield


@contextmanager
def removed_is_unsent() -> Iterator[None]:
    """`0` to a remove is taken for proof that nothing went out."""
    settle = fencing._settle_fence

    def mutated(
        conn: Any, now_ms: int, gateway_id: int, tasks: Any, paused: Any, listed: Any,
        removed: TidsReading, late: Any,
    ) -> None:  # fmt: skip
        for task in live_tasks(conn, gateway_id):
            if task.id in {t.id for t in tasks} and removed.codes().get(task.tid) == 0:
                claims.release(conn, task.id, now_ms, "removed", avoid=f"{gateway_id}:{task.port}")
        settle(conn, now_ms, gateway_id, tasks, paused, listed, removed, late)

    with _replaced((fencing, "_settle_fence", mutated)):
        yield


@contextmanager
def released_on_first_counters() -> Iterator[None]:
    """The counters known when the fence is answered decide, although what was on air then has not
    been reported yet."""

    def due_at_once(_run: Run, _gateway: Gateway, task: TaskRow) -> int:
        return task.fenced_ms or 0

    def proved(conn: Any, task: TaskRow, _boot: str, _stats: StatsReading) -> bool:
        counters = outcomes.task_counters(conn, task.id)
        return counters is None or counters.unsent > 0

    with _replaced((fencing, "_over_ms", due_at_once), (fencing, "_proved_unsent", proved)):
        yield


@contextmanager
def ledger_not_synced() -> Iterator[None]:
    """synchronous = NORMAL: the last commits are gone after a power cut."""
    connect = opening._connect

    class Lax(sqlite3.Connection):
        def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
            return super().execute(sql.replace("synchronous = FULL", "synchronous = NORMAL"), *args)

    def mutated(uri: str) -> sqlite3.Connection:
        strict = connect(uri)
        strict.close()
        conn = sqlite3.connect(
            uri, uri=True, isolation_level=None, check_same_thread=False, factory=Lax
        )
        conn.row_factory = sqlite3.Row
        return conn

    with _replaced((opening, "_connect", mutated)):
        yield


MUTANTS: dict[str, Mutant] = {
    mutant.__name__.replace("_", " "): mutant
    for mutant in (
        intent_after_the_wire,
        timeout_is_failure,
        new_tid_on_retry,
        repost_without_boot_check,
        repost_before_the_horizon,
        ambiguous_closed_at_once,
        counters_across_epochs,
        several_ports,
        answered_before_the_commit,
        timeout_row_retried,
        removed_is_unsent,
        released_on_first_counters,
        ledger_not_synced,
    )
}
"""The mutants RELIABILITY names, and one of ours (the last)."""
