"""What a device tells of itself: SIMs with their history, restarts, subscriptions, statistics."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import trio

from campaign.store.gateways import get_gateway
from campaign.store.samples import list_samples
from campaign.store.sims import list_changes, list_sims

Numbers = Callable[[int], list[str]]


def status_push(**fields: Any) -> bytes:
    return json.dumps({"type": "port-status", **fields}).encode()


async def test_every_sim_of_a_subscribed_device_is_known_with_what_became_of_it(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 2, "slots": 2, "register_seconds": 3.0}) as world:
        world.subscribe("sim1")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: world.launch(numbers(60), rate="1/s"))
            await trio.sleep(20)
            await world.command("sim1", op="switch", ports="2B")
        sims = {(sim.port, sim.slot): sim for sim in list_sims(world.conn, 1)}
        assert sims.keys() == {(1, 1), (1, 2), (2, 1), (2, 2)}
        assert (sims[2, 2].code, sims[2, 1].code, sims[1, 2].code) == (3, 1, 1)
        assert sims[2, 2].iccid != sims[2, 1].iccid
        changes = [change for change in list_changes(world.conn, 1, port=2) if change.slot == 2]
        assert [change.code for change in changes][:3] == [3, 2, 1]
        assert {change.source for change in changes} >= {"push"}
        assert world.states() == {"delivered": 60}
        # what went out after the switch carries the new SIM's ICCID
        iccids = {row[0] for row in world.sql("SELECT DISTINCT iccid FROM recipients")}
        assert {sims[2, 1].iccid, sims[2, 2].iccid, sims[1, 1].iccid} == iccids


async def test_an_idle_sim_beside_the_one_in_use_does_not_stop_its_port(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1, "slots": 2}) as world:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.launch, numbers(20))
            await trio.sleep(5)
            world.push(status_push(port="1B", seq=9, status="1 Idle", iccid="8986"))
            await trio.sleep(1)
            port = world.runs[-1].gateways[1].ports[1]
            assert port.usable
        assert world.states() == {"delivered": 20}


async def test_a_pushed_state_stops_a_port_at_once_and_brings_it_back(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 2}) as world:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: world.launch(numbers(30), rate="1/s"))
            await trio.sleep(5)
            world.push(status_push(port="1A", seq=9, status="5 No Balance"))
            await trio.sleep(1)
            run = world.runs[-1]
            assert not run.gateways[1].ports[1].usable
            before = sum(a.port.startswith("1.") for a in world.attempts)
            await trio.sleep(4)
            assert sum(a.port.startswith("1.") for a in world.attempts) <= before + 1
            world.push(status_push(port="1A", seq=10, status="3 OK"))
            await trio.sleep(1)
            assert run.gateways[1].ports[1].usable
        world.check()


async def test_a_sequence_that_falls_makes_the_engine_look_at_once(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 2}, settings={"status-period": "1h"}) as world:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: world.launch(numbers(20), rate="1/s"))
            await trio.sleep(3)
            world.push(b'{"type":"dev-status","seq":70,"status":[]}')
            await trio.sleep(0.5)
            looks = world.board.requests["/goip_get_status.html"]
            world.push(b'{"type":"dev-status","seq":71,"status":[]}')
            await trio.sleep(0.5)
            assert world.board.requests["/goip_get_status.html"] == looks
            world.push(b'{"type":"dev-status","seq":1,"status":[]}')
            await trio.sleep(0.5)
            assert world.board.requests["/goip_get_status.html"] == looks + 1
        # it had not restarted: the look was all
        assert world.states() == {"delivered": 20}


async def test_a_device_is_subscribed_again_after_its_restart(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 2}, settings={"status-period": "5s"}) as world:
        world.subscribe("sim1", period=60)
        device = world.simulators["sim1"].device
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: world.launch(numbers(40), rate="1/s"))
            await trio.sleep(5)
            first = get_gateway(world.conn, "sim1")
            url = f"http://receiver/p/{first.token}"
            assert device.board.subscription.url == url
            assert device.power.config["sms_url"] == url
            assert first.subscribed_boot == world.simulators["sim1"].boot
            device.power.config.clear()
            device.board.subscription = None
            device.power.save()
            device.power.reboot(trio.current_time())
            await trio.sleep(15)
            again = get_gateway(world.conn, "sim1")
            assert device.board.subscription.url == url
            assert device.power.config["sms_url"] == url
            assert again.subscribed_boot == world.simulators["sim1"].boot != first.subscribed_boot
        world.check()


async def test_a_device_that_refuses_a_subscription_is_told_of_once_and_sends_on(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 2}, settings={"status-period": "2s"}) as world:
        world.subscribe("sim1")

        async def refuse(request: httpx.Request, forward: Any) -> httpx.Response:
            if request.url.path == "/goip_send_cmd.html":
                return httpx.Response(200, json={"code": 15, "reason": "Invalid CMD"})
            answer = await forward(request)
            assert isinstance(answer, httpx.Response)
            return answer

        world.put_between("sim1", refuse)
        await world.launch(numbers(20), rate="1/s")
        assert world.states() == {"delivered": 20}
        assert len([line for line in world.notices if "could not be subscribed" in line]) == 1


async def test_what_a_device_says_of_itself_is_remembered(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 3, "slots": 4, "dialect": "2.4"}) as world:
        await world.launch(numbers(3))
        facts = get_gateway(world.conn, "sim1").device
        assert (facts.max_ports, facts.max_slots, facts.notation) == (3, 4, "dotted")
        assert facts.ver.startswith("campaign-simulator")


async def test_the_devices_own_counters_become_a_series(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    settings = {"sample-period": "10s", "status-period": "5s"}
    async with make_world(sim1={"ports": 1}, settings=settings) as world:
        await world.launch(numbers(40), rate="1/s")
        samples = list_samples(world.conn, 1, "sms")
        sent = [sample["sent_ok"] for sample in reversed(samples)]
        assert len(sent) >= 4
        assert sent[0] == 0
        assert sent == sorted(sent)
        assert sent[-1] > 20
