"""gateway config: a device's own parameters."""

from __future__ import annotations

import functools

import click
import trio

from campaign.cli.context import Context, json_option, pass_context
from campaign.cli.listing import print_facts
from campaign.errors import CampaignError, UsageError
from campaign.service import configuring


@click.command(short_help="Read or set its own parameters.")
@click.argument("name")
@click.argument("pairs", nargs=-1, required=True, metavar="KEY|KEY=VALUE...")
@click.option("--save", is_flag=True, help="Make what is set outlast a restart.")
@json_option
@pass_context
def config(context: Context, name: str, pairs: tuple[str, ...], save: bool) -> None:
    """Read parameters of a gateway by name, or set them.

    Arrays are written with an index from 0, as sim_number(2). An IMEI is never changed.

    \b
    Examples:
      campaign gateway config office sms_url
      campaign gateway config office "sim_number(2)=999300000002" --save
    """
    setting = ["=" in pair for pair in pairs]
    if any(setting) and not all(setting):
        raise UsageError("either read (KEY) or set (KEY=VALUE), not both at once")
    if all(setting):
        values = {key: value for key, _, value in (pair.partition("=") for pair in pairs)}
        changed = trio.run(
            functools.partial(configuring.set_parameters, context.site, name, values, save=save)
        )
        if context.json:
            context.print_json({"name": name, "taken": changed.taken, "saved": changed.saved})
        else:
            kept = "and saved" if changed.saved else "until its restart (--save keeps them)"
            click.echo(f"{name} took {changed.taken} of {len(values)}, {kept}")
        return
    told = trio.run(functools.partial(configuring.get_parameters, context.site, name, pairs))
    if context.json:
        context.print_json({"name": name, "parameters": told})
        return
    if not told:
        raise CampaignError(f"{name} knows no parameter of that name")
    print_facts(list(told.items()))
    for missing in sorted(set(pairs) - told.keys()):
        context.say(f"{name} does not know {missing}")
