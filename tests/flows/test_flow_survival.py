"""Engine and receiver outlive each other: what is told meanwhile is neither lost nor guessed."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from tests.flows.judging import judge

if TYPE_CHECKING:
    from tests.flows.conftest import Command, Flow

pytestmark = pytest.mark.process


def sending(flow: Flow, count: int, rate: str) -> Command:
    """A campaign of `count`, of which twenty are on air."""
    path = flow.write_list(count)
    engine = flow.launch(
        path, "--rate", rate, simulate=2, simulated={"register-seconds": "0.2"},
        times={"client-timeout": "1s"},
    )  # fmt: skip
    flow.until(lambda: flow.attempted() >= 20, "it sends", engine)
    return engine


def kept(flow: Flow) -> bytes:
    """All bodies in the inbox."""
    with closing(sqlite3.connect(f"file:{flow.folder / 'c.inbox.db'}?mode=ro", uri=True)) as conn:
        return b"\n".join(row[0] for row in conn.execute("SELECT body FROM inbox"))


def bound(flow: Flow) -> tuple[int, int]:
    """The receiver's port and pid, as the inbox has them."""
    with closing(sqlite3.connect(f"file:{flow.folder / 'c.inbox.db'}?mode=ro", uri=True)) as conn:
        meta = dict(conn.execute("SELECT key, value FROM meta").fetchall())
    return int(meta["listen_port"]), int(meta["listen_pid"])


def takes(stranger: socket.socket, port: int) -> bool:
    with suppress(OSError):
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        return True
    return False


def reported_meanwhile(flow: Flow) -> None:
    engine = sending(flow, 60, "40/s")
    engine.kill()
    accepted = """
        SELECT r.number FROM attempts AS a JOIN recipients AS r ON r.id = a.recipient_id
        JOIN tasks AS t ON t.id = a.task_id WHERE t.state = 'accepted'
    """
    in_flight = [row["number"] for row in flow.rows(accepted)]
    assert in_flight, "nothing was under way"
    flow.until(
        lambda: all(number.encode() in kept(flow) for number in in_flight), "all is reported"
    )
    for pid in flow.pids("simulate"):
        os.kill(pid, signal.SIGKILL)
    flow.run("resume")
    told = {row["number"]: row["state"] for row in flow.rows("SELECT * FROM recipients")}
    assert {told[number] for number in in_flight} <= {"sent", "delivered", "no_receipt"}
    assert judge(flow, flow.numbers(60)).findings == ()


def killed_receiver(flow: Flow) -> None:
    engine = sending(flow, 120, "20/s")
    port, pid = bound(flow)
    os.kill(pid, signal.SIGKILL)
    flow.until(lambda: bound(flow)[1] != pid, "it is started again", engine)
    assert bound(flow)[0] == port
    os.kill(bound(flow)[1], signal.SIGKILL)
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        flow.until(lambda: takes(stranger, port), "the dead one's port is free", engine)
        done = engine.wait(within=30)
    assert done.code == 1, done.err
    assert "Traceback" not in done.err
    assert f"port {port} on 127.0.0.1 is held by somebody else" in done.err
    assert f"--db {flow.db}" in done.err
    assert "resume c" in done.err
    assert flow.state() == "running"
    flow.run("resume")
    assert bound(flow)[0] == port
    verdict = judge(flow, flow.numbers(120))
    assert verdict.findings == ()
    assert verdict.sent == 120
    assert flow.counts().get("delivered", 0) >= 60, "it reported nothing"


JOURNEYS = (reported_meanwhile, killed_receiver)


def test_what_is_reported_while_no_engine_runs_is_folded_though_its_gateway_is_gone(
    at_once: Callable[[str], None],
) -> None:
    at_once("reported_meanwhile")


def test_a_killed_receiver_is_back_on_its_port_and_where_it_is_taken_the_engine_ends_plainly(
    at_once: Callable[[str], None],
) -> None:
    at_once("killed_receiver")
