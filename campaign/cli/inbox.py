"""inbox: replies, listed, fetched and followed."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click
import trio

from campaign.cli.context import Context, json_option, pass_context
from campaign.cli.listing import print_rows
from campaign.errors import CampaignError
from campaign.reports.cells import terminal_text
from campaign.service import inboxes
from campaign.store.inbound import StoredInbound

F = TypeVar("F", bound=Callable[..., Any])

_UNREACHABLE = 5


def _selection_options(command: F) -> F:
    for option in (
        click.option("--opt-outs", is_flag=True, help="Only messages that are an opt-out word."),
        click.option("--search", metavar="TEXT", help="Found anywhere in text or number."),
        click.option("--gateway", metavar="G", help="Only from this gateway."),
    ):
        command = option(command)
    return command


@click.group(short_help="Replies: list, search, fetch, follow.")
def inbox() -> None:
    """Messages that came in, from pushes and from the devices' own inboxes, each once.

    \b
    Example:
      campaign inbox list --search yes
    """


@inbox.command("list")
@_selection_options
@click.option("--since", metavar="2h|TIME", help="Received since then.")
@click.option("--limit", default=100, show_default=True, help="The latest so many.")
@json_option
@pass_context
def list_(context: Context, /, **selection: Any) -> None:
    """The latest replies, oldest first.

    \b
    Example:
      campaign inbox list --since 2h --search yes
    """
    found = inboxes.replies(context.site, inboxes.Selection(**selection))
    if context.json:
        context.print_json({"messages": [inboxes.reply_json(message) for message in found]})
    else:
        print_rows(
            ("received", "gateway", "port", "from", "text"), [_row(message) for message in found]
        )
    waiting = inboxes.unread_pushes(context.site)
    if waiting:
        context.say(f"{waiting} pushes are not read yet: {context.command('inbox', 'fetch')}")


@inbox.command()
@click.argument("names", nargs=-1, metavar="[GATEWAY]...")
@click.option("--delete", is_flag=True, help="Delete on the device what is stored here by then.")
@json_option
@pass_context
def fetch(context: Context, names: tuple[str, ...], delete: bool) -> None:
    """Read the inboxes of gateways from where they were last read; nothing is sent.

    Opt-out words act at once. Exit code 5 if no gateway could be asked.

    \b
    Example:
      campaign inbox fetch office
    """
    found = trio.run(functools.partial(inboxes.fetch_replies, context.site, names, delete=delete))
    if context.json:
        context.print_json(
            {"gateways": [{"name": f.gateway, "error": f.error, **f.counts} for f in found]}
        )
    for one in found:
        if one.error is not None:
            context.say(f"{one.gateway} could not be asked: {one.error}")
        elif not context.json:
            counts = ", ".join(f"{n} {key.replace('_', ' ')}" for key, n in one.counts.items())
            click.echo(f"{one.gateway}: {counts}")
    if all(one.error is not None for one in found):
        error = CampaignError("no gateway could be asked")
        error.exit_code = _UNREACHABLE  # type: ignore[misc]  # this one's own
        raise error


@inbox.command()
@_selection_options
@pass_context
def watch(context: Context, /, **selection: Any) -> None:
    """Print replies as they come, until Ctrl-C.

    They come while a campaign runs; without one, `campaign inbox fetch` brings them.

    \b
    Example:
      campaign inbox watch --opt-outs
    """
    chosen = inboxes.Selection(**selection)
    context.say("waiting for replies; Ctrl-C ends")
    for message in inboxes.new_replies(context.site, chosen):
        if context.json:
            click.echo(json.dumps(inboxes.reply_json(message), ensure_ascii=False))
        else:
            click.echo("  ".join(str(cell) for cell in _row(message)))
        sys.stdout.flush()


def _row(message: StoredInbound) -> tuple[object, ...]:
    shown = inboxes.reply_json(message)
    text = terminal_text(message.text)
    return shown["received_at"], message.gateway, message.port, message.sender, text
