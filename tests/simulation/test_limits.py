"""No limit is ever exceeded on air, alone or with others, and none is left unused."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from campaign.simulator.truth import Attempt
from tests.simulation.limits import START, Box, Caps, Limited, broken, most
from tests.simulation.play import play_scenario

pytestmark = pytest.mark.simulation

_USED = 0.95


@dataclass(frozen=True)
class Outcome:
    """What came of a limited world: how much went out, what was broken, what could have gone."""

    sent: int
    most: int
    wrong: Sequence[str]


def play_limited(world: Limited) -> Outcome:
    air: list[Attempt] = []
    verdict = play_scenario(world.scenario(), air=air)
    wrong = [*([verdict.broken] if verdict.broken else []), *broken(world, air)]
    return Outcome(len(air), most(world), wrong)


_BOX = Box("sim1", ports=2, air=6.0)

ALONE = {
    "sim-hour": Limited(1, (replace(_BOX, caps=Caps(hour=30)),), hours=8),
    "sim-day": Limited(2, (replace(_BOX, caps=Caps(day=80)),), hours=38),
    "sim-month": Limited(13, (replace(_BOX, caps=Caps(month=90, day=60)),), hours=50),
    "sim-hour-recipients": Limited(3, (replace(_BOX, caps=Caps(hour_recipients=25)),), hours=8),
    "sim-day-recipients": Limited(4, (replace(_BOX, caps=Caps(day_recipients=70)),), hours=38),
    "sim-month-recipients": Limited(
        14, (replace(_BOX, caps=Caps(month_recipients=80, day=50)),), hours=50
    ),
    "warm-up": Limited(5, (replace(_BOX, caps=Caps(ramp=(20, 40, 80), day=90)),), hours=80),
    "balance-floor": Limited(15, (replace(_BOX, money=120),), hours=6),
    "port-rate": Limited(6, (replace(_BOX, caps=Caps(gap=60.0)),), hours=4),
    "port-segment-rate": Limited(16, (replace(_BOX, caps=Caps(segment_gap=25.0)),), 4, parts=2),
    "interval": Limited(17, (replace(_BOX, caps=Caps(interval=(20, 80))),), hours=5),
    "gateway rate": Limited(7, (replace(_BOX, gap=45.0),), hours=4),
    "gateway segment-rate": Limited(18, (replace(_BOX, segment_gap=30.0),), hours=4, parts=2),
    "campaign rate": Limited(8, (_BOX, replace(_BOX, name="sim2")), hours=4, gap=40.0),
    "campaign segment-rate": Limited(
        19, (_BOX, replace(_BOX, name="sim2")), hours=4, segment_gap=20.0, parts=2
    ),
    "window": Limited(9, (replace(_BOX, air=60.0),), hours=30, window=(12, 14)),
    "segments": Limited(10, (replace(_BOX, caps=Caps(hour=40)),), hours=6, parts=2),
    "crashes": Limited(
        11, (replace(_BOX, caps=Caps(hour=30, gap=30.0)),), hours=8, crashes=(2000.0, 9000.0)
    ),
    "two campaigns": Limited(12, (replace(_BOX, caps=Caps(hour=30)),), hours=6, campaigns=2),
}  # fmt: skip


@pytest.fixture(scope="module")
def alone(players: ProcessPoolExecutor) -> dict[str, Future[Outcome]]:
    """All at once, the longest first: every core has one to play."""
    longest = sorted(ALONE, key=lambda name: most(ALONE[name]), reverse=True)
    return {name: players.submit(play_limited, ALONE[name]) for name in longest}


@pytest.mark.parametrize("name", ALONE)
def test_a_limit_alone_is_never_exceeded_and_used_to_the_full(
    name: str, alone: dict[str, Future[Outcome]]
) -> None:
    outcome = alone[name].result()
    assert list(outcome.wrong) == []
    assert outcome.sent >= _USED * outcome.most


_CAPS = st.builds(
    Caps,
    hour=st.none() | st.integers(10, 60),
    day=st.none() | st.integers(60, 250),
    month=st.none() | st.integers(80, 300),
    hour_recipients=st.none() | st.integers(10, 60),
    day_recipients=st.none() | st.integers(60, 250),
    month_recipients=st.none() | st.integers(80, 300),
    ramp=st.just(()) | st.tuples(st.integers(10, 60), st.integers(60, 120)),
    gap=st.sampled_from([0.0, 20.0, 75.0]),
    segment_gap=st.sampled_from([0.0, 0.0, 25.0]),
    interval=st.sampled_from([None, None, (10, 40)]),
)
_BOXES = st.lists(
    st.builds(
        Box,
        name=st.just("sim1"),
        ports=st.integers(1, 3),
        air=st.sampled_from([3.0, 8.0]),
        caps=_CAPS,
        gap=st.sampled_from([0.0, 30.0]),
        segment_gap=st.sampled_from([0.0, 0.0, 20.0]),
    ),
    min_size=1,
    max_size=2,
).map(lambda boxes: tuple(replace(box, name=f"sim{nth}") for nth, box in enumerate(boxes, 1)))
_WORLDS = st.builds(
    Limited,
    seed=st.integers(1, 10**6),
    boxes=_BOXES,
    hours=st.integers(24, 60),
    window=st.none() | st.sampled_from([(8, 21), (11, 14)]),
    gap=st.sampled_from([0.0, 15.0, 50.0]),
    segment_gap=st.sampled_from([0.0, 0.0, 25.0]),
    parts=st.sampled_from([1, 1, 2]),
    crashes=st.just(()) | st.tuples(st.integers(600, 50_000).map(float)),
    campaigns=st.integers(1, 2),
).filter(lambda world: 40 <= most(world) <= 1200)


def drawn(count: int) -> list[Limited]:
    """So many different worlds, as hypothesis draws them; the same ones each time."""
    worlds: list[Limited] = []

    # nothing is shrunk: a world takes seconds, and is told as it is
    @settings(max_examples=count, deadline=None, derandomize=True, phases=(Phase.generate,))
    @given(_WORLDS)
    def draw(world: Limited) -> None:
        worlds.append(world)

    draw()
    return worlds


def test_limits_together_are_never_exceeded_and_the_tightest_is_used(
    players: ProcessPoolExecutor,
) -> None:
    worlds = drawn(10)
    assert len(set(worlds)) == len(worlds) >= 10
    for world, outcome in zip(worlds, players.map(play_limited, worlds), strict=True):
        assert list(outcome.wrong) == [], world
        assert outcome.sent >= _USED * outcome.most, world


# -- the judge himself -------------------------------------------------------------------------


def on_air(*times: float, port: str = "1.01", number: str | None = None) -> list[Attempt]:
    """Messages that begin so many seconds after the world does, of one second each."""
    return [
        Attempt(
            START.timestamp() + at + 1.0, "sim1", "boot", nth, number or f"9993{nth:04d}", port,
            "x", True, None,
        )
        for nth, at in enumerate(times)
    ]  # fmt: skip


def limited(caps: Caps | None = None, box_gap: float = 0.0, **world: object) -> Limited:
    box = Box("sim1", ports=2, air=1.0, caps=caps or Caps(), gap=box_gap)
    return replace(Limited(1, (box,), hours=48), **world)  # type: ignore[arg-type]  # its own fields


@pytest.mark.parametrize(
    ("world", "air"),
    [
        pytest.param(limited(Caps(hour=2)), on_air(0, 10, 20), id="hour"),
        pytest.param(limited(Caps(day=2)), on_air(0, 3600, 7200), id="day"),
        pytest.param(limited(Caps(month=2)), on_air(0, 3600, 90000), id="month"),
        pytest.param(
            limited(Caps(month_recipients=2)), on_air(0, 3600, 90000), id="month-recipients"
        ),
        pytest.param(limited(Caps(hour_recipients=2)), on_air(0, 10, 20), id="hour-recipients"),
        pytest.param(limited(Caps(day_recipients=2)), on_air(0, 3600, 7200), id="day-recipients"),
        pytest.param(limited(Caps(ramp=(1, 2))), on_air(0, 10), id="first-day-of-a-ramp"),
        pytest.param(limited(Caps(gap=60)), on_air(0, 60, 110), id="port"),
        pytest.param(limited(Caps(segment_gap=30), parts=2), on_air(0, 60, 110), id="port-parts"),
        pytest.param(limited(Caps(interval=(60, 90))), on_air(0, 60, 110), id="interval"),
        pytest.param(limited(box_gap=60), on_air(0, 60, 70, 110), id="gateway"),
        pytest.param(limited(gap=60), on_air(0, 60, 70, 110), id="campaign"),
        pytest.param(limited(segment_gap=30, parts=2), on_air(0, 60, 70, 110), id="campaign-parts"),
        pytest.param(limited(window=(10, 12)), on_air(7300), id="window"),
        pytest.param(limited(hours=1), on_air(3700), id="deadline"),
        pytest.param(limited(Caps(hour=2), parts=2), on_air(1, 10), id="parts"),
    ],
)
def test_the_judge_finds_one_message_too_many(world: Limited, air: list[Attempt]) -> None:
    assert broken(world, air)
    assert not broken(world, air[:-1])


def test_the_judge_counts_recipients_once() -> None:
    world = limited(Caps(hour_recipients=1))
    assert not broken(world, on_air(0, 10, number="9990001"))


def test_what_limits_let_through_is_reckoned_hour_by_hour() -> None:
    assert most(limited(hours=2)) == 2 * 2 * 3600
    assert most(limited(Caps(hour=30), hours=2)) == 2 * 2 * 30
    assert most(limited(Caps(hour=30, day=40), hours=20)) == 2 * (40 + 40)
    assert most(limited(Caps(ramp=(5, 7)), hours=20)) == 2 * (5 + 7)
    assert most(limited(Caps(gap=60), hours=1)) == 2 * 60
    assert most(limited(Caps(month=40, hour=30), hours=2)) == 2 * 40
    assert most(limited(Caps(segment_gap=30), hours=1, parts=2)) == 2 * 60
    assert most(limited(Caps(interval=(40, 80)), hours=1)) == 2 * 60
    assert most(limited(segment_gap=30, hours=1, parts=2)) == 60
    assert most(limited(box_gap=60, hours=1)) == 60
    assert most(limited(gap=60, hours=1)) == 60
    assert most(limited(window=(10, 12), hours=24)) == 2 * 2 * 3600
    assert most(limited(Caps(hour=31), hours=1, parts=3)) == 2 * 10
