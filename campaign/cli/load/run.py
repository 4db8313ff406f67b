"""load run: one load, from its schedule to its figures."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import trio

from campaign.cli.context import Context, json_option, pass_context
from campaign.cli.load.live import LiveView
from campaign.cli.load.options import (
    MOST_SEED,
    client_options,
    fail_if_option,
    gateway_options,
    load_plan,
    shape_options,
)
from campaign.load.keeping import save
from campaign.load.outcome import Outcome
from campaign.load.shaping import Wish
from campaign.load.sheet import sheet_of
from campaign.load.thresholds import Threshold
from campaign.planner.durations import parse_duration
from campaign.reports.load_report import LoadFormat, load_report
from campaign.service.loading import Ran, run_load


@click.command(short_help="Load a gateway as a schedule says.")
@click.argument("target")
@shape_options
@gateway_options
@click.option(
    "--receipts/--no-receipts",
    default=None,
    help="Ask for delivery receipts: all inbound messages of the device then go to this load until"
    " it ends. Default: only of a simulator.",
)
@click.option(
    "--settle",
    default="60s",
    show_default=True,
    metavar="60s",
    help="How long to wait at the end for what was not reported yet; then it is unreported.",
)
@client_options
@fail_if_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Keep the result, for load report and load compare.",
)
@json_option
@pass_context
def run(
    context: Context,
    /,
    target: str,
    fail_if: tuple[str, ...],
    out: Path | None,
    settle: str,
    metrics: tuple[str, int] | None,
    **options: Any,
) -> None:
    """Load TARGET: a registered gateway's name, or http://user:password@host:port of a simulator.

    Arrivals are fixed before the first one, and latency counts from the intended time, so a target
    that stalls cannot hide it. Three clocks are read: until the HTTP answer, until the status
    report, until the delivery receipt; and every accepted message is accounted for. Ctrl-C ends
    within a second or so, takes back what still waits in the device, and shows what was measured.

    \b
    Exit: 3 a --fail-if threshold broke; 130 interrupted.
    Examples:
      campaign load run http://root:root@127.0.0.1:8099 --rate 200/s --duration 30s
      campaign load run office --rate 2/s --duration 20s --numbers mine.txt --i-own-this-gateway
    """
    thresholds = [Threshold.parse(text) for text in fail_if]
    shape, seconds = taken_wish(options).shape()
    seed = taken_seed(context, options)
    plan = load_plan(
        context,
        target,
        shape=shape,
        seconds=seconds,
        seed=seed,
        settle=parse_duration(settle),
        **options,
    )
    with LiveView(quiet=context.quiet) as view:
        ran = trio.run(
            functools.partial(
                run_load,
                context.site,
                plan,
                on_second=view.see,
                metrics=metrics,
                say=view.say,
            )
        )
    finish(context, ran, thresholds, out)


def taken_wish(options: dict[str, Any]) -> Wish:
    """The options of a shape, taken out of all options."""
    names = ("rate", "duration", "stages", "ramp_to", "spike_to", "spike_for", "slopes")
    return Wish(
        **{name: options.pop(name) for name in names},
        poisson=options.pop("poisson"),
        closed=options.pop("closed"),
    )


def taken_seed(context: Context, options: dict[str, Any]) -> int:
    """The seed that was given, or another one, which the result names."""
    seed: int | None = options.pop("seed")
    return context.site.env.rng.randrange(MOST_SEED) if seed is None else seed


def finish(
    context: Context, ran: Ran[Outcome], thresholds: Sequence[Threshold], out: Path | None
) -> None:
    """Print and keep what was measured, and exit as the contract says."""
    if ran.result is None:
        context.say("interrupted before anything was sent")
        sys.exit(130)
    outcome = ran.result.judged(thresholds)
    if out is not None:
        save(outcome, out)
    form = LoadFormat.JSON if context.json else LoadFormat.TEXT
    click.echo(load_report(sheet_of(outcome), form), nl=False)
    if out is not None:
        context.say(f"kept in {out}: {context.command('load', 'report', str(out))}")
    if ran.interrupted:
        context.say("interrupted: these figures are of the part that ran")
        sys.exit(130)
    for verdict in outcome.thresholds:
        if verdict.broken:
            context.say(f"threshold broken: {verdict.threshold}")
    if outcome.broken:
        sys.exit(3)
