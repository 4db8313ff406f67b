"""What is unknown is decided from another process, and the running engine goes on with it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.flows.conftest import Flow

pytestmark = pytest.mark.process


def test_a_resend_through_a_running_engine_goes_out_once_more_each(flow: Flow) -> None:
    timed_out = [f"99966{i}0006" for i in range(3)]  # they went out, and are reported as timed out
    path = flow.write_list(0, *(f"+{number}" for number in timed_out), name="first.csv")
    magic = {"magic": "on", "sms-seconds": "0.1"}
    flow.launch(path, "--no-receipts", simulate=1, simulated=magic).wait()
    assert flow.counts() == {"unknown": 3}
    engine = flow.launch(
        flow.write_list(200), "--no-receipts", name="two", simulate=1, simulated=magic
    )
    flow.until(lambda: flow.attempted() > 10, "sending is under way", engine)
    told = flow.run(
        "resolve", "c", "--cause", "timeout", "--as", "resend", "--why", "the shop closes", "--json"
    ).json()
    assert (told["recipients"], told["state"], told["taken_up"]) == (3, "running", True)
    assert engine.wait().code == 0
    assert flow.state() == "finished"
    on_air = flow.on_air()
    assert {number: on_air[number] for number in timed_out} == Counter(timed_out * 2)
    assert {row["attempts"] for row in flow.report()} == {"2"}
    assert "the shop closes" in flow.run("report", "c").out
