"""A disk that is full, a ledger that may not be written: said plainly, nothing sent that is not
stored, nothing acknowledged that is not stored; and with room again all of it goes on.

A limit on the size of a process's files makes the disk full for it alone, whenever the test likes.
"""

from __future__ import annotations

import http.client
import resource
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.flows.judging import judge

if TYPE_CHECKING:
    from tests.flows.conftest import Command, Done, Flow

pytestmark = pytest.mark.process

_LEAST = 1 << 16
"""Bytes: logs and other small files still fit."""

# Root may write whatever it likes; without this one capability its own files' modes bind it, too.
_AS_ANYBODY = """
import ctypes, os, sys
if os.geteuid() == 0:
    drop, override = 24, 1  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE
    if ctypes.CDLL(None, use_errno=True).prctl(drop, override, 0, 0, 0):
        sys.exit(os.strerror(ctypes.get_errno()))
os.execv(sys.argv[1], sys.argv[1:])
"""


@contextmanager
def full_disk(pid: int, path: Path, room: int = 0) -> Iterator[None]:
    """For one process, no file grows beyond the size of `path` and `room` bytes."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    limit = max(_LEAST, path.stat().st_size + room)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, before[1]))
    yield
    with suppress(ProcessLookupError):  # it may have ended of it
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def log_of(path: Path) -> Path:
    """A database's write-ahead log."""
    return path.with_name(path.name + "-wal")


def assert_plain(done: Done, *words: str) -> None:
    """One error in words, exit code 1, and no traceback."""
    assert done.code == 1, done.err
    assert "Traceback" not in done.err
    assert done.err.count("Error: ") == 1, done.err
    for word in words:
        assert word in done.err, done.err


def launched(flow: Flow, count: int) -> Command:
    """A campaign of `count`, of which twenty are on air."""
    path = flow.write_list(count)
    simulated = {"register-seconds": "0.2", "push-retry": "1,2,5,10"}
    times = {"client-timeout": "1s", "receipt-wait": "30s"}
    engine = flow.launch(path, "--rate", "60/s", simulate=2, simulated=simulated, times=times)
    flow.until(lambda: flow.attempted() >= 20, "it sends", engine)
    return engine


def full_ledger(flow: Flow) -> None:
    engine = launched(flow, 100)
    with full_disk(engine.pid, log_of(flow.db), room=20_000):
        done = engine.wait()
        assert_plain(
            done, "the ledger refused a write", "free space", f"--db {flow.db}", "resume c"
        )
        assert flow.state() == "running"
        assert {line["tid"] for line in flow.truth()} <= tids(flow), "an intent was not stored"
    flow.run("resume", "c")
    assert flow.counts() == {"delivered": 100}
    assert judge(flow, flow.numbers(100)).findings == ()


def full_inbox(flow: Flow) -> None:
    engine = launched(flow, 120)
    (receiver,) = flow.pids("listen")
    inbox, refusals = flow.folder / "c.inbox.db", flow.folder / "c.receiver.log"
    with full_disk(receiver, log_of(inbox)):
        flow.until(lambda: "push_not_stored" in refusals.read_text(), "a report is refused", engine)
        before = stored(inbox)
        assert push(flow, b"while it is full" + bytes(_LEAST)) == 503
        assert stored(inbox) == before
    assert push(flow, b"with room again") == 200
    assert b"with room again" in stored(inbox)[-20:]
    done = engine.wait()
    assert done.code == 0, done.err
    assert "Traceback" not in refusals.read_text()
    assert flow.counts() == {"delivered": 120}, "devices tell again what was not taken"
    assert judge(flow, flow.numbers(120)).findings == ()


def stored(inbox: Path) -> list[bytes]:
    """The bodies in an inbox, in order."""
    with closing(sqlite3.connect(f"file:{inbox}?mode=ro", uri=True)) as conn:
        return [row[0] for row in conn.execute("SELECT body FROM inbox ORDER BY id")]


def push(flow: Flow, body: bytes) -> int:
    """The receiver's answer to a device that pushes this."""
    with closing(sqlite3.connect(f"file:{flow.folder / 'c.inbox.db'}?mode=ro", uri=True)) as conn:
        (port,) = conn.execute("SELECT value FROM meta WHERE key = 'listen_port'").fetchone()
    receiver = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)
    with closing(receiver):
        receiver.request("POST", f"/p/{flow.one('SELECT token FROM gateways')}", body)
        return receiver.getresponse().status


def protected_ledger(flow: Flow) -> None:
    flow.db = flow.folder / "ledgers" / "c.db"
    engine = launched(flow, 60)
    engine.kill()
    known = tids(flow)
    for path, mode in ((flow.db, 0o400), (flow.db.parent, 0o500)):
        usual = path.stat().st_mode & 0o777
        path.chmod(mode)
        done = flow.start_any([sys.executable, "-c", _AS_ANYBODY, *flow.argv("resume")]).wait()
        path.chmod(usual)
        assert_plain(done, "let this user write", "go on with: campaign", "resume")
    assert tids(flow) == known
    assert {line["tid"] for line in flow.truth()} <= known
    flow.run("resume")
    assert judge(flow, flow.numbers(60)).findings == ()


def tids(flow: Flow) -> set[int]:
    """Every task the ledger knows by now."""
    return {row["tid"] for row in flow.rows("SELECT tid FROM tasks")}


JOURNEYS = (full_ledger, full_inbox, protected_ledger)


def test_a_full_disk_ends_the_engine_plainly_and_with_room_it_goes_on(
    at_once: Callable[[str], None],
) -> None:
    at_once("full_ledger")


def test_a_receiver_on_a_full_disk_refuses_reports_and_with_room_takes_them(
    at_once: Callable[[str], None],
) -> None:
    at_once("full_inbox")


def test_a_ledger_that_may_not_be_written_is_told_plainly_and_nothing_is_sent(
    at_once: Callable[[str], None],
) -> None:
    at_once("protected_ledger")
