"""The receiver: one per inbox, one address for life, ends when it may and not before."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from campaign.env import Env
from campaign.errors import StoreError, UsageError
from campaign.service.addresses import chosen_address
from campaign.service.listening import Ended, listen
from campaign.service.locks import FileLock, is_held
from campaign.store.inbox import InboxReader, ReceiverBinding
from campaign.store.paths import LedgerPaths, socket_address

Ask = Callable[[str, int, bytes], Awaitable[bytes]]

PUSH = b"POST /p/secret HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"


def receiver(paths: LedgerPaths, **changes: Any) -> Callable[..., Awaitable[Ended]]:
    settings: dict[str, Any] = {
        "env": Env(),
        "tokens": lambda: {"secret": 7},
        "finished": lambda: False,
    }
    return partial(listen, paths, **(settings | changes))


@asynccontextmanager
async def running(paths: LedgerPaths, **changes: Any) -> AsyncIterator[ReceiverBinding]:
    async with trio.open_nursery() as nursery:
        binding: ReceiverBinding = await nursery.start(receiver(paths, **changes))
        yield binding
        nursery.cancel_scope.cancel()


async def test_a_push_over_the_wire_is_in_the_inbox_when_it_is_answered(
    paths: LedgerPaths, ask: Ask
) -> None:
    async with running(paths) as binding:
        answer = await ask(binding.host, binding.port, PUSH)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(b'{"code":0,"reason":"OK"}')
        with InboxReader.open(paths.inbox) as inbox:
            (row,) = inbox.rows_after(0, 10)
    assert (row.gateway_id, row.remote, row.body) == (7, "127.0.0.1", b"{}")


async def test_the_engine_is_woken_after_the_commit(paths: LedgerPaths, ask: Ask) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as engine, socket_address(paths.socket) as address:
        engine.bind(address)
        engine.listen()
        async with running(paths) as binding:
            await ask(binding.host, binding.port, PUSH)
            engine.settimeout(5)
            connection, _ = engine.accept()
            with connection:
                assert connection.recv(100) == b'{"cmd":"wake"}\n'


async def test_the_address_of_the_first_run_is_that_of_every_later_one(
    paths: LedgerPaths,
) -> None:
    async with running(paths, public_url="http://sms.example") as first:
        assert first == ReceiverBinding("127.0.0.1", first.port, "http://sms.example", os.getpid())
    async with running(paths) as second:
        assert second == first
    async with running(paths, address=("127.0.0.1", 0), public_url="http://new.example") as third:
        assert (third.port, third.public_url) == (first.port, "http://new.example")


@pytest.mark.parametrize(
    ("stored", "asked", "chosen"),
    [
        (None, None, ("127.0.0.1", 0)),
        (None, ("192.0.2.1", 80), ("192.0.2.1", 80)),
        (ReceiverBinding("::1", 80), None, ("::1", 80)),
        (ReceiverBinding("::1", 80), ("::1", 80), ("::1", 80)),
        (ReceiverBinding("::1", 80), ("::1", 0), ("::1", 80)),
    ],
)
def test_the_stored_address_wins_where_the_two_agree(
    stored: ReceiverBinding | None, asked: tuple[str, int] | None, chosen: tuple[str, int]
) -> None:
    assert chosen_address(stored, asked) == chosen


@pytest.mark.parametrize("asked", [("127.0.0.1", 81), ("0.0.0.0", 80), ("0.0.0.0", 0)])  # noqa: S104 - never bound
def test_another_address_than_the_stored_one_is_refused(asked: tuple[str, int]) -> None:
    with pytest.raises(UsageError, match=r"fixed at 127\.0\.0\.1:80"):
        chosen_address(ReceiverBinding("127.0.0.1", 80), asked)


async def test_a_stored_port_held_by_somebody_else_is_an_error_never_another_port(
    paths: LedgerPaths,
) -> None:
    async with running(paths) as binding:
        pass
    with closing(socket.socket()) as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind((binding.host, binding.port))
        stranger.listen()
        with pytest.raises(UsageError, match="held by somebody else"):
            await receiver(paths)()
    assert not is_held(paths.inbox_lock)


async def test_a_second_receiver_of_an_inbox_is_refused(paths: LedgerPaths) -> None:
    async with running(paths):
        with pytest.raises(UsageError, match=rf"already running .*process {os.getpid()}"):
            await receiver(paths)()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_in_good_order(paths: LedgerPaths, number: signal.Signals) -> None:
    ended: list[Ended] = []

    async def keep(*, task_status: trio.TaskStatus[ReceiverBinding]) -> None:
        ended.append(await receiver(paths)(task_status=task_status))

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(keep)
            os.kill(os.getpid(), number)
    assert ended == [Ended.SIGNAL]
    assert not is_held(paths.inbox_lock)
    assert FileLock(paths.inbox_lock).holder() is None


async def test_the_automatic_one_ends_once_finished_for_long_enough(
    paths: LedgerPaths, autojump_clock: MockClock
) -> None:
    def finished() -> bool:
        """Work until 100 s, a pause of 5 s, and no more work from 120 s on."""
        now = trio.current_time()
        return 100 < now < 105 or now > 120

    assert await receiver(paths, automatic=True, finished=finished, linger=10)() is Ended.FINISHED
    assert 130 <= trio.current_time() <= 132


async def test_a_ledger_that_cannot_be_read_is_not_a_finished_one(
    paths: LedgerPaths, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    def finished() -> bool:
        if trio.current_time() < 50:
            raise StoreError("busy")
        return True

    await receiver(paths, automatic=True, finished=finished, linger=10)()
    assert 59 <= trio.current_time() <= 61
    assert caplog.messages == ["event=ledger_unreadable error='busy'"]


async def test_the_one_started_by_hand_runs_on(
    paths: LedgerPaths, autojump_clock: MockClock
) -> None:
    with trio.move_on_after(3600) as hour:
        await receiver(paths, finished=lambda: True)()
    assert hour.cancelled_caught


async def test_an_inbox_taken_away_ends_it_with_an_error(
    paths: LedgerPaths, autojump_clock: MockClock
) -> None:
    async def take_away(_binding: ReceiverBinding) -> None:
        paths.inbox.rename(paths.inbox.with_name("elsewhere.db"))

    with trio.fail_after(60):
        with pytest.raises(ExceptionGroup) as caught:
            async with trio.open_nursery() as nursery:
                await take_away(await nursery.start(receiver(paths)))
        assert caught.group_contains(StoreError, match="removed or replaced")


async def test_it_prints_nothing_and_logs_one_line_an_event(
    paths: LedgerPaths,
    autojump_clock: MockClock,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    await receiver(paths, automatic=True, finished=lambda: True)()
    with InboxReader.open(paths.inbox) as inbox:
        binding = inbox.binding()
    assert binding is not None
    assert caplog.messages == [
        f"event=listening address=127.0.0.1:{binding.port} allow='any'",
        "event=receiver_ended reason=finished",
    ]
    assert capfd.readouterr() == ("", "")
