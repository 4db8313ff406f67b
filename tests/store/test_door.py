"""The door: one contract, two executors. What it returns is durable, what it raises is not."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from campaign.errors import StaleEpoch, StoreError
from campaign.store.door import InlineStore, Store, ThreadStore, transaction
from campaign.store.opening import open_ledger, open_reader

Open = Callable[[sqlite3.Connection], Any]


@asynccontextmanager
async def inline(conn: sqlite3.Connection) -> AsyncIterator[Store]:
    yield InlineStore(conn)


@asynccontextmanager
async def threaded(conn: sqlite3.Connection) -> AsyncIterator[Store]:
    async with ThreadStore(conn) as store:
        yield store


BOTH = pytest.mark.parametrize("executor", [inline, threaded], ids=["inline", "thread"])


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_ledger(tmp_path / "campaign.db", tmp_path / "optouts.db")) as conn:
        yield conn


@pytest.fixture
def reader(conn: sqlite3.Connection, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_reader(tmp_path / "campaign.db")) as reader:
        yield reader


def put(conn: sqlite3.Connection, key: str, value: str = "x") -> str:
    conn.execute("INSERT INTO meta VALUES (?, ?)", (key, value))
    return value


def keys(conn: sqlite3.Connection) -> list[str]:
    return [row[0] for row in conn.execute("SELECT key FROM meta ORDER BY key")]


def fail(conn: sqlite3.Connection, key: str, error: BaseException) -> None:
    put(conn, key)
    raise error


@BOTH
async def test_a_write_returns_its_result_and_others_see_it(
    executor: Open, conn: sqlite3.Connection, reader: sqlite3.Connection
) -> None:
    async with executor(conn) as store:
        assert await store.write(put, "a", value="result") == "result"
        assert keys(reader) == ["a"]
        assert await store.read(keys) == ["a"]


@BOTH
async def test_what_fails_leaves_nothing_and_the_next_write_goes_on(
    executor: Open, conn: sqlite3.Connection, reader: sqlite3.Connection
) -> None:
    async with executor(conn) as store:
        with pytest.raises(KeyError, match="mine"):
            await store.write(fail, "a", KeyError("mine"))
        await store.write(put, "b")
    assert keys(reader) == ["b"]


@BOTH
async def test_errors_of_the_database_are_translated_with_their_cause(
    executor: Open, conn: sqlite3.Connection
) -> None:
    def refuse(conn: sqlite3.Connection) -> None:
        conn.execute("INSERT INTO tallies VALUES (1, 'no such state', 0)")

    async with executor(conn) as store:
        with pytest.raises(StoreError, match="constraint") as caught:
            await store.write(refuse)
        assert isinstance(caught.value.__cause__, sqlite3.IntegrityError)


@BOTH
async def test_errors_of_a_read_are_translated_too(
    executor: Open, conn: sqlite3.Connection
) -> None:
    def nonsense(conn: sqlite3.Connection) -> None:
        conn.execute("SELECT * FROM nowhere")

    async with executor(conn) as store:
        with pytest.raises(StoreError, match="nowhere") as caught:
            await store.read(nonsense)
        assert isinstance(caught.value.__cause__, sqlite3.OperationalError)


@BOTH
async def test_errors_of_our_own_come_through_as_they_are(
    executor: Open, conn: sqlite3.Connection
) -> None:
    error = StaleEpoch("taken over")
    async with executor(conn) as store:
        with pytest.raises(StaleEpoch) as caught:
            await store.write(fail, "a", error)
    assert caught.value is error


@BOTH
async def test_one_bad_write_does_not_spoil_the_others_of_its_commit(
    executor: Open, conn: sqlite3.Connection, reader: sqlite3.Connection
) -> None:
    outcomes: dict[str, str] = {}

    async def write(store: Store, key: str, error: Exception | None) -> None:
        try:
            if error is None:
                await store.write(put, key)
            else:
                await store.write(fail, key, error)
        except (ValueError, StoreError) as caught:
            outcomes[key] = type(caught).__name__
        else:
            outcomes[key] = "durable" if key in keys(reader) else "lost"

    async with executor(conn) as store, trio.open_nursery() as nursery:
        for i in range(40):
            error: Exception | None = None
            if i % 4 == 1:
                error = ValueError("mine")
            if i % 4 == 3:
                error = sqlite3.OperationalError("the disk's")
            nursery.start_soon(write, store, f"{i:02}", error)
    expected = ["durable", "ValueError", "durable", "StoreError"] * 10
    assert [outcomes[f"{i:02}"] for i in range(40)] == expected
    assert keys(reader) == [f"{i:02}" for i in range(0, 40, 2)]


@BOTH
async def test_whoever_is_cancelled_still_learns_what_became_durable(
    executor: Open, conn: sqlite3.Connection, reader: sqlite3.Connection
) -> None:
    results: list[str] = []
    async with executor(conn) as store:
        with trio.CancelScope() as scope:
            scope.cancel()
            results.append(await store.write(put, "a", "told"))
            results.append("not reached twice")
            await trio.lowlevel.checkpoint()
            results.append("never reached")
    assert results == ["told", "not reached twice"]
    assert keys(reader) == ["a"]


@BOTH
async def test_writes_of_one_task_happen_in_its_order(
    executor: Open, conn: sqlite3.Connection
) -> None:
    def append(conn: sqlite3.Connection, n: int) -> int:
        conn.execute("INSERT INTO refusals VALUES (1, ?, '', '', '')", (n,))
        return n

    conn.execute("PRAGMA foreign_keys = OFF")
    async with executor(conn) as store:
        assert [await store.write(append, n) for n in range(20)] == list(range(20))
        rows = await store.read(lambda conn: conn.execute("SELECT row FROM refusals").fetchall())
    assert [row["row"] for row in rows] == list(range(20))


@BOTH
async def test_a_write_that_undoes_its_own_transaction_is_an_error_not_a_silence(
    executor: Open, conn: sqlite3.Connection
) -> None:
    def roll_back(conn: sqlite3.Connection) -> None:
        put(conn, "a")
        conn.execute("ROLLBACK")

    async with executor(conn) as store:
        with pytest.raises(StoreError):
            await store.write(roll_back)
        await store.write(put, "b")
        assert await store.read(keys) == ["b"]


@BOTH
async def test_a_full_disk_is_told_to_everybody_and_spares_the_ledger(
    executor: Open, conn: sqlite3.Connection, reader: sqlite3.Connection
) -> None:
    (pages,) = conn.execute("PRAGMA page_count").fetchone()
    conn.execute(f"PRAGMA max_page_count = {pages + 4}")
    told: list[str] = []
    refused: set[str] = set()

    async def write(store: Store, key: str, value: str) -> None:
        try:
            await store.write(put, key, value)
        except StoreError as error:
            refused.add(str(error))
            return
        told.append(key)

    async with executor(conn) as store:
        async with trio.open_nursery() as nursery:
            for i in range(12):
                nursery.start_soon(write, store, f"{i:02}", "x" * 4000)
        conn.execute("PRAGMA max_page_count = 100000")
        await store.write(put, "later")
    assert len(told) < 12
    assert keys(reader) == [*sorted(told), "later"]
    why = "the ledger refused a write: database or disk is full (free space on its disk)"
    assert refused == {why}, "whoever shared the commit learns the same"


@BOTH
async def test_a_commit_that_fails_is_undone_and_the_next_write_goes_on(
    executor: Open, conn: sqlite3.Connection, reader: sqlite3.Connection
) -> None:
    conn.execute("CREATE TABLE kin (x TEXT REFERENCES meta (key) DEFERRABLE INITIALLY DEFERRED)")

    def orphan(conn: sqlite3.Connection) -> None:
        put(conn, "a")
        conn.execute("INSERT INTO kin VALUES ('nobody')")

    async with executor(conn) as store:
        with pytest.raises(StoreError, match="FOREIGN KEY"):
            await store.write(orphan)
        await store.write(put, "b")
    assert keys(reader) == ["b"]


@BOTH
async def test_a_ledger_that_may_only_be_read_says_what_to_do(
    executor: Open, reader: sqlite3.Connection
) -> None:
    async with executor(reader) as store:
        with pytest.raises(StoreError, match=r"readonly database \(let this user write it"):
            await store.write(put, "a")
        assert await store.read(keys) == []


# the thread's own matters


async def test_writes_that_wait_together_share_one_commit(conn: sqlite3.Connection) -> None:
    gate = threading.Event()
    commits: list[str] = []
    conn.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)

    def wait(conn: sqlite3.Connection) -> None:
        gate.wait(5)

    async with ThreadStore(conn) as store, trio.open_nursery() as nursery:
        nursery.start_soon(store.read, wait)
        await trio.testing.wait_all_tasks_blocked()
        for i in range(30):
            nursery.start_soon(store.write, put, f"{i:02}")
        await trio.testing.wait_all_tasks_blocked()
        gate.set()
    assert len(commits) == 1
    conn.set_trace_callback(None)
    assert len(keys(conn)) == 30


async def test_leaving_the_store_finishes_what_was_handed_in(
    conn: sqlite3.Connection, reader: sqlite3.Connection
) -> None:
    async with trio.open_nursery() as nursery, ThreadStore(conn) as store:
        for i in range(5):
            nursery.start_soon(store.write, put, str(i))
        await trio.testing.wait_all_tasks_blocked()
    assert keys(reader) == list("01234")


async def test_a_store_that_was_left_refuses_at_once_instead_of_waiting_for_ever(
    conn: sqlite3.Connection,
) -> None:
    async with ThreadStore(conn) as store:
        pass
    with trio.fail_after(1), pytest.raises(StoreError, match="closed"):
        await store.write(put, "late")
    with trio.fail_after(1), pytest.raises(StoreError, match="closed"):
        await store.read(keys)


async def test_a_store_that_was_never_entered_refuses_too(conn: sqlite3.Connection) -> None:
    with trio.fail_after(1), pytest.raises(StoreError, match="closed"):
        await ThreadStore(conn).write(put, "early")


def test_a_transaction_that_raises_is_undone(conn: sqlite3.Connection) -> None:
    def write_and_interrupt() -> None:
        with transaction(conn):
            put(conn, "a")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_interrupt()
    assert not conn.in_transaction
    assert keys(conn) == []
