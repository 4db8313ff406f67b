"""What the device tells when asked: waiting tasks, inbox, statistics."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from campaign.errors import LocalProtocolError, RemoteProtocolError
from campaign.protocol.messages import (
    CallStat,
    CallStats,
    EsimPort,
    EsimProfile,
    Esims,
    QueuedTask,
    SmsPage,
    SmsStat,
    SmsStats,
    TaskList,
)
from campaign.protocol.ports import AllPorts, Port, parse_selection
from campaign.simulator.device import Device
from campaign.simulator.radio import SimPort
from campaign.simulator.taskqueue import DeviceTask


def write(answer: Mapping[str, Any]) -> bytes:
    """An answer whose keys depend on the question."""
    return json.dumps(answer, ensure_ascii=False).encode()


def task_page(device: Device, *, port: str, first: int, limit: int, with_text: bool) -> TaskList:
    """Tasks of which nothing has started, oldest first (spec §6.3.6); no port lists all of them."""
    try:
        number = Port.parse(port).number if port.strip() else None
    except LocalProtocolError:
        number = None
    waiting = device.queue.waiting(number)
    chosen = waiting[max(0, first) :][: max(0, limit)]
    return TaskList(
        code=200,
        reason="OK",
        total=len(waiting),
        tasks=tuple(_row(task, with_text=with_text) for task in chosen),
    )


def sms_page(device: Device, *, first: int, limit: int, delete: bool) -> SmsPage:
    """Received messages from an id on (spec §8)."""
    messages, next_sms = device.inbox.page(first, max(0, limit), delete=delete)
    return SmsPage(
        code=0,
        reason="OK",
        ssrc=device.power.boot,
        count=len(messages),
        next_sms=next_sms,
        messages=messages,
    )


def sms_stats(device: Device, *, ports: str, slots: str, period: int) -> SmsStats:
    """The device's own SMS ledger (spec §9). What waits for any port is nobody's unsent."""
    rows = tuple(_sms_row(device, port, slot, period) for port, slot in _sims(device, ports, slots))
    return SmsStats(code=200, reason="OK", stats=rows)


def call_stats(device: Device, *, ports: str, slots: str) -> CallStats:
    """Statistics of the calls that the settings say there were (spec §10)."""
    rows = tuple(
        _calls(port.number, slot, device.settings.calls)
        for port, slot in _sims(device, ports, slots)
    )
    return CallStats(code=200, reason="OK", stats=rows)


def _calls(port: int, slot: int, calls: int) -> CallStat:
    """Four of five are answered after 5 s and last two minutes."""
    connected = calls * 4 // 5
    return CallStat(
        port=port,
        slot=slot,
        calls=calls,
        alerted=calls * 9 // 10,
        connected=connected,
        con_failed=0,
        nc=f"{connected}/{calls}",
        pdd=5 if calls else 0,
        acd=120 if calls else 0,
        asr=connected * 100 // calls if calls else 0,
        tcd=connected * 2,
        act_tcd=connected * 120,
    )


def esims(device: Device) -> Esims:
    """The eSIM of each port with one profile a slot (firmware 2.4)."""
    return Esims(
        code=200,
        reason="OK",
        ports=tuple(
            EsimPort(
                port=Port(port.number),
                eid=device.board.eid_of(port),
                state=1,
                profiles=tuple(
                    EsimProfile(
                        slot=slot,
                        enabled=slot == port.slot,
                        iccid=device.board.iccid_of(port, slot),
                        provider="SIMULATED",
                        status=0,
                    )
                    for slot in range(1, device.settings.slots + 1)
                ),
            )
            for port in device.radio.ports
        ),
    )


def _row(task: DeviceTask, *, with_text: bool) -> QueuedTask:
    return QueuedTask(
        tid=task.tid,
        port_text=task.order.from_text,
        to=task.order.numbers,
        sms=task.order.text if with_text else None,
        state=int(task.paused),
    )


def _sms_row(device: Device, port: SimPort, slot: int, period: int) -> SmsStat:
    stats = port.stats[slot - 1]
    tally = stats.over(period, device.wall())
    in_use = slot == port.slot
    on_air = port.flight is not None or port.stuck is not None
    return SmsStat(
        port=port.number,
        slot=slot,
        received=tally.received,
        sent=tally.sent_ok + tally.sent_failed,
        sent_ok=tally.sent_ok,
        sent_failed=tally.sent_failed,
        con_failed=stats.failed_in_a_row,
        unsent=_unsent(port) if in_use else 0,
        sending=int(in_use and on_air),
    )


def _unsent(port: SimPort) -> int:
    return sum(
        len(task.waiting) for task in port.queue.values() if task.order.ports == (port.number,)
    )


def _sims(device: Device, ports: str, slots: str) -> Iterable[tuple[SimPort, int]]:
    """The SIMs asked for; no slots are those in use."""
    numbers = _numbers(ports or "all", device.settings.ports)
    for number in numbers:
        port = device.radio.port(number)
        chosen = _numbers(slots, device.settings.slots) if slots.strip() else [port.slot]
        for slot in chosen:
            yield port, slot


def _numbers(text: str, highest: int) -> list[int]:
    try:
        selection = parse_selection(text)
    except LocalProtocolError as error:
        raise RemoteProtocolError(str(error)) from error
    if isinstance(selection, AllPorts):
        return list(range(1, highest + 1))
    return [port.number for port in selection if port.number <= highest]
