"""Waking the engine: promptly if it is there, harmlessly if not."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from campaign.receiver.wake import Waker
from campaign.store.paths import socket_address


class Clock:
    now = 5.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def engine(path: Path) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as server:
        with socket_address(path) as address:
            server.bind(address)
        server.listen()
        server.settimeout(5)
        yield server
    path.unlink()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "campaign.db.sock"


def test_each_wake_is_one_line_on_one_connection(path: Path) -> None:
    with engine(path) as server, closing(Waker(path, Clock())) as waker:
        waker.wake()
        waker.wake()
        connection, _ = server.accept()
        with connection:
            assert connection.recv(100) == b'{"cmd":"wake"}\n' * 2


def test_a_socket_deep_in_the_file_system_is_reached(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    with engine(deep / "s.sock") as server, closing(Waker(deep / "s.sock", Clock())) as waker:
        waker.wake()
        connection, _ = server.accept()
        with connection:
            assert connection.recv(100) == b'{"cmd":"wake"}\n'


def test_no_engine_is_no_error_and_is_looked_for_once_a_second(path: Path) -> None:
    clock = Clock()
    waker = Waker(path, clock)
    waker.wake()
    with engine(path) as server:
        server.settimeout(0)
        clock.now += 0.5
        waker.wake()
        with pytest.raises(BlockingIOError):
            server.accept()
        clock.now += 0.5
        waker.wake()
        server.accept()[0].close()
    waker.close()


def test_a_restarted_engine_is_found_again(path: Path) -> None:
    clock = Clock()
    waker = Waker(path, clock)
    with engine(path) as server:
        waker.wake()
        server.accept()[0].close()
    clock.now += 1
    with engine(path) as server:
        waker.wake()
        connection, _ = server.accept()
        with connection:
            assert connection.recv(100) == b'{"cmd":"wake"}\n'
    waker.close()


def test_an_engine_that_does_not_read_never_blocks_a_push(path: Path) -> None:
    with engine(path) as server, closing(Waker(path, Clock())) as waker:
        waker.wake()
        connection, _ = server.accept()
        with connection:
            for _ in range(5_000):
                waker.wake()


def test_an_engine_that_answers_is_never_blocked_by_us(path: Path) -> None:
    with engine(path) as server, closing(Waker(path, Clock())) as waker:
        waker.wake()
        connection, _ = server.accept()
        with connection:
            for _ in range(1000):
                connection.sendall(b'{"ok":true}\n' * 20)
                waker.wake()
