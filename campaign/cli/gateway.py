"""gateway: the registry of devices."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import click
import trio

from campaign.cli.context import Context, host_port, json_option, pass_context
from campaign.cli.listing import print_facts, print_rows
from campaign.cli.passwords import chosen_secret, password_options
from campaign.errors import CampaignError
from campaign.service import gateways
from campaign.service.probing import (
    DeviceCheck,
    PushCheck,
    check_device,
    check_json,
    check_push,
    state_words,
)

_PORT_HEADINGS = ("port", "state", "signal", "operator", "number", "ICCID", "balance")


@click.group(short_help="Register, look at and test gateways.")
def gateway() -> None:
    """The gateways of this ledger: add, list, show, set, remove, test.

    \b
    Example:
      campaign gateway add office http://192.0.2.10 --username root --password-env OFFICE_PASSWORD
      campaign gateway test office
    """


@gateway.command()
@click.argument("name")
@click.argument("url")
@click.option("--username", required=True, help="The user the device knows.")
@password_options
@click.option(
    "--tid-memory",
    metavar="10m",
    help="How long the device is trusted to remember a task; 0: never offer one again.",
)
@click.option("--keep-plus", is_flag=True, help="Send numbers with a leading +.")
@click.option("--max-chars", metavar="300", help="The longest text the device takes.")
@click.option(
    "--ca-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Certificates to trust for this device instead of the system's.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Any setting that gateway show lists; repeatable.",
)
@json_option
@pass_context
def add(
    context: Context,
    name: str,
    url: str,
    username: str,
    password_env: str | None,
    password_file: Path | None,
    password_stdin: bool,
    tid_memory: str | None,
    keep_plus: bool,
    max_chars: str | None,
    ca_file: Path | None,
    settings: tuple[str, ...],
) -> None:
    """Register the device at URL under NAME.

    URL is http://HOST or http://HOST:PORT. The ledger keeps where the password is, never the
    password itself. Nothing is asked of the device yet: gateway test does that.

    \b
    Example:
      campaign gateway add office http://192.0.2.10 --username root --password-env OFFICE_PASSWORD
    """
    secret = chosen_secret(password_env, password_file, password_stdin, needed=True)
    assert secret is not None  # noqa: S101 - one is needed
    named = {"tid-memory": tid_memory, "max-chars": max_chars, "keep-plus": keep_plus and "yes"}
    pairs = [f"{key}={value}" for key, value in named.items() if value]
    trio.run(
        functools.partial(
            gateways.add,
            context.site,
            name,
            url,
            username,
            secret,
            settings=[*pairs, *settings],
            ca_file=ca_file,
        )
    )
    _warn_of_variable(context, secret)
    if context.json:
        context.print_json(gateways.as_json(gateways.view(context.site, name)))
    else:
        click.echo(f"gateway {name} is registered")
    context.say(f"Next: {context.command('gateway', 'test', name)}")


@gateway.command("list")
@json_option
@pass_context
def list_(context: Context) -> None:
    """Every registered gateway.

    \b
    Example:
      campaign gateway list
    """
    views = gateways.list_views(context.site)
    if context.json:
        context.print_json({"gateways": [gateways.as_json(view) for view in views]})
        return
    if not views:
        context.say("no gateway is registered: campaign gateway add NAME URL --username U")
        return
    rows = [
        (
            view.row.name,
            view.row.url,
            view.row.username,
            f"{view.usable} of {len(view.ports)}" if view.ports else "not seen yet",
            view.condition,
        )
        for view in views
    ]
    print_rows(("name", "URL", "user", "usable ports", "state"), rows)


@gateway.command()
@click.argument("name")
@json_option
@pass_context
def show(context: Context, name: str) -> None:
    """One gateway: its settings in force, and its ports as they were last seen.

    \b
    Example:
      campaign gateway show office
    """
    view = gateways.view(context.site, name)
    if context.json:
        context.print_json({**gateways.as_json(view), "settings": gateways.settings_json(view)})
        return
    print_facts(
        (
            ("name", view.row.name),
            ("URL", view.row.url),
            ("user", view.row.username),
            ("password", view.password),
            ("push token", view.token),
            ("CA file", view.row.ca_file),
            ("state", view.condition),
        )
    )
    click.echo()
    print_rows(
        ("setting", "value", "", "meaning"),
        [(key, value, "set" * is_set, text) for key, value, is_set, text in view.settings()],
    )
    click.echo()
    if not view.ports:
        click.echo("its ports are not known yet: they are read when a campaign first uses it")
        return
    print_rows(
        _PORT_HEADINGS,
        [
            (p.port, gateways.port_words(p), p.signal, p.operator, p.number, p.iccid, p.balance)
            for p in view.ports
        ],
    )


@gateway.command("set")
@click.argument("name")
@click.argument("pairs", nargs=-1, metavar="KEY=VALUE...")
@password_options
@json_option
@pass_context
def set_(
    context: Context,
    name: str,
    pairs: tuple[str, ...],
    password_env: str | None,
    password_file: Path | None,
    password_stdin: bool,
) -> None:
    """Change settings of a gateway, also while it sends.

    KEY is a setting that gateway show lists, or url, username, ca-file; KEY= returns to the
    default. A new address, user or password lifts an alarm.

    \b
    Example:
      campaign gateway set office max-chars=600 tid-memory=0
    """
    secret = chosen_secret(password_env, password_file, password_stdin, needed=False)
    now_set = trio.run(functools.partial(gateways.alter, context.site, name, pairs, secret))
    if secret is not None:
        _warn_of_variable(context, secret)
    if context.json:
        context.print_json({"name": name, "settings": now_set})
    else:
        click.echo(f"gateway {name} is changed")


@gateway.command()
@click.argument("name")
@json_option
@pass_context
def remove(context: Context, name: str) -> None:
    """Take a gateway off the registry; what it has sent stays in the ledger.

    Its stored password is forgotten, a simulated gateway ends.

    \b
    Example:
      campaign gateway remove office
    """
    trio.run(functools.partial(gateways.remove, context.site, name))
    if context.json:
        context.print_json({"name": name, "removed": True})
    else:
        click.echo(f"gateway {name} is removed")


@gateway.command()
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

    Exit code 5 if it cannot be reached or refuses us. Success lifts an alarm; nothing else is
    stored and nothing is sent.

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
        print_rows(_PORT_HEADINGS, rows)


def _warn_of_variable(context: Context, secret: gateways.Secret) -> None:
    if secret.is_missing_variable:
        variable = secret.pointer.removeprefix("env:")
        context.say(f"the environment variable {variable} is not set here yet")
