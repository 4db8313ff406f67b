"""A driver in virtual time: what it sends when, what it measures, and that nothing is lost."""

from __future__ import annotations

import random
from collections import Counter
from itertools import accumulate

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from campaign.load.driver import Driver, Ended, Job
from campaign.load.tally import Second, Tally, bottlenecks
from campaign.load.wire import ErrorKind, Failure, Reply, Request
from tests.load.worlds import Behaviour, Cpu, FakeNetwork, evenly, virtual_env

REQUEST = Request(b"GET / HTTP/1.1\r\n\r\n")
MS = 1000


def post(nth: int) -> Request:
    return REQUEST


def quick(nth: int, now: float) -> tuple[float, int]:
    return 0.001, 200


async def play(job: Job, behaviour: Behaviour) -> tuple[Tally, FakeNetwork, float]:
    """What a job comes to, and how long after its start it ended."""
    network = FakeNetwork(behaviour)
    driver = Driver(job, network, post, env=virtual_env())
    begun = trio.current_time()
    await driver.run()
    network.sent = [at - begun for at in network.sent]
    return driver.tally, network, trio.current_time() - begun


async def test_every_request_is_sent_at_its_intended_time(autojump_clock: MockClock) -> None:
    rng = random.Random(1)
    times = sorted(rng.uniform(0, 3) for _ in range(200))
    job = Job(3, lambda: iter(times), connections=16)
    tally, network, _ = await play(job, quick)
    assert network.sent == pytest.approx(times, abs=1e-6)
    assert (tally.due, tally.answered, tally.late, tally.slow) == (200, 200, 0, 0)
    assert tally.statuses == {200: 200}
    assert network.closed == 16


async def test_requests_due_at_once_go_out_at_once_on_all_free_connections(
    autojump_clock: MockClock,
) -> None:
    job = Job(1, lambda: iter([0.5] * 10), connections=10)
    _, network, _ = await play(job, lambda nth, now: (0.3, 200))
    assert network.sent == pytest.approx([0.5] * 10)


async def test_a_latency_counts_from_the_intended_time(autojump_clock: MockClock) -> None:
    # One connection at 100 ms each serves 10/s; at 20/s the n-th waits 50 ms longer each time.
    job = Job(0.5, evenly(20, 10), connections=1)
    tally, _, took = await play(job, lambda nth, now: (0.1, 200))
    assert took == pytest.approx(1.0)  # and not a moment longer, whatever the grace
    assert tally.service.percentile(100) == pytest.approx(100 * MS, rel=0.01)
    assert tally.accept.percentile(100) == pytest.approx(550 * MS, rel=0.01)
    assert tally.accept.percentile(50) == pytest.approx(300 * MS, rel=0.01)
    assert tally.lateness.percentile(100) == pytest.approx(450 * MS, rel=0.01)
    assert (tally.late, tally.slow) == (9, 0)  # the target was the slow one


async def test_a_second_of_silence_shows_in_the_corrected_figures_and_hides_in_the_others(
    autojump_clock: MockClock,
) -> None:
    begun = trio.current_time()

    def freezes(nth: int, now: float) -> tuple[float, int]:
        since = now - begun
        return (6.0 - since if 5.0 <= since < 6.0 else 0.0) + 0.001, 200

    tally, network, _ = await play(Job(10, evenly(500, 5000), connections=40), freezes)
    assert len(network.sent) == tally.answered == 5000
    assert tally.accept.percentile(95) == pytest.approx(500 * MS, rel=0.05)
    assert tally.accept.percentile(99) == pytest.approx(900 * MS, rel=0.05)
    assert tally.service.percentile(99) < 2 * MS


async def test_what_is_not_sent_within_the_grace_is_dropped(autojump_clock: MockClock) -> None:
    job = Job(1, evenly(10, 10), connections=1, grace=1.5)
    tally, network, took = await play(job, lambda nth, now: (1.0, 200))
    assert network.sent == pytest.approx([0, 1, 2])
    assert (tally.due, tally.taken, tally.answered, tally.dropped) == (10, 3, 3, 7)
    assert took == pytest.approx(3.0)  # what was sent is awaited


async def test_a_target_that_hangs_costs_its_deadline_and_no_more(
    autojump_clock: MockClock,
) -> None:
    job = Job(1, evenly(4, 4), connections=2, timeout=2, grace=0.5)
    tally, _, took = await play(job, lambda nth, now: (999, 200))
    assert tally.errors == {ErrorKind.TIMEOUT: 2}
    assert (tally.due, tally.dropped, tally.answered) == (4, 2, 0)
    assert took == pytest.approx(2.25)


async def test_errors_are_counted_by_kind_and_a_refused_one_sent_nothing(
    autojump_clock: MockClock,
) -> None:
    kinds = [ErrorKind.RESET, ErrorKind.REFUSED, ErrorKind.PROTOCOL, ErrorKind.REFUSED]
    tally, _, _ = await play(
        Job(1, evenly(8, 8)), lambda nth, now: (0.01, kinds[nth] if nth < 4 else 503)
    )
    assert tally.errors == Counter(kinds)
    assert (tally.answered, tally.statuses) == (4, {503: 4})
    assert tally.bytes_out == 6 * len(REQUEST.data)
    assert tally.accept.count == tally.service.count == 4
    assert tally.lateness.count == 8


async def test_the_closed_model_sends_when_the_last_one_is_answered(
    autojump_clock: MockClock,
) -> None:
    tally, network, _ = await play(Job(1.05, connections=4), lambda nth, now: (0.1, 200))
    assert tally.due == tally.answered == len(network.sent) == 44
    assert tally.accept.percentile(100) == tally.service.percentile(100)
    tally, _, _ = await play(Job(1.05, connections=4, most=10), lambda nth, now: (0.1, 200))
    assert tally.answered == 10


async def test_each_request_is_told_once_with_its_number(autojump_clock: MockClock) -> None:
    told: list[Ended] = []
    asked: list[int] = []

    def source(nth: int) -> Request:
        asked.append(nth)
        return REQUEST

    job = Job(1, lambda: iter([0.1] * 20 + [0.2] * 20), connections=8)
    network = FakeNetwork(quick)
    driver = Driver(job, network, source, env=virtual_env(), on_ended=told.append)
    await driver.run()
    assert sorted(one.nth for one in told) == asked == list(range(40))
    assert all(one.done > one.intended for one in told)


async def test_the_seconds_of_a_run_add_up_to_it(autojump_clock: MockClock) -> None:
    seconds: list[Second] = []
    cpu = Cpu()

    def lazy(nth: int, now: float) -> tuple[float, int]:
        cpu.used += 0.01
        return 0.7, 200

    job = Job(3, evenly(10, 30), connections=4)
    network = FakeNetwork(lazy)
    driver = Driver(job, network, post, env=virtual_env(cpu), on_second=seconds.append)
    await driver.run()
    total = Tally()
    for second in seconds:
        total.add(second.tally)
    assert [second.nth for second in seconds] == list(range(len(seconds)))
    assert total.packed() == driver.tally.packed()
    assert [second.tally.due for second in seconds[:3]] == pytest.approx([10, 10, 10], abs=1)
    assert seconds[0].in_flight == 4
    assert [second.waiting for second in seconds[:3]] == list(
        accumulate(second.tally.due - second.tally.taken for second in seconds[:3])
    )
    assert seconds[-1].waiting == seconds[-1].in_flight == 0
    assert total.cpu_seconds == pytest.approx(0.3)


async def test_a_run_that_is_cut_ends_at_once_with_what_it_has(autojump_clock: MockClock) -> None:
    network = FakeNetwork(lambda nth, now: (0.001 if nth < 5 else 999, 200))
    driver = Driver(Job(60, evenly(10, 600), connections=3), network, post, env=virtual_env())
    begun = trio.current_time()
    with trio.move_on_after(2.05):
        await driver.run()
    assert trio.current_time() - begun == pytest.approx(2.05)
    tally = driver.tally
    assert (tally.due, tally.answered, tally.dropped) == (21, 5, 13)
    assert tally.errors == {ErrorKind.CUT: 3}
    assert network.closed == 3


async def test_beginning_late_with_a_free_connection_is_the_generators_own_fault(
    autojump_clock: MockClock,
) -> None:
    def stumble(ended: Ended) -> None:
        if ended.nth == 5:
            autojump_clock.jump(0.5)  # what a machine does that is busy elsewhere

    driver = Driver(
        Job(2, evenly(10, 20), connections=8), FakeNetwork(quick), post,
        env=virtual_env(), on_ended=stumble,
    )  # fmt: skip
    await driver.run()
    assert driver.tally.slow == driver.tally.late >= 4
    assert driver.tally.lag.percentile(100) > 400 * MS
    assert any("although a connection was free" in why for why in bottlenecks(driver.tally, 2))


@settings(max_examples=50)
@given(
    seed=st.integers(0, 2**32),
    connections=st.integers(1, 6),
    count=st.integers(0, 60),
    cut=st.none() | st.floats(0, 4),
)
def test_every_intended_request_ends_as_exactly_one_thing(
    seed: int, connections: int, count: int, cut: float | None
) -> None:
    rng = random.Random(seed)
    times = sorted(rng.choice([rng.uniform(0, 2), 1.0]) for _ in range(count))
    likely = rng.choice([0.0, 0.2, 0.9])
    slow = rng.choice([0.001, 0.1, 3.0])

    def behave(nth: int, now: float) -> tuple[float, int | ErrorKind]:
        failed = rng.random() < likely
        return rng.expovariate(1 / slow), rng.choice(list(ErrorKind)) if failed else 200

    job = Job(2, lambda: iter(times), connections=connections, timeout=1.5, grace=0.5)
    network = FakeNetwork(behave)
    told: list[Ended] = []
    driver = Driver(job, network, post, env=virtual_env(), on_ended=told.append)

    async def main() -> None:
        with trio.move_on_after(float("inf") if cut is None else cut):
            await driver.run()

    trio.run(main, clock=MockClock(autojump_threshold=0))
    tally = driver.tally
    assert tally.due == tally.answered + tally.failed + tally.dropped
    assert tally.taken == tally.answered + tally.failed == len(network.sent)
    assert len(told) == tally.taken
    assert tally.accept.count == tally.answered == tally.statuses.total()
    if cut is None:
        assert tally.due == count
    assert all(at <= sent + 1e-9 for at, sent in zip(times, _since(driver, network), strict=False))


def _since(driver: Driver, network: FakeNetwork) -> list[float]:
    return [at - driver.start for at in sorted(network.sent)]


async def test_what_is_cut_off_on_the_wire_is_told_of_too(autojump_clock: MockClock) -> None:
    ended: list[Ended] = []
    network = FakeNetwork(lambda nth, now: (0.01, 200) if nth < 2 else (60, 200))
    driver = Driver(
        Job(10, evenly(2, 20), connections=3), network, post, env=virtual_env(),
        on_ended=ended.append,
    )  # fmt: skip
    with trio.move_on_after(2.25):
        await driver.run()
    cut = [one for one in ended if not isinstance(one.outcome, Reply)]
    assert sorted(one.nth for one in ended) == [0, 1, 2, 3, 4]
    assert sorted(one.intended - driver.start for one in cut) == pytest.approx([1, 1.5, 2])
    assert {one.outcome.kind for one in cut if isinstance(one.outcome, Failure)} == {ErrorKind.CUT}
    assert all(one.outcome.sent is not None for one in cut)
    assert driver.tally.errors == {ErrorKind.CUT: 3}
