"""The async door to the ledger: sync functions inside one transaction.

`fn(conn, *args)` contains no await and decides everything between BEGIN IMMEDIATE and COMMIT. Two
executors stand behind the same door: `InlineStore` runs `fn` at once (simulations, short commands),
`ThreadStore` hands it to one writer thread that commits all waiting functions together, each in a
savepoint of its own, so that many tasks share one fsync. A waiting write is shielded from
cancellation in both: whoever is cancelled still learns what became durable.
"""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import trio

from campaign.errors import StoreError
from campaign.store.trouble import told

P = ParamSpec("P")
R = TypeVar("R")
Step = Callable[Concatenate[sqlite3.Connection, P], R]


class Store(Protocol):
    """What the engine knows of the ledger's door."""

    async def write(self, fn: Step[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `fn` in an immediate transaction; durable when this returns."""
        ...

    async def read(self, fn: Step[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `fn` outside any write."""
        ...


@contextlib.contextmanager
def transaction(conn: sqlite3.Connection) -> Iterator[None]:
    """BEGIN IMMEDIATE … COMMIT: deferred transactions fail at once when a read turns to a write."""
    conn.execute("BEGIN IMMEDIATE")
    try:
        yield
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:  # a full disk has undone it already; a refused COMMIT has not
            conn.execute("ROLLBACK")
        raise


class InlineStore:
    """The door without a thread: for virtual time, where a worker thread would look idle."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    async def write(self, fn: Step[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        with trio.CancelScope(shield=True):
            await trio.lowlevel.checkpoint()
        try:
            with transaction(self._conn):
                result = fn(self._conn, *args, **kwargs)
        except sqlite3.Error as error:
            raise StoreError(f"the ledger refused a write: {told(error)}") from error
        with trio.CancelScope(shield=True):
            await trio.lowlevel.checkpoint()
        return result

    async def read(self, fn: Step[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        await trio.lowlevel.checkpoint()
        try:
            return fn(self._conn, *args, **kwargs)
        except sqlite3.Error as error:
            raise StoreError(f"the ledger could not be read: {told(error)}") from error


@dataclass
class _Job:
    fn: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    writes: bool
    waiter: trio.lowlevel.Task | None = None
    result: Any = None
    error: BaseException | None = None


class ThreadStore:
    """The door of production: one writer thread, group commit.

    Use as an async context manager; leaving it finishes what was handed in and joins the thread.
    """

    _MOST_PER_COMMIT = 64

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._token: trio.lowlevel.TrioToken | None = None
        self._open = False

    async def __aenter__(self) -> ThreadStore:
        self._token = trio.lowlevel.current_trio_token()
        self._thread.start()
        self._open = True
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._open = False
        self._jobs.put(None)
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(self._thread.join)

    async def write(self, fn: Step[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._submit(_Job(fn, args, kwargs, writes=True))  # type: ignore[no-any-return]  # the queue forgets R

    async def read(self, fn: Step[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._submit(_Job(fn, args, kwargs, writes=False))  # type: ignore[no-any-return]  # the queue forgets R

    async def _submit(self, job: _Job) -> Any:
        if not self._open:  # nobody would answer, and the wait below cannot be cancelled
            raise StoreError("the ledger's door is closed")
        job.waiter = trio.lowlevel.current_task()
        self._jobs.put(job)  # answered by way of the loop: not before this task waits
        await trio.lowlevel.wait_task_rescheduled(_not_now)
        if isinstance(job.error, sqlite3.Error):
            what = "refused a write" if job.writes else "could not be read"
            raise StoreError(f"the ledger {what}: {told(job.error)}") from job.error
        if job.error is not None:
            raise job.error
        return job.result

    def _run(self) -> None:
        closing = False
        while not closing:
            batch = [self._jobs.get()]
            while len(batch) < self._MOST_PER_COMMIT and not self._jobs.empty():
                batch.append(self._jobs.get())
            closing = None in batch
            jobs = [job for job in batch if job is not None]
            self._commit([job for job in jobs if job.writes])
            for job in jobs:
                if not job.writes:
                    self._attempt(job)
            self._announce(jobs)

    def _commit(self, jobs: list[_Job]) -> None:
        if not jobs:
            return
        try:
            with transaction(self._conn):
                if len(jobs) == 1:
                    self._alone(jobs[0])
                else:
                    for job in jobs:
                        self._in_savepoint(job)
        except BaseException as error:  # noqa: BLE001 - every waiter must learn that nothing is durable
            for job in jobs:
                job.result, job.error = None, job.error or error

    def _alone(self, job: _Job) -> None:
        """Nothing else is to survive its failure: a savepoint would copy every page it changes."""
        self._attempt(job)
        if job.error is not None:
            raise job.error

    def _in_savepoint(self, job: _Job) -> None:
        self._conn.execute("SAVEPOINT job")
        self._attempt(job)
        if job.error is not None and self._conn.in_transaction:
            self._conn.execute("ROLLBACK TO job")
        elif isinstance(job.error, sqlite3.Error):
            raise job.error  # it undid the whole commit, as a full disk does
        self._conn.execute("RELEASE job")

    def _attempt(self, job: _Job) -> None:
        try:
            job.result = job.fn(self._conn, *job.args, **job.kwargs)
        except BaseException as error:  # noqa: BLE001 - carried to the task that waits for it
            job.error = error

    def _announce(self, jobs: list[_Job]) -> None:
        token = self._token
        if token is None or not jobs:
            return
        with contextlib.suppress(trio.RunFinishedError):  # the loop is gone, and so are its waiters
            token.run_sync_soon(_wake, jobs)


def _wake(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.waiter is not None:
            trio.lowlevel.reschedule(job.waiter)


def _not_now(_raise_cancel: Callable[[], Any]) -> trio.lowlevel.Abort:
    """Who waits for the ledger is not cancelled before it knows what became durable."""
    return trio.lowlevel.Abort.FAILED
