"""What an operator asks of a device, asked of a simulated one: client and device agree."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import trio
from trio.testing import MockClock

from campaign.errors import InDoubt, RemoteProtocolError
from campaign.gateway.answers import LegacyAnswered
from campaign.protocol.codec import encode_send_sms, encode_task
from campaign.protocol.commands import REBOOT, Multiple, Op, PortOp
from campaign.protocol.messages import Envelope, Task
from campaign.protocol.ports import AllPorts, Port


def query(pair: Any) -> dict[str, list[str]]:
    """The last request's query."""
    url = str(pair.wire.requests[-1].url)
    return parse_qs(urlsplit(url).query, keep_blank_values=True)


async def codes(device: Any) -> dict[str, int | None]:
    status = await device.console.snapshot()
    return {str(state.port): state.code for state in status.ports}


async def test_commands_lock_unlock_switch_and_reset_ports(
    pair: Any, autojump_clock: MockClock
) -> None:
    gateway = await pair(ports=3, slots=2, register_seconds=1.0)
    device = gateway.client()
    command = device.console.command
    await command(PortOp(Op.LOCK, (Port(1), Port(2, 2))))
    assert (await codes(device))["1.01"] == 12
    assert (await codes(device))["2.01"] == 3
    await command(PortOp(Op.UNLOCK, AllPorts.ALL))
    await command(PortOp(Op.SWITCH, (Port(3, 2),)))
    await trio.sleep(3)
    assert await codes(device) == {
        "1.01": 3, "1.02": 1, "2.01": 3, "2.02": 1, "3.01": 1, "3.02": 3,
    }  # fmt: skip
    await command(PortOp(Op.RESET, (Port(1),)), auto_fail_sim_switch=False)
    assert (await codes(device))["1.01"] == 2
    assert not gateway.simulator.device.power.auto_switch


async def test_several_operations_go_in_one_request(pair: Any, autojump_clock: MockClock) -> None:
    gateway = await pair(ports=2, slots=2, dialect="2.4", register_seconds=1.0)
    device = gateway.client()
    ops = (PortOp(Op.LOCK, (Port(1),)), PortOp(Op.SWITCH, (Port(2, 2),)))
    before = len(gateway.wire.requests)
    await device.console.command(Multiple(ops), "dotted")
    assert len(gateway.wire.requests) == before + 1
    await trio.sleep(3)
    assert await codes(device) == {"1.01": 12, "1.02": 1, "2.01": 1, "2.02": 3}


async def test_a_reboot_is_another_run(pair: Any, autojump_clock: MockClock) -> None:
    gateway = await pair(reboot_seconds=5.0)
    device = gateway.client()
    before = (await device.boot_id()).page.ssrc
    await device.console.command(REBOOT)
    with pytest.raises(InDoubt, match="HTTP 503"):
        await device.boot_id()
    await trio.sleep(6)
    assert (await device.boot_id()).page.ssrc != before


@pytest.mark.parametrize("as_body", [False, True], ids=["query", "text-body"])
async def test_parameters_are_set_read_and_saved(
    pair: Any, autojump_clock: MockClock, as_body: bool
) -> None:
    gateway = await pair(ports=2, reboot_seconds=1.0)
    console = gateway.client().console
    values = {"sms_url": "http://h/p?a=1&b=2", "sim_number(1)": "+999300000002"}
    assert await console.set_parameters(values, as_body=as_body) == 2
    assert await console.get_parameters(list(values)) == values
    status = await console.snapshot(all_sims=False)
    assert status.ports[1].number == "+999300000002"
    await console.save()
    await console.command(REBOOT)
    await trio.sleep(3)
    assert (await console.get_parameters(["sms_url"]))["sms_url"] == values["sms_url"]


async def test_a_command_the_device_refuses_is_an_error_with_its_words(
    pair: Any, autojump_clock: MockClock
) -> None:
    gateway = await pair(ports=2)
    with pytest.raises(RemoteProtocolError, match="refused: 2 Invalid Port"):
        await gateway.client().console.command(PortOp(Op.LOCK, (Port(9),)))


async def test_a_subscription_asks_for_every_sim_in_both_firmwares_words(
    pair: Any, autojump_clock: MockClock
) -> None:
    gateway = await pair(ports=2, slots=3)
    console = gateway.client().console
    status = await console.subscribe("http://receiver/p/x", 120)
    assert (len(status.ports), status.expires) == (6, 120)
    asked = query(gateway)
    assert (asked["url"], asked["period"]) == (["http://receiver/p/x"], ["120"])
    assert asked["all_sims"] == asked["all_slots"] == ["1"]
    assert gateway.simulator.device.board.subscription.url == "http://receiver/p/x"
    await console.unsubscribe()
    assert gateway.simulator.device.board.subscription is None


async def test_a_snapshot_leaves_a_subscription_as_it_is(
    pair: Any, autojump_clock: MockClock
) -> None:
    gateway = await pair()
    device = gateway.client()
    await device.console.subscribe("http://receiver/p/x", 60)
    await device.status()
    await device.console.snapshot()
    assert query(gateway).keys().isdisjoint({"url", "period"})
    assert gateway.simulator.device.board.subscription.url == "http://receiver/p/x"


async def test_statistics_are_selected_by_port_slot_and_type(
    pair: Any, autojump_clock: MockClock
) -> None:
    gateway = await pair(ports=3, slots=2, calls=20)
    console = gateway.client().console
    sms = (await console.sms_stats(ports="1-2", slots="2", period=2)).stats.stats
    assert [(row.port, row.slot) for row in sms] == [(1, 2), (2, 2)]
    assert query(gateway)["type"] == ["2"]
    calls = (await console.call_stats(ports="3", slots="", period=0)).stats
    assert [(row.port, row.slot, row.calls, row.nc) for row in calls] == [(3, 1, 20, "16/20")]
    assert "slots" not in query(gateway)


async def test_ussd_and_esims_of_later_firmware(pair: Any, autojump_clock: MockClock) -> None:
    gateway = await pair(ports=2, slots=2, dialect="2.4")
    console = gateway.client().console
    assert (await console.ussd(Port(2), "*100#")).resp == "Your balance is 100.00."
    esims = await console.esims()
    assert [(port.port, len(port.profiles)) for port in esims.ports] == [(Port(1), 2), (Port(2), 2)]


async def test_the_old_interface_sends_one_message(pair: Any, autojump_clock: MockClock) -> None:
    gateway = await pair(ports=2, api="1.0")
    device = gateway.client()
    outcome = await device.post_legacy(Port(2), ["999300000001"], "Grüße")
    assert isinstance(outcome, LegacyAnswered)
    assert outcome.code == 0
    await trio.sleep(5)
    assert [(a.number, a.port, a.text) for a in gateway.attempts] == [
        ("999300000001", "2.01", "Grüße")
    ]


async def test_all_tasks_are_paused_resumed_and_removed_on_an_explicit_word(
    pair: Any, autojump_clock: MockClock
) -> None:
    gateway = await pair(ports=1, sms_seconds=1.0)
    device = gateway.client()
    tasks = [encode_task(Task(tid=n, to=(f"99930000000{n}",), sms="x")) for n in range(1, 6)]
    await device.post(encode_send_sms(Envelope(), tasks))
    assert (await device.console.pause_all()).answer.verdicts is None
    await trio.sleep(20)
    assert len(gateway.attempts) == 1
    await device.console.resume_all()
    await trio.sleep(1.5)
    await device.console.remove_all()
    await trio.sleep(20)
    assert len(gateway.attempts) < 5
    assert (await device.waiting_tasks([1])).tasks == ()


async def test_a_queue_that_moves_while_it_is_read_loses_no_task(
    pair: Any, autojump_clock: MockClock
) -> None:
    gateway = await pair(ports=1, sms_seconds=0.5)
    device = gateway.client()
    tasks = [encode_task(Task(tid=n, to=(f"9993{n:08d}",), sms="x")) for n in range(1, 351)]
    await device.post(encode_send_sms(Envelope(), tasks))
    app = gateway.wire._inner

    async def slow(request: Any) -> Any:
        await trio.sleep(0.7)  # a task starts between any two pages
        return await app.handle_async_request(request)

    gateway.wire._inner = type("Slow", (), {"handle_async_request": staticmethod(slow)})()
    listed = {task.tid for task in (await device.waiting_tasks([1])).tasks}
    started = {attempt.tid for attempt in gateway.attempts}
    still = {task.tid for task in gateway.simulator.device.queue.waiting(1)}
    assert still <= listed
    assert started
