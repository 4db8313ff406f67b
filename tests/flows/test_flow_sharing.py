"""One ledger, one engine: whoever comes second hands over, follows, or is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.flows.conftest import Flow

pytestmark = pytest.mark.process

_UNHURRIED = {"sms-seconds": "0.08"}


def test_a_second_launch_hands_over_and_follows(flow: Flow) -> None:
    first, second = flow.list(250), flow.list(1, "+99977000001001", name="second.csv")
    engine = flow.launch(first, simulate=1, simulated=_UNHURRIED)
    flow.until(lambda: flow.state() == "running", "the engine runs", engine)
    refused = flow.launch(second, "--no-attach", name="refused", simulate=None).wait()
    assert refused.code == 6, refused.err
    assert "held by a running engine" in refused.err
    again = flow.launch(first, name="again", simulate=None).wait()
    assert again.code == 2, again.err
    assert "--again sends to everybody once more" in again.err
    follower = flow.launch(second, "--json", name="second", simulate=None)
    done, last = engine.wait(), follower.wait()
    assert (done.code, last.code) == (0, 0), done.err + last.err
    assert "handed over" in last.err
    assert last.json()["name"] == "second"
    assert last.json()["counts"]["delivered"] == 2
    assert flow.counts() == {"delivered": 250}
    assert flow.state("second") == "finished"
    assert flow.one("SELECT value FROM meta WHERE key = 'epoch'") == "1", "one engine did it all"
    air = flow.on_air()
    assert air.pop(flow.numbers(1)[0]) == 2, "once in each campaign"
    assert set(air.values()) == {1}


def test_the_same_list_and_message_needs_again(flow: Flow) -> None:
    path = flow.list(3)
    assert flow.launch(path, simulate=1).wait().code == 0
    refused = flow.launch(path, name="d", simulate=1).wait()
    assert refused.code == 2
    assert "campaign 'c' (finished) has the same numbers and the same message" in refused.err
    assert flow.launch(path, "--again", name="d", simulate=1).wait().code == 0
    assert set(flow.on_air().values()) == {2}
    assert not flow.pids("simulate")


def test_a_ledger_deeper_than_a_socket_path_can_be_works(flow: Flow) -> None:
    deep = flow.folder / ("a" * 60) / ("b" * 60)
    deep.mkdir(parents=True)
    flow.db = deep / "c.db"
    assert len(bytes(flow.db.with_name("c.db.sock"))) > 108
    engine = flow.launch(flow.list(100), simulate=1, simulated=_UNHURRIED)
    flow.until(lambda: flow.attempted() > 4, "sending began", engine)
    state = json.loads(flow.run("status", "--json").out)
    assert [gateway["name"] for gateway in state["gateways"]] == ["sim1"], "the engine answered"
    assert engine.wait().code == 0
    assert flow.counts() == {"delivered": 100}


def test_a_pipe_ends_with_the_engine_though_the_receiver_lives_on(
    flow: Flow, tmp_path: Path
) -> None:
    words = flow.argv("launch", flow.list(5), "--message", "Hello", "--name", "c", "--simulate")
    copy = tmp_path / "copy"
    line = 'copy=$1; shift; "$@" 2>&1 | tee "$copy"'
    sms = ("1", "--simulate-set", "sms-seconds=0.02", "--simulate-set", "receipts-seconds=0.1")
    pipeline = flow.start_any(["bash", "-c", line, "bash", str(copy), *words, *sms])
    assert pipeline.wait().code == 0
    assert "campaign c finished" in copy.read_text()
    assert len(flow.pids("listen")) == 1
