"""The lock file: exclusive, dead with its holder, never in a child's hands."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from campaign.service.locks import FileLock, is_held


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.lock"


def test_only_one_holds_it_at_a_time(path: Path) -> None:
    first, second = FileLock(path), FileLock(path)
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release()


def test_taking_it_twice_is_taking_it_once(path: Path) -> None:
    lock = FileLock(path)
    assert lock.acquire()
    assert lock.acquire()
    lock.release()
    lock.release()
    assert not is_held(path)


def test_everybody_sees_that_it_is_held_and_by_whom(path: Path) -> None:
    lock = FileLock(path)
    assert not is_held(path)
    assert FileLock(path).holder() is None
    lock.acquire()
    assert is_held(path)
    assert FileLock(path).holder() == os.getpid()
    assert path.read_text(encoding="ascii") == f"{os.getpid()}\n"
    lock.release()
    assert not is_held(path)
    assert FileLock(path).holder() is None


def test_asking_creates_nothing(path: Path) -> None:
    assert not is_held(path)
    assert not path.exists()


def test_a_file_with_a_pid_but_no_lock_is_not_held(path: Path) -> None:
    path.write_text("1\n", encoding="ascii")
    assert not is_held(path)
    assert FileLock(path).holder() is None


@pytest.mark.parametrize("content", ["", "not a pid", "0", "-5"])
def test_a_held_lock_without_a_readable_pid_has_no_known_holder(path: Path, content: str) -> None:
    lock = FileLock(path)
    lock.acquire()
    path.write_text(content, encoding="ascii")
    assert is_held(path)
    assert lock.holder() is None
    lock.release()


def test_the_file_is_private_and_stays(path: Path) -> None:
    lock = FileLock(path)
    lock.acquire()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lock.release()
    assert path.exists()


def test_those_who_only_ask_never_keep_a_taker_out(path: Path) -> None:
    path.touch()
    done = threading.Event()

    def keep_asking() -> None:
        while not done.is_set():
            is_held(path)

    askers = [threading.Thread(target=keep_asking) for _ in range(2)]
    for asker in askers:
        asker.start()
    try:
        for _ in range(50):
            lock = FileLock(path)
            assert lock.acquire()
            lock.release()
    finally:
        done.set()
        for asker in askers:
            asker.join()


@pytest.mark.process
def test_a_child_process_does_not_inherit_it(path: Path) -> None:
    lock = FileLock(path)
    lock.acquire()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        lock.release()
        assert not is_held(path)
        child.communicate(b"\n", timeout=10)
