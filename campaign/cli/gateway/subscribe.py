"""gateway subscribe: a device pushes its status and its received SMS to us."""

from __future__ import annotations

import functools

import click
import trio

from campaign.cli.context import Context, host_port, json_option, pass_context
from campaign.service import subscribing
from campaign.store.gateways import Subscription


@click.command(short_help="Have it push its status and its SMS.")
@click.argument("name")
@click.option(
    "--period", default=60, show_default=True, metavar="SECONDS", help="Status at least so often."
)
@click.option("--status/--no-status", default=True, show_default=True, help="Port and SIM states.")
@click.option("--sms/--no-sms", default=True, show_default=True, help="Received SMS and receipts.")
@click.option("--all-sims/--sims-in-use", default=True, show_default=True, help="Of which SIMs.")
@click.option("--off", is_flag=True, help="End the subscription, on the device too.")
@click.option("--listen", metavar="HOST:PORT", callback=host_port, help="Where pushes arrive.")
@click.option("--public-url", metavar="URL", help="The address the device is told to push to.")
@json_option
@pass_context
def subscribe(
    context: Context,
    name: str,
    period: int,
    status: bool,
    sms: bool,
    all_sims: bool,
    off: bool,
    listen: tuple[str, int] | None,
    public_url: str | None,
) -> None:
    """Have a gateway push its status and what it receives to this ledger's receiver.

    Status goes by a subscription, SMS by the device's own configuration, which is saved. Either
    replaces any other address the device pushes to. It is repeated whenever the device restarts.
    Pushes arrive while a campaign runs, or while `campaign listen` does; what came meanwhile is
    fetched by the next run, or by `campaign inbox fetch`.

    \b
    Example:
      campaign gateway subscribe office --period 120
    """
    if off:
        done = trio.run(functools.partial(subscribing.unsubscribe, context.site, name))
    else:
        wanted = Subscription(status=status, sms=sms, period=period, all_sims=all_sims)
        done = trio.run(
            functools.partial(
                subscribing.subscribe,
                context.site,
                name,
                wanted,
                listen=listen,
                public_url=public_url,
            )
        )
    if context.json:
        context.print_json(done.as_json())
    elif off:
        click.echo(f"{name} pushes nothing any more")
    elif done.told:
        click.echo(f"{name} pushes to {done.address}")
    else:
        click.echo(f"the running engine will tell {name} as soon as it answers")
