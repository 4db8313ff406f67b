"""priority: who goes first."""

from __future__ import annotations

import functools
import getpass

import click
import trio

from campaign.cli.context import Context, json_option, pass_context
from campaign.planner.shares import Priority
from campaign.service.ledger import change
from campaign.service.locks import is_held


@click.command(short_help="Let a campaign go before the others, or after them.")
@click.argument("name")
@click.argument(
    "priority", type=click.Choice([str(priority) for priority in Priority]), required=False
)
@click.option(
    "--share",
    type=click.IntRange(1, 1000),
    help="Its part among campaigns of one priority: 2 gets twice as much as 1.",
)
@json_option
@pass_context
def priority(context: Context, name: str, priority: str | None, share: int | None) -> None:
    """Change whom a campaign goes before; a running engine acts within a second.

    Priorities are strict: what is urgent, high, normal, low is served in this order. Within one,
    campaigns share the SIMs by --share. What devices hold of others is overtaken by urgent only.

    \b
    Example:
      campaign priority spring-sale urgent
    """
    if priority is None and share is None:
        raise click.UsageError("what is to change? campaign priority NAME urgent, or --share 3")
    parameters = {
        "name": name, "priority": priority, "share": share,
        "by": f"operator {getpass.getuser()}",
    }  # fmt: skip
    result = trio.run(functools.partial(change, context.site, "priority", parameters))
    if context.json:
        context.print_json({"name": name, **result})
        return
    when = "" if is_held(context.site.paths.lock) else " once it runs: campaign resume"
    click.echo(f"campaign {name} is {result['priority']}, share {result['share']}{when}")
