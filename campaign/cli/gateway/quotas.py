"""gateway quotas: what each SIM has sent, and what its caps leave."""

from __future__ import annotations

import click

from campaign.cli.context import Context, json_option, pass_context
from campaign.cli.listing import print_rows
from campaign.service import quotas as service

_HEADINGS = ("port", "SIM", "this hour", "today", "this month", "segments left", "waits for")


@click.command(short_help="What its SIMs have sent, and what their caps leave.")
@click.argument("name")
@json_option
@pass_context
def quotas(context: Context, name: str) -> None:
    """SMS segments each SIM has sent this hour, today and this month, the caps, and what is left.

    A SIM is charged when a message is handed to its device; what is proved unsent is given back.
    Caps are settings of the gateway: sim-hour, sim-day, sim-month, the same with -recipients,
    warm-up, balance-floor. The calendar is that of limits-timezone.

    \b
    Example:
      campaign gateway set office sim-day=200 limits-timezone=Asia/Shanghai
      campaign gateway quotas office
    """
    found = service.quotas(context.site, name)
    if context.json:
        context.print_json({"name": name, "ports": [quota.as_json() for quota in found]})
    elif not found:
        context.say("its ports are not known yet: they are read when a campaign first uses it")
    else:
        print_rows(_HEADINGS, [quota.cells() for quota in found])
