"""A device's inbound messages go back to where they went before a load asked for receipts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from campaign.errors import NotSent
from campaign.load.inbound import inbound_url, point_back
from campaign.load.plan import Plan
from campaign.load.target import Address
from campaign.load.workload import Cadence
from campaign.protocol.session import Login

OURS = "http://127.0.0.1:1/p/load"
THEIRS = "http://192.0.2.1/p/campaigns"


@dataclass
class Console:
    """The parameters of a device; `deaf` to changes, or `down` altogether."""

    values: dict[str, str] = field(default_factory=dict)
    deaf: bool = False
    down: bool = False

    async def get_parameters(self, names: Sequence[str]) -> dict[str, str]:
        if self.down:
            raise NotSent("it", "nobody there")
        return {name: self.values[name] for name in names if name in self.values}

    async def set_parameters(self, values: Mapping[str, str], *, as_body: bool = False) -> int:
        if self.down:
            raise NotSent("it", "nobody there")
        if not self.deaf:
            self.values.update(values)
        return len(values)


async def test_the_address_is_written_back_and_read_again() -> None:
    console = Console({"sms_url": OURS})
    assert await point_back(console, THEIRS, OURS)
    assert await inbound_url(console) == THEIRS
    assert await point_back(Console({"sms_url": OURS}), "", OURS)


async def test_an_address_that_is_not_ours_is_left_alone() -> None:
    console = Console({"sms_url": THEIRS})
    assert await point_back(console, "http://192.0.2.9/", OURS)
    assert console.values == {"sms_url": THEIRS}


@pytest.mark.parametrize("console", [Console({"sms_url": OURS}, deaf=True), Console(down=True)])
async def test_what_could_not_be_written_back_is_told(console: Console) -> None:
    assert not await point_back(console, THEIRS, OURS)


async def test_a_device_that_does_not_say_is_not_taken_for_one_that_pushes_nowhere() -> None:
    assert await inbound_url(Console()) is None
    assert await inbound_url(Console({"sms_url": ""})) == ""


def test_without_receipts_a_request_says_nothing_of_inbound_messages() -> None:
    assert Cadence(url=OURS).envelope().sms_url is None
    assert Cadence(url=OURS, receipts=True).envelope().sms_url == OURS


@pytest.mark.parametrize(
    ("version", "unasked", "receipts"),
    [("campaign-simulator 1", True, True), ("603-00", True, False), ("603-00", False, True)],
)
def test_unasked_receipts_are_those_of_a_simulator(
    version: str, unasked: bool, receipts: bool
) -> None:
    plan = Plan(
        Address("127.0.0.1", 80, Login("a", "b")),
        cadence=Cadence(receipts=True),
        receipts_if_simulated=unasked,
    )
    assert plan.fitting(version, "spec").cadence.receipts is receipts
