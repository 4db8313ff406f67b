"""The device's inbox fetched (spec §8): every message once, from the right place, never too soon
deleted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import trio

from campaign.engine.fetching import Cursor, fetch_inbox
from campaign.planner.settings import Settings
from campaign.protocol.codec import decode_sms_page
from campaign.store.door import InlineStore
from campaign.store.gateways import get_gateway
from campaign.store.inbound import list_inbound
from campaign.store.inbox import Arrived
from campaign.store.optouts import list_optouts

Numbers = Callable[[int], list[str]]
QUICK = {"status-period": "5s"}


def texts(world: Any) -> list[str]:
    return [message.text for message in list_inbound(world.conn, limit=1000)]


async def test_replies_that_no_push_brought_are_fetched_each_once(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    # nothing is pushed: every push is lost on the way
    async with make_world(sim1={"ports": 2}, settings={**QUICK, "return-path": "assume"}) as world:
        device = world.simulators["sim1"]
        for n in range(130):
            device.receive(1, "447700900111", f"old {n}")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: world.launch(numbers(20), rate="1/s"))
            await trio.sleep(8)
            device.receive(2, "447700900112", "new")
            await trio.sleep(20)
        assert Counter(texts(world)) == Counter([f"old {n}" for n in range(130)] + ["new"])
        row = get_gateway(world.conn, "sim1")
        assert (row.sms_ssrc, row.sms_next) == (device.boot, device.device.inbox.next_id)


@pytest.mark.parametrize("style", ["plain", "nul", "headers"])
async def test_a_message_pushed_and_fetched_counts_once(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, style: str
) -> None:
    device = {"ports": 2, "magic": True, "inbound_text": style}
    async with make_world(sim1=device, settings=QUICK) as world:
        replies = [f"9990000{n}0010" for n in range(5)]  # these answer Hello
        await world.launch(replies, rate="1/s", settings={"receipt-wait": "30s"})
        assert texts(world) == ["Hello"] * 5
        assert {m.source for m in list_inbound(world.conn)} <= {"push", "poll"}
        assert world.sql("SELECT count(*) FROM receipts") == [(5,)]


async def test_an_opt_out_that_was_only_fetched_acts_before_the_first_message(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1}) as world:
        everybody = numbers(5)
        world.simulators["sim1"].receive(1, f"+{everybody[2]}", " Stop ")
        await world.launch(everybody)
        assert world.on_air() == Counter(n for n in everybody if n != everybody[2])
        assert world.states() == {"delivered": 4, "skipped": 1}
        assert [entry.number for entry in list_optouts(world.optouts)] == [everybody[2]]
        assert [m.opted_out for m in list_inbound(world.conn)] == [True]


async def test_a_device_that_receives_all_the_time_keeps_nobody_waiting_until_it_is_silent(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1}) as world:
        device = world.simulators["sim1"]
        for n in range(120):
            device.receive(1, "447700900111", f"before {n}")
        asked = 0

        async def busy(request: httpx.Request, forward: Any) -> httpx.Response:
            nonlocal asked
            answer: httpx.Response = await forward(request)
            if request.url.path == "/goip_get_sms.html":
                asked += 1
                device.receive(1, "447700900112", f"meanwhile {asked}")
            return answer

        world.put_between("sim1", busy)
        await world.killed(1, lambda: world.launch(numbers(5)))
        assert asked < 10
        assert world.sql("SELECT count(*) > 0 FROM tasks") == [(1,)]
        assert {f"before {n}" for n in range(120)} <= set(texts(world))


async def test_an_opt_out_fetched_in_the_middle_takes_back_what_is_queued(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    settings = {**QUICK, "task-size": "1"}
    async with make_world(sim1={"ports": 1, "sms_seconds": 5.0}, settings=settings) as world:
        everybody = numbers(12)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.launch, everybody)
            await trio.sleep(11)
            # told by no push: only its inbox holds it
            world.simulators["sim1"].device.power.config.pop("sms_url", None)
            world.simulators["sim1"].receive(1, everybody[-1], "退订")
        assert world.on_air()[everybody[-1]] == 0
        assert world.states()["skipped"] == 1
        world.check()


async def test_after_a_restart_of_the_device_the_inbox_is_read_from_its_first_message(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1}, settings=QUICK) as world:
        device = world.simulators["sim1"]
        for n in range(3):
            device.receive(1, "447700900111", f"before {n}")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: world.launch(numbers(30), rate="1/s"))
            await trio.sleep(8)
            device.device.power.config.clear()
            device.device.power.reboot(trio.current_time())
            await trio.sleep(2)
            device.receive(1, "447700900111", "after")
        assert sorted(texts(world)) == ["after", "before 0", "before 1", "before 2"]


async def test_messages_are_deleted_on_the_device_only_once_they_are_stored(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    settings = {**QUICK, "delete-fetched": "yes"}
    async with make_world(sim1={"ports": 1}, settings=settings) as world:
        device = world.simulators["sim1"]
        for n in range(70):
            device.receive(1, "447700900111", f"text {n}")
        deleted_unseen: list[str] = []

        async def watch(request: httpx.Request, forward: Any) -> httpx.Response:
            answer = await forward(request)
            assert isinstance(answer, httpx.Response)
            if request.url.params.get("sms_del") == "1":
                await answer.aread()
                stored = {message.text for message in list_inbound(world.conn, limit=1000)}
                page = decode_sms_page(answer.content)
                deleted_unseen.extend(
                    m.text for m in page.messages if not m.receipt and m.text not in stored
                )
            return answer

        world.put_between("sim1", watch)
        await world.launch(numbers(3))
        assert deleted_unseen == []
        assert len(list_inbound(world.conn, limit=1000)) == 70
        assert device.device.inbox.page(1, 0, delete=False)[0] == ()


async def test_what_a_device_deletes_beyond_what_was_read_is_kept_from_its_answer(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    settings = {**QUICK, "delete-fetched": "yes"}
    # it holds five messages only: those that come between reading and deleting push others out
    async with make_world(sim1={"ports": 1, "inbox_limit": 5}, settings=settings) as world:
        device = world.simulators["sim1"]
        for n in range(5):
            device.receive(1, "447700900111", f"text {n}")

        async def meanwhile(request: httpx.Request, forward: Any) -> httpx.Response:
            if request.url.params.get("sms_del") == "1" and request.url.params["sms_id"] == "1":
                for n in range(5, 8):
                    device.receive(1, "447700900111", f"text {n}")
            answer = await forward(request)
            assert isinstance(answer, httpx.Response)
            return answer

        world.put_between("sim1", meanwhile)
        await world.launch(numbers(3))
        assert sorted(texts(world)) == [f"text {n}" for n in range(8)]


@pytest.mark.parametrize("next_sms", [0, 1, None])
async def test_a_device_that_counts_its_inbox_wrongly_neither_loops_nor_loses(
    autojump_clock: object,
    make_world: Callable[..., Any],
    numbers: Numbers,
    next_sms: int | None,
) -> None:
    async with make_world(sim1={"ports": 1}, settings=QUICK) as world:
        for n in range(3):
            world.simulators["sim1"].receive(1, "447700900111", f"text {n}")

        async def miscount(request: httpx.Request, forward: Any) -> httpx.Response:
            answer = await forward(request)
            assert isinstance(answer, httpx.Response)
            if request.url.path != "/goip_get_sms.html":
                return answer
            await answer.aread()
            page = answer.json()
            page["next_sms"] = next_sms
            return httpx.Response(200, json=page)

        world.put_between("sim1", miscount)
        with trio.fail_after(600):
            await world.launch(numbers(20), rate="1/s")
        assert sorted(texts(world)) == ["text 0", "text 1", "text 2"]
        assert world.board.requests["/goip_get_sms.html"] < 200


async def test_a_device_that_tells_no_run_is_read_on_from_where_it_was_read(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1}, settings=QUICK) as world:
        for n in range(120):
            world.simulators["sim1"].receive(1, "447700900111", f"text {n}")
        from_first = 0

        async def without_run(request: httpx.Request, forward: Any) -> httpx.Response:
            nonlocal from_first
            answer = await forward(request)
            assert isinstance(answer, httpx.Response)
            if request.url.path != "/goip_get_sms.html":
                return answer
            from_first += request.url.params["sms_id"] == "1"
            await answer.aread()
            return httpx.Response(200, json={**answer.json(), "ssrc": ""})

        world.put_between("sim1", without_run)
        await world.launch(numbers(30), rate="1/s")
        assert len(texts(world)) == 120
        assert from_first == 1
        assert world.states() == {"delivered": 30}


@pytest.mark.parametrize(
    ("answer", "sends"),
    [
        pytest.param(httpx.Response(404, text="Not Found"), True, id="no-such-page"),
        pytest.param(httpx.Response(200, text="<html>"), True, id="a-web-page"),
        pytest.param(httpx.Response(503), False, id="busy"),
    ],
)
async def test_a_device_without_an_inbox_is_used_and_one_out_of_reach_is_waited_for(
    autojump_clock: object,
    make_world: Callable[..., Any],
    numbers: Numbers,
    answer: httpx.Response,
    sends: bool,
) -> None:
    async with make_world(sim1={"ports": 1}) as world:

        async def no_inbox(request: httpx.Request, forward: Any) -> httpx.Response:
            if request.url.path == "/goip_get_sms.html":
                return answer
            other = await forward(request)
            assert isinstance(other, httpx.Response)
            return other

        world.put_between("sim1", no_inbox)
        with trio.move_on_after(60):
            await world.launch(numbers(3))
        assert bool(world.attempts) is sends
        assert world.states() == ({"delivered": 3} if sends else {"pending": 3})


async def test_the_older_text_push_brings_replies_and_opt_outs(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1, "inbound_push": "legacy", "magic": True}) as world:
        stopping = "9990000000009"
        await world.launch([stopping, *numbers(2)], rate="1/s")
        await trio.sleep(5)
        assert "STOP" in texts(world)
        assert [entry.number for entry in list_optouts(world.optouts)] == [stopping]


async def test_what_no_decoder_understands_is_kept_raw_and_told(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1}) as world:
        hostile = [b"\xff\xfe\x00", b'{"type":"x-new"}', b"[" * 10_000, b'{"type":"recv-sms"']
        for body in hostile:
            world.push(body)
        await world.launch(numbers(2))
        assert world.states() == {"delivered": 2}
        assert [row.body for row in world.inbox_reader.rows_after(0, 10)][:4] == hostile
        [(kept,)] = world.sql("SELECT count(*) FROM incidents WHERE detail LIKE 'push kept raw%'")
        assert kept == 4


async def test_a_receipt_that_lay_in_the_inbox_for_days_proves_no_more_than_when_it_came(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    """The receiver took it within the hour; folded days later it may still be either message's."""
    async with make_world(settings={"tid-memory": "0"}, sim1={"ports": 1}) as world:
        app = world.board.apps["sim1"]

        async def lost(request: httpx.Request, forward: Any) -> httpx.Response:
            if request.url.path == "/goip_post_sms.html":
                raise httpx.ReadError("reset", request=request)
            answer: httpx.Response = await forward(request)
            return answer

        world.put_between("sim1", lost)
        for name in ("first", "second"):
            await world.launch(numbers(1), name=name, message=name)
        world.board.apps["sim1"] = app
        receipt = [1, "1A", 1772445600, "447700900999", numbers(1)[0], "0 260302100000"]
        body = json.dumps({"type": "recv-sms", "sms_num": 1, "sms": [receipt]}).encode()
        arrived = Arrived(
            gateway_id=1, received_ms=world.env.wall_ms(), remote="", content_type="", query="",
            body=body,
        )  # fmt: skip
        world.inbox_writer.append_many([arrived])
        await trio.sleep(80 * 3600)
        await world.resume()
        assert world.states("first") == world.states("second") == {"unknown": 1}


async def test_an_opt_out_counts_from_when_its_page_came_not_from_when_it_was_asked_for(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1}) as world:
        await world.launch(numbers(1))
        (stop,) = numbers(1)
        world.simulators["sim1"].receive(1, stop, "STOP")
        run = world.run()
        device = run.connect(get_gateway(world.conn, "sim1"), Settings())
        slow = 8.0

        async def slowly(request: httpx.Request, forward: Any) -> httpx.Response:
            await trio.sleep(slow)
            answer: httpx.Response = await forward(request)
            return answer

        world.put_between("sim1", slowly)
        asked = world.env.wall_ms()
        door = InlineStore(world.conn)
        await fetch_inbox(device, door, world.optouts, world.env.wall_ms, 1, Cursor())
        await device.aclose()
        assert [entry.at_ms - asked for entry in list_optouts(world.optouts)] == [slow * 1000]
