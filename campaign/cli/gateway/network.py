"""gateway ussd and esims: what the operator's network and the SIMs themselves say."""

from __future__ import annotations

import functools

import click
import trio

from campaign.cli.context import Context, json_option, pass_context
from campaign.cli.listing import print_rows
from campaign.reports.cells import terminal_text
from campaign.service import observing


@click.command(short_help="Dial a USSD code, for a balance.")
@click.argument("name")
@click.argument("port")
@click.argument("code")
@json_option
@pass_context
def ussd(context: Context, name: str, port: str, code: str) -> None:
    """Dial a USSD code on a port and print the network's answer, usually a balance.

    \b
    Example:
      campaign gateway ussd office 3 "*100#"
    """
    answer = trio.run(functools.partial(observing.ussd, context.site, name, port, code))
    if context.json:
        context.print_json({"name": name, "port": port, "code": code, "answer": answer.resp})
    else:
        click.echo(terminal_text(answer.resp))


@click.command(short_help="Its eSIMs and their profiles.")
@click.argument("name")
@json_option
@pass_context
def esims(context: Context, name: str) -> None:
    """The eSIMs of a gateway with their profiles (firmware 2.4).

    \b
    Example:
      campaign gateway esims office
    """
    told = trio.run(functools.partial(observing.esims, context.site, name))
    if context.json:
        ports = [{**observing.fields_of(port), "port": str(port.port)} for port in told.ports]
        context.print_json({"name": name, "ports": ports})
        return
    print_rows(
        ("port", "EID", "slot", "ICCID", "provider", "in use"),
        [
            (
                port.port, port.eid, profile.slot, profile.iccid, profile.provider,
                "yes" if profile.enabled else "",
            )
            for port in told.ports
            for profile in port.profiles
        ],
    )  # fmt: skip
