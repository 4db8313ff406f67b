"""rate: other limits for a campaign while it runs."""

from __future__ import annotations

import functools
import getpass
from typing import Any

import click
import trio

from campaign.cli.context import Context, json_option, pass_context
from campaign.errors import UsageError
from campaign.service.ledger import change, read
from campaign.service.locks import is_held
from campaign.store.campaigns import get_campaign
from campaign.store.limiting import campaign_limits

_LIFTS = ("off", "none", "0")


@click.command(short_help="Change the rates of a campaign while it runs.")
@click.argument("name")
@click.argument("rate", required=False, metavar="[RATE]")
@click.option("--segment-rate", metavar="30/s", help="SMS segments of the whole campaign.")
@click.option("--per-port", metavar="6/min", help="Messages of each port.")
@click.option("--interval", metavar="3s-6s", help="Random gap between two messages of a port.")
@click.option("--daily-per-sim", metavar="N", help="SMS segments of each SIM a day.")
@json_option
@pass_context
def rate(context: Context, /, name: str, **texts: str | None) -> None:
    """Change limits of a campaign; a running engine follows with its next message.

    `off` lifts a limit; without any the ones in force are shown. What is changed is kept for
    resume, with who changed it and when. Limits of a gateway hold as well: gateway set.

    \b
    Examples:
      campaign rate spring-sale 10/s --per-port 6/min
      campaign rate spring-sale off
    """
    changes = {key: _value(key, text) for key, text in texts.items() if text is not None}
    if changes:
        parameters = {"name": name, "changes": changes, "by": f"operator {getpass.getuser()}"}
        result = trio.run(functools.partial(change, context.site, "rate", parameters))
        limits = result["limits"]
    else:
        limits = campaign_limits(read(context.site, get_campaign, name).options)
    if context.json:
        context.print_json({"name": name, "limits": limits})
        return
    set_ = ", ".join(f"{key.replace('_', '-')} {value}" for key, value in limits.items() if value)
    later = "" if not changes or is_held(context.site.paths.lock) else ", once it is resumed"
    click.echo(f"campaign {name}: {set_ or 'no limits of its own'}{later}")


def _value(key: str, text: str) -> Any:
    if text.strip().lower() in _LIFTS:
        return None
    if key != "daily_per_sim":
        return text.strip()
    if not text.strip().isascii() or not text.strip().isdigit():
        raise UsageError(f"--daily-per-sim {text}: write a whole number, or off")
    return int(text)
