"""Limits on the simulators' own ground truth: never exceeded, and used while work waits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import trio

from campaign.planner.quotas import Period, bounds
from campaign.protocol.text import segments

Numbers = Callable[[int], list[str]]

THREE = "\u6f22" * 150
"""Three segments."""
HOUR = 3600.0
FAST = {"return-path": "assume"}
CALM = {"status-period": "6h", "push-silence": "18h", "sample-period": "24h"}
"""For days of waiting: a device that is well need not be asked twice a minute."""


def used(world: Any, period: Period, zone: str = "UTC") -> dict[tuple[str, datetime], int]:
    """Segments that each port of each device truly put on air, by the start of the period."""
    sums: Counter[tuple[str, datetime]] = Counter()
    for attempt in world.attempts:
        at = datetime.fromtimestamp(attempt.t, UTC)
        start, _ = bounds(period, at, ZoneInfo(zone))
        sums[f"{attempt.device}:{attempt.port}", start] += segments(attempt.text).parts
    return dict(sums)


def claim_times(world: Any, where: str = "1") -> list[tuple[int, int]]:
    return [tuple(row) for row in world.sql(
        f"SELECT created_ms, parts FROM tasks WHERE {where} ORDER BY id"
    )]  # fmt: skip


def assert_pace(times: Sequence[tuple[int, int]], gap: float, *, segments: bool) -> None:
    """No stretch is shorter than its messages' gaps, but for one gap of made-up lateness; and the
    whole is at most 5 % longer."""
    marks, paid = [], 0.0
    for at_ms, parts in times:
        marks.append(at_ms / 1000 - paid)
        paid += gap * (parts if segments else 1)
    worst = min(
        later - earlier for earlier, later in zip([marks[0]] * len(marks), marks, strict=True)
    )
    high = marks[0]
    for mark in marks:
        worst = min(worst, mark - high)
        high = max(high, mark)
    assert worst >= -gap - 0.002
    last = gap * (times[-1][1] if segments else 1)
    assert (times[-1][0] - times[0][0]) / 1000 <= (paid - last) * 1.05


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "options", "gap", "by_segments"),
    [
        pytest.param({}, {"rate": "2/s"}, 0.5, False, id="campaign"),
        pytest.param({}, {"segment_rate": "3/s"}, 1 / 3, True, id="campaign-segments"),
        pytest.param({"rate": "2/s"}, {}, 0.5, False, id="gateway"),
        pytest.param({"segment-rate": "3/s"}, {}, 1 / 3, True, id="gateway-segments"),
        pytest.param({"rate": "5/s"}, {"settings": {"rate": "1/s"}}, 1.0, False, id="tightened"),
        pytest.param({"rate": "1/s"}, {"settings": {"rate": "9/s"}}, 1.0, False, id="not-widened"),
    ],
)
async def test_a_rate_over_all_ports_is_kept_evenly_and_used(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers,
    settings: dict[str, str], options: dict[str, Any], gap: float, by_segments: bool,
) -> None:  # fmt: skip
    async with make_world(settings={**FAST, **settings}, sim1={"ports": 16}) as world:
        world.inbox_every = HOUR
        options["settings"] = {**options.get("settings", {}), **FAST}
        await world.launch(numbers(40), message=THREE if by_segments else "Hello", **options)
        assert_pace(claim_times(world), gap, segments=by_segments)
        world.check()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "options", "gap"),
    [
        pytest.param({}, {"per_port": "6/min"}, 10.0, id="campaign"),
        pytest.param({"port-rate": "6/min"}, {}, 10.0, id="gateway"),
        pytest.param({"port-segment-rate": "12/min"}, {}, 15.0, id="gateway-segments"),
        pytest.param({"interval": "9s-11s"}, {}, 9.0, id="interval"),
        pytest.param({"port-rate": "6/min"}, {"per_port": "20/min"}, 10.0, id="both"),
    ],
)
async def test_a_pace_of_each_port_is_kept_and_used(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers,
    settings: dict[str, str], options: dict[str, Any], gap: float,
) -> None:  # fmt: skip
    async with make_world(settings={**FAST, **settings}, sim1={"ports": 2}) as world:
        world.inbox_every = HOUR
        await world.launch(numbers(30), message=THREE, **options)
        for port in (1, 2):
            times = [at for at, _ in claim_times(world, f"port = {port}")]
            gaps = [(later - earlier) / 1000 for earlier, later in pairwise(times)]
            assert min(gaps) >= gap - 0.002
            assert sum(gaps) <= gap * len(gaps) * (1.25 if "interval" in settings else 1.05)
        world.check()


@pytest.mark.slow
async def test_two_campaigns_share_the_rate_of_a_gateway(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings={**FAST, "rate": "1/s"}, sim1={"ports": 8}) as world:
        world.inbox_every = HOUR
        for name in ("a", "b"):
            await world.killed(
                0.5, lambda name=name: world.launch(numbers(20), name=name, again=True)
            )
        await world.resume()
        times = claim_times(world)
        assert_pace(times[-36:], 1.0, segments=False)
        assert world.on_air() == Counter(numbers(20) * 2)


@pytest.mark.slow
async def test_a_crash_gives_no_burst(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings={**FAST, "port-rate": "6/min"}, sim1={"ports": 2}) as world:
        world.inbox_every = HOUR
        killed = await world.killed(11, lambda: world.launch(numbers(24), rate="12/min"))
        while killed:
            killed = await world.killed(7, world.resume)
        gaps = [later - earlier for (earlier, _), (later, _) in pairwise(claim_times(world))]
        assert min(gaps) >= 4998
        for port in (1, 2):
            times = [at for at, _ in claim_times(world, f"port = {port}")]
            assert min(later - earlier for earlier, later in pairwise(times)) >= 9998
        world.check()


@pytest.mark.slow
@pytest.mark.parametrize("message", ["Hello", THREE], ids=["1 segment", "3 segments"])
async def test_no_sim_exceeds_its_hour_and_each_hour_is_used(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, message: str
) -> None:
    cap = 61
    async with make_world(
        settings={**CALM, "sim-hour": str(cap), "task-size": "7"}, sim1={"ports": 2}
    ) as world:
        world.inbox_every = HOUR
        parts = segments(message).parts
        await world.launch(numbers(2 * 3 * cap // parts), message=message)
        by_hour = used(world, Period.HOUR)
        assert max(by_hour.values()) <= cap
        full = sorted(by_hour.values())[2:]  # the last hour of each port takes what is left
        assert all(n >= 0.95 * cap for n in full)
        assert len(by_hour) >= 6
        world.check()


@pytest.mark.slow
async def test_what_is_queued_when_an_hour_ends_counts_in_the_next(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    settings = {**CALM, "sim-hour": "30", "task-size": "5", "port-window": "5m"}
    async with make_world(settings=settings, sim1={"ports": 1, "sms_seconds": 15}) as world:
        world.inbox_every = HOUR
        await trio.sleep(HOUR - 200)
        await world.launch(numbers(120))
        by_hour = used(world, Period.HOUR)
        assert max(by_hour.values()) <= 30
        assert sum(by_hour.values()) == 120
        first, *rest = [by_hour[key] for key in sorted(by_hour)]
        assert 5 <= first < 30
        assert all(n >= 0.95 * 30 for n in rest[1:-1])
        world.check()


@pytest.mark.slow
async def test_the_day_of_a_sim_follows_the_zone_of_its_gateway_and_survives_every_crash(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    settings = {**CALM, "limits-timezone": "Asia/Shanghai"}
    async with make_world(settings=settings, sim1={"ports": 1}, sim2={"ports": 1}) as world:
        world.inbox_every = HOUR
        killed = await world.killed(20, lambda: world.launch(numbers(100), daily_per_sim=20))
        while killed:
            killed = await world.killed(6 * HOUR, world.resume)
        by_day = used(world, Period.DAY, "Asia/Shanghai")
        assert set(by_day.values()) == {20} or max(by_day.values()) == 20
        assert world.on_air() == Counter(numbers(100))
        world.check()


@pytest.mark.slow
async def test_a_sim_that_warms_up_sends_more_day_by_day(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings={**CALM, "warm-up": "5,10,20"}, sim1={"ports": 1}) as world:
        world.inbox_every = HOUR
        await world.launch(numbers(80))
        by_day = used(world, Period.DAY)
        assert [by_day[key] for key in sorted(by_day)] == [5, 10, 20, 45]


async def test_distinct_recipients_of_a_sim_are_capped_over_all_campaigns(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(
        settings={**CALM, "sim-day-recipients": "10"}, sim1={"ports": 1}
    ) as world:
        world.inbox_every = HOUR
        await world.launch(numbers(8), name="a")
        # eight of them again: only two are new to this SIM today
        await world.launch(numbers(10), name="b", message="Again")
        assert len({datetime.fromtimestamp(a.t, UTC).date() for a in world.attempts}) == 1
        await world.launch([f"99911{i:06d}" for i in range(5)], name="c", message="New")
        days = defaultdict(set)
        for attempt in world.attempts:
            days[datetime.fromtimestamp(attempt.t, UTC).date()].add(attempt.number)
        assert [len(days[day]) for day in sorted(days)] == [10, 5]


async def test_a_sim_below_the_balance_floor_sends_nothing(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    poor = {"ports": 2, "balance": 4.0}
    async with make_world(
        settings={"balance-floor": "5"}, sim1=poor, sim2={"ports": 2, "balance": 50.0}
    ) as world:
        world.inbox_every = HOUR
        await world.launch(numbers(20))
        assert {attempt.device for attempt in world.attempts} == {"sim2"}
        assert world.states() == {"delivered": 20}


async def test_who_failed_on_the_one_sim_with_room_is_tried_there_again(
    autojump_clock: object, make_world: Callable[..., Any]
) -> None:
    once = "99900000003"
    async with make_world(
        settings={**CALM, "balance-floor": "5"},
        sim1={"ports": 1, "balance": 4.0},
        sim2={"ports": 1, "magic": True},
    ) as world:
        assert not await world.killed(600, lambda: world.launch([once]))
        assert world.states() == {"delivered": 1}
        assert [attempt.device for attempt in world.attempts] == ["sim2", "sim2"]


async def test_it_is_told_why_a_sim_waits_and_until_when(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings={**CALM, "sim-day": "5"}, sim1={"ports": 2}) as world:
        world.inbox_every = HOUR
        await world.killed(300, lambda: world.launch(numbers(30)))
        run = world.runs[-1]
        (waiting,) = [campaign.why["sim1"] for campaign in run.campaigns.values()]
        assert waiting.why == "2 ports SIM used up: 5 of 5 segments today"
        opens = run.now() + timedelta(seconds=waiting.until - trio.current_time())
        assert [wait.port for wait in waiting.ports] == [1, 2]
        assert abs(opens - datetime(2026, 3, 3, tzinfo=UTC)) < timedelta(seconds=1)


@pytest.mark.slow
async def test_personal_texts_of_all_lengths_never_exceed_what_is_left(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings={**CALM, "sim-hour": "20"}, sim1={"ports": 2}) as world:
        world.inbox_every = HOUR
        path = world.folder / "texts.csv"
        rows = [f"+{n},{THREE[: 1 + i * 131 % 149] * 2}" for i, n in enumerate(numbers(60))]
        path.write_text("phone,text\n" + "\n".join(rows) + "\n")
        await world.launch([], path=path, message="{text}")
        by_hour = used(world, Period.HOUR)
        assert max(by_hour.values()) <= 20
        full = sorted(by_hour.values())[2:]
        assert sum(full) >= 0.95 * 20 * len(full)
        assert world.on_air() == Counter(numbers(60))
        world.check()


async def test_a_sim_takes_its_usage_along_to_another_gateway(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings={**CALM, "sim-day": "12"}, sim1={"ports": 1}) as world:
        world.inbox_every = HOUR
        await world.launch(numbers(12), name="a")
        (iccid,) = world.sql("SELECT iccid FROM ports")[0]
        assert world.sql("SELECT DISTINCT sim FROM tasks") == [(iccid,)]
        # the same SIM is told of in another device
        world.board.apps["sim9"] = world.board.apps["sim1"]
        world.sql("UPDATE gateways SET removed_ms = 1 RETURNING id")
        world.conn.commit() if world.conn.in_transaction else None
        world.register("sim9", **{**CALM, "sim-day": "12"})
        await world.launch([f"99911{i:06d}" for i in range(5)], name="b")
        days = Counter(datetime.fromtimestamp(a.t, UTC).date() for a in world.attempts)
        assert [days[day] for day in sorted(days)] == [12, 5]


async def test_a_port_that_fails_on_rests_twice_as_long_after_each_probe(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    settings = {
        **CALM,
        "port-failures": "2",
        "port-rest": "60s",
        "task-size": "1",
        "retry-wait": "0",
    }
    async with make_world(settings=settings, sim1={"ports": 1, "fail_rate": 1.0}) as world:
        world.inbox_every = HOUR
        await world.killed(4 * HOUR, lambda: world.launch(numbers(200), retries=0))
        times = [attempt.t for attempt in world.attempts]
        rests = [later - earlier for earlier, later in pairwise(times) if later - earlier > 50]
        assert [round(rest / 60) for rest in rests][:6] == [1, 2, 4, 8, 16, 32]
        assert all(rest <= 3700 for rest in rests)
