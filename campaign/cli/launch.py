"""launch and resume."""

from __future__ import annotations

import functools
import re
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

import click
import trio

from campaign.cli.context import Context, at_a_terminal, host_port, json_option, pass_context
from campaign.cli.going_on import resume_command, told_how_to_go_on
from campaign.cli.options import allow_option, campaign_options, launch_options, read_message
from campaign.cli.plan import plan_request, show_plan
from campaign.cli.screen import open_screen
from campaign.engine.intake import LaunchRequest
from campaign.errors import UsageError
from campaign.planner.thresholds import Threshold
from campaign.service.defaults import settle_window
from campaign.service.ledger import read
from campaign.service.outcome import Result
from campaign.service.program import launch as launch_campaign
from campaign.service.program import resume as resume_campaigns
from campaign.service.simulated import Simulation
from campaign.service.sources import Network
from campaign.service.waysout import check_routes
from campaign.store.campaigns import get_campaign

_SIMULATED_PORTS = 8


@click.command(short_help="Import a list and send it.")
@click.argument("list_path", metavar="LIST")
@launch_options
@click.option("--name", help="Name of the campaign. Default: the list's, with the time.")
@click.option("--listen", metavar="HOST:PORT", callback=host_port, help="Where reports arrive.")
@click.option("--public-url", metavar="URL", help="The address devices are told to report to.")
@allow_option
@click.option(
    "--simulate", type=click.IntRange(1, 32), metavar="N", help="With N simulated gateways."
)
@click.option(
    "--simulate-set",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of the simulated gateways, as sms-seconds=0.02; see simulate --help.",
)
@click.option("--again", is_flag=True, help="Send the same list and message once more.")
@click.option("--strict", is_flag=True, help="Refused rows end the launch (exit 7).")
@click.option("--no-attach", is_flag=True, help="Exit 6 if an engine runs on this ledger already.")
@click.option("--dry-run", is_flag=True, help="Only say what it would come to, as plan does.")
@click.option("--yes", is_flag=True, help="Do not ask before sending through real gateways.")
@click.option(
    "--fail-if", "fail_if", multiple=True, metavar="EXPR", help="Exit 3 if true, as 'failed>5%'."
)
@json_option
@pass_context
def launch(
    context: Context,
    /,
    list_path: str,
    message: str | None,
    mms: tuple[Path, ...],
    name: str | None,
    listen: tuple[str, int] | None,
    public_url: str | None,
    allow: tuple[Network, ...] | None,
    simulate: int | None,
    simulate_set: tuple[str, ...],
    again: bool,
    strict: bool,
    no_attach: bool,
    dry_run: bool,
    yes: bool,
    fail_if: tuple[str, ...],
    **options: Any,
) -> None:
    """Import LIST, plan and send, and follow it to the end.

    LIST is CSV, TSV, TXT or XLSX in any common encoding, or - for standard input. Killed or
    interrupted at any moment, `campaign resume` goes on without sending anybody twice.

    \b
    Example:
      campaign launch sample_lists/personalised.csv --message "Hello {name|friend}" --simulate 2
    """
    thresholds = [Threshold.parse(text) for text in fail_if]
    for threshold in thresholds:
        threshold.check("--fail-if")
    chosen = campaign_options(mms=mms, **options)
    if dry_run:
        show_plan(context, plan_request(list_path, message, mms, chosen, simulate=simulate or 0))
        return
    check_routes(context.site, chosen, simulate=simulate or 0, usual=not simulate_set)
    settled = settle_window(context.site, chosen, simulated=simulate is not None)
    if settled.off_loopback and not yes:
        _ask(context, settled.off_loopback)
    path, list_name, rejects = _list(context, list_path)
    request = LaunchRequest(
        name=name or _default_name(context, list_name),
        path=str(path),
        list_name=list_name,
        message=read_message(message, mms),
        mms=tuple(str(path.absolute()) for path in mms),
        rejects=rejects,
        options=settled.options,
        strict=strict,
        again=again,
    )
    _check_name(request.name)
    simulation = (
        Simulation(
            simulate,
            ("--ports", str(_SIMULATED_PORTS), *(w for kv in simulate_set for w in ("--set", kv))),
            insist=bool(simulate_set),
        )
        if simulate
        else None
    )
    with (
        told_how_to_go_on(context, request.name),
        open_screen(context.site.env, quiet=context.quiet) as screen,
    ):
        result = trio.run(
            functools.partial(
                launch_campaign,
                context.site,
                request,
                screen,
                listen=listen,
                public_url=public_url,
                allow=allow,
                simulation=simulation,
                attach=not no_attach,
            )
        )
    finish(context, result, thresholds, rejects=Path(rejects))


@click.command(short_help="Go on after a crash or an interrupt.")
@click.argument("name", required=False)
@click.option("--listen", metavar="HOST:PORT", callback=host_port, help="Where reports arrive.")
@click.option("--public-url", metavar="URL", help="The address devices are told to report to.")
@allow_option
@click.option("--no-attach", is_flag=True, help="Exit 6 if an engine runs on this ledger already.")
@json_option
@pass_context
def resume(
    context: Context,
    name: str | None,
    listen: tuple[str, int] | None,
    public_url: str | None,
    allow: tuple[Network, ...] | None,
    no_attach: bool,
) -> None:
    """Recover the ledger and go on with one or all interrupted campaigns.

    What was in flight is asked about first; nothing is sent on a guess.

    \b
    Example:
      campaign resume
    """
    if name is not None:
        read(context.site, get_campaign, name)
    elif not context.site.paths.db.exists():
        raise UsageError(f"there is no ledger at {context.site.paths.db}: name it with --db")
    with (
        told_how_to_go_on(context, name),
        open_screen(context.site.env, quiet=context.quiet) as screen,
    ):
        result = trio.run(
            functools.partial(
                resume_campaigns,
                context.site,
                name,
                screen,
                listen=listen,
                public_url=public_url,
                allow=allow,
                attach=not no_attach,
            )
        )
    finish(context, result, [])


def finish(
    context: Context, result: Result, thresholds: list[Threshold], rejects: Path | None = None
) -> None:
    """Print how it ended and exit as the contract says."""
    if context.json:
        context.print_json(
            result.campaigns[0] if len(result.campaigns) == 1 else {"campaigns": result.campaigns}
        )
    else:
        for campaign in result.campaigns:
            for line in _summary(context, campaign):
                click.echo(line)
            if campaign["refused"] and rejects is not None:
                click.echo(f"  {campaign['refused']} rows refused, see {rejects}")
    if result.interrupted:
        states = [c["state"] for c in result.campaigns]
        if rejects is not None and (not states or "importing" in states):
            context.say("interrupted while the list was read: nothing was sent; launch it again")
        over = ("finished", "cancelled", "importing")
        names = [c["name"] for c in result.campaigns if c["state"] not in over]
        if names:
            context.say(
                f"interrupted, nothing is lost; go on with: {resume_command(context, names)}"
            )
        sys.exit(130)
    if result.waiting:
        for name, why in result.waiting.items():
            context.say(f"Error: {name} waits: {why}")
        sys.exit(5 if result.credentials else 1)
    broken = [
        threshold for threshold in thresholds for c in result.campaigns if threshold.broken_by(c)
    ]
    for threshold in broken:
        context.say(f"threshold broken: {threshold.text}")
    if broken:
        sys.exit(3)


def _summary(context: Context, campaign: dict[str, Any]) -> list[str]:
    counts = {state: n for state, n in campaign["counts"].items() if n}
    states = ", ".join(f"{n} {state}" for state, n in counts.items()) or "no recipients"
    over = campaign["state"] in ("finished", "cancelled")
    how = campaign["state"] if over else f"is not over ({campaign['state']})"
    lines = [
        (
            f"campaign {campaign['name']} {how} after {campaign['seconds']:g} s: "
            f"{campaign['recipients']} recipients: {states}"
        )
    ]
    happened = {kind: n for kind, n in campaign["incidents"].items() if n}
    if happened:
        lines.append("  incidents: " + ", ".join(f"{n} {kind}" for kind, n in happened.items()))
    lines.append(f"  report: {context.command('report', campaign['name'])}")
    return lines


def _ask(context: Context, gateways: list[str]) -> None:
    question = f"Send real SMS through {', '.join(gateways)}?"
    if not at_a_terminal():
        raise UsageError(f"{question} Without a terminal, say so with --yes")
    if not click.confirm(question, err=True):
        _end(context)


def _end(context: Context) -> NoReturn:
    context.say("nothing was sent")
    sys.exit(1)


def _list(context: Context, list_path: str) -> tuple[Path, str, str]:
    """(where to read it, its name, where refused rows go)."""
    if list_path != "-":
        path = Path(list_path).absolute()
        return path, path.name, str(path.with_name(path.name + ".rejects.csv"))
    # a pipe is read once, but a list is looked at twice; the file lives as long as this process,
    # beside the ledger, where a running service can read it that sees no /tmp of ours
    beside = context.site.paths.db.absolute().parent
    spool = tempfile.NamedTemporaryFile(  # noqa: SIM115 - as said
        prefix="campaign-stdin-", suffix=".list", dir=beside if beside.is_dir() else None
    )
    click.get_current_context().call_on_close(spool.close)
    stdin = sys.stdin.buffer
    while chunk := stdin.read(1 << 20):
        spool.write(chunk)
    spool.flush()
    return Path(spool.name), "stdin", str(Path.cwd() / "stdin.rejects.csv")


def _default_name(context: Context, list_name: str) -> str:
    stem = re.sub(r"[^\w.-]+", "-", Path(list_name).stem).strip("-") or "campaign"
    return f"{stem}-{context.site.env.wall():%Y%m%d-%H%M%S}"


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[\w][\w.-]{0,79}", name):
        raise UsageError(f"{name!r} is not a name: letters, digits, . _ and - (at most 80)")
