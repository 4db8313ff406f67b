"""load limit: the highest rate that stays bounded."""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path
from typing import Any

import click
import trio

from campaign.cli.context import Context, json_option, pass_context
from campaign.cli.load.live import LiveView
from campaign.cli.load.options import client_options, gateway_options, load_plan, share
from campaign.errors import CampaignError
from campaign.load.knee import Bounds, Found, Search, Step, Try
from campaign.load.limit import step_summary
from campaign.planner.durations import Rate, parse_duration
from campaign.reports.load_limit import limit_lines, step_line
from campaign.service.loadlimit import search_limit


def _bound(parse: Any) -> Any:
    """A bound as a click type: `off` for None."""

    def convert(_ctx: click.Context, _parameter: click.Parameter, value: str) -> float | None:
        return None if value == "off" else float(parse(value))

    return convert


@click.command(short_help="Find the highest rate a gateway bears.")
@click.argument("target")
@gateway_options
@click.option(
    "--from", "start", default="1/s", show_default=True, metavar="1/s", help="The first rate tried."
)
@click.option(
    "--to", "highest", default="10000/s", show_default=True, metavar="R", help="Try nothing above."
)
@click.option(
    "--precision",
    default="3%",
    show_default=True,
    metavar="3%",
    help="How close the limit and the lowest rate above it must come.",
)
@click.option(
    "--settle",
    default="5s",
    show_default=True,
    metavar="5s",
    help="How long each rate runs before it counts.",
)
@click.option(
    "--measure",
    default="20s",
    show_default=True,
    metavar="20s",
    help="How long it counts then.",
)
@click.option(
    "--accept-p99",
    default="500ms",
    show_default=True,
    metavar="500ms",
    help="Bound of the HTTP answer.",
)
@click.option(
    "--report-p95",
    default="60s",
    show_default=True,
    metavar="60s|off",
    callback=_bound(parse_duration),
    help="Bound of the status report.",
)
@click.option(
    "--queue-growth",
    default="1%",
    show_default=True,
    metavar="1%|off",
    callback=_bound(share),
    help="Share of the tasks by which the device's queue may grow.",
)
@click.option(
    "--errors",
    default="1%",
    show_default=True,
    metavar="1%",
    help="Share that may fail or be refused.",
)
@client_options
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the curve there, as JSON.",
)
@json_option
@pass_context
def limit(
    context: Context,
    /,
    target: str,
    start: str,
    highest: str,
    precision: str,
    settle: str,
    measure: str,
    accept_p99: str,
    report_p95: float | None,
    queue_growth: float | None,
    errors: str,
    metrics: tuple[str, int] | None,
    out: Path | None,
    **options: Any,
) -> None:
    """Find the highest rate at which TARGET's answers, reports and queue stay bounded.

    The rate doubles until something outgrows its bound, then the gap is halved. Each rate is a load
    of its own: it settles, it counts, and what still waits is taken back. A rate that looks too
    high is measured again before it is believed.

    \b
    Example:
      campaign load limit http://root:root@127.0.0.1:8099 --from 20/s --measure 10s
    """  # fmt: skip
    plan = load_plan(context, target, settle=_AFTER_EACH, receipts=False, **options)
    sends = plan.tasks_per_request > 0
    rates = Rate.parse(start).per_second, Rate.parse(highest).per_second
    search = Search(
        bounds=Bounds(
            accept_p99=parse_duration(accept_p99),
            report_delay=report_p95 if sends else None,
            queue_growth=queue_growth if sends else None,
            errors=share(errors),
        ),
        start=rates[0],
        lowest=min(_LOWEST, rates[0]),
        highest=rates[1],
        precision=share(precision),
        settle=parse_duration(settle),
        measure=parse_duration(measure),
    )
    with LiveView(quiet=context.quiet) as view:

        def step(tried: Step, _next: Found | Try) -> None:
            view.say(step_line(step_summary(tried, search.bounds)))

        ran = trio.run(
            functools.partial(
                search_limit, context.site, plan, search,
                on_second=view.see, on_step=step, metrics=metrics, say=view.say,
            )
        )  # fmt: skip
    if ran.result is None:
        context.say("interrupted before anything was sent")
        sys.exit(130)
    summary = ran.result.summary()
    if out is not None:
        _keep(summary, out)
    if context.json:
        context.print_json(summary)
    else:
        for line in limit_lines(summary):
            click.echo(line)
    if ran.interrupted:
        sys.exit(130)


_AFTER_EACH = 3.0
"""Seconds that reports of a rate are waited for: what comes later is of the next rate's time."""
_LOWEST = 0.01


def _keep(summary: dict[str, Any], out: Path) -> None:
    try:
        out.write_text(json.dumps(summary, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise CampaignError(f"the curve cannot be written to {out}: {error.strerror}") from error
