"""Pushes waiting together are committed together, and nobody is answered before or in vain."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from campaign.env import Env
from campaign.errors import StoreError
from campaign.receiver.app import receiver_app
from campaign.receiver.sink import InboxSink
from campaign.store.inbox import Arrived, InboxReader, InboxWriter


def push(body: bytes) -> Arrived:
    return Arrived(gateway_id=1, received_ms=0, remote="", content_type="", query="", body=body)


class Rows:
    """An inbox in memory that notes its batches and may fail."""

    def __init__(self, failures: Sequence[Exception | None] = ()) -> None:
        self.batches: list[list[bytes]] = []
        self.failures = list(failures)

    def append_many(self, rows: Sequence[Arrived]) -> int:
        self.batches.append([row.body for row in rows])
        if self.failures and (failure := self.failures.pop(0)) is not None:
            raise failure
        return len(rows)


class SlowRows(Rows):
    """Holds every transaction, in its worker thread, until let go."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.gate = threading.Event()

    def append_many(self, rows: Sequence[Arrived]) -> int:
        self.entered.set()
        assert self.gate.wait(5)
        return super().append_many(rows)


def ignore() -> None:
    """Nobody to wake."""


async def test_a_push_is_on_disk_when_commit_returns(tmp_path: Path) -> None:
    path = tmp_path / "inbox.db"
    with InboxWriter.open(path, secrets.token_hex) as writer, InboxReader.open(path) as reader:
        sink = InboxSink(writer, on_commit=ignore)
        async with trio.open_nursery() as nursery:
            await nursery.start(sink.run)
            await sink.commit(push(b"a"))
            assert [row.body for row in reader.rows_after(0, 9)] == [b"a"]
            sink.close()


async def test_pushes_that_wait_together_share_a_transaction() -> None:
    inbox = Rows()
    wakes: list[int] = []
    sink = InboxSink(inbox, on_commit=lambda: wakes.append(len(inbox.batches)), inline=True)
    async with trio.open_nursery() as nursery:
        async with trio.open_nursery() as pushing:
            for n in range(300):
                pushing.start_soon(sink.commit, push(b"%d" % n))
            await wait_all_tasks_blocked()
            nursery.start_soon(sink.run)
        sink.close()
    assert [len(batch) for batch in inbox.batches] == [256, 44]
    assert sorted(int(body) for batch in inbox.batches for body in batch) == list(range(300))
    assert wakes == [1, 2]


async def test_what_comes_while_one_transaction_is_written_goes_into_the_next() -> None:
    inbox = SlowRows()
    sink = InboxSink(inbox, on_commit=ignore)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sink.run)
        async with trio.open_nursery() as pushing:
            pushing.start_soon(sink.commit, push(b"first"))
            await trio.to_thread.run_sync(inbox.entered.wait, 5)
            pushing.start_soon(sink.commit, push(b"second"))
            pushing.start_soon(sink.commit, push(b"third"))
            await wait_all_tasks_blocked()
            inbox.gate.set()
        sink.close()
    assert inbox.batches[0] == [b"first"]
    assert sorted(inbox.batches[1]) == [b"second", b"third"]


async def test_a_failed_transaction_fails_its_pushes_and_no_later_one() -> None:
    inbox = Rows([StoreError("disk full"), None])
    wakes: list[None] = []
    sink = InboxSink(inbox, on_commit=lambda: wakes.append(None), inline=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sink.run)
        with pytest.raises(StoreError, match="disk full"):
            await sink.commit(push(b"lost"))
        assert wakes == []
        await sink.commit(push(b"kept"))
        assert len(wakes) == 1
        sink.close()


async def test_an_inbox_that_is_full_answers_503_until_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "inbox.db"
    with InboxWriter.open(path, secrets.token_hex) as writer, InboxReader.open(path) as reader:
        (pages,) = writer._connection.execute("PRAGMA page_count").fetchone()
        writer._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        sink = InboxSink(writer, on_commit=ignore)
        app = receiver_app(lambda: {"token": 1}, sink, env=Env())
        device = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://receiver")
        sent = [b"%d" % n + bytes(1500) for n in range(20)]

        async def push_all(bodies: Sequence[bytes]) -> list[bytes]:
            """Those that were not taken, as a device keeps them."""
            codes = [(await device.post("/p/token", content=body)).status_code for body in bodies]
            assert set(codes) <= {200, 503}
            return [body for body, code in zip(bodies, codes, strict=True) if code == 503]

        async with trio.open_nursery() as nursery:
            await nursery.start(sink.run)
            left = await push_all(sent)
            taken = [row.body for row in reader.rows_after(0, 100)]
            assert 0 < len(left) < len(sent)
            assert sorted(taken + left) == sorted(sent), "a 200 is a row, a 503 is none"
            writer._connection.execute("PRAGMA max_page_count = 100000")
            assert await push_all(left) == []
            sink.close()
        assert sorted(row.body for row in reader.rows_after(0, 100)) == sorted(sent)


async def test_a_cancelled_push_still_waits_for_its_fate() -> None:
    inbox = SlowRows()
    sink = InboxSink(inbox, on_commit=ignore)
    committed = False

    async def cancelled_push() -> None:
        nonlocal committed
        with trio.CancelScope() as scope:
            scope.cancel()
            await sink.commit(push(b"x"))
            committed = True

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sink.run)
        async with trio.open_nursery() as pushing:
            pushing.start_soon(cancelled_push)
            await trio.to_thread.run_sync(inbox.entered.wait, 5)
            inbox.gate.set()
        sink.close()
    assert committed
    assert inbox.batches == [[b"x"]]


async def test_a_cancelled_sink_finishes_its_transaction_and_refuses_the_rest() -> None:
    inbox = SlowRows()
    sink = InboxSink(inbox, on_commit=ignore)
    fates: dict[bytes, str] = {}

    async def record(body: bytes) -> None:
        try:
            await sink.commit(push(body))
            fates[body] = "committed"
        except StoreError as error:
            fates[body] = str(error)

    async with trio.open_nursery() as pushing, trio.open_nursery() as nursery:
        nursery.start_soon(sink.run)
        pushing.start_soon(record, b"at hand")
        await trio.to_thread.run_sync(inbox.entered.wait, 5)
        for n in range(600):
            pushing.start_soon(record, b"%d" % n)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        inbox.gate.set()
    assert fates.pop(b"at hand") == "committed"
    assert len(fates) == 600
    assert set(fates.values()) == {"the receiver is closing"}
    assert inbox.batches == [[b"at hand"]]


async def test_a_broken_inbox_leaves_nobody_waiting() -> None:
    sink = InboxSink(Rows([RuntimeError("a bug")]), on_commit=ignore, inline=True)
    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012 - the nursery is the claim
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sink.run)
            with pytest.raises(StoreError, match="broke down"):
                await sink.commit(push(b"x"))
    assert caught.group_contains(RuntimeError, match="a bug")


async def test_a_closed_sink_takes_nothing() -> None:
    sink = InboxSink(Rows(), on_commit=ignore, inline=True)
    sink.close()
    with pytest.raises(StoreError, match="closing"):
        await sink.commit(push(b"x"))
    await sink.run()
