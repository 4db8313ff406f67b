"""A port that fails rests, longer after each failed probe; another SIM in it starts fresh."""

from __future__ import annotations

import pytest

from campaign.engine.device import Port
from campaign.planner.quotas import sim_key
from campaign.protocol.messages import PortState
from campaign.protocol.ports import Port as WirePort


def told(iccid: str = "", slot: int | None = None, code: int = 3, balance: str = "") -> PortState:
    return PortState(port=WirePort(1, slot), code=code, iccid=iccid, balance=balance)


def test_a_rest_doubles_with_each_failed_probe_up_to_an_hour() -> None:
    port, now, rests = Port(1), 0.0, []
    for _ in range(9):
        rests.append(port.fail(now, 60.0))
        now += rests[-1]
    assert rests == [60.0 * 2**n for n in range(6)] + [3600.0] * 3


def test_failures_of_what_was_still_queued_are_no_failed_probes() -> None:
    port = Port(1)
    assert [port.fail(now, 60.0) for now in (0.0, 1.0, 2.0)] == [60.0] * 3


def test_one_message_that_works_makes_the_next_rest_short_again() -> None:
    port = Port(1)
    port.fail(0.0, 60.0)
    assert port.fail(60.0, 60.0) == 120.0
    port.work()
    assert port.rests_until is None
    assert port.fail(500.0, 60.0) == 60.0


@pytest.mark.parametrize(
    ("state", "is_fresh"),
    [
        pytest.param(told("8986002", 1), True, id="another ICCID"),
        pytest.param(told("", 2), True, id="another slot"),
        pytest.param(told("8986001", 1), False, id="the same"),
        pytest.param(told("", 1), False, id="ICCID not told"),
        pytest.param(told("8986001"), False, id="slot not told"),
    ],
)
def test_only_another_sim_starts_fresh(state: PortState, is_fresh: bool) -> None:
    port = Port(1)
    port.hold_sim(told("8986001", 1, balance="9.50"))
    port.failures = 3
    port.fail(0.0, 60.0)
    port.hold_sim(state)
    assert (port.rests_until is None) == (port.failures == 0) == is_fresh
    assert (port.balance == "9.50") != is_fresh
    key = sim_key(1, 1, port.slot, port.iccid)
    assert key == (state.iccid or (f"1:1.{state.port.slot:02}" if is_fresh else "8986001"))
