"""One ledger, one engine: whoever comes second hands over, follows, or is told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.flows.conftest import Flow

pytestmark = pytest.mark.process


def test_a_second_launch_hands_over_and_follows(flow: Flow) -> None:
    path = flow.write_list(40)
    # ports apart: two messages to one number from one port within a second have equal receipts
    # ten seconds long, and paused, so that it cannot be over before the others come
    engine = flow.launch(path, "--ports", "1-2", "--rate", "4/s", simulate=1)
    flow.until(lambda: flow.state() == "running", "the engine runs", engine)
    flow.run("pause", "c")
    alone = flow.launch(path, "--no-attach", name="alone", simulate=None)
    twin = flow.launch(path, name="twin", simulate=None)
    again = flow.launch(path, "--again", "--json", "--ports", "3-4", name="again", simulate=None)
    assert alone.wait().code == 6, alone.err
    assert "held by a running engine" in alone.err
    assert twin.wait().code == 2, twin.err
    assert "has the same numbers and the same message" in twin.err
    flow.until(lambda: flow.state("again") == "running", "it is handed over", again)
    flow.run("continue", "c")
    done, followed = engine.wait(), again.wait()
    assert done.code == 0, done.err
    assert followed.code == 0, followed.err
    assert "handed over" in followed.err
    assert followed.json()["name"] == "again"
    assert followed.json()["counts"]["delivered"] == 40
    assert flow.counts("c") == flow.counts("again") == {"delivered": 40}
    assert flow.one("SELECT value FROM meta WHERE key = 'epoch'") == "1", "one engine did it all"
    assert flow.on_air() == dict.fromkeys(flow.numbers(40), 2), "once in each campaign"


def test_a_finished_list_and_message_need_again(flow: Flow, down: str) -> None:
    path = flow.write_list(3)
    first = flow.launch(path, simulate=None)
    flow.until(lambda: flow.state() == "running", "it is imported", first)
    first.kill()
    flow.run("cancel", "c")
    done = flow.launch(path, name="d", simulate=None).wait()
    assert done.code == 2
    assert "campaign 'c' (cancelled) has the same numbers and the same message" in done.err
    assert "--again sends to everybody once more" in done.err
    assert flow.state("d") is None


def test_a_ledger_deeper_than_a_socket_path_can_be_works(flow: Flow) -> None:
    flow.db = flow.folder / ("a" * 60) / ("b" * 60) / "c.db"
    assert not flow.db.parent.exists(), "its folders are made, too"
    assert len(bytes(flow.db.with_name("c.db.sock"))) > 108
    engine = flow.launch(flow.write_list(100), simulate=1, simulated={"sms-seconds": "0.1"})
    flow.until(flow.attempted, "sending began", engine)
    state = flow.run("status", "--json").json()
    assert [gateway["name"] for gateway in state["gateways"]] == ["sim1"], "the engine answered"
    assert engine.wait().code == 0
    assert flow.counts() == {"delivered": 100}


def test_a_pipe_ends_with_the_engine_though_the_receiver_lives_on(
    flow: Flow, tmp_path: Path
) -> None:
    simulated = ("--simulate-set", "sms-seconds=0.02", "--simulate-set", "receipts-seconds=0.1")
    words = flow.launching(flow.write_list(5), "--name", "c", "--simulate", "1", *simulated)
    line = 'copy=$1; shift; "$@" 2>&1 | tee "$copy"'
    pipeline = flow.start_any(
        ["bash", "-c", line, "bash", str(tmp_path / "copy"), *flow.argv(*words)]
    )
    assert pipeline.wait().code == 0
    assert "campaign c finished" in pipeline.out
    assert len(flow.pids("listen")) == 1
