"""gateway test: does the device answer, and does it reach us."""

from __future__ import annotations

import functools
from typing import Any

import click
import trio

from campaign.cli.context import Context, host_port, json_option, pass_context
from campaign.cli.gateway.headings import PORT_HEADINGS
from campaign.cli.listing import print_facts, print_rows
from campaign.errors import CampaignError
from campaign.service.probing import (
    DeviceCheck,
    PushCheck,
    check_device,
    check_json,
    check_push,
    state_words,
)


@click.command()
@click.argument("name")
@click.option(
    "--push",
    is_flag=True,
    help="Also have the device push to our receiver. Replaces, then ends, the status pushes it"
    " sends to any other address.",
)
@click.option("--listen", metavar="HOST:PORT", callback=host_port, help="Where pushes arrive.")
@click.option("--public-url", metavar="URL", help="The address the device is told to push to.")
@json_option
@pass_context
def test(
    context: Context,
    name: str,
    push: bool,
    listen: tuple[str, int] | None,
    public_url: str | None,
) -> None:
    """Ask the device directly: is it there, does it know us, which ports can send.

    Exit code 5 if it cannot be reached or refuses us. Success lifts an alarm and, with a secure
    session, remembers how the device hashes requests; nothing else is stored, nothing is sent.

    \b
    Example:
      campaign gateway test office --push
    """
    device = trio.run(functools.partial(check_device, context.site, name))
    if not context.json:
        _print_device(device)
    pushed: PushCheck | None = None
    if push:
        context.say("waiting for its push …")
        pushed = trio.run(
            functools.partial(check_push, context.site, name, listen=listen, public_url=public_url)
        )
    if context.json:
        context.print_json(check_json(device, pushed))
    if pushed is None:
        return
    if pushed.left:
        context.say(f"{name} did not answer when its status pushes were to be ended")
    if not pushed.arrived:
        raise CampaignError(
            f"no push of {name} has reached {pushed.address} within {pushed.seconds:.0f} s: does"
            " the device reach this address (firewall, --public-url)?"
        )
    if not context.json:
        click.echo(f"its push reached {pushed.address} after {pushed.seconds:.1f} s")


def _print_device(device: DeviceCheck) -> None:
    status = device.status
    print_facts(
        (
            ("gateway", f"{device.name} at {device.url} answers"),
            ("version", status.ver),
            ("MAC", status.mac),
            ("IP", status.ip),
            ("boot id", device.boot_id),
            ("session", _session(device)),
            ("ports", f"{device.usable} of {len(status.ports)} can send"),
            ("alarm lifted", device.lifted),
        )
    )
    if status.ports:
        click.echo()
        rows: list[tuple[Any, ...]] = [
            (p.port, state_words(p), p.signal, p.operator, p.number, p.iccid, p.balance)
            for p in status.ports
        ]
        print_rows(PORT_HEADINGS, rows)


def _session(device: DeviceCheck) -> str | None:
    """What was negotiated; without a session the password stands in each URL."""
    session = device.negotiated
    if session is None:
        return None
    order = f"hashed as {session.auth_order}"
    return f"{session.crypt}, {order}, {session.expires} s; answers are in the clear"
