"""gateway ports: every SIM of a device, live or as it was."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import Any

import click
import trio

from campaign.cli.context import Context, json_option, pass_context
from campaign.cli.listing import print_rows, watch_rows
from campaign.protocol.messages import DevStatus, PortState
from campaign.service import observing
from campaign.store.sims import SimChange, SimRow

_HEADINGS = (
    "port", "state", "signal", "operator", "number", "balance", "ICCID", "IMSI", "IMEI",
)  # fmt: skip


@click.command(short_help="Its SIMs: state, operator, balance, ICCID.")
@click.argument("name")
@click.option("--all-sims", is_flag=True, help="Every SIM, not only the one in use of each port.")
@click.option("--watch", is_flag=True, help="Go on showing them until Ctrl-C.")
@click.option("--stored", is_flag=True, help="As last told, without asking the device.")
@click.option("--history", is_flag=True, help="What became of them, newest first.")
@click.option("--port", type=click.IntRange(1), metavar="N", help="History of this port only.")
@click.option("--limit", default=50, show_default=True, help="Most lines of history.")
@json_option
@pass_context
def ports(
    context: Context,
    name: str,
    all_sims: bool,
    watch: bool,
    stored: bool,
    history: bool,
    port: int | None,
    limit: int,
) -> None:
    """The SIMs of a gateway, asked of it now; what it tells is kept with its history.

    \b
    Examples:
      campaign gateway ports office --watch
      campaign gateway ports office --history --port 3
    """
    if history:
        _print_history(context, observing.history(context.site, name, port, limit))
        return
    if stored:
        _print_stored(context, observing.stored_sims(context.site, name))
        return
    ask = functools.partial(observing.snapshot, context.site, name, all_sims=all_sims)
    if watch:
        frames = observing.watch(context.site, name, all_sims=all_sims)
        watch_rows(_HEADINGS, map(_rows, frames))
    status = trio.run(ask)
    if context.json:
        context.print_json({"name": name, **_status_json(status)})
        return
    print_rows(_HEADINGS, _rows(status))


def _rows(status: DevStatus) -> list[tuple[Any, ...]]:
    return [
        (
            state.port, observing.state_name(state.code, state.text), state.signal, state.operator,
            state.number, state.balance, state.iccid, state.imsi, state.imei,
        )
        for state in status.ports
    ]  # fmt: skip


def _status_json(status: DevStatus) -> dict[str, Any]:
    return {
        "mac": status.mac,
        "version": status.ver,
        "seq": status.seq,
        "max_ports": status.max_ports,
        "max_slots": status.max_slots,
        "ports": [_state_json(state) for state in status.ports],
    }


def _state_json(state: PortState) -> dict[str, Any]:
    fields: dict[str, Any] = observing.fields_of(state)
    fields["port"] = str(state.port)
    fields["status"] = observing.state_name(state.code, fields.pop("text"))
    return fields


def _print_stored(context: Context, sims: list[SimRow]) -> None:
    if context.json:
        context.print_json({"sims": [observing.fields_of(sim) for sim in sims]})
        return
    if not sims:
        context.say("its SIMs are not known yet: campaign gateway ports asks it")
        return
    headings = ("port", "slot", *_HEADINGS[1:], "seen")
    rows = [
        (
            sim.port, sim.slot or "", observing.state_name(sim.code, sim.status), sim.signal,
            sim.operator, sim.number, sim.balance, sim.iccid, sim.imsi, sim.imei, _at(sim.seen_ms),
        )
        for sim in sims
    ]  # fmt: skip
    print_rows(headings, rows)


def _print_history(context: Context, changes: list[SimChange]) -> None:
    if context.json:
        context.print_json({"changes": [observing.fields_of(change) for change in changes]})
        return
    rows = [
        (
            _at(change.at_ms), change.port, change.slot or "",
            observing.state_name(change.code, change.status), change.operator, change.balance,
            change.number, change.iccid, change.source,
        )
        for change in changes
    ]  # fmt: skip
    print_rows(
        ("when", "port", "slot", "state", "operator", "balance", "number", "ICCID", "by"), rows
    )


def _at(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
