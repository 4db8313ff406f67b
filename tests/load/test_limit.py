"""What a load says of its rate, and a search over loads that were made up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from campaign.load.knee import Bounds, Cause, Search, Step, Strain, Try
from campaign.load.limit import Limit, find_limit, step_of
from campaign.load.outcome import Outcome
from campaign.load.wire import ErrorKind
from tests.load.outcomes import made

TRY = Try(rate=10.0, settle=2.0, measure=8.0, drain=False)
SEARCH = Search(start=5, highest=1000, settle=2, measure=8)


def load(growth: float = 0.0, **more: object) -> Outcome:
    """Ten seconds at 10/s; the queue grows by so many tasks a second."""
    queue = [(second, round(growth * second)) for second in range(10)]
    return made(seconds=10, rate=10, queue=queue, **more)  # type: ignore[arg-type]  # as `made` has it


def test_a_step_reads_the_seconds_after_settling_and_no_others() -> None:
    slow_at_first = load(latency=lambda nth, _: 900.0 if nth < 2 else 5.0)
    step = step_of(slow_at_first, TRY, 1.0)
    assert step.accept_p99 is not None
    assert step.accept_p99 < 0.01
    assert step_of(slow_at_first, replace(TRY, settle=0.0), 1.0).accept_p99 == pytest.approx(
        0.9, rel=0.01
    )


def test_the_growth_of_the_queue_is_its_slope_as_a_share_of_the_tasks_that_came() -> None:
    assert step_of(load(growth=5), TRY, 1.0).queue_growth == pytest.approx(0.5)
    assert step_of(load(growth=5), TRY, 2.0).queue_growth == pytest.approx(0.25)
    assert step_of(load(growth=-5), TRY, 1.0).queue_growth == 0.0
    assert step_of(made(seconds=10, rate=10, queue=[]), TRY, 1.0).queue_growth is None


def test_failed_refused_and_unwelcome_answers_are_errors() -> None:
    assert step_of(load(errors={ErrorKind.RESET: 2}), TRY, 1.0).errors == pytest.approx(2 / 80)
    refused = replace(load(), account={"offered": 100, "refused": 30})
    assert step_of(refused, TRY, 1.0).errors == pytest.approx(0.3)
    unwelcome = load()
    unwelcome.tally.statuses.update({500: 10})
    assert step_of(unwelcome, TRY, 1.0).errors == pytest.approx(0.1)


def test_a_stumble_of_the_generator_spoils_only_what_is_not_bounded() -> None:
    bounds = Bounds()
    stumbled = replace(load(), invalid=("the machine is busy",))
    assert bounds.strain_of(step_of(stumbled, TRY, 1.0)).is_bounded
    grown = replace(load(growth=5), invalid=("the machine is busy",))
    assert bounds.strain_of(step_of(grown, TRY, 1.0)).cause is Cause.GENERATOR
    unsent = load()
    unsent.tally.dropped = 1
    step = step_of(replace(unsent, invalid=("too slow",)), TRY, 1.0)
    assert bounds.strain_of(step) == Strain(float("inf"), Cause.GENERATOR)


async def test_a_search_finds_the_rate_above_which_the_queue_grows() -> None:
    told: list[float] = []

    async def attempt(wanted: Try) -> Outcome:
        beyond = max(0.0, wanted.rate - 40)
        queue = [(second, round(beyond * second)) for second in range(10)]
        return made(seconds=10, rate=5, queue=queue)

    def step(tried: Step, _next: object) -> None:
        told.append(tried.rate)

    history, found = await find_limit(SEARCH, attempt, 1.0, on_step=step)
    assert 38 < found.rate < 42
    assert found.exact
    assert found.cause is Cause.QUEUE
    assert told == [tried.rate for tried in history]


async def test_a_search_that_is_ended_says_what_it_knows() -> None:
    left = 3

    async def attempt(wanted: Try) -> Outcome | None:
        nonlocal left
        left -= 1
        growing = [(second, second * 10) for second in range(10)] if wanted.rate > 5 else None
        return made(seconds=10, rate=5, queue=growing) if left >= 0 else None

    history, found = await find_limit(SEARCH, attempt, 1.0)
    assert len(history) == 3
    assert (found.rate, found.ceiling, found.exact) == (5.0, 10.0, False)
    limit = Limit("t", "w", SEARCH, found, (), 3, 2.0, 30.0, "interrupted")
    assert limit.summary()["messages_per_second"] == 10.0
    assert limit.summary()["ended_early"] == "interrupted"
