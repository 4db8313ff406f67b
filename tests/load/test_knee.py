"""The search for the highest bounded rate, against targets whose capacity is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaign.errors import UsageError
from campaign.load.knee import Bounds, Cause, Found, Search, Step, Try, curve, next_rate

BOUNDS = Bounds(accept_p99=2.0, report_delay=10.0, queue_growth=0.02, errors=0.01)
SEARCH = Search(BOUNDS)
CAPACITIES = st.floats(math.log(0.05), math.log(9000)).map(math.exp)
Target = Callable[[float], Step]


def quiet(capacity: float) -> Target:
    """A target that queues what is above its capacity, as one server does."""

    def step(rate: float) -> Step:
        load = rate / capacity
        over = max(0.0, 1 - 1 / load)  # the share of the offered that stays behind
        return Step(
            rate,
            accept_p99=0.02 / (1 - min(load, 0.995)) + 20 * over,
            report_delay=3 + 20 * over,
            queue_growth=over,
        )

    return step


def noisy(capacity: float, rng: Random, hiccups: float = 0.03) -> Target:
    """The same, read with a fifth of noise, and now and then with a hiccup that spoils a step."""
    exact = quiet(capacity)

    def step(rate: float) -> Step:
        true = exact(rate)
        assert true.accept_p99 is not None
        assert true.report_delay is not None
        assert true.queue_growth is not None
        spoilt = 100 if rng.random() < hiccups else 1
        return replace(
            true,
            accept_p99=true.accept_p99 * rng.lognormvariate(0, 0.2) * spoilt,
            report_delay=true.report_delay * rng.lognormvariate(0, 0.2),
            queue_growth=true.queue_growth + rng.gauss(0, 0.004),
        )

    return step


def search_of(target: Target, search: Search = SEARCH) -> tuple[Found, list[Step]]:
    history: list[Step] = []
    while isinstance(decision := next_rate(history, search), Try):
        history.append(target(decision.rate))
    return decision, history


def doublings(capacity: float) -> int:
    return math.ceil(abs(math.log2(capacity / SEARCH.start)))


@given(CAPACITIES)
def test_a_quiet_targets_capacity_is_found_within_five_percent(capacity: float) -> None:
    found, history = search_of(quiet(capacity))
    assert found.exact
    assert 0.95 * capacity <= found.rate <= 1.05 * capacity
    # one step a doubling, five halvings to 3 %, every unbounded rate twice and the last thrice
    assert len(history) <= doublings(capacity) * (2 if capacity < 1 else 1) + 2 + 2 * 5 + 2


@settings(max_examples=300)
@given(CAPACITIES, st.integers(0, 2**32))
def test_a_noisy_targets_capacity_is_found_within_five_percent_in_bounded_steps(
    capacity: float, seed: int
) -> None:
    found, history = search_of(noisy(capacity, Random(seed)))
    assert found.exact
    assert 0.95 * capacity <= found.rate <= 1.05 * capacity
    assert len(history) < SEARCH.most_steps


@given(
    CAPACITIES,
    st.integers(0, 2**32),
    st.floats(0, 1),
    st.builds(
        Search,
        st.just(BOUNDS),
        lowest=st.just(0.5),
        highest=st.just(300.0),
        precision=st.floats(0.005, 0.3),
        most_steps=st.integers(1, 60),
    ),
)
def test_any_search_ends_and_keeps_within_its_limits(
    capacity: float, seed: int, hiccups: float, limited: Search
) -> None:
    found, history = search_of(noisy(capacity, Random(seed), hiccups), limited)
    assert len(history) <= limited.most_steps
    assert all(0.5 <= step.rate <= 300 for step in history)
    tried = {step.rate for step in history if BOUNDS.strain_of(step).is_bounded}
    assert found.rate == max(tried, default=0)
    assert found.ceiling is None or found.ceiling > found.rate
    assert (found.ceiling is None) == (found.cause is None)
    if found.exact:
        assert found.ceiling is not None
        assert found.ceiling <= found.rate * (1 + limited.precision)


@given(CAPACITIES, st.integers(0, 2**32))
def test_the_queue_is_drained_exactly_after_a_step_that_was_too_much(
    capacity: float, seed: int
) -> None:
    target, history = noisy(capacity, Random(seed)), list[Step]()
    while isinstance(decision := next_rate(history, SEARCH), Try):
        too_much = bool(history) and not BOUNDS.strain_of(history[-1]).is_bounded
        assert decision.drain == too_much
        assert (decision.settle, decision.measure) == (SEARCH.settle, SEARCH.measure)
        history.append(target(decision.rate))


def test_the_search_starts_low_doubles_and_halves() -> None:
    _, history = search_of(quiet(100))
    assert [step.rate for step in history] == [
        *(1, 2, 4, 8, 16, 32, 64, 128, 128),
        *(90.51, 107.6, 107.6, 98.69, 103, 103, 100.8, 100.8),
        100.8,  # a last look
    ]


def spoilt(target: Target, *numbers: int) -> Target:
    """The target with an unlucky reading at these steps (counted from 0)."""
    count = iter(range(1000))

    def step(rate: float) -> Step:
        return replace(target(rate), accept_p99=9.0) if next(count) in numbers else target(rate)

    return step


def test_one_bad_reading_is_repeated_and_forgotten() -> None:
    found, history = search_of(spoilt(quiet(100), 3))
    assert [step.rate for step in history[:6]] == [1, 2, 4, 8, 8, 16]
    assert found == search_of(quiet(100))[0]


def test_two_bad_readings_at_one_rate_are_seen_through_in_the_end() -> None:
    found, history = search_of(spoilt(quiet(100), 3, 4))
    assert found.exact
    assert 95 <= found.rate <= 105
    assert [step.rate for step in history].count(8) == 3


def test_a_target_without_a_knee_is_tried_up_to_the_highest_rate_allowed() -> None:
    found, history = search_of(quiet(1e9), replace(SEARCH, highest=300))
    assert found == Found(300, None, None, exact=False)
    assert [step.rate for step in history] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]


def test_a_target_that_takes_nothing_is_told_after_three_looks_at_the_lowest_rate() -> None:
    found, history = search_of(quiet(0.01), replace(SEARCH, lowest=0.3))
    assert found == Found(0, 0.3, Cause.QUEUE, exact=False)
    assert [step.rate for step in history] == [1, 1, 0.5, 0.5, 0.3, 0.3, 0.3]


def test_too_few_steps_give_what_is_known_so_far() -> None:
    found, _ = search_of(quiet(100), replace(SEARCH, most_steps=9))
    assert found == Found(64, 128, Cause.QUEUE, exact=False)


def test_a_generator_that_cannot_keep_up_is_named_and_not_the_target() -> None:
    def step(rate: float) -> Step:
        return replace(quiet(1e9)(rate), valid=rate < 40)

    found, _ = search_of(step)
    assert found.cause is Cause.GENERATOR
    assert 38 < found.rate < 40


@pytest.mark.parametrize(
    ("step", "ratio", "cause"),
    [
        (Step(5, 1.0, 1.0, 0.0), 0.5, Cause.ACCEPT),
        (Step(5, 1.0, 20.0, 0.0), 2, Cause.REPORT),
        (Step(5, 1.0, 1.0, 0.04), 2, Cause.QUEUE),
        (Step(5, 1.0, 1.0, -0.5), 0.5, Cause.ACCEPT),
        (Step(5, 1.0, 1.0, 0.0, errors=0.05), 5, Cause.ERRORS),
        (Step(5, None, 1.0, 0.0, errors=1.0), math.inf, Cause.ACCEPT),
        (Step(5, 1.0, None, 0.0), math.inf, Cause.REPORT),
        (Step(5, 1.0, 1.0, None), math.inf, Cause.QUEUE),
        (Step(5, 1.0, 1.0, 0.0, valid=False), math.inf, Cause.GENERATOR),
    ],
)
def test_the_worst_figure_is_the_strain(step: Step, ratio: float, cause: Cause) -> None:
    strain = BOUNDS.strain_of(step)
    assert strain.ratio == pytest.approx(ratio)
    assert strain.cause is cause
    assert strain.is_bounded == (ratio <= 1)


def test_figures_without_a_bound_do_not_matter() -> None:
    bounds = Bounds(accept_p99=2.0, report_delay=None, queue_growth=None)
    assert bounds.strain_of(Step(5, 1.0, None, 99.0)).is_bounded


def test_the_curve_has_the_best_reading_of_every_rate() -> None:
    history = [Step(8, 9.0, 1, 0), Step(2, 1.0, 1, 0), Step(8, 0.5, 1, 0), Step(8, 1.5, 1, 0)]
    points = curve(history, BOUNDS)
    assert [(point.rate, point.looks) for point in points] == [(2, 1), (8, 3)]
    assert points[1].step.accept_p99 == 0.5
    assert points[1].strain.is_bounded


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Bounds(accept_p99=0), "a bound of 0"),
        (lambda: Bounds(queue_growth=-1), "a bound of -1"),
        (lambda: Bounds(report_delay=math.nan), "a bound of nan"),
        (lambda: Search(start=0.001), "start between the two"),
        (lambda: Search(start=20_000), "start between the two"),
        (lambda: Search(lowest=0), "start between the two"),
        (lambda: Search(precision=0.001), "a precision of 0.001"),
        (lambda: Search(precision=1), "a precision of 1"),
        (lambda: Search(most_steps=0), "at least one step"),
        (lambda: Search(measure=0), "at least one step"),
        (lambda: Search(settle=-1), "at least one step"),
    ],
)
def test_a_search_that_cannot_end_well_is_refused(make: Callable[[], object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make()
