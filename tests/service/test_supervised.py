"""What a service manager is told: sd_notify(3), by datagrams."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from campaign.engine.runtime import Run
from campaign.errors import StaleEpoch
from campaign.service.supervised import keep_alive, ready


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.setblocking(False)
        yield sock


def heard(manager: socket.socket) -> list[bytes]:
    lines = []
    while True:
        try:
            lines.append(manager.recv(100))
        except BlockingIOError:
            return lines


class Ledger:
    """A store that answers until somebody else took the ledger over."""

    taken = False

    async def read(self, *_arguments: Any) -> None:
        await trio.lowlevel.checkpoint()
        if self.taken:
            raise StaleEpoch("taken over")


def a_run(ledger: Ledger) -> Run:
    return cast(Run, SimpleNamespace(store=ledger, epoch=1))


def environment(manager: socket.socket, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": manager.getsockname(), **more}


def test_the_manager_is_told_that_it_is_ready(manager: socket.socket) -> None:
    ready(environment(manager))
    assert heard(manager) == [b"READY=1"]


def test_an_abstract_socket_is_reached_too() -> None:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sock:
        sock.bind(f"\0campaign-test-{os.getpid()}")
        sock.setblocking(False)
        ready({"NOTIFY_SOCKET": f"@campaign-test-{os.getpid()}"})
        assert heard(sock) == [b"READY=1"]


def test_without_a_manager_or_with_a_deaf_one_nothing_happens(tmp_path: Path) -> None:
    ready({})
    ready({"NOTIFY_SOCKET": str(tmp_path / "nobody")})


async def test_it_says_that_it_lives_three_times_in_the_time_it_has(
    manager: socket.socket, autojump_clock: MockClock
) -> None:
    asked = environment(manager, WATCHDOG_USEC="30000000", WATCHDOG_PID=str(os.getpid()))
    with trio.move_on_after(59):
        await keep_alive(a_run(Ledger()), asked)
    assert heard(manager) == [b"WATCHDOG=1"] * 6


async def test_an_engine_whose_ledger_was_taken_over_is_not_called_alive(
    manager: socket.socket, autojump_clock: MockClock
) -> None:
    ledger = Ledger()
    ledger.taken = True
    with pytest.raises(StaleEpoch):
        await keep_alive(a_run(ledger), environment(manager, WATCHDOG_USEC="30000000"))
    assert heard(manager) == []


@pytest.mark.parametrize(
    "more", [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "9", "WATCHDOG_PID": "1"}]
)
async def test_who_was_not_asked_says_nothing(
    manager: socket.socket, autojump_clock: MockClock, more: dict[str, str]
) -> None:
    with trio.move_on_after(60):
        await keep_alive(a_run(Ledger()), environment(manager, **more))
    assert heard(manager) == []
