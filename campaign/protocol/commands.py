"""Commands to a device and its configuration (spec §5): what may be asked of which ports.

A result does not come with the answer: it is told by port states afterwards.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import urlencode

import msgspec

from campaign.errors import LocalProtocolError
from campaign.protocol.loose import Json, as_int, as_text, leading, load
from campaign.protocol.messages import CommandAnswer
from campaign.protocol.ports import AllPorts, Notation, Port, format_selection


class Op(enum.StrEnum):
    """What a device can be told to do; the value is the wire's word."""

    LOCK = "lock"
    UNLOCK = "unlock"
    SWITCH = "switch"
    RESET = "reset"
    SAVE = "save"
    REBOOT = "reboot"
    MULTIPLE = "multiple"
    GET = "get"
    SET = "set"


PORT_OPS: Final = (Op.LOCK, Op.UNLOCK, Op.SWITCH, Op.RESET)


@dataclass(frozen=True, slots=True)
class PortOp:
    """Lock, unlock, switch or reset.

    A slot is optional, needed or meaningless by operation: lock and unlock without one mean the
    whole port, switch goes *to* it, reset restarts a module.
    """

    op: Op
    ports: tuple[Port, ...] | AllPorts


@dataclass(frozen=True, slots=True)
class DeviceOp:
    """Save the configuration, or reboot the device."""

    op: Op


@dataclass(frozen=True, slots=True)
class Multiple:
    """Several different operations in one request."""

    ops: tuple[PortOp, ...]


Command: TypeAlias = PortOp | DeviceOp | Multiple

SAVE: Final = DeviceOp(Op.SAVE)
REBOOT: Final = DeviceOp(Op.REBOOT)

_PARAMETER: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}(?:\([0-9]{1,4}\))?")
_NEVER: Final = re.compile("imei", re.IGNORECASE)
_RESERVED: Final = frozenset(
    {"op", "type", "version", "username", "password", "ports", "ops", "session", "seq", "auth"}
)


def check_command(command: Command) -> None:
    """Refuse with `LocalProtocolError` what spec §5.1.3 does not allow."""
    match command:
        case PortOp(op, ports):
            _check_port_op(op, ports)
        case DeviceOp(op):
            if op not in (Op.SAVE, Op.REBOOT):
                raise LocalProtocolError(f"{op} needs more than its name")
        case Multiple(ops):
            if not ops:
                raise LocalProtocolError("several operations, but none named")
            for one in ops:
                _check_port_op(one.op, one.ports)


def _check_port_op(op: Op, ports: tuple[Port, ...] | AllPorts) -> None:
    if op not in PORT_OPS:
        raise LocalProtocolError(f"{op} is no operation on ports")
    if isinstance(ports, AllPorts):
        if op is Op.SWITCH:
            raise LocalProtocolError("switch goes to a SIM slot: name port and slot, as 2.02 or 2B")
        return
    if not ports:
        raise LocalProtocolError(f"{op}: no port named")
    for port in ports:
        if op is Op.SWITCH and port.slot is None:
            raise LocalProtocolError(
                f"switch goes to a SIM slot: write port and slot, as {port}.02 or {port}B"
            )
        if op is Op.RESET and port.slot is not None:
            raise LocalProtocolError(
                f"reset restarts a whole port: write {port.number}, not {port}"
            )
    numbers = [port.number for port in ports]
    if op is Op.SWITCH and len(set(numbers)) < len(numbers):
        raise LocalProtocolError("switch: a port can be switched to one slot only")


def encode_command(
    command: Command, notation: Notation = "letter", *, auto_fail_sim_switch: bool | None = None
) -> bytes:
    """The command's body (spec §5.1.3). `auto_fail_sim_switch`: whether a SIM that fails to
    register is replaced by the next one; None leaves the device's own default."""
    check_command(command)
    value: Json = {"type": "command"}
    match command:
        case PortOp():
            value.update(_port_op(command, notation))
        case DeviceOp(op):
            value["op"] = str(op)
        case Multiple(ops):
            value["op"] = str(Op.MULTIPLE)
            value["ops"] = [_port_op(one, notation) for one in ops]
    if auto_fail_sim_switch is not None:
        value["auto_fail_sim_switch"] = str(int(auto_fail_sim_switch))
    return msgspec.json.encode(value)


def _port_op(command: PortOp, notation: Notation) -> Json:
    return {"op": str(command.op), "ports": format_selection(command.ports, notation)}


def parameter_name(text: str) -> str:
    """A configuration parameter, `name` or `name(n)` with n from 0. `LocalProtocolError` for what
    is none, and for a module's identity: this program changes no IMEI."""
    name = text.strip()
    if not _PARAMETER.fullmatch(name) or name.lower() in _RESERVED:
        raise LocalProtocolError(f"{name[:40]!r} is no parameter: write sms_url or name(0)")
    if _NEVER.search(name):
        raise LocalProtocolError(f"{name}: an IMEI identifies the module and is never changed")
    return name


def get_query(names: tuple[str, ...] | list[str]) -> dict[str, str]:
    """The query that asks for these parameters (spec §5.1.2)."""
    if not names:
        raise LocalProtocolError("no parameter named")
    return {"op": str(Op.GET), **{parameter_name(name): "" for name in names}}


def set_query(values: Mapping[str, str]) -> dict[str, str]:
    """The query that sets these parameters (spec §5.1.2)."""
    return {"op": str(Op.SET), **_settings(values)}


def set_body(values: Mapping[str, str]) -> bytes:
    """The same as a text body, `name(3)=value&…`, which firmware 2.4 takes for many values."""
    return urlencode(_settings(values), safe="()").encode("ascii")


def _settings(values: Mapping[str, str]) -> dict[str, str]:
    if not values:
        raise LocalProtocolError("no parameter named")
    return {parameter_name(name): value for name, value in values.items()}


_ENVELOPE: Final = frozenset({"code", "reason", "desc", "type", "par_set"})


def decode_command_answer(body: bytes) -> CommandAnswer:
    """The answer to any command; parameters may stand beside the envelope or inside an object."""
    answer = load(body)
    code, _ = leading(answer.get("code"))
    values: dict[str, str] = {}
    for key, item in answer.items():
        if key.lower() in _ENVELOPE:
            continue
        if type(item) is dict:
            values.update({inner: as_text(value) for inner, value in item.items()})
        else:
            values[key] = as_text(item)
    return CommandAnswer(
        # a bare object of parameters is an answer too
        code=0 if code is None and values else -1 if code is None else code,
        reason=as_text(answer.get("reason", answer.get("desc"))),
        par_set=as_int(answer.get("par_set")),
        values=values,
    )
