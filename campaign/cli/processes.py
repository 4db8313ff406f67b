"""simulate and listen: the processes that stand beside an engine."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import click
import trio

from campaign.cli.context import Context, host_port, pass_context
from campaign.cli.options import allow_option
from campaign.service.processes import stop_receiver
from campaign.service.receiving import run_receiver
from campaign.service.simulating import run_simulator
from campaign.service.sources import Network
from campaign.simulator import MAGIC, PROFILES, SimulatorSettings, settings_help


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    lines = [
        "  " + "  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[-1]])
        for row in rows
    ]
    return "\b\n" + "\n".join(lines)


@click.command(
    short_help="Run one simulated gateway.",
    epilog="Settings (--set KEY=VALUE):\n\n"
    + _table([(key, default, about) for key, default, about in settings_help()])
    + "\n\nMagic numbers (--magic), by their last digits:\n\n"
    + _table([(f"…{magic.suffix}", magic.meaning) for magic in MAGIC]),
)
@click.option(
    "--listen",
    default="127.0.0.1:0",
    show_default=True,
    metavar="HOST:PORT",
    callback=host_port,
    help="Port 0: any free one.",
)
@click.option(
    "--ports", type=click.IntRange(1, 512), default=8, show_default=True, help="SIM ports."
)
@click.option(
    "--slots", type=click.IntRange(1, 26), default=1, show_default=True, help="SIMs of each port."
)
@click.option("--username", default="root", show_default=True, help="The user it knows.")
@click.option("--password", default="root", show_default=True, help="Not a secret.")
@click.option("--sms-seconds", default="2", show_default=True, help="Air time of one message.")
@click.option("--fail-rate", default="0", show_default=True, metavar="P", help="Share that fails.")
@click.option(
    "--profile",
    default="clean",
    show_default=True,
    metavar="P",
    help=f"Set of faults: {', '.join(PROFILES)}.",
)
@click.option(
    "--dialect",
    type=click.Choice(["2.0", "2.4"]),
    default="2.0",
    show_default=True,
    help="Firmware: ports are written 1A in 2.0, 1.01 in 2.4.",
)
@click.option("--seed", type=int, metavar="N", help="The same device again.")
@click.option("--ledger", type=click.Path(path_type=Path), metavar="FILE", help="The ground truth.")
@click.option("--magic", is_flag=True, help="Obey magic numbers.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="See below.")
@pass_context
def simulate(
    context: Context, /, listen: tuple[str, int], settings: tuple[str, ...], **options: Any
) -> None:
    """A simulated gateway on loopback, faithful to the protocol, with a ground-truth ledger.

    The first line on stdout is `listening on http://HOST:PORT`.

    \b
    Example:
      campaign simulate --ports 4 --sms-seconds 0.5 --profile lossy --ledger truth.jsonl
    """
    ledger: Path | None = options.pop("ledger")
    named = [f"{key}={value}" for key, value in options.items() if value not in (None, False)]
    if ledger is not None:
        named.append(f"ledger={ledger.absolute()}")
    chosen = SimulatorSettings().with_overrides([*named, *settings])
    trio.run(
        functools.partial(
            run_simulator, chosen, *listen, context.site.env, lambda line: click.echo(line)
        )
    )


@click.command(short_help="The receiver alone.")
@click.option(
    "--listen", metavar="HOST:PORT", callback=host_port, help="Needed only the first time."
)
@click.option("--public-url", metavar="URL", help="The address devices are told to report to.")
@allow_option
@click.option(
    "--automatic", is_flag=True, hidden=True, help="End when nothing is left to wait for."
)
@click.option("--stop", is_flag=True, help="End the running receiver of this ledger.")
@pass_context
def listen(
    context: Context,
    listen: tuple[str, int] | None,
    public_url: str | None,
    allow: tuple[Network, ...] | None,
    automatic: bool,
    stop: bool,
) -> None:
    """The receiver alone: commits what devices push, whether an engine runs or not.

    Started by itself by launch and resume; by hand it runs until it is stopped. Address, public URL
    and --allow are remembered, and every later receiver of this ledger keeps to them.

    \b
    Example:
      campaign listen --listen 0.0.0.0:8080 --public-url http://192.0.2.10:8080
    """
    if stop:
        ended = trio.run(functools.partial(stop_receiver, context.site.paths))
        click.echo("the receiver has ended" if ended else "no receiver runs for this ledger")
        return
    trio.run(
        functools.partial(
            run_receiver,
            context.site,
            listen,
            public_url,
            allow=allow,
            automatic=automatic,
            say=context.say,
        )
    )
