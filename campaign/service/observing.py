"""Asking a device what it knows, and keeping what it says: SIM states and statistics."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from typing import Any, Literal

import msgspec
import trio

from campaign.errors import InDoubt, LocalProtocolError, UsageError
from campaign.protocol.codes import port_meaning
from campaign.protocol.messages import CallStat, DevStatus, Esims, SmsStat, UssdAnswer
from campaign.protocol.ports import Port, parse_selection
from campaign.service.gateways import registered
from campaign.service.ledger import change, read
from campaign.service.operating import check_places
from campaign.service.reaching import DeviceRefused, reach
from campaign.service.site import Site
from campaign.store.samples import COUNTS, list_samples
from campaign.store.sims import SimChange, SimRow, list_changes, list_sims

Kind = Literal["sms", "call"]
PERIODS = ("hour", "2hours", "today", "total")
"""The specification's types 0 to 3 (§9.1.2)."""

_LOOK_SECONDS = 2.0


async def snapshot(site: Site, name: str, *, all_sims: bool) -> DevStatus:
    """The device's ports, asked of it now and kept. Raises `GatewayError`."""
    row = registered(site, name)
    async with reach(site, row) as device:
        status = await device.console.snapshot(all_sims=all_sims)
    parameters = {"name": name, "status": msgspec.to_builtins(status)}
    await change(site, "gateway-states", parameters)
    return status


def watch(site: Site, name: str, *, all_sims: bool) -> Iterator[DevStatus]:
    """The device's ports again and again; ends only by an interrupt, or a `GatewayError`."""
    while True:
        yield trio.run(functools.partial(snapshot, site, name, all_sims=all_sims))
        time.sleep(_LOOK_SECONDS)  # a person watches


def stored_sims(site: Site, name: str) -> list[SimRow]:
    """Every SIM the device ever told of, as it was last told."""
    return read(site, list_sims, registered(site, name).id)


def history(site: Site, name: str, port: int | None, limit: int) -> list[SimChange]:
    """What became of the device's SIMs, newest first."""
    return read(site, list_changes, registered(site, name).id, port, limit)


async def statistics(
    site: Site, name: str, kind: Kind, *, ports: str, slots: str, period: str
) -> list[SmsStat] | list[CallStat]:
    """The device's own counters (spec §9, §10), kept as a sample.

    `slots` empty: the SIM in use. Raises `UsageError` for a port or slot it does not have.
    """
    row = registered(site, name)
    places = [*_parsed(ports), *(Port(1, slot.number) for slot in _parsed(slots))]
    number = PERIODS.index(period)
    async with reach(site, row) as device:
        if places:
            check_places(name, places, await device.console.snapshot(all_sims=False))
        stats: list[SmsStat] | list[CallStat]
        if kind == "sms":
            reading = await device.console.sms_stats(ports=ports, slots=slots, period=number)
            stats = list(reading.stats.stats)
        else:
            calls = await device.console.call_stats(ports=ports, slots=slots, period=number)
            stats = list(calls.stats)
    builtins = [msgspec.to_builtins(stat) for stat in stats]
    parameters = {"name": name, "kind": kind, "period": number, "stats": builtins}
    await change(site, "gateway-samples", parameters)
    return stats


def _parsed(selection: str) -> tuple[Port, ...]:
    """The ports (or slots) of a selection, none for all. Raises `UsageError`."""
    if not selection:
        return ()
    try:
        chosen = parse_selection(selection)
    except LocalProtocolError as error:
        raise UsageError(str(error)) from error
    return chosen if isinstance(chosen, tuple) else ()


def series(site: Site, name: str, kind: Kind, limit: int) -> list[dict[str, Any]]:
    """The stored counters, newest first."""
    return read(site, list_samples, registered(site, name).id, kind, limit=limit)


def figures(kind: Kind) -> tuple[str, ...]:
    """The counters' names, in the specification's order."""
    return COUNTS[kind]


async def ussd(site: Site, name: str, port: str, code: str) -> UssdAnswer:
    """Dial a USSD code on a port. Raises `UsageError`, `GatewayError`."""
    row = registered(site, name)
    try:
        chosen = Port.parse(port)
    except LocalProtocolError as error:
        raise UsageError(str(error)) from error
    async with reach(site, row) as device:
        if row.settings.get("api-version") != "1.0":
            check_places(name, [chosen], await device.console.snapshot(all_sims=False))
        try:
            return await device.console.ussd(chosen, code)
        except LocalProtocolError as error:
            raise UsageError(str(error)) from error


async def esims(site: Site, name: str) -> Esims:
    """The device's eSIMs (firmware 2.4). Raises `GatewayError`."""
    row = registered(site, name)
    async with reach(site, row) as device:
        try:
            return await device.console.esims()
        except InDoubt as error:
            if not error.message.startswith("HTTP 404"):
                raise
            why = "its firmware has no eSIM page: that came with 2.4"
            raise DeviceRefused(name, why) from error


def state_name(code: int | None, text: str) -> str:
    """A port state in words: code and meaning, else the device's own words."""
    return text or "not told" if code is None else f"{code} {port_meaning(code)}"


def fields_of(value: msgspec.Struct | SimRow | SimChange) -> dict[str, Any]:
    """A device's value as plain data, for JSON and tables."""
    fields: dict[str, Any] = msgspec.to_builtins(value)
    return fields
