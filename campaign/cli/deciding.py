"""resolve and retry: decisions about what is unknown or failed, stored with who and why."""

from __future__ import annotations

import functools
import getpass
import sys
from typing import Any

import click
import trio

from campaign.cli.context import Context, at_a_terminal, json_option, pass_context
from campaign.planner.rulings import AGAIN, Ruling, spelt
from campaign.planner.states import UnknownCause
from campaign.service.deciding import decide, preview

_why = click.option("--why", default="", metavar="TEXT", help="The reason, stored with it.")
_dry_run = click.option("--dry-run", is_flag=True, help="Say what would happen, change nothing.")
_yes = click.option("--yes", is_flag=True, help="Send again what may already have gone out.")


@click.command(short_help="Decide about recipients that are unknown.")
@click.argument("name")
@click.option(
    "--cause", "causes", multiple=True, required=True,
    type=click.Choice([*map(str, UnknownCause), "all"]), help="Unknown for this cause; repeatable.",
)  # fmt: skip
@click.option(
    "--as", "ruling", required=True, type=click.Choice([*map(str, Ruling)]),
    help="What they are taken for; resend: one more attempt each.",
)  # fmt: skip
@_why
@_yes
@_dry_run
@json_option
@pass_context
def resolve(
    context: Context, /, name: str, causes: tuple[str, ...], ruling: str, **options: Any
) -> None:
    """Decide what a campaign's unknown recipients are taken for.

    One decision is stored for each, with who and why. Sent and failed rest on your word, the
    weakest evidence: later reports and receipts raise it, or stand beside it as an anomaly. With
    resend each is sent to exactly once more; whoever opted out is left out, and where nothing
    proves that the gateway no longer holds the message, it takes --yes.

    \b
    Example:
      campaign resolve spring-sale --cause timeout --as resend --why "the network was down"
    """
    _decide(context, name, "resolve", {"causes": causes, "as": ruling}, **options)


@click.command(short_help="Send once more to recipients that failed.")
@click.argument("name")
@click.option("--failed", is_flag=True, required=True, help="Those that are failed.")
@click.option("--code", "codes", multiple=True, type=int, metavar="N", help="Only of this code.")
@_why
@_yes
@_dry_run
@json_option
@pass_context
def retry(
    context: Context, /, name: str, failed: bool, codes: tuple[int, ...], **options: Any
) -> None:
    """Send once more to a campaign's failed recipients, whatever its retries said.

    One decision is stored for each, with who and why, and permits one attempt; if that fails too,
    only what is left of the campaign's own --retries is tried.

    \b
    Example:
      campaign retry spring-sale --failed --code 38 --why "the network is back"
    """
    assert failed  # noqa: S101 - click requires it; it keeps `retry NAME` free for other kinds
    _decide(context, name, "retry", {"codes": codes}, **options)


def _decide(
    context: Context,
    name: str,
    verb: str,
    chosen: dict[str, Any],
    *,
    why: str,
    yes: bool,
    dry_run: bool,
) -> None:
    parameters = {"name": name, "by": f"operator {getpass.getuser()}", "why": why, **chosen}
    told = preview(context.site, verb, parameters)
    if not dry_run:
        if told.get("needs_yes") and not yes and at_a_terminal():
            yes = _ask(context, told)
        elif told.get("warning") and (yes or not told["needs_yes"]):
            context.say(f"note: {told['warning']}")
        change = functools.partial(decide, context.site, verb, {**parameters, "yes": yes})
        told = trio.run(change)
    if context.json:
        context.print_json({"name": name, **told})
        return
    for line in _lines(context, name, told):
        click.echo(line)


def _ask(context: Context, told: dict[str, Any]) -> bool:
    context.say(f"{told['recipients']} recipients would be sent to again; {told['warning']}.")
    if not click.confirm("Send to them again?", err=True):
        context.say("nothing was decided")
        sys.exit(1)
    return True


def _lines(context: Context, name: str, told: dict[str, Any]) -> list[str]:
    """What was decided, what was left, and what to type next."""
    again = told["as"] in AGAIN
    would = "would be" if told["dry_run"] else "are"
    what = "sent to once more" if again else f"taken for {told['as']}"
    what = f"to be {what}" if again and not told["dry_run"] else what
    by_cause = spelt(told["by_cause"])
    lines = [f"campaign {name}: {told['recipients']} recipients {would} {what} ({by_cause})"]
    if told["left"]:
        lines.append(f"  left as they are: {spelt(told['left'])}")
    if told["dry_run"]:
        if told.get("warning"):
            consent = ": it takes --yes" if told["needs_yes"] else ""
            lines.append(f"  {told['warning']}{consent}")
        return lines
    if again:
        lines.append(f"  {_next(context, name, told)}")
    return lines


def _next(context: Context, name: str, told: dict[str, Any]) -> str:
    if told["state"] == "paused":
        return f"the campaign is paused; to go on: {context.command('continue', name)}"
    follow = context.command("resume", name)
    if told.get("taken_up"):
        return f"the running engine goes on with it; to follow: {follow}"
    return f"to send: {follow}"
