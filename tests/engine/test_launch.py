"""A launch in virtual time: everybody is sent exactly once and the ledger agrees."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import trio

from campaign.engine.lifecycle import finish_if_final
from campaign.store.door import transaction
from campaign.store.optouts import OptOut, add_optouts, list_optouts

Numbers = Callable[[int], list[str]]


async def test_everybody_is_sent_exactly_once_and_delivered(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 4}, sim2={"ports": 4}) as world:
        ended = await world.launch(numbers(100))
        assert ended.finished == ["c"]
        assert world.on_air() == Counter(numbers(100))
        assert world.states() == {"delivered": 100}
        world.check()
        assert {attempt.device for attempt in world.attempts} == {"sim1", "sim2"}


@pytest.mark.slow
@pytest.mark.parametrize("task_size", ["1", "20"])
@pytest.mark.parametrize("profile", ["lossy", "deaf", "full", "reboot", "deadports", "hostile"])
async def test_no_number_goes_out_twice_whatever_the_device_does(
    autojump_clock: object,
    make_world: Callable[..., Any],
    numbers: Numbers,
    profile: str,
    task_size: str,
) -> None:
    simulators = {"ports": 4, "profile": profile, "sms_seconds": 1.0}
    settings = {"task-size": task_size}
    for_sims = {"sim1": simulators, "sim2": {**simulators, "seed": 7}}
    async with make_world(settings=settings, **for_sims) as world:
        ended = await world.launch(numbers(120))
        assert ended.finished == ["c"]
        world.check()
        assert set(world.states()) <= {"delivered", "unknown", "no_receipt", "failed"}
        assert world.sql(
            "SELECT count(*) FROM recipients WHERE state = 'unknown' AND cause IS NULL"
        ) == [(0,)]


async def test_a_last_recipient_with_many_ports_goes_on_air_once(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 8}) as world:
        await world.launch(numbers(1), ports="1-8")
        assert world.on_air() == Counter(numbers(1))
        assert world.sql("SELECT count(*) FROM tasks") == [(1,)]


async def test_transient_failures_are_retried_on_another_port_and_permanent_ones_are_not(
    autojump_clock: object, make_world: Callable[..., Any]
) -> None:
    permanent, once, always = "99900000001", "99900000003", "99900000002"
    async with make_world(sim1={"ports": 3, "magic": True}) as world:
        await world.launch([permanent, once, always])
        states = dict(world.sql("SELECT number, state FROM recipients"))
        assert states == {permanent: "failed", once: "delivered", always: "failed"}
        tries = Counter(attempt.number for attempt in world.attempts)
        assert tries == {permanent: 1, once: 2, always: 3}
        ports = [attempt.port for attempt in world.attempts if attempt.number == once]
        assert ports[0] != ports[1]
        assert world.sql("SELECT code, reason FROM recipients WHERE number = ?", permanent) == [
            (1, "unassigned number")
        ]


@pytest.mark.slow
async def test_a_timeout_is_unknown_until_a_receipt_proves_it(
    autojump_clock: object, make_world: Callable[..., Any]
) -> None:
    went_out, did_not = "99900000006", "99900000007"
    async with make_world(sim1={"ports": 2, "magic": True}) as world:
        await world.launch([went_out, did_not])
        rows = dict(world.sql("SELECT number, state || ':' || evidence FROM recipients"))
        assert rows == {went_out: "delivered:receipt", did_not: "unknown:none"}
        assert world.sql("SELECT cause FROM recipients WHERE number = ?", did_not) == [("timeout",)]
        world.check()


async def test_personalised_texts_go_out_one_task_each(
    autojump_clock: object, make_world: Callable[..., Any]
) -> None:
    async with make_world(sim1={"ports": 2}) as world:
        path = world.folder / "list.csv"
        path.write_text("phone,name\n+99911110000,Ada\n+99911110001,\n+99911110002,Bo\n")
        await world.launch([], path=path, message="Hi {name}!")
        assert sorted(attempt.text for attempt in world.attempts) == ["Hi Ada!", "Hi Bo!"]
        assert world.sql("SELECT row, code FROM refusals") == [(3, "missing_value")]


async def test_a_number_that_opted_out_is_skipped_and_a_stop_reply_opts_out(
    autojump_clock: object, make_world: Callable[..., Any]
) -> None:
    out, replies = "99911110000", "99911110009"
    async with make_world(sim1={"ports": 2, "magic": True}) as world:
        add_optouts(world.optouts, [OptOut(out, 1, "operator")])
        await world.launch([out, replies])
        states = dict(world.sql("SELECT number, state FROM recipients"))
        assert states == {out: "skipped", replies: "delivered"}
        assert [entry.number for entry in list_optouts(world.optouts)] == [out, replies]
        assert not world.on_air()[out]


async def test_wrong_credentials_stop_the_gateway_before_anything_is_claimed(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 2, "password": "other"}) as world:
        ended = await world.launch(numbers(5))
        assert ended.refused
        assert "credentials refused" in ended.waiting["c"]
        assert world.sql("SELECT count(*) FROM attempts") == [(0,)]
        assert world.sql("SELECT state FROM campaigns") == [("waiting",)]
        assert world.states() == {"pending": 5}


@pytest.mark.slow
async def test_a_wrong_report_address_costs_a_handful_and_the_reason_is_told(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 4}) as world:
        world.receiver_host = "nowhere"
        with trio.move_on_after(3600):
            await world.launch(numbers(500), receipts=False)
        assert len(world.attempts) <= 4 + 3
        assert any("no report from sim1 has reached http://nowhere/p" in n for n in world.notices)


async def test_the_campaign_rate_is_kept_evenly_over_all_gateways(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 4}, sim2={"ports": 4}) as world:
        await world.launch(numbers(40), rate="2/s", settings={"return-path": "assume"})
        times = sorted(row[0] for row in world.sql("SELECT intent_ms FROM tasks"))
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert min(gaps) >= 490
        assert max(times) - min(times) <= 39 * 500 + 1500


async def test_the_per_port_rate_is_kept_on_every_port(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 2, "sms_seconds": 0.1}) as world:
        await world.launch(numbers(12), per_port="6/min", settings={"return-path": "assume"})
        for port in (1, 2):
            times = [
                row[0] for row in world.sql("SELECT intent_ms FROM tasks WHERE port = ?", port)
            ]
            assert all(b - a >= 9990 for a, b in pairwise(times))


@pytest.mark.slow
async def test_nothing_is_sent_outside_the_window(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 2}) as world:  # the world begins at 10:00 UTC
        await world.launch(numbers(4), window="11:00-12:00", timezone="UTC")
        (first,) = world.sql(
            "SELECT min(intent_ms) - (SELECT min(started_ms) FROM campaigns) FROM tasks"
        )
        assert 3_599_000 <= first[0] <= 3_602_000
        assert world.states() == {"delivered": 4}


async def test_an_unreachable_gateway_is_waited_for_and_told(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 2}) as world:
        app = world.board.apps.pop("sim1")

        async def comes_back() -> None:
            await trio.sleep(100)
            world.board.apps["sim1"] = app

        async with trio.open_nursery() as nursery:
            nursery.start_soon(comes_back)
            await world.launch(numbers(4))
        assert world.states() == {"delivered": 4}
        assert "cannot be reached" in world.notices[0]
        assert "sim1 answers" in world.notices


@pytest.mark.slow
async def test_a_window_follows_the_civil_clock_after_a_sleep_of_this_machine(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1, "sms_seconds": 3}) as world:

        async def suspended() -> None:
            await trio.sleep(60)
            world.slept = timedelta(hours=3)  # it is 13:01 now

        async with trio.open_nursery() as nursery:
            nursery.start_soon(suspended)
            with trio.move_on_after(1200):
                await world.launch(numbers(400), window="10:00-12:00", timezone="UTC")
        assert len(world.attempts) < 60


@pytest.mark.slow
async def test_what_is_queued_when_the_window_closes_waits_for_the_next_one(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1, "sms_seconds": 60}) as world:
        with trio.move_on_after(1200):
            await world.launch(numbers(40), window="10:00-10:05", timezone="UTC")
        assert len(world.attempts) <= 6
        assert world.sql("SELECT count(*) > 0 FROM tasks WHERE state = 'paused'") == [(1,)]


async def test_many_opted_out_numbers_in_a_row_cost_no_time(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings={"return-path": "assume"}, sim1={"ports": 1}) as world:
        add_optouts(world.optouts, [OptOut(number, 1, "operator") for number in numbers(400)])
        await world.launch(numbers(402), rate="10/s", receipts=False)
        assert world.states() == {"skipped": 400, "sent": 2}
        assert trio.current_time() - world.zero < 60


@pytest.mark.parametrize("sender", ["12", "INFO1", "T1"])
async def test_an_opt_out_word_from_a_sender_without_a_number_ends_no_run(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, sender: str
) -> None:
    async with make_world(sim1={"ports": 1}) as world:
        stop = "U1RPUA=="  # base64
        world.push(f'{{"type":"recv-sms","sms":[[0,"1A",5,"{sender}","","{stop}"]]}}'.encode())
        await world.launch(numbers(2))
        assert world.states() == {"delivered": 2}
        assert list(list_optouts(world.optouts)) == []


async def test_a_report_with_absurd_counters_ends_no_run(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1}) as world:

        async def absurd() -> None:
            await trio.sleep(1)
            ((tid,),) = world.sql("SELECT tid FROM tasks LIMIT 1")
            row = {"tid": tid, **dict.fromkeys(("sent", "failed", "sending"), 2**63 - 1)}
            world.push(json.dumps({"type": "status-report", "rpts": [row]}).encode())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(absurd)
            await world.launch(numbers(2))
        assert world.states() == {"delivered": 2}


async def test_late_evidence_keeps_a_campaign_from_finishing(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1}) as world:
        await world.launch(numbers(2), receipts=False)
        with transaction(world.conn):
            world.conn.execute("UPDATE campaigns SET state = 'running', finished_ms = NULL")
            world.conn.execute("UPDATE tallies SET n = 1 WHERE state = 'sent'")
            world.conn.execute("INSERT INTO tallies VALUES (1, 'held', 1)")
            assert not finish_if_final(world.conn, 5, 1, "c")
        assert world.sql("SELECT state FROM campaigns") == [("running",)]
