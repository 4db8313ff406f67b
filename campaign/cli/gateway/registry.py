"""gateway add, list, show, set and remove: the registry of devices."""

from __future__ import annotations

import functools
import getpass
from pathlib import Path

import click
import trio

from campaign.cli.context import Context, json_option, pass_context
from campaign.cli.gateway.headings import PORT_HEADINGS
from campaign.cli.listing import print_facts, print_rows
from campaign.cli.passwords import chosen_secret, password_options
from campaign.protocol.session import AUTH_ORDERS, Crypt
from campaign.service import gateways
from campaign.store.gateways import GatewayRow, Subscription


@click.command()
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
    "--crypt",
    type=click.Choice([str(cipher) for cipher in Crypt]),
    help="Sign in by a secure session with this cipher instead of a password in each URL.",
)
@click.option(
    "--auth-order",
    type=click.Choice(AUTH_ORDERS),
    default="spec",
    show_default=True,
    help="How its requests are hashed; the other way is tried and remembered.",
)
@click.option(
    "--api-version",
    type=click.Choice(["1.1", "1.0"]),
    help="1.0: old firmware, one GET a message, no reports.",
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
    crypt: str | None,
    auth_order: str,
    api_version: str | None,
    settings: tuple[str, ...],
) -> None:
    """Register the device at URL under NAME.

    URL is http://HOST or http://HOST:PORT. The ledger keeps where the password is, never the
    password itself. Nothing is asked of the device yet: gateway test does that.

    A secure session (--crypt) keeps the password out of URLs and hides what is sent from a casual
    look. It is obfuscation, not security: MD5, ECB, nothing that detects a change, and answers
    and reports travel in the clear. Only a private network or TLS protects them.

    \b
    Examples:
      campaign gateway add office http://192.0.2.10 --username root --password-env OFFICE_PASSWORD
      campaign gateway add roof https://192.0.2.11 --username root --password-stdin --crypt aes-ecb
    """
    secret = chosen_secret(password_env, password_file, password_stdin, needed=True)
    assert secret is not None  # noqa: S101 - one is needed
    named = {
        "tid-memory": tid_memory,
        "max-chars": max_chars,
        "keep-plus": keep_plus and "yes",
        "api-version": api_version,
    }
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
            crypt=crypt,
            auth_order=auth_order,
        )
    )
    _warn_of_variable(context, secret)
    if context.json:
        context.print_json(gateways.as_json(gateways.view(context.site, name)))
    else:
        click.echo(f"gateway {name} is registered")
    context.say(f"Next: {context.command('gateway', 'test', name)}")


@click.command("list")
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


@click.command()
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
            ("secure session", _session(view.row)),
            ("CA file", view.row.ca_file),
            ("version", view.row.device.ver),
            ("subscribed", _subscription(view.row)),
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
        PORT_HEADINGS,
        [
            (p.port, gateways.port_words(p), p.signal, p.operator, p.number, p.iccid, p.balance)
            for p in view.ports
        ],
    )


@click.command("set")
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

    KEY is a setting that gateway show lists, or url, username, ca-file, crypt, auth-order; KEY=
    returns to the default. A new address, user or password lifts an alarm.

    \b
    Example:
      campaign gateway set office max-chars=600 tid-memory=0
    """
    secret = chosen_secret(password_env, password_file, password_stdin, needed=False)
    now_set = trio.run(
        functools.partial(
            gateways.alter, context.site, name, pairs, secret, f"operator {getpass.getuser()}"
        )
    )
    if secret is not None:
        _warn_of_variable(context, secret)
    if context.json:
        context.print_json({"name": name, "settings": now_set})
    else:
        click.echo(f"gateway {name} is changed")


@click.command()
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


def _session(row: GatewayRow) -> str | None:
    return None if row.crypt is None else f"{row.crypt}, hashed as {row.auth_order}"


def _subscription(row: GatewayRow) -> str | None:
    if row.subscription is None:
        return None
    wanted = [word for word, on in _wishes(row.subscription) if on]
    return " and ".join(wanted)


def _wishes(subscription: Subscription) -> list[tuple[str, bool]]:
    status = f"status every {subscription.period} s"
    return [(status, subscription.status), ("received SMS", subscription.sms)]


def _warn_of_variable(context: Context, secret: gateways.Secret) -> None:
    if secret.is_missing_variable:
        variable = secret.pointer.removeprefix("env:")
        context.say(f"the environment variable {variable} is not set here yet")
