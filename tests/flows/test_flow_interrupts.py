"""Ctrl-C, SIGTERM, a gateway that is down, a password that is wrong: said plainly, nothing lost."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.flows.conftest import Flow

pytestmark = pytest.mark.process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_gateway_that_is_down_is_waited_for_until_interrupted(
    flow: Flow, down: str, number: signal.Signals
) -> None:
    engine = flow.launch(flow.write_list(5), simulate=None)
    flow.until(lambda: "down cannot be reached" in engine.err, "it says so", engine)
    assert "waiting for it" in engine.err
    flow.until(lambda: flow.state() == "running", "its list is in", engine)
    engine.signal(number)
    done = engine.wait(within=10)
    assert done.code == 130
    assert f"--db {flow.db}" in done.err
    assert "resume c" in done.err
    assert flow.state() == "running"
    assert flow.counts() == {"pending": 5}


def test_an_import_that_is_interrupted_leaves_nothing_and_says_so(
    flow: Flow, down: str, make_list: Callable[[int], Path]
) -> None:
    engine = flow.launch(make_list(50_000), simulate=None)
    flow.until(lambda: flow.one("SELECT count(*) FROM recipients"), "an import begins", engine)
    assert flow.state() == "importing"
    engine.signal(signal.SIGINT)
    done = engine.wait(within=10)
    assert done.code == 130
    assert "nothing was sent; launch it again" in done.err
    assert flow.rows("SELECT 1 FROM campaigns") == []


def test_after_ctrl_c_the_printed_command_goes_on_and_nobody_is_sent_twice(flow: Flow) -> None:
    engine = flow.launch(flow.write_list(200), simulate=1, simulated={"sms-seconds": "0.2"})
    flow.until(lambda: flow.attempted() >= 20, "sending began", engine)
    engine.signal(signal.SIGINT)
    done = engine.wait(within=10)
    assert done.code == 130
    assert flow.attempted() < 200, "it was too late to be interrupted"
    assert len(flow.pids("simulate")) == 1, "Ctrl-C passes the simulated gateway by"
    assert len(flow.pids("listen")) == 1, "Ctrl-C passes the receiver by"
    command = shlex.split(done.err.partition("go on with: campaign ")[2].partition("\n")[0])
    assert "--optouts" in command, "who opted out stays out"
    resumed = flow.start_any([*flow.argv()[:3], *command])
    assert resumed.wait().code == 0, resumed.err
    assert sorted(flow.on_air().elements()) == flow.numbers(200)
    assert flow.counts() == {"delivered": 200}
    # by hand the receiver ends at once, else by itself some seconds later
    assert "has ended" in flow.run("listen", "--stop").out
    # its lock and its port are free; the process itself may take a moment more
    flow.until(lambda: not flow.processes(), "all processes are gone")


def test_a_wrong_password_ends_the_launch_before_anything_is_claimed(flow: Flow) -> None:
    done = flow.launch(flow.write_list(5), simulate=2, simulated={"password": "another"}).wait()
    assert done.code == 5, done.err
    assert "credentials refused" in done.err
    assert flow.one("SELECT count(*) FROM attempts") == 0
    assert flow.counts() == {"pending": 5}
    assert flow.attempted() == 0


def test_a_wrong_public_address_costs_a_handful_of_messages_not_a_campaign(flow: Flow) -> None:
    engine = flow.launch(
        flow.write_list(200),
        "--public-url",
        "http://127.0.0.1:9",
        simulate=1,
        times={"client-timeout": "500ms", "report-horizon": "1500ms", "push-silence": "60s"},
    )
    told = "no report from sim1 has reached http://127.0.0.1:9"
    flow.until(lambda: told in engine.err, "it says so", engine)
    flow.until(lambda: flow.attempted() > 4, "a probe", engine, within=20)
    (campaign,) = flow.run("status", "--json").json()["campaigns"]
    assert told in campaign["waiting_for"]
    assert flow.attempted() <= 4 + 3, "one message per port and three probes"
    engine.signal(signal.SIGINT)
    assert engine.wait(within=10).code == 130
