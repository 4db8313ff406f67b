"""load receiver: our own receiver under the reports of many devices."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import click
import trio

from campaign.cli.context import Context, json_option, pass_context
from campaign.cli.load.live import LiveView
from campaign.cli.load.options import client_options, fail_if_option, shape_options
from campaign.cli.load.run import finish, taken_seed, taken_wish
from campaign.errors import CampaignError
from campaign.load.flood import Flood
from campaign.load.pushes import Ear
from campaign.load.thresholds import Threshold
from campaign.load.workers import cores
from campaign.planner.durations import parse_duration
from campaign.service.flooding import run_flood


@click.command(short_help="Flood a receiver as many devices would.")
@click.argument("urls", nargs=-1, metavar="[URL]…")
@shape_options
@click.option(
    "--devices",
    type=click.IntRange(1, 512),
    default=32,
    show_default=True,
    metavar="N",
    help="How many push, with a kept connection each.",
)
@click.option(
    "--rows", type=int, default=10, show_default=True, metavar="N", help="Reports in a push."
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
def receiver(
    context: Context,
    /,
    urls: tuple[str, ...],
    devices: int,
    rows: int,
    fail_if: tuple[str, ...],
    out: Path | None,
    metrics: tuple[str, int] | None,
    **options: Any,
) -> None:
    """Flood a receiver with status reports, as many devices would, and count what it took.

    Without a URL it is a fresh receiver with an inbox of its own, and what lies in that inbox
    afterwards is counted. URL is what a device of a running one is told, http://HOST:PORT/p/TOKEN:
    the reports are of tasks that nobody sent, and stay in its inbox until that is purged.

    \b
    Example:
      campaign load receiver --rate 200/s --duration 10s --devices 32 --rows 10
    """
    thresholds = [Threshold.parse(text) for text in fail_if]
    shape, seconds = taken_wish(options).shape()
    seed = taken_seed(context, options)

    def plan(ear: Ear) -> Flood:
        return Flood(
            ear,
            shape=shape,
            seconds=seconds,
            rows=rows,
            seed=seed,
            workers=options["workers"] or cores(),
            timeout=parse_duration(options["timeout"]),
        )

    with LiveView(quiet=context.quiet) as view:
        ran = trio.run(
            functools.partial(
                run_flood,
                context.site,
                urls,
                devices,
                plan,
                on_second=view.see,
                metrics=metrics,
                say=view.say,
            )
        )
    finish(context, ran, thresholds, out)
    if ran.result is not None and (lost := ran.result.account.get("lost")):
        raise CampaignError(f"{lost} pushes were acknowledged and are not in the inbox")
