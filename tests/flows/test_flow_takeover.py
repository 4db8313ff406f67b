"""A second engine on one ledger: kept out by the lock, and where the lock was got round, the first
one is fenced off by the ledger's epoch."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.flows.judging import judge

if TYPE_CHECKING:
    from tests.flows.conftest import Flow

pytestmark = pytest.mark.process


def test_an_engine_that_slept_while_another_took_over_ends_and_sends_nothing_more(
    flow: Flow,
) -> None:
    path = flow.write_list(160)
    sleeper = flow.launch(
        path, "--rate", "50/s", simulate=2, simulated={"register-seconds": "0.2"},
        times={"client-timeout": "1s", "receipt-wait": "30s"},
    )  # fmt: skip
    flow.until(lambda: flow.attempted() >= 20, "it sends", sleeper)
    flow.until(lambda: falls_asleep(flow, sleeper.pid), "it sleeps between two commits", sleeper)
    held = flow.run("resume", "--no-attach", code=6)
    assert "held by a running engine" in held.err
    assert flow.one("SELECT value FROM meta WHERE key = 'epoch'") == "1"

    (flow.folder / "c.db.lock").unlink()  # whoever does this asks for it
    second = flow.start("resume", "--no-attach")
    awake = flow.attempted() + 20
    flow.until(lambda: flow.attempted() >= awake, "the second one sends", second)
    os.kill(sleeper.pid, signal.SIGCONT)
    done = sleeper.wait(within=20)
    assert done.code == 6, done.err
    assert "Error: another engine took over this ledger; this one stops at once" in done.err
    assert "Traceback" not in done.err
    assert second.ended() is None, "it was too late to be awake"
    state = flow.run("status", "--json").json()
    assert [gateway["name"] for gateway in state["gateways"]] == ["sim1", "sim2"], "still its own"

    assert second.wait().code == 0, second.err
    assert flow.one("SELECT value FROM meta WHERE key = 'epoch'") == "2"
    assert flow.counts() == {"delivered": 160}
    assert judge(flow, flow.numbers(160)).findings == ()


def falls_asleep(flow: Flow, pid: int) -> bool:
    """Stop an engine, but not inside a transaction: there SQLite itself keeps everybody out."""
    os.kill(pid, signal.SIGSTOP)
    with closing(sqlite3.connect(flow.db, timeout=0.1, isolation_level=None)) as conn:
        try:
            conn.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            os.kill(pid, signal.SIGCONT)
            return False
        conn.execute("ROLLBACK")
    return True
