"""The old interface (version 1.0): a message by GET, and USSD. No task id, no report."""

from __future__ import annotations

from collections.abc import Mapping

from campaign.errors import LocalProtocolError
from campaign.protocol.codes import TaskCode, task_meaning
from campaign.protocol.messages import Answer, UssdAnswer
from campaign.protocol.ports import AllPorts, parse_selection
from campaign.simulator.device import Device
from campaign.simulator.orders import Order, digits_of


def send_sms(device: Device, query: Mapping[str, str], now: float) -> Answer:
    """`goip_send_sms`: every recipient once, through the port named or one the device chooses."""
    numbers = tuple(filter(None, map(digits_of, query.get("recipients", "").split(","))))
    text = query.get("sms", "")
    ports = _ports(query.get("port", ""), device.settings.ports)
    if ports is None:
        return _answer(TaskCode.INVALID_PORT)
    if not text:
        return _answer(TaskCode.SMS_EXPECTED)
    if not numbers:
        return _answer(TaskCode.TO_EXPECTED)
    order = Order(
        tid=device.queue.nameless_tid(),
        numbers=numbers,
        text=text,
        ports=ports,
        from_text=query.get("port", ""),
        report_period=0.0,
    )
    return _answer(device.take(order, None, now))


def send_ussd(device: Device, query: Mapping[str, str]) -> UssdAnswer:
    """`goip_send_ussd`: the network answers every code with the balance."""
    ports = _ports(query.get("port", ""), device.settings.ports)
    if not ports:
        return _ussd(TaskCode.INVALID_PORT)
    if not query.get("ussd", "").strip():
        return _ussd(TaskCode.USSD_EXPECTED)
    port = device.radio.port(ports[0])
    if not port.usable:
        return _ussd(TaskCode.SIM_UNREGISTERED)
    return UssdAnswer(code=0, reason="OK", resp=f"Your balance is {port.balance:.2f}.")


def _ports(text: str, highest: int) -> tuple[int, ...] | None:
    if not text.strip():
        return ()
    try:
        selection = parse_selection(text)
    except LocalProtocolError:
        return None
    if isinstance(selection, AllPorts):
        return ()
    numbers = tuple(port.number for port in selection)
    return numbers if max(numbers) <= highest else None


def _answer(code: int) -> Answer:
    return Answer(code=int(code), reason=task_meaning(code))


def _ussd(code: TaskCode) -> UssdAnswer:
    return UssdAnswer(code=int(code), reason=task_meaning(code))
