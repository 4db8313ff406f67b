"""demo: the whole journey on simulated gateways, in under a minute."""

from __future__ import annotations

import functools
import sys
from contextlib import closing
from pathlib import Path

import click
import trio

from campaign.cli.context import Context, json_option, pass_context
from campaign.cli.launch import finish
from campaign.cli.screen import open_screen
from campaign.reports.report import write_report
from campaign.service.demo import DEMO_NAME, prepare_demo, run_demo
from campaign.store.campaigns import get_campaign
from campaign.store.opening import open_reader


@click.command(short_help="See it all on simulated gateways.")
@click.option(
    "--recipients", type=click.IntRange(1, 5000), default=240, show_default=True, metavar="N"
)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("demo-output"),
    show_default=True, metavar="DIR", help="Ledger, list and reports.",
)  # fmt: skip
@json_option
@pass_context
def demo(context: Context, recipients: int, out: Path) -> None:
    """Launch a sample list through simulated gateways, one of which fails on the way.

    Nothing leaves this machine. The ledger, the list, report.html and report.csv are in DIR.

    \b
    Example:
      campaign demo --recipients 100 --out /tmp/demo
    """
    order = prepare_demo(context.site.env, out, recipients)
    context.say(
        f"demo: {recipients} recipients over 3 simulated gateways with 4 ports each; the network\n"
        "refuses most of what sim2 sends. Times are shortened for the show: a message takes\n"
        "0.2 s on air instead of seconds, reports come every second, waits are 3 s instead of 30."
    )
    with open_screen(context.site.env, quiet=context.quiet) as screen:
        result = trio.run(functools.partial(run_demo, order, screen))
    if not result.interrupted:
        _reports(context, order.site.paths.db, order.site.optouts, out)
    finish(Context(order.site, context.json, context.quiet), result, [])


def _reports(context: Context, db: Path, optouts: Path, out: Path) -> None:
    with closing(open_reader(db, optouts)) as conn:
        campaign = get_campaign(conn, DEMO_NAME)
        now = context.site.env.wall()
        for name, fmt in (("report.csv", "csv"), ("report.html", "html")):
            with (out / name).open("wb") as file:
                write_report(conn, campaign, fmt, (), file, now)  # type: ignore[arg-type]  # both are formats
        if not context.json:
            write_report(conn, campaign, "table", (), sys.stdout.buffer, now)
    context.say(f"written: {out / 'report.html'}, {out / 'report.csv'}")
