"""What SIMs are charged with: exactly what is claimed, within every cap, through every period."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from campaign.planner.quotas import Amounts, Caps, Period, Usage, bounds
from campaign.planner.states import FenceReason
from campaign.protocol.messages import PortState
from campaign.protocol.ports import Port
from campaign.store.claims import ClaimedTask, release
from campaign.store.invariants import invariants
from campaign.store.limit_laws import caps_kept, usage_fits
from campaign.store.sims import store_states
from campaign.store.tasks import start_fence
from campaign.store.usage import SimLimits, usage_of

HOUR = 3_600_000
SIM = "8986001"


def at(hour: int, minute: int = 0) -> int:
    return round(datetime(2026, 3, 2, hour, minute, tzinfo=UTC).timestamp() * 1000)


def claim(ledger: Any, campaign_id: int, caps: Caps, count: int = 10, **more: Any) -> Any:
    limits = SimLimits(more.pop("sim", SIM), caps, more.pop("zone", UTC))
    port = more.pop("port", 1)
    tasks: list[ClaimedTask] = ledger.claim(
        campaign_id, ports=(port,), count=count, sims={port: limits}, **more
    )
    return tasks


def usage(ledger: Any, sim: str = SIM, zone: Any = UTC) -> Usage:
    found: Usage = usage_of(ledger.conn, [sim], ledger.now, zone)[sim]
    return found


def hour(count: int, recipients: int | None = None) -> Caps:
    return Caps(Amounts(hour=count), Amounts(hour=recipients))


def no_caps() -> Caps:
    return Caps()


@pytest.fixture(autouse=True)
def at_ten(ledger: Any) -> None:
    ledger.now = at(10)


def test_a_claim_charges_the_hour_the_day_and_the_month(ledger: Any) -> None:
    (task,) = claim(ledger, ledger.campaign(5, parts=3), no_caps())
    assert usage(ledger).segments == Amounts(15, 15, 15)
    assert (ledger.task(task.id)["sim"], ledger.task(task.id)["parts"]) == (SIM, 15)


def test_two_messages_of_three_segments_do_not_fit_into_four(ledger: Any) -> None:
    campaign_id = ledger.campaign(2, parts=3)
    (task,) = claim(ledger, campaign_id, hour(4))
    assert (task.size, usage(ledger).segments.hour) == (1, 3)
    assert ledger.states(campaign_id) == ["assigned", "pending"]
    assert claim(ledger, campaign_id, hour(4)) == []
    assert ledger.states(campaign_id) == ["assigned", "pending"]


def test_a_smaller_message_behind_one_that_does_not_fit_goes_first(ledger: Any) -> None:
    campaign_id = ledger.campaign(3)
    ledger.conn.execute("UPDATE recipients SET parts = 3 WHERE id = 2")
    (task,) = claim(ledger, campaign_id, hour(3))
    assert ledger.numbers_of(task.id) == [ledger.number(1), ledger.number(3)]


def test_what_is_in_flight_when_an_hour_begins_counts_in_it_too(ledger: Any) -> None:
    campaign_id = ledger.campaign(10)
    claim(ledger, campaign_id, hour(5), count=5)
    ledger.now = at(11)
    assert usage(ledger).segments == Amounts(5, 5, 5)
    assert claim(ledger, campaign_id, hour(5)) == []


def test_what_was_final_before_an_hour_began_does_not_count_in_it(ledger: Any) -> None:
    campaign_id = ledger.campaign(10)
    (task,) = claim(ledger, campaign_id, hour(5), count=5)
    ledger.report(task, sent=[1, 2, 3], counters=(2, 3, 0, 0))
    ledger.now = at(11)
    assert usage(ledger).segments == Amounts(2, 5, 5)


def test_what_a_report_of_this_hour_tells_of_counts_in_it(ledger: Any) -> None:
    campaign_id = ledger.campaign(10)
    (task,) = claim(ledger, campaign_id, hour(5), count=5)
    ledger.now = at(11, 1)
    ledger.report(task, sent=[1, 2, 3, 4, 5], counters=(0, 5, 0, 0))
    ledger.now = at(11, 30)  # the first claim of this hour comes long after they went out
    assert claim(ledger, campaign_id, hour(5)) == []
    assert usage(ledger).segments == Amounts(5, 5, 5)


def test_what_is_proved_unsent_is_given_back_to_every_period(ledger: Any) -> None:
    campaign_id = ledger.campaign(4, parts=2)
    (task,) = claim(ledger, campaign_id, no_caps())
    ledger.now = at(11)
    claim(ledger, ledger.campaign(1, name="b", first=50), no_caps())
    assert usage(ledger).segments == Amounts(9, 9, 9)
    ledger.do(release, task.id, ledger.now, "refused")
    assert usage(ledger).segments == Amounts(1, 1, 1)
    hours = ledger.conn.execute(
        "SELECT segments FROM sim_usage WHERE period = 'hour' ORDER BY start_ms"
    )
    assert [row[0] for row in hours] == [0, 1]
    assert caps_kept(ledger.conn, None).verdict == usage_fits(ledger.conn, None).verdict == "holds"


def test_only_the_open_part_of_a_task_is_given_back(ledger: Any) -> None:
    (task,) = claim(ledger, ledger.campaign(4), no_caps())
    ledger.report(task, sent=[1], counters=(3, 1, 0, 0))
    ledger.do(start_fence, [task.id], ledger.now, FenceReason.REROUTE, "why")
    ledger.do(release, task.id, ledger.now, "proved")
    assert usage(ledger).segments.hour == 1


def test_distinct_recipients_count_once_however_often_they_are_written_to(ledger: Any) -> None:
    caps = hour(100, recipients=3)
    claim(ledger, ledger.campaign(2), caps)
    again = ledger.campaign(4, name="again")
    (task,) = claim(ledger, again, caps)
    assert ledger.numbers_of(task.id) == [ledger.number(n) for n in (1, 2, 3)]
    assert usage(ledger).recipients == Amounts(3, 3, 3)


def test_a_cap_on_recipients_knows_whom_the_sim_wrote_to_before_it_was_set(ledger: Any) -> None:
    claim(ledger, ledger.campaign(2), no_caps())
    again = ledger.campaign(4, name="again")
    (task,) = claim(ledger, again, hour(100, recipients=3))
    assert ledger.numbers_of(task.id) == [ledger.number(n) for n in (1, 2, 3)]


def test_a_day_begins_at_midnight_of_the_zone_that_was_asked_for(ledger: Any) -> None:
    zone = ZoneInfo("Asia/Shanghai")
    campaign_id = ledger.campaign(20)
    ledger.now = at(15, 59)  # 23:59 there
    caps = Caps(Amounts(day=5))
    (task,) = claim(ledger, campaign_id, caps, zone=zone)
    ledger.report(task, sent=[1, 2, 3, 4, 5], counters=(0, 5, 0, 0))
    assert claim(ledger, campaign_id, caps, zone=zone) == []
    ledger.now = at(16)
    (task,) = claim(ledger, campaign_id, caps, zone=zone)
    assert task.size == 5


def test_what_a_sim_sent_is_counted_anew_under_another_calendar(ledger: Any) -> None:
    claim(ledger, ledger.campaign(4), no_caps())
    assert usage(ledger, zone=ZoneInfo("Asia/Kathmandu")).segments == Amounts(4, 4, 4)


def test_days_of_use_let_a_new_sim_send_more(ledger: Any) -> None:
    campaign_id = ledger.campaign(60)
    caps, sizes = Caps(ramp=(5, 8)), []
    for day in range(3):
        ledger.now = at(10) + day * 24 * HOUR
        (task,) = claim(ledger, campaign_id, caps, count=20, task_size=20)
        ledger.report(task, sent=range(1, task.size + 1), counters=(0, task.size, 0, 0))
        sizes.append(task.size)
    assert sizes == [5, 8, 20]


def test_what_is_queued_on_a_port_is_charged_to_the_sim_that_comes_into_it(ledger: Any) -> None:
    claim(ledger, ledger.campaign(4), no_caps())
    other = "8986002"
    claim(ledger, ledger.campaign(1, name="b", first=50), no_caps(), sim=other, port=2)
    gateway_id = ledger.gateway()
    state = PortState(port=Port(1), code=3, iccid=other)
    ledger.do(store_states, ledger.now, gateway_id, None, [state], "poll")
    assert usage(ledger, other).segments == Amounts(5, 5, 5)
    assert usage(ledger).segments == Amounts(4, 4, 4)
    # a state that does not tell which SIM there is says nothing
    silent = PortState(port=Port(1), code=3, iccid="")
    ledger.do(store_states, ledger.now, gateway_id, None, [silent], "poll")
    assert usage(ledger, other).segments == Amounts(5, 5, 5)
    assert [law for law in invariants(ledger.conn) if law.verdict == "broken"] == []


def test_of_a_task_that_came_with_its_port_only_the_open_part_is_charged(ledger: Any) -> None:
    (task,) = claim(ledger, ledger.campaign(3), no_caps())
    ledger.report(task, sent=[1], counters=(2, 1, 0, 0))
    other = "8986002"
    claim(ledger, ledger.campaign(1, name="b", first=50), no_caps(), sim=other, port=2)
    state = PortState(port=Port(1), code=3, iccid=other)
    ledger.do(store_states, ledger.now, ledger.gateway(), None, [state], "poll")
    assert usage(ledger, other).segments == Amounts(3, 3, 3)
    assert usage_fits(ledger.conn, None).verdict == "holds"
    ledger.conn.execute("UPDATE sim_usage SET segments = 2 WHERE sim = ?", (other,))
    assert usage_fits(ledger.conn, None).verdict == "broken"


def test_an_hour_that_a_clock_comes_back_to_counts_what_was_claimed_before_it(ledger: Any) -> None:
    campaign_id = ledger.campaign(20)
    claim(ledger, campaign_id, hour(10), count=1)
    ledger.now = at(9, 58)  # set back
    early, late = (claim(ledger, campaign_id, hour(10), count=4)[0] for _ in range(2))
    ledger.now = at(10, 1)
    assert usage(ledger).segments == Amounts(9, 9, 9)
    ledger.do(release, early.id, ledger.now, "proved unsent")
    assert usage(ledger).segments == Amounts(5, 5, 5)
    ledger.report(late, sent=[1, 2, 3, 4], counters=(0, 4, 0, 0))
    (task,) = claim(ledger, campaign_id, hour(10), task_size=10)
    assert task.size == 5
    assert usage_fits(ledger.conn, None).verdict == "holds"


@pytest.mark.parametrize("ahead", [24 * HOUR, 31 * 24 * HOUR])
def test_a_clock_that_was_ahead_for_a_message_takes_nothing_from_the_days_to_come(
    ledger: Any, ahead: int
) -> None:
    campaign_id = ledger.campaign(40)
    caps = Caps(Amounts(day=10, month=10 if ahead > 24 * HOUR else 100))
    ledger.now += ahead
    (first,) = claim(ledger, campaign_id, caps, count=1)
    ledger.now -= ahead  # set right
    (today,) = claim(ledger, campaign_id, caps, count=5)
    for task in (first, today):
        ledger.report(task, sent=range(1, task.size + 1), counters=(0, task.size, 0, 0))
    assert usage(ledger).segments.day == 6
    ledger.now += ahead
    (task,) = claim(ledger, campaign_id, caps, count=20, task_size=20)
    assert task.size == 10
    assert usage_fits(ledger.conn, None).verdict == "holds"


def test_an_hour_that_a_clock_is_set_back_into_holds_what_is_in_flight(ledger: Any) -> None:
    campaign_id = ledger.campaign(40)
    ledger.now = at(9, 50)
    (early,) = claim(ledger, campaign_id, hour(10), count=5)
    ledger.report(early, sent=[1, 2, 3, 4, 5], counters=(0, 5, 0, 0))
    ledger.now = at(10, 5)
    claim(ledger, campaign_id, hour(10), count=10)
    ledger.now = at(9, 40)  # set back: the ten may go on air now
    assert claim(ledger, campaign_id, hour(10), count=5) == []


def test_an_hour_of_another_calendar_counts_on_while_it_is_not_used(ledger: Any) -> None:
    zone = ZoneInfo("Asia/Kathmandu")
    campaign_id = ledger.campaign(20)
    ledger.now = at(10, 20)
    claim(ledger, campaign_id, hour(10), count=2, zone=zone)
    claim(ledger, campaign_id, hour(10, recipients=10), count=4)
    assert usage(ledger, zone=zone).segments == Amounts(6, 6, 6)
    assert usage(ledger).segments == Amounts(6, 6, 6)
    assert usage_fits(ledger.conn, None).verdict == "holds"


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_no_period_sees_more_on_air_than_its_cap(ledger: Any, seed: int) -> None:
    """Claims, reports late and early, releases and hours of silence; a message goes on air at any
    moment between its claim and its report."""
    rng, zone = random.Random(seed), ZoneInfo("Australia/Lord_Howe")
    caps = Caps(Amounts(hour=12, day=60, month=400))
    campaigns = [ledger.campaign(400, name="a", parts=2), ledger.campaign(400, name="b", first=500)]
    air: Counter[tuple[Period, datetime]] = Counter()
    open_tasks: list[tuple[ClaimedTask, int]] = []
    ledger.now = round(datetime(2026, 3, 30, 9, tzinfo=UTC).timestamp() * 1000)
    for _ in range(150):
        ledger.now += rng.choice((1000, 60_000, 20 * 60_000, rng.randrange(3 * HOUR)))
        count = rng.randrange(1, 9)
        tasks = claim(ledger, rng.choice(campaigns), caps, count, zone=zone, task_size=4)
        open_tasks += [(task, ledger.now) for task in tasks]
        rng.shuffle(open_tasks)
        for task, since in [open_tasks.pop() for _ in range(len(open_tasks) // 2)]:
            if rng.random() < 0.2:
                ledger.do(release, task.id, ledger.now, "proved unsent")
                continue
            ledger.report(task, sent=range(1, task.size + 1), counters=(0, task.size, 0, 0))
            for _ in range(task.size):
                went = datetime.fromtimestamp(rng.randint(since, ledger.now) / 1000, UTC)
                for period in Period:
                    air[period, bounds(period, went, zone)[0]] += task.parts // task.size
    assert sum(air.values()) > 500
    for (period, _), segments in air.items():
        assert segments <= (caps.segments.of(period) or 0)
    assert usage_fits(ledger.conn, None).verdict == "holds"


@pytest.mark.parametrize("seed", range(8))
def test_a_sim_without_caps_is_charged_as_one_with_caps_it_never_reaches(
    ledger: Any, seed: int
) -> None:
    """Through hours, calendars and clocks that are set back: the first is charged unread."""
    rng = random.Random(seed)
    far = Caps(Amounts(hour=10**6, day=10**6, month=10**6))
    both = (("free", no_caps(), 1), ("far", far, 2))
    campaigns = {sim: ledger.campaign(400, name=sim, parts=2) for sim, _, _ in both}
    ledger.now = round(datetime(2026, 3, 31, 22, tzinfo=UTC).timestamp() * 1000)
    for _ in range(60):
        ledger.now += rng.choice((1000, 60_000, 20 * 60_000, HOUR, HOUR, 2 * HOUR, -3 * HOUR))
        zone = rng.choice((UTC, UTC, UTC, ZoneInfo("Asia/Kathmandu")))
        count, whole = rng.randrange(1, 6), rng.random() < 0.5
        for sim, caps, port in both:
            tasks = claim(ledger, campaigns[sim], caps, count, sim=sim, zone=zone, port=port)
            for task in tasks if whole else ():
                ledger.report(task, sent=range(1, task.size + 1), counters=(0, task.size, 0, 0))
    free, kept = (
        ledger.conn.execute(
            "SELECT period, start_ms, end_ms, segments FROM sim_usage WHERE sim = ? ORDER BY 1, 2",
            (sim,),
        ).fetchall()
        for sim, _, _ in both
    )
    assert len(free) > 6
    assert [tuple(row) for row in free] == [tuple(row) for row in kept]


@pytest.mark.parametrize("harm", ["segments = segments - 1", "segments = 0"])
def test_a_sim_charged_with_too_little_is_told_of(ledger: Any, harm: str) -> None:
    claim(ledger, ledger.campaign(4), no_caps())
    assert usage_fits(ledger.conn, None).verdict == "holds"
    ledger.conn.execute(f"UPDATE sim_usage SET {harm}")
    assert usage_fits(ledger.conn, None).verdict == "broken"


@pytest.mark.parametrize(
    ("settings", "options", "verdict"),
    [
        ('{"sim-hour":"4"}', "{}", "holds"),
        ('{"sim-hour":"3"}', "{}", "broken"),
        ('{"sim-day-recipients":"3"}', "{}", "broken"),
        ('{"warm-up":"3,9"}', "{}", "broken"),
        ("{}", '{"daily_per_sim":3}', "broken"),
        ("{}", '{"daily_per_sim":4}', "holds"),
        ("{}", '{"settings":{"sim-month":"3"}}', "broken"),
    ],
)
def test_a_task_beyond_a_cap_is_told_of(
    ledger: Any, settings: str, options: str, verdict: str
) -> None:
    claim(ledger, ledger.campaign(4), no_caps())
    ledger.conn.execute("UPDATE gateways SET settings = ?", (settings,))
    ledger.conn.execute("UPDATE campaigns SET options = ?", (options,))
    assert caps_kept(ledger.conn, None).verdict == verdict


def test_caps_are_judged_by_what_was_in_force_then(ledger: Any) -> None:
    claim(ledger, ledger.campaign(4), no_caps())
    ledger.conn.execute('UPDATE gateways SET settings = \'{"sim-hour":"3"}\'')
    later = ledger.now + timedelta(minutes=5) // timedelta(milliseconds=1)
    ledger.conn.executemany(
        "INSERT INTO limit_changes (at_ms, gateway_id, limits) VALUES (?, 1, ?)",
        [(0, "{}"), (later, '{"sim-hour":"3"}')],
    )
    assert caps_kept(ledger.conn, None).verdict == "holds"
    ledger.conn.execute("UPDATE tasks SET created_ms = ?", (later + 10_000,))
    assert caps_kept(ledger.conn, None).verdict == "broken"
