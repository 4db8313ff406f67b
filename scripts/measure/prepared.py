"""Ledgers that rows begin with, made before the clock runs."""

from __future__ import annotations

import functools
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from scripts.measure.child import asked, end_receiver, spent_by, started, until
from scripts.measure.lists import mixed_list, plain_list
from scripts.measure.processes import command, environment

# Not between an intent and its post: what a device never got is waited for until that is sure.
_SENT_TO = """
    SELECT count(*) > 100 AND count(*) FILTER (WHERE state IN ('planned', 'intent')) = 0
        AND count(*) FILTER (WHERE state = 'accepted') > 0
    FROM tasks
"""
_WHOLE = "SELECT 1 FROM campaigns WHERE state = 'scheduled'"
_FIGURES = """
    UPDATE recipients SET evidence = 'receipt', gateway_id = 1, port = 1 + id % 50,
        iccid = '8986' || (1000000 + id % 50), tid = 1 + id / 100, attempts = 1,
        sent_at = 1767225600 + id / 50, delivered_at = 1767225603 + id / 50,
        state = CASE WHEN id % 50 = 0 THEN 'failed' ELSE 'delivered' END,
        code = CASE WHEN id % 50 = 0 THEN 38 ELSE 0 END,
        reason = CASE WHEN id % 50 = 0 THEN 'network out of order' END;
    DELETE FROM tallies;
    INSERT INTO tallies SELECT campaign_id, state, count(*) FROM recipients GROUP BY 1, 2;
    UPDATE campaigns SET state = 'finished', started_ms = created_ms,
        finished_ms = created_ms + 3600000;
"""


@contextmanager
def copied(original: Path) -> Iterator[Path]:
    """A copy of a folder, for one run."""
    with tempfile.TemporaryDirectory(prefix="campaign-bench-") as name:
        sockets = shutil.ignore_patterns("*.sock")
        shutil.copytree(original, name, dirs_exist_ok=True, ignore=sockets)
        yield Path(name)


@functools.cache
def sent_ledger(rows: int) -> Path:
    """A ledger whose one campaign was sent to everybody; two in a hundred failed."""
    folder = _folder()
    db, log, env = folder / "campaign.db", folder / "log", environment(folder)
    register(folder, "http://127.0.0.1:9")
    with started(launch(db, mixed_list(rows), "--start", "2099-01-01T00:00Z"), env, log) as engine:
        until(engine, lambda: asked(db, _WHOLE) == 1, log)
    end_receiver(db)
    with closing(sqlite3.connect(db)) as conn:
        # what months of work would have come to, without the months
        (trigger,) = conn.execute(
            "SELECT sql FROM sqlite_master WHERE name = 'recipients_moves'"
        ).fetchone()
        conn.executescript(f"DROP TRIGGER recipients_moves; {_FIGURES} {trigger};")
        conn.commit()
    return folder


def kill_sending(folder: Path, rows: int, url: str) -> None:
    """In `folder` a ledger whose engine was killed soon after it had begun to send.

    Its receiver lives on, as it does where an engine is killed: it is a process of its own, and
    what a device reports meanwhile is in the inbox. The caller ends it.
    Made anew for every run: an engine tells a copy by what its device knows of it.
    """
    db, log, env = folder / "campaign.db", folder / "log", environment(folder)
    register(folder, url)
    plain_list(folder / "list.csv", rows)
    with started(launch(db, folder / "list.csv"), env, log) as engine:
        until(engine, lambda: asked(db, _SENT_TO) == 1, log)


def register(folder: Path, url: str) -> None:
    """Make a gateway known to the ledger in `folder`."""
    spent_by(
        command(
            "--db", str(folder / "campaign.db"), "gateway", "add", "gw", url,
            "--username", "root", "--password-env", "BENCH_PASSWORD",
        ),
        environment(folder), folder / "log",
    )  # fmt: skip


def launch(db: Path, path: Path, *more: str) -> list[str]:
    """The command that imports a list, and sends it."""
    return command(
        "--db", str(db), "launch", str(path), "--name", "bench", "--yes",
        "--message", "Hello from the north", *more,
    )  # fmt: skip


def _folder() -> Path:
    holder = tempfile.TemporaryDirectory(prefix="campaign-ledger-")
    _KEPT.append(holder)
    return Path(holder.name)


_KEPT: list[tempfile.TemporaryDirectory[str]] = []
