"""Worker processes: one load over several, gathered without loss, ended by a word."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
import trio

from campaign.env import Env
from campaign.load.schedule import Constant, Poisson
from campaign.load.tally import Second
from campaign.load.wire import ErrorKind, Request, build_request
from campaign.load.workers import Task, Workers
from tests.load.servers import Visit, answer_all, serving

pytestmark = [pytest.mark.process, pytest.mark.slow]


def numbered(worker: int, workers: int) -> Callable[[int], Request]:
    """Requests that say whose they are; in a process that no interrupt reaches."""
    assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())

    def source(nth: int) -> Request:
        return Request(build_request("GET", f"/{worker}/{nth}", "localhost"))

    return source


def doomed(worker: int, workers: int) -> Callable[[int], Request]:
    """The second worker dies of its fifth request, as if it had been killed."""

    def source(nth: int) -> Request:
        if worker == 1 and nth == 4:
            os._exit(9)
        return Request(build_request("GET", f"/{worker}/{nth}", "localhost"))

    return source


async def test_workers_share_a_schedule_and_their_results_add_up() -> None:
    seconds: list[Second] = []
    async with serving(answer_all) as server:
        task = Task("127.0.0.1", server.port, numbered, Poisson(Constant(100, 1.2)), connections=4)
        result = await Workers(task, 2, env=Env(), on_second=seconds.append).run()
        paths = {request.split()[1].decode() for request in server.requests}
    assert paths == {f"/{worker}/{nth}" for worker in (0, 1) for nth in range(60)}
    assert result.tally.due == result.tally.answered == task.planned == 120
    assert [one.tally.answered for one in result.workers] == [60, 60]
    assert sum(one.tally.answered for one in seconds) == 120
    assert [one.nth for one in seconds] == list(range(len(seconds)))
    assert all(one.tally.cpu_seconds > 0 for one in result.workers)
    assert not any(one.lost for one in result.workers)


async def test_a_run_that_is_ended_tells_what_it_had_within_a_second() -> None:
    all_asked = trio.Event()

    async def silent(visit: Visit) -> None:
        await visit.read()
        if len(visit.requests) == 6:
            all_asked.set()
        await trio.sleep_forever()

    async with serving(silent) as server:
        task = Task("127.0.0.1", server.port, numbered, Constant(100, 60), connections=3)
        workers = Workers(task, 2, env=Env())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(workers.run)
            await all_asked.wait()
            ended = trio.current_time()
            nursery.cancel_scope.cancel()
        assert trio.current_time() - ended < 1.5  # the last half is a busy machine's
    tally = workers.result.tally
    assert tally.errors == {ErrorKind.CUT: 6}
    assert tally.due == 6 + tally.dropped


async def test_a_worker_that_is_lost_makes_the_run_invalid_and_ends_nobody_else() -> None:
    async with serving(answer_all) as server:
        task = Task("127.0.0.1", server.port, doomed, Constant(100, 0.3), connections=2)
        result = await Workers(task, 2, env=Env()).run()
    assert result.workers[0].tally.answered == 15
    assert any("worker 1: it ended without a last word" in why for why in result.invalid)
