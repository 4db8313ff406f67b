"""gateway lock, unlock, switch, reset, save, reboot, multiple: commands and what they led to."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click
import trio

from campaign.cli.context import Context, at_a_terminal, json_option, pass_context
from campaign.cli.listing import print_rows
from campaign.errors import CampaignError, UsageError
from campaign.planner.durations import parse_duration
from campaign.protocol.commands import REBOOT, SAVE, Command, Op
from campaign.service import operating

F = TypeVar("F", bound=Callable[..., Any])


def _follow_options(command: F) -> F:
    for option in (
        click.option(
            "--auto-fail-switch/--no-auto-fail-switch",
            default=None,
            help="Whether a SIM that fails to register is replaced by the next one from now on.",
        ),
        click.option(
            "--wait",
            default=f"{operating.DEFAULT_WAIT:g}s",
            show_default=True,
            metavar="DURATION",
            help="How long to follow the result; 0: do not.",
        ),
    ):
        command = option(command)
    return command


_yes = click.option("--yes", is_flag=True, help="Do not ask: this interrupts traffic.")
_ports = click.argument("ports", nargs=-1, required=True, metavar="PORTS...")


@click.command(short_help="Lock ports or single SIMs.")
@click.argument("name")
@_ports
@_follow_options
@_yes
@json_option
@pass_context
def lock(context: Context, /, name: str, ports: tuple[str, ...], yes: bool, **options: Any) -> None:
    """Lock ports (1-4, 7, all) or single SIMs (2.02, 2B); a locked one sends nothing.

    \b
    Example:
      campaign gateway lock office 3 4.02 --yes
    """
    _carry_out(context, name, operating.port_op(Op.LOCK, ports), yes=yes, **options)


@click.command(short_help="Unlock ports or single SIMs.")
@click.argument("name")
@_ports
@_follow_options
@json_option
@pass_context
def unlock(context: Context, /, name: str, ports: tuple[str, ...], **options: Any) -> None:
    """Unlock ports (1-4, 7, all) or single SIMs (2.02, 2B), and wait until they can send.

    \b
    Example:
      campaign gateway unlock office all
    """
    _carry_out(context, name, operating.port_op(Op.UNLOCK, ports), yes=True, **options)


@click.command(short_help="Put another SIM of a port to work.")
@click.argument("name")
@_ports
@_follow_options
@_yes
@json_option
@pass_context
def switch(
    context: Context, /, name: str, ports: tuple[str, ...], yes: bool, **options: Any
) -> None:
    """Switch ports to a SIM slot, written as 2.02 or 2B, and wait until it is registered.

    \b
    Example:
      campaign gateway switch office 2.02 --yes
    """
    _carry_out(context, name, operating.port_op(Op.SWITCH, ports), yes=yes, **options)


@click.command(short_help="Restart the modules of ports.")
@click.argument("name")
@_ports
@_follow_options
@_yes
@json_option
@pass_context
def reset(
    context: Context, /, name: str, ports: tuple[str, ...], yes: bool, **options: Any
) -> None:
    """Restart the modules of ports (1-4, 7, all), and wait until they can send.

    \b
    Example:
      campaign gateway reset office 3 --yes
    """
    _carry_out(context, name, operating.port_op(Op.RESET, ports), yes=yes, **options)


@click.command(short_help="Several operations in one request.")
@click.argument("name")
@click.argument("pairs", nargs=-1, required=True, metavar="OP=PORTS...")
@_follow_options
@_yes
@json_option
@pass_context
def multiple(
    context: Context, /, name: str, pairs: tuple[str, ...], yes: bool, **options: Any
) -> None:
    """Different operations on different ports in one request: lock, unlock, switch, reset.

    \b
    Example:
      campaign gateway multiple office lock=1,2 switch=3.02 --yes
    """
    _carry_out(context, name, operating.multiple(pairs), yes=yes, **options)


@click.command(short_help="Make its configuration outlast a restart.")
@click.argument("name")
@json_option
@pass_context
def save(context: Context, name: str) -> None:
    """Save a gateway's present configuration, so that it outlasts a restart.

    \b
    Example:
      campaign gateway save office
    """
    _carry_out(context, name, SAVE, yes=True, wait="0")


@click.command(short_help="Restart the whole device.")
@click.argument("name")
@click.option(
    "--wait", default="180s", show_default=True, metavar="DURATION", help="For its next run."
)
@_yes
@json_option
@pass_context
def reboot(context: Context, name: str, wait: str, yes: bool) -> None:
    """Restart a gateway and wait until it answers as another run. What it has queued may be lost.

    \b
    Example:
      campaign gateway reboot office --yes
    """
    _carry_out(context, name, REBOOT, yes=yes, wait=wait)


def _carry_out(
    context: Context,
    name: str,
    command: Command,
    *,
    yes: bool,
    wait: str,
    auto_fail_switch: bool | None = None,
) -> None:
    if not yes:
        _ask(context, name)
    seconds = parse_duration(wait)
    outcome = trio.run(
        functools.partial(
            operating.operate,
            context.site,
            name,
            command,
            wait=seconds or None,
            auto_fail_sim_switch=auto_fail_switch,
        )
    )
    if context.json:
        context.print_json(operating.outcome_json(outcome))
    else:
        _print(outcome)
    if not outcome.in_time:
        late = ", ".join(str(port.port) for port in outcome.ports if port.reached is False)
        what = f"port {late}" if late else "its next run"
        raise CampaignError(
            f"{name} took the command, but {what} did not come about within {seconds:g} s:"
            f" {context.command('gateway', 'ports', name)}"
        )


def _ask(context: Context, name: str) -> None:
    """What interrupts traffic is asked about at a terminal and needs --yes elsewhere."""
    ours = operating.our_tasks(context.site, name)
    held = f"; {ours} unfinished tasks of ours are there" if ours else ""
    if not at_a_terminal():
        raise UsageError(f"this interrupts traffic on {name}{held}: add --yes")
    if not click.confirm(f"This interrupts traffic on {name}{held}. Go on?", err=True):
        raise UsageError("nothing was done")


def _print(outcome: operating.Outcome) -> None:
    if outcome.rebooted:
        click.echo(
            f"{outcome.name} runs again after {outcome.seconds:.0f} s, boot id {outcome.boot_id}"
        )
        return
    if not outcome.ports:
        click.echo(f"{outcome.name}: {outcome.reason or 'done'}")
        return
    words = {True: "done", False: "not in time", None: "sent"}
    print_rows(
        ("port", "operation", "result", "state"),
        [(port.port, port.op, words[port.reached], port.words) for port in outcome.ports],
    )
