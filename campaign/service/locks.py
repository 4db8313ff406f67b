"""Locks that die with their holder: flock on a file that is never deleted.

The kernel releases them however a process ends, SIGKILL included. The file's content, the holder's
pid, is for people and for `campaign listen --stop`; only the lock itself is true.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from campaign.errors import StoreError

# How often `acquire` looks again while others are only probing (see there), a millisecond apart.
_PROBE_TRIES = 100


class FileLock:
    """An exclusive lock on `path`, held from `acquire` to `release` and by no child process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock if nobody has it, at once; True if it is ours (now or already).

        Makes the folder; raises `StoreError` where neither it nor the file can be made.
        """
        if self._descriptor is not None:
            return True
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"cannot lock {self.path}: {error.strerror}") from error
        if not _lock_exclusively(descriptor):
            os.close(descriptor)
            return False
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Give the lock up; the empty file stays, so that nobody ever locks a deleted one."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> int | None:
        """The pid of whoever holds the lock, in this process or another; None if nobody does."""
        if not is_held(self.path):
            return None
        try:
            pid = int(self.path.read_text(encoding="ascii"))
        except (OSError, ValueError):  # taken this instant, its pid not yet written
            return None
        return pid if pid > 0 else None


def is_held(path: Path) -> bool:
    """Whether somebody, this process included, holds the lock. Creates nothing."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _try(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _lock_exclusively(descriptor: int) -> bool:
    """A probe (`is_held`) has a shared lock for an instant; it must not make a taker give up."""
    for _ in range(_PROBE_TRIES):
        if _try(descriptor, fcntl.LOCK_EX):
            return True
        if not _try(descriptor, fcntl.LOCK_SH):
            return False
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        time.sleep(0.001)
    return False


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
