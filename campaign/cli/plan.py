"""plan: what a launch would come to."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import click

from campaign.cli.context import Context, json_option, pass_context
from campaign.cli.listing import print_facts
from campaign.cli.options import campaign_options, launch_options, read_message
from campaign.planner.options import CampaignOptions
from campaign.planner.tariffs import flat
from campaign.service.planning import Plan, PlanRequest, plan_json
from campaign.service.planning import plan as make_plan

_MOST_PAUSES = 7
_MOST_PORTS = 20


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

    LIST is CSV, TSV, TXT or XLSX in any common encoding, or - for standard input. The planner
    itself is run ahead: with windows, rates, the quotas of SIMs and what they sent already, other
    campaigns, and the pace and failures that the ledger saw lately; where it knows none, with 4,
    6 and 10 seconds for one SMS on one port, and none.

    \b
    Example:
      campaign plan sample_lists/personalised.csv --message "Hello {name|friend}" --rate 2/s
    """
    chosen = campaign_options(mms=mms, **_priced(cost_per_segment, options))
    request = plan_request(list_path, message, mms, chosen, rejects=rejects)
    show_plan(context, request)


def plan_request(
    list_path: str,
    message: str | None,
    mms: tuple[Path, ...],
    options: CampaignOptions,
    *,
    rejects: Path | None = None,
    simulate: int = 0,
) -> PlanRequest:
    """What to plan, from what the command line says."""
    source: Path | BinaryIO = sys.stdin.buffer if list_path == "-" else Path(list_path)
    return PlanRequest(
        list=source,
        list_name="stdin" if list_path == "-" else Path(list_path).name,
        message=read_message(message, mms),
        options=options,
        mms=mms,
        rejects=rejects,
        simulate=simulate,
    )


def show_plan(context: Context, request: PlanRequest) -> None:
    """Make a plan and print it; its remarks go to stderr."""
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
            ("suppressed", made.suppressed or None),
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
    for line in (*_pauses(made), *_ports(made)):
        click.echo(line)


def _pauses(made: Plan) -> Iterator[str]:
    pauses = made.finish.pauses
    if pauses:
        yield "pauses"
    for pause in pauses[:_MOST_PAUSES]:
        yield f"  {_shown(pause.begins)} to {_shown(pause.ends)}: {pause.why}"
    if len(pauses) > _MOST_PAUSES:
        yield f"  and {len(pauses) - _MOST_PAUSES} more, see --json"


def _ports(made: Plan) -> Iterator[str]:
    """Ports that fare alike are one line."""
    alike: dict[tuple[str, int, int, str], list[str]] = {}
    for port in made.per_port:
        spent = ""
        if port.quota_out is not None:
            spent = f"; {port.quota} at {_shown(port.quota_out)}"
            spent += f", on from {_shown(port.quota_until)}" if port.quota_until else ""
        key = (port.gateway or "assumed", port.messages, port.segments, spent)
        alike.setdefault(key, []).append(str(port.port))
    if alike:
        yield "by port"
    for (gateway, messages, parts, spent), ports in list(alike.items())[:_MOST_PORTS]:
        each = " each" if len(ports) > 1 else ""
        named = f"port{'s' * (len(ports) > 1)} {','.join(ports)}"
        yield f"  {gateway} {named}: {messages} messages, {parts} SMS parts{each}{spent}"
    if len(alike) > _MOST_PORTS:
        yield f"  and {len(alike) - _MOST_PORTS} more, see --json"


def _shown(moment: datetime | None) -> str:
    return "not within ten years" if moment is None else f"{moment.astimezone():%Y-%m-%d %H:%M %Z}"
