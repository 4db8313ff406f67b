"""An engine killed at any moment: nobody is sent twice, nobody is lost."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.flows.conftest import Flow

pytestmark = pytest.mark.process

_MANY = 10_000
_SEED = 20260302


def test_ten_thousand_recipients_survive_three_kills(
    flow: Flow, make_list: Callable[[int], Path]
) -> None:
    path = make_list(_MANY)
    numbers = {line.lstrip("+") for line in path.read_text().split()[1:]}
    rng = random.Random(_SEED)
    # every receipt comes; on a busy machine the last ones take their time
    patient = {"receipt-wait": "30s"}
    engine = flow.launch(path, simulate=4, simulated={"ports": "8"}, times=patient)
    for _ in range(3):
        moment = flow.attempted() + rng.randint(50, 2500)
        flow.until(lambda moment=moment: flow.attempted() >= moment, "more is on air", engine)  # type: ignore[misc]  # a default binds the loop's value
        engine.kill()
        assert flow.state() == "running"
        engine = flow.start("resume")
    done = engine.wait(within=120)
    assert done.code == 0, done.err

    air = flow.on_air()
    assert set(air) == numbers
    assert set(air.values()) == {1}
    assert flow.counts() == {"delivered": _MANY}
    truth = {line["number"]: line for line in flow.truth() if line["ok"]}
    report = flow.report()
    assert [row["row"] for row in report] == [str(line) for line in range(2, _MANY + 2)]
    for row in report:
        line = truth[row["number"]]
        assert row["state"] == "delivered", row
        assert (row["gateway"], row["port"], int(row["tid"])) == (
            line["device"],
            line["port"],
            line["tid"],
        )
    assert not flow.pids("simulate"), "the simulated gateways end with the campaign"


def test_a_last_remaining_recipient_with_eight_ports_goes_out_once(flow: Flow) -> None:
    path = flow.write_list(1)
    done = flow.launch(path, "--ports", "1-8", simulate=1, simulated={"ports": "8"}).wait()
    assert done.code == 0, done.err
    assert flow.on_air() == Counter(flow.numbers(1))
    assert len(flow.truth()) == 1


def test_a_kill_during_the_import_drops_the_draft_and_says_so(
    flow: Flow, down: str, make_list: Callable[[int], Path]
) -> None:
    engine = flow.launch(make_list(50_000), simulate=None)
    flow.until(lambda: flow.one("SELECT count(*) FROM recipients"), "an import begins", engine)
    assert flow.state() == "importing"
    engine.kill()
    done = flow.run("resume", code=4)
    assert "the import of c was interrupted" in done.err
    assert "nothing was sent" in done.err
    assert flow.counts() == {}
    assert flow.rows("SELECT 1 FROM campaigns") == []
