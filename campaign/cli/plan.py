"""plan: what a launch would come to."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import click

from campaign.cli.context import Context, json_option, pass_context
from campaign.cli.listing import print_facts
from campaign.cli.options import campaign_options, launch_options, read_message
from campaign.planner.tariffs import flat
from campaign.service.planning import Plan, PlanRequest, plan_json
from campaign.service.planning import plan as make_plan


@click.command(short_help="What a launch would come to.")
@click.argument("list_path", metavar="LIST")
@launch_options
@click.option(
    "--cost-per-segment",
    type=click.FloatRange(0),
    metavar="PRICE",
    help="What one SMS part costs, for the sum.",
)
@click.option(
    "--rejects",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the refused rows there. Default: they are only counted.",
)
@json_option
@pass_context
def plan(
    context: Context,
    /,
    list_path: str,
    message: str | None,
    mms: tuple[Path, ...],
    cost_per_segment: float | None,
    rejects: Path | None,
    **options: Any,
) -> None:
    """What a launch of LIST would come to: nothing is sent and nothing is kept.

    LIST is CSV, TSV, TXT or XLSX in any common encoding, or - for standard input. The finish is
    reckoned with 4, 6 and 10 seconds for one SMS on one port, the sending window and the rates
    asked for; failures and retries are not in it.

    \b
    Example:
      campaign plan sample_lists/personalised.csv --message "Hello {name|friend}" --rate 2/s
    """
    source: Path | BinaryIO = sys.stdin.buffer if list_path == "-" else Path(list_path)
    request = PlanRequest(
        list=source,
        list_name="stdin" if list_path == "-" else Path(list_path).name,
        message=read_message(message, mms),
        options=campaign_options(mms=mms, **_priced(cost_per_segment, options)),
        mms=mms,
        rejects=rejects,
    )
    made = make_plan(context.site, request)
    if context.json:
        context.print_json(plan_json(made))
        return
    _print(made)
    for warning in made.warnings:
        context.say(f"note: {warning}")


def _priced(cost_per_segment: float | None, options: dict[str, Any]) -> dict[str, Any]:
    """The options with one price for all, should that be what was asked for."""
    if cost_per_segment is None:
        return options
    return {**options, "cost": (*options["cost"], flat(cost_per_segment))}


def _print(made: Plan) -> None:
    print_facts(
        (
            ("recipients", made.recipients),
            ("refused", made.refused or None),
            ("opted out", made.opted_out or None),
            ("MMS", made.mms),
            ("SMS parts", None if made.mms else f"{made.segments} ({made.encoding})"),
            ("tasks", made.tasks),
            ("ports", len(made.per_port)),
            ("most per port", max((port.recipients for port in made.per_port), default=0)),
            ("done, earliest", _shown(made.finish.earliest)),
            ("done, expected", _shown(made.finish.expected)),
            ("done, latest", _shown(made.finish.latest)),
            ("cost", None if made.cost is None else made.cost.shown),
        )
    )


def _shown(moment: datetime | None) -> str:
    return "not within ten years" if moment is None else f"{moment.astimezone():%Y-%m-%d %H:%M %Z}"
