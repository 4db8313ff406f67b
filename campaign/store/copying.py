"""Copies of a database file: whole, durable, the owner's alone, and never half in their place.

SQLite's backup API in one step: a copy in several steps begins anew whenever another process
commits, and beside a busy engine would never end. It reads under a snapshot, so that whoever writes
meanwhile is not kept waiting, and what sits in the WAL is copied too.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

COMPANIONS = ("-wal", "-shm", "-journal")
"""What SQLite may keep beside a database, by the end of its name."""


def copy_database(
    source: sqlite3.Connection,
    place: Path,
    finish: Callable[[sqlite3.Connection], None] = lambda _copy: None,
) -> None:
    """Write what `source` shows now into the new file `place`, one file without a WAL.

    `finish` may change the copy before it is durable. Raises `sqlite3.Error` or `OSError`; what was
    written until then is left to the caller.
    """
    os.close(os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(place, isolation_level=None)) as copy:
        source.backup(copy)
        copy.row_factory = sqlite3.Row
        # the source's WAL mode came along; a copy has to be whole without a second file
        copy.execute("PRAGMA journal_mode = DELETE")
        finish(copy)
    sync_file(place)


def copy_into_place(
    source: sqlite3.Connection,
    place: Path,
    finish: Callable[[sqlite3.Connection], None] = lambda _copy: None,
) -> None:
    """Copy beside `place`, then move it there; a copy that failed leaves nothing behind."""
    draft = place.with_name(place.name + ".partial")
    remove_database(draft)
    try:
        copy_database(source, draft, finish)
        draft.replace(place)
        sync_folder(place.parent)
    except BaseException:
        remove_database(draft)
        raise


def keep_aside(place: Path, aside: Path) -> None:
    """Give the file at `place` a second name; it also stays where it is.

    The next `replace` of `place` then takes nothing away, and at no moment is there no file.
    """
    try:
        os.link(place, aside)
    except OSError:  # a file system without hard links
        shutil.copy2(place, aside)
        sync_file(aside)
    sync_folder(aside.parent)


def remove_database(place: Path) -> None:
    """Delete a database of which nobody needs anything, with its companions."""
    for end in ("", *COMPANIONS):
        place.with_name(place.name + end).unlink(missing_ok=True)


def sync_file(path: Path) -> None:
    _sync(path, os.O_RDONLY | os.O_CLOEXEC)


def sync_folder(folder: Path) -> None:
    """Make what was created, moved or deleted in a folder durable."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
