"""status, watch, pause, continue and cancel."""

from __future__ import annotations

import functools
import getpass
import sys
from typing import Any

import click
import trio

from campaign.cli.context import Context, json_option, pass_context
from campaign.cli.screen import campaign_line, open_screen
from campaign.cli.waits import wait_lines
from campaign.service.ledger import change
from campaign.service.locks import is_held
from campaign.service.statuses import current
from campaign.service.statuses import watch as watch_campaign


@click.command()
@click.argument("name", required=False)
@json_option
@pass_context
def status(context: Context, name: str | None) -> None:
    """Counts of one or all campaigns, and what each waits for and until when.

    \b
    Example:
      campaign status --json
    """
    state, unanswered = trio.run(current, context.site, name)
    if unanswered:
        context.say("the running engine does not answer: this is what the ledger says")
    if context.json:
        context.print_json(state)
        return
    if not state["campaigns"]:
        context.say("no campaign in this ledger yet")
    for campaign in state["campaigns"]:
        _show(campaign)
    for gateway in state.get("gateways", ()):
        trouble = f", {gateway['trouble']}" if gateway["trouble"] else ""
        click.echo(
            f"           {gateway['name']}: {gateway['usable']} of {gateway['ports']} ports,"
            f" {gateway['in_flight']} in flight{trouble}"
        )


def _show(campaign: dict[str, Any]) -> None:
    lines = wait_lines(campaign.get("waits", ()))
    line = campaign_line({**campaign, "waiting_for": None} if lines else campaign)
    click.echo(f"{campaign['state']:<10} {line}")
    for wait in lines:
        click.echo(f"           waits: {wait}")


@click.command(short_help="A live, read-only view of a campaign.")
@click.argument("name")
@json_option
@pass_context
def watch(context: Context, name: str) -> None:
    """Show how a campaign goes until it is over: bars on a terminal, plain lines elsewhere.

    Nothing is changed, and Ctrl-C ends the view only.

    \b
    Example:
      campaign watch spring-sale
    """
    with open_screen(context.site.env, quiet=context.quiet) as screen:
        campaign, interrupted = trio.run(watch_campaign, context.site, name, screen)
    if context.json:
        context.print_json({"campaigns": [campaign]})
    else:
        _show(campaign)
    if interrupted:
        context.say("no longer watching; nothing else has changed")
        sys.exit(130)


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
