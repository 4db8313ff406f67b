"""gateway sms-stats and call-stats: the device's own counters."""

from __future__ import annotations

import csv
import functools
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
import trio

from campaign.cli.context import Context, json_option, pass_context
from campaign.cli.listing import print_rows
from campaign.service import observing

F = TypeVar("F", bound=Callable[..., Any])


def _options(command: F) -> F:
    for option in (
        json_option,
        click.option("--limit", default=200, show_default=True, help="Most rows of history."),
        click.option(
            "--history", is_flag=True, help="What was stored, newest first; asks nothing."
        ),
        click.option("--csv", "as_csv", is_flag=True, help="Print CSV."),
        click.option(
            "--type",
            "period",
            type=click.Choice(observing.PERIODS),
            default="total",
            show_default=True,
            help="Over which time.",
        ),
        click.option(
            "--slots", default="all", show_default=True, help="SIM slots, as 1,3; current: in use."
        ),
        click.option("--ports", default="all", show_default=True, help="Ports, as 1-8,12."),
        click.argument("name"),
    ):
        command = option(command)
    return command


@click.command("sms-stats", short_help="Its own SMS counters.")
@_options
@pass_context
def sms_stats(context: Context, /, name: str, **options: Any) -> None:
    """What a gateway itself counts of SMS, per port and SIM slot; kept as a time series.

    \b
    Example:
      campaign gateway sms-stats office --ports 1-4 --type today --csv
    """
    _show(context, name, "sms", **options)


@click.command("call-stats", short_help="Its own call counters.")
@_options
@pass_context
def call_stats(context: Context, /, name: str, **options: Any) -> None:
    """What a gateway itself counts of calls, per port and SIM slot; kept as a time series.

    \b
    Example:
      campaign gateway call-stats office --type today
    """
    _show(context, name, "call", **options)


def _show(
    context: Context,
    name: str,
    kind: observing.Kind,
    *,
    ports: str,
    slots: str,
    period: str,
    as_csv: bool,
    history: bool,
    limit: int,
) -> None:
    if history:
        rows = observing.series(context.site, name, kind, limit)
        for row in rows:
            at = datetime.fromtimestamp(row.pop("at_ms") / 1000, UTC)
            row["at"] = at.strftime("%Y-%m-%dT%H:%M:%SZ")
            row["type"] = observing.PERIODS[row.pop("period")]
        columns = ("at", "type", "port", "slot", *observing.figures(kind))
    else:
        chosen = "" if slots == "current" else slots
        stats = trio.run(
            functools.partial(
                observing.statistics,
                context.site,
                name,
                kind,
                ports=ports,
                slots=chosen,
                period=period,
            )
        )
        rows = [observing.fields_of(stat) for stat in stats]
        columns = ("port", "slot", *observing.figures(kind))
    if context.json:
        context.print_json({"name": name, "kind": kind, "stats": rows})
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([[row[column] for column in columns] for row in rows])
    else:
        print_rows(columns, [[row[column] for column in columns] for row in rows])
