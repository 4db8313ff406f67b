"""status, pause, continue and cancel."""

from __future__ import annotations

import functools
import getpass
import sqlite3
from datetime import datetime
from typing import Any

import click
import trio

from campaign.cli.context import Context, json_option, pass_context
from campaign.cli.screen import campaign_line
from campaign.errors import LedgerHeld
from campaign.service.ledger import ask, change, read
from campaign.service.locks import is_held
from campaign.store.campaigns import get_campaign, list_campaigns
from campaign.store.summary import campaign_object

_STOPPED = "no engine runs: campaign resume"


@click.command()
@click.argument("name", required=False)
@json_option
@pass_context
def status(context: Context, name: str | None) -> None:
    """Counts of one or all campaigns, and why they wait.

    \b
    Example:
      campaign status --json
    """
    state = _state(context, name)
    if context.json:
        context.print_json(state)
        return
    if not state["campaigns"]:
        context.say("no campaign in this ledger yet")
    for campaign in state["campaigns"]:
        click.echo(f"{campaign['state']:<10} {campaign_line(campaign)}")
    for gateway in state.get("gateways", ()):
        trouble = f", {gateway['trouble']}" if gateway["trouble"] else ""
        click.echo(
            f"           {gateway['name']}: {gateway['usable']} of {gateway['ports']} ports,"
            f" {gateway['in_flight']} in flight{trouble}"
        )


def _state(context: Context, name: str | None) -> dict[str, Any]:
    if is_held(context.site.paths.lock):
        try:
            request = {"cmd": "status", "name": name}
            return trio.run(functools.partial(ask, context.site, request, seconds=5.0))
        except LedgerHeld:
            context.say("the running engine does not answer: this is what the ledger says")
    state = read(context.site, _stored, name, context.site.env.wall())
    for campaign in state["campaigns"]:
        if campaign["state"] in ("running", "paused", "waiting"):
            campaign["waiting_for"] = _why_not(campaign)
    return state


def _why_not(campaign: dict[str, Any]) -> str:
    """What was waited for when the last engine ended is old news, but an alarm still stands."""
    if campaign["state"] == "waiting" and campaign["waiting_for"]:
        return f"{campaign['waiting_for']}; {_STOPPED}"
    return _STOPPED


def _stored(conn: sqlite3.Connection, name: str | None, now: datetime) -> dict[str, Any]:
    rows = [get_campaign(conn, name)] if name else list_campaigns(conn)
    return {"campaigns": [campaign_object(conn, row.with_hold(now)) for row in rows]}


def _steer(context: Context, verb: str, name: str) -> dict[str, Any]:
    parameters = {"name": name, "by": f"operator {getpass.getuser()}"}
    return trio.run(functools.partial(change, context.site, verb, parameters))


@click.command(short_help="Stop sending until continue.")
@click.argument("name")
@json_option
@pass_context
def pause(context: Context, name: str) -> None:
    """Stop sending a campaign, on the devices too, until `continue`.

    \b
    Example:
      campaign pause spring-sale
    """
    result = _steer(context, "pause", name)
    _tell(context, name, result, "paused: campaign continue goes on")


@click.command("continue")
@click.argument("name")
@json_option
@pass_context
def continue_(context: Context, name: str) -> None:
    """Go on with a paused campaign.

    \b
    Example:
      campaign continue spring-sale
    """
    result = _steer(context, "continue", name)
    running = is_held(context.site.paths.lock)
    _tell(context, name, result, "continues" if running else "may go on: campaign resume")


@click.command(short_help="End a campaign and take back what is queued.")
@click.argument("name")
@json_option
@pass_context
def cancel(context: Context, name: str) -> None:
    """End a campaign: nobody else is sent to, what is queued on devices is taken back.

    \b
    Example:
      campaign cancel spring-sale
    """
    result = _steer(context, "cancel", name)
    line = f"cancelled: {result['cancelled']} recipients will not be sent to"
    if result["in_flight"]:
        later = "" if is_held(context.site.paths.lock) else ": campaign resume looks after them"
        line += f", {result['in_flight']} are in flight{later}"
    _tell(context, name, result, line)


def _tell(context: Context, name: str, result: dict[str, Any], line: str) -> None:
    if context.json:
        context.print_json({"name": name, **result})
    else:
        click.echo(f"campaign {name} {line}")
