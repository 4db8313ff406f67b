"""Whom a load may hit, how much, and what is taken back from a device's queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
import trio
import trio.testing

from campaign.errors import InDoubt, NotSent, UsageError
from campaign.gateway.answers import Sweep, TidsReading
from campaign.load.account import Account
from campaign.load.naming import Names
from campaign.load.takeback import take_back, until_empty
from campaign.load.target import Address, Leave, read_numbers
from campaign.protocol.messages import QueuedTask, TidsAnswer, Verdict
from campaign.protocol.simulated import is_simulated
from campaign.simulator.status import VERSION
from tests.load.test_account import settled, told

REAL = "603-00-00-10-08-02"
OWN = Leave(owned=True, numbers=("447700900001",))


def test_only_what_carries_the_simulators_own_mark_is_one() -> None:
    assert is_simulated(VERSION)
    assert not is_simulated(REAL)
    assert not is_simulated("")
    assert not is_simulated("campaign-simulators 1")


@pytest.mark.parametrize(
    ("leave", "missing"),
    [
        (Leave(), "--i-own-this-gateway and --numbers FILE"),
        (Leave(owned=True), "give --numbers FILE"),
        (Leave(numbers=("447700900001",)), "give --i-own-this-gateway"),
    ],
)
def test_a_real_gateway_needs_its_owners_word_and_numbers(leave: Leave, missing: str) -> None:
    with pytest.raises(UsageError, match=missing):
        leave.most(REAL, 1)
    assert leave.most(VERSION, 1) is None


def test_a_real_gateway_sends_little_unless_its_owner_says_how_much() -> None:
    assert OWN.most(REAL, 1) == 100
    OWN.check(REAL, 1, 100)
    with pytest.raises(UsageError, match="offers 101 messages, and at most 100"):
        OWN.check(REAL, 1, 101)
    assert Leave(owned=True, numbers=OWN.numbers, messages=5000).most(REAL, 1) == 5000


def test_a_limit_of_cost_counts_every_part() -> None:
    leave = Leave(price=Decimal("0.05"), cost=Decimal(10), messages=500)
    assert leave.most(VERSION, 1) == 200
    assert leave.most(VERSION, 3) == 66
    with pytest.raises(UsageError, match="more than the limit"):
        Leave(price=Decimal(20), cost=Decimal(10)).most(VERSION, 1)
    with pytest.raises(UsageError, match="needs the price"):
        Leave(cost=Decimal(10))


def test_an_address_never_shows_its_password() -> None:
    address = Address.parse("http://ro%40ot:s%3Acret@[::1]:8080/gw/")
    assert (address.login.username, address.login.password) == ("ro@ot", "s:cret")
    assert address.url == "http://[::1]:8080/gw"
    assert "cret" not in repr(address)
    assert Address.parse("https://u:p@gateway").port == 443


@pytest.mark.parametrize("text", ["sim1", "ftp://u:secret@h", "http://h:1", "http://u:secret@h:x"])
def test_what_is_no_address_is_refused_without_its_password(text: str) -> None:
    with pytest.raises(UsageError, match="http://user:password@host:port") as refused:
        Address.parse(text)
    assert "secret" not in str(refused.value)


def test_numbers_are_read_once_each_as_digits() -> None:
    lines = ["# mine", "+44 7700 900001", "447700900001", "", "49-151-234567 # my other one"]
    assert read_numbers(lines) == ("447700900001", "49151234567")
    with pytest.raises(UsageError, match="line 2"):
        read_numbers(["447700900001", "Bob"])
    with pytest.raises(UsageError, match="no number"):
        read_numbers(["# none"])


@dataclass
class Queued:
    """A device's queue; it leaves the first `ignored` requests to remove unanswered."""

    tasks: dict[int, str]
    ignored: int = 0
    asked: list[Sequence[int]] = field(default_factory=list)

    async def waiting_count(self, port: int) -> int:
        return len(self.tasks)

    async def waiting_tasks(self, ports: Sequence[int]) -> Sweep:
        found = [QueuedTask(tid=tid, to=(to,)) for tid, to in self.tasks.items()]
        return Sweep(b"", tuple(found))

    async def remove(self, tids: Sequence[int]) -> TidsReading:
        self.asked.append(tids)
        if len(self.asked) <= self.ignored:
            raise InDoubt("target", "no answer")
        gone = [Verdict(tid, 0 if self.tasks.pop(tid, None) else 11, "") for tid in tids]
        return TidsReading(b"", TidsAnswer(code=200, verdicts=tuple(gone)))


@pytest.mark.parametrize("ignored", [0, 1])
async def test_only_our_own_tasks_are_taken_back_page_by_page(ignored: int) -> None:
    names = Names(1000)
    account = Account(names)
    for send in range(620):
        account.take(told(send, 0))
    waiting = {names.tid(task): next(names.numbers(task)) for task in range(10, 620)}
    device = Queued({**waiting, 7: "447700900001", 1700: "447700900001"}, ignored)
    left = await take_back(device, account)
    assert left == 0
    assert sorted(device.tasks) == [7, 1700]
    assert all(0 < len(page) <= 500 for page in device.asked)
    books = settled(account)
    assert (books.removed, books.unreported) == (610, 10)


@dataclass
class Draining(Queued):
    """Every question finds one task less."""

    async def waiting_count(self, port: int) -> int:
        found = len(self.tasks)
        if found:
            self.tasks.popitem()
        return found


class Silent(Queued):
    async def waiting_count(self, port: int) -> int:
        raise NotSent("it", "nobody there")


async def test_a_queue_is_waited_for_until_it_is_empty_or_too_slow_or_does_not_say(
    autojump_clock: trio.testing.MockClock,
) -> None:
    tasks = dict.fromkeys(range(1, 8), "999")
    assert await until_empty(Queued({}), within=10)
    assert await until_empty(Draining(dict(tasks)), within=10)
    assert not await until_empty(Draining(dict(tasks)), within=2)
    began = trio.current_time()
    assert not await until_empty(Silent(tasks), within=10)
    assert trio.current_time() == began
