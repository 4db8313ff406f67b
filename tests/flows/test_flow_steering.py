"""Pause, continue and cancel from another process, felt on the air within seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.flows.conftest import Command, Flow

pytestmark = pytest.mark.process

_PORTS = 4


def _sending(flow: Flow, recipients: int, sms_seconds: str) -> Command:
    settings = {"sms-seconds": sms_seconds, "ports": str(_PORTS)}
    engine = flow.launch(flow.write_list(recipients), simulate=1, simulated=settings)
    # beyond the first message of each port, so that a queue stands on the device
    flow.until(lambda: flow.attempted() > 3 * _PORTS, "sending is under way", engine)
    return engine


def _stays_quiet(flow: Flow, engine: Command) -> None:
    """Nothing but what was in the air when the command returned goes out for several air times."""
    on_air = flow.attempted() + _PORTS
    later = engine.elapsed() + 1.0
    flow.until(lambda: engine.elapsed() > later, "they pass")
    assert flow.attempted() <= on_air


def test_pause_silences_the_devices_and_continue_goes_on(flow: Flow) -> None:
    engine = _sending(flow, 200, "0.2")
    flow.run("pause", "c")
    _stays_quiet(flow, engine)
    assert flow.attempted() < 200, "it was too late to be paused"
    (campaign,) = flow.run("status", "--json").json()["campaigns"]
    assert (campaign["state"], campaign["waiting_for"]) == ("paused", "paused")
    flow.run("continue", "c")
    assert engine.wait().code == 0
    assert flow.counts() == {"delivered": 200}
    assert set(flow.on_air().values()) == {1}


def test_cancel_takes_back_what_is_queued_and_ends_the_run(flow: Flow) -> None:
    engine = _sending(flow, 400, "0.1")
    told = flow.run("cancel", "c").out
    assert "cancelled" in told
    _stays_quiet(flow, engine)
    done = engine.wait()
    assert done.code == 0, done.err
    assert flow.state() == "cancelled"
    counts, air = flow.counts(), flow.on_air()
    assert sum(counts.values()) == 400
    assert counts["cancelled"] > 0
    assert set(air.values()) == {1}
    for row in flow.report():
        if row["state"] == "cancelled":
            assert air[row["number"]] == 0, row
        elif row["state"] != "unknown":
            assert air[row["number"]] == 1, row
    assert not flow.pids("simulate")
