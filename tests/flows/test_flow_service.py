"""The service: campaigns come from other processes, it is killed and started again, and stopped."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.flows.conftest import Command, Flow

pytestmark = pytest.mark.process


def _serve(flow: Flow) -> Command:
    service = flow.start("serve")
    flow.until(
        lambda: "event=serve" in service.err and "serving" in service.err, "it is up", service
    )
    return service


def test_two_campaigns_handed_to_a_service_survive_its_kill(flow: Flow) -> None:
    service = _serve(flow)
    settings = {"register-seconds": "0.2", "sms-seconds": "0.1"}
    one = flow.launch(flow.write_list(80), name="one", simulated=settings)
    flow.until(lambda: flow.state("one"), "the first is there", one)
    path = flow.write_list(160, name="second.csv")
    kept = path.read_text().splitlines()
    path.write_text("\n".join([kept[0], *kept[81:], ""]))
    two = flow.launch(path, name="two", simulate=None)
    flow.until(lambda: flow.state("two") == "running" and flow.attempted() > 40, "both send", two)

    service.kill()
    assert [command.wait(20).code for command in (one, two)] == [1, 1]
    told = flow.run("status", "one", "--json").json()["campaigns"][0]
    assert told["waits"][-1]["why"] == "no engine runs: campaign resume"

    again = _serve(flow)
    watching = flow.start("watch", "one")
    flow.until(lambda: flow.state("two") == "finished", "the second is over", again)
    assert watching.wait().code == 0
    assert watching.out.startswith("finished   one: 80/80 final")
    again.signal(signal.SIGTERM)
    done = again.wait(10)
    assert (done.code, "Traceback" in done.err) == (130, False)
    assert flow.counts("one") == flow.counts("two") == {"delivered": 80}
    assert set(flow.on_air().values()) == {1}
    for name in ("one", "two"):
        flow.run("verify", name)


def test_a_service_with_nothing_to_do_ends_by_a_signal_within_seconds(flow: Flow) -> None:
    service = _serve(flow)
    held = flow.run("serve", code=6)
    assert "held by an engine" in held.err
    service.signal(signal.SIGTERM)
    done = service.wait(10)
    assert done.code == 130
    assert "go on with: campaign --db" in done.err
    lines = [line for line in done.err.splitlines() if line.startswith("ts=")]
    assert all(" level=INFO event=serve text=" in line for line in lines)
