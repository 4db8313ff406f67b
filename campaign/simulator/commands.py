"""goip_send_cmd: lock, unlock, switch, reset, save, reboot, several at once, get and set (spec §5).

Operations come in the query or in the body. The answer comes at once; what a lock, a switch or a
reset led to is told by port states.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from campaign.errors import LocalProtocolError
from campaign.protocol.codes import TaskCode, task_meaning
from campaign.protocol.ports import AllPorts, Port, parse_selection
from campaign.simulator.device import Device

_SIM_NUMBER = re.compile(r"sim_number\(([0-9]{1,4})\)")

_OK = {"code": 0, "reason": "OK"}


def read_command(body: bytes, query: Mapping[str, str]) -> dict[str, Any]:
    """The command of a request: a JSON body, a body of `name=value&…`, or the query alone."""
    command: dict[str, Any] = dict(query)
    try:
        value = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        value = dict(parse_qsl(body.decode("utf-8", "replace")))
    if isinstance(value, dict):
        command.update({str(key).lower(): item for key, item in value.items()})
    return command


def run_command(device: Device, request: Mapping[str, Any], now: float) -> dict[str, Any]:
    """Carry out one command object and give the answer's fields."""
    op = str(request.get("op", "")).lower()
    if str(request.get("auto_fail_sim_switch", "")) in ("0", "1"):
        device.power.auto_switch = str(request["auto_fail_sim_switch"]) == "1"
    match op:
        case "multiple":
            return _run_each(device, request.get("ops"), now)
        case "lock" | "unlock" | "switch" | "reset":
            return _act_on_ports(device, op, str(request.get("ports", "")), now)
        case "reboot":
            # After the answer has left: a device that restarts first could not give it.
            device.agenda.at(now, device.power.reboot)
            return dict(_OK)
        case "save":
            device.power.save()
            return dict(_OK)
        case "get":
            return _OK | {
                name: device.power.config.get(name, "")
                for key in request
                if (name := _parameter(key)) is not None
            }
        case "set":
            values = {
                name: str(value) for key, value in request.items() if (name := _parameter(key))
            }
            for name, value in values.items():
                _set(device, name, value)
            return _OK | {"par_set": len(values)}
        case "" if "ops" in request:
            return _run_each(device, request["ops"], now)
        case _:
            return _refusal(TaskCode.INVALID_CMD)


def _run_each(device: Device, ops: object, now: float) -> dict[str, Any]:
    if not isinstance(ops, list) or not all(isinstance(item, dict) for item in ops):
        return _refusal(TaskCode.INVALID_CMD)
    if any(str(item.get("op", "")).lower() == "multiple" for item in ops):
        return _refusal(TaskCode.INVALID_CMD)
    answers = [run_command(device, item, now) for item in ops]
    return next((answer for answer in answers if answer["code"]), dict(_OK))


def _act_on_ports(device: Device, op: str, text: str, now: float) -> dict[str, Any]:
    try:
        selection = parse_selection(text)
    except LocalProtocolError:
        return _refusal(TaskCode.INVALID_PORT)
    if op == "switch" and not _all_slots(selection):
        return _refusal(TaskCode.INVALID_PORT)
    text_names_slots = not isinstance(selection, AllPorts)
    if isinstance(selection, AllPorts):
        selection = tuple(port.name for port in device.radio.ports)
    if not all(_exists(device, port) for port in selection):
        return _refusal(TaskCode.INVALID_PORT)
    for chosen in selection:
        port = device.radio.port(chosen.number)
        match op:
            case "lock":
                device.power.lock(port, chosen.slot if text_names_slots else None)
            case "unlock":
                device.power.unlock(port, chosen.slot if text_names_slots else None, now)
            case "switch":
                device.power.switch(port, chosen.slot or port.slot, now)
            case _:
                device.power.reset(port, now)
    return dict(_OK)


def _all_slots(selection: tuple[Port, ...] | AllPorts) -> bool:
    """Whether every port is named with its slot: a switch goes *to* one (spec §5.1.3)."""
    return isinstance(selection, tuple) and all(port.slot is not None for port in selection)


def _set(device: Device, name: str, value: str) -> None:
    """A parameter; the number of a SIM is one of those that show elsewhere, too."""
    device.power.config[name] = value
    match = _SIM_NUMBER.fullmatch(name)
    if match is not None and 1 <= int(match[1]) + 1 <= device.settings.ports:
        device.board.set_number(device.radio.port(int(match[1]) + 1), value)


def _exists(device: Device, port: Port) -> bool:
    settings = device.settings
    return port.number <= settings.ports and (port.slot or 1) <= settings.slots


def _parameter(key: str) -> str | None:
    """A configuration parameter's name; None for keys that mean something else."""
    name = key.lower()
    reserved = (
        "op", "type", "version", "username", "password", "ports", "ops", "session", "seq", "auth",
        "expires", "auto_fail_sim_switch",
    )  # fmt: skip
    return None if name in reserved else name


def _refusal(code: TaskCode) -> dict[str, Any]:
    return {"code": int(code), "reason": task_meaning(code)}
