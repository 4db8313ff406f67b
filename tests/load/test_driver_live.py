"""A driver and the load client together on loopback, in real time: what no fake can show."""

from __future__ import annotations

import pytest
import trio

from campaign.env import Env
from campaign.load.driver import Driver, Job
from campaign.load.schedule import Constant, times
from campaign.load.wire import ErrorKind, Request, Target, Wire, build_request
from tests.load.servers import OK, Visit, answer_all, serving

REQUEST = Request(build_request("POST", "/goip_post_sms.html", "127.0.0.1", b"x" * 300))
MS = 1000


def post(nth: int) -> Request:
    return REQUEST


class Freezing:
    """A server that answers nobody between two moments, and everybody after."""

    def __init__(self, after: float, lasting: float) -> None:
        self._after, self._lasting = after, lasting
        self._first: float | None = None
        self.thawed = 0.0

    async def __call__(self, visit: Visit) -> None:
        while await visit.read():
            now = trio.current_time()
            self._first = now if self._first is None else self._first
            frozen = self._first + self._after
            if frozen <= now < frozen + self._lasting:
                await trio.sleep_until(frozen + self._lasting)
                self.thawed = max(self.thawed, trio.current_time() - self._first)
            await visit.say(OK)


@pytest.mark.slow
async def test_a_frozen_server_costs_all_who_should_have_asked_it_meanwhile() -> None:
    shape = Constant(rate=200, seconds=2.0)
    freezing = Freezing(after=1.0, lasting=0.5)
    async with serving(freezing) as server:
        job = Job(shape.seconds, lambda: times(shape, Env().rng), connections=8)
        driver = Driver(job, Wire(Target("127.0.0.1", server.port)), post, env=Env())
        await driver.connect()
        tally = await driver.run()
    assert (tally.due, tally.answered, tally.dropped) == (400, 400, 0)
    # A quarter of them was due during the freeze and waited 500 ms to 0: the top 5 % of all
    # waited the longest fifth of it. A busy machine only makes them wait longer.
    behind = (freezing.thawed - 1.5) * 1e6 + tally.lag.max
    assert 400 * MS * 0.95 <= tally.accept.percentile(95) <= 400 * MS * 1.05 + behind
    assert 480 * MS * 0.95 <= tally.accept.percentile(99) <= 480 * MS * 1.05 + behind
    # Eight connections were in the freeze, 2 % of all: that is all that is seen without it.
    assert tally.service.percentile(95) < tally.accept.percentile(95) / 2


async def test_a_run_over_real_connections_is_counted_to_the_byte() -> None:
    shape = Constant(rate=500, seconds=0.2)
    async with serving(answer_all) as server:
        job = Job(shape.seconds, lambda: times(shape, Env().rng), connections=4)
        driver = Driver(job, Wire(Target("127.0.0.1", server.port)), post, env=Env())
        await driver.connect()
        tally = await driver.run()
        assert len(server.requests) == tally.answered == tally.due == 100
        assert server.visits == tally.opened == 4
    assert tally.bytes_out == 100 * len(REQUEST.data)
    assert tally.bytes_in == 100 * len(OK)
    assert tally.statuses == {200: 100}


async def test_a_run_that_is_ended_ends_within_a_second_though_nobody_answers() -> None:
    async def silent(visit: Visit) -> None:
        await trio.sleep_forever()

    async with serving(silent) as server:
        job = Job(60, lambda: times(Constant(100, 60), Env().rng), connections=4)
        driver = Driver(job, Wire(Target("127.0.0.1", server.port)), post, env=Env())
        with trio.move_on_after(0.1):
            await driver.run()
    tally = driver.tally
    assert driver.seconds < 1.1
    assert tally.errors == {ErrorKind.CUT: 4}
    assert tally.due == 4 + tally.dropped >= 9


async def test_connections_that_the_server_ends_lose_no_request() -> None:
    async def three_each(visit: Visit) -> None:
        for _ in range(3):
            if not await visit.read():
                return
            await visit.say(OK)
        await visit.read()  # a fourth is taken, and never answered

    async with serving(three_each) as server:
        job = Job(0.2, lambda: times(Constant(500, 0.2), Env().rng), connections=4)
        driver = Driver(job, Wire(Target("127.0.0.1", server.port)), post, env=Env())
        tally = await driver.run()
        assert len(server.requests) == tally.due == 100
    assert tally.answered + tally.errors[ErrorKind.RESET] == 100
    assert tally.errors[ErrorKind.RESET] >= 100 // 4 - 4
    assert tally.repeated == 0
