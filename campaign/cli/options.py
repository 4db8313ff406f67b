"""Options that several commands share, declared once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from campaign.errors import UsageError
from campaign.lists.tariffs import read_tariff
from campaign.planner.options import CampaignOptions
from campaign.planner.settings import parse_pairs
from campaign.planner.spread import SPREADS
from campaign.planner.tariffs import overlaid
from campaign.service.sources import parse_sources

F = TypeVar("F", bound=Callable[..., Any])

_MESSAGE = (
    click.option(
        "--message",
        metavar="TEXT|@FILE",
        help="The text, or @FILE with it. {name} takes a column, {name|friend} has a default.",
    ),
    click.option(
        "--mms",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Send an MMS with this jpg, gif, txt or mp3; up to 5, 100 KiB together.",
    ),
    click.option("--subject", help="The subject of an MMS."),
)

_WHERE = (
    click.option(
        "--gateway", "gateways", multiple=True, metavar="G", help="Only this gateway; repeatable."
    ),
    click.option("--ports", default="all", show_default=True, help="Only these ports, as 1-8,12."),
    click.option(
        "--route",
        "routes",
        multiple=True,
        metavar="PREFIX=TARGET",
        help="Who serves numbers that begin so, as 8613=@CMCC or 86=gw1:1-8+gw2; * is the rest, "
        "! is nobody; repeatable, the longest prefix wins.",
    ),
    click.option(
        "--spread",
        type=click.Choice(SPREADS),
        default="even",
        show_default=True,
        help="Which port is next: the emptiest, in turn, the one with fewest SMS parts today, or "
        "the SIM that wrote to the recipient before.",
    ),
)

_PACE = (
    click.option("--rate", help="For the whole campaign, as 20/s or 600/min; evenly spaced."),
    click.option("--segment-rate", help="The same in SMS segments, as 30/s; both rates hold."),
    click.option("--per-port", help="For each port, as 6/min."),
    click.option("--interval", help="Random gap between two messages of a port, as 3s-6s."),
    click.option(
        "--daily-per-sim",
        type=click.IntRange(1),
        metavar="N",
        help="Send nothing through a SIM that has sent N segments today. A gateway's own limits"
        " hold as well: the tightest counts.",
    ),
)

_WHEN = (
    click.option(
        "--window",
        metavar="08:00-21:00|any",
        help="Send only then. Default: 08:00-21:00 off loopback, any on it.",
    ),
    click.option("--days", help="Days of the window, as mon-sat or mon,wed."),
    click.option(
        "--timezone", help="Zone of the window, as Asia/Shanghai. Default: this machine's."
    ),
)

_OUTCOME = (
    click.option(
        "--retries",
        type=click.IntRange(0, 20),
        default=2,
        show_default=True,
        help="More tries after a proved failure.",
    ),
    click.option(
        "--receipts/--no-receipts",
        default=True,
        show_default=True,
        help="Ask for delivery receipts.",
    ),
)

_COST = (
    click.option(
        "--cost",
        multiple=True,
        metavar="PREFIX=PRICE",
        help="What one SMS part to such a number costs, as 8613=0.045; * is the rest; repeatable.",
    ),
    click.option(
        "--tariff",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The same from a CSV file with prefix,price lines; --cost beats it.",
    ),
)

_LIST = (
    click.option("--region", metavar="CN", help="Country of numbers written without its code."),
    click.option("--phone-column", metavar="C", help="Header or position of the phone column."),
)

_SETTINGS = (
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="A time or limit for this campaign, as report-horizon=20s; see gateway show.",
    ),
)

_LAUNCH_OPTIONS = (*_MESSAGE, *_WHERE, *_PACE, *_WHEN, *_OUTCOME, *_COST, *_LIST, *_SETTINGS)


def _sources(_ctx: click.Context, _parameter: click.Parameter, value: tuple[str, ...]) -> Any:
    """The networks of --allow; None where the option was not given."""
    return parse_sources(value) if value else None


def allow_option(command: F) -> F:
    """`--allow`: whom the receiver hears."""
    return click.option(
        "--allow",
        multiple=True,
        metavar="CIDR",
        callback=_sources,
        help="Take reports only from these addresses, as 192.0.2.0/24; repeatable. any: from all.",
    )(command)


def launch_options(command: F) -> F:
    """The options that describe a campaign."""
    for option in reversed(_LAUNCH_OPTIONS):
        command = option(command)
    return command


def campaign_options(
    *,
    settings: tuple[str, ...] = (),
    gateways: tuple[str, ...] = (),
    mms: tuple[Path, ...] = (),
    cost: tuple[str, ...] = (),
    tariff: Path | None = None,
    **options: Any,
) -> CampaignOptions:
    """What `launch_options` parsed, as one checked value (without message and files)."""
    options.pop("message", None)
    if mms and options.get("subject") is None:
        options["subject"] = ""
    if tariff is not None:
        cost = overlaid(read_tariff(tariff), cost)
    chosen = CampaignOptions(
        gateways=gateways, settings=parse_pairs(settings), cost=cost, **options
    )
    chosen.check()
    return chosen


def read_message(text: str | None, mms: tuple[Path, ...] = ()) -> str:
    """The message itself, or the content of @FILE; an MMS with files needs none."""
    if text is None:
        if mms:
            return ""
        raise UsageError("what is the message? --message TEXT or --message @FILE")
    if not text.startswith("@"):
        return text
    path = Path(text[1:])
    try:
        return path.read_text(encoding="utf-8-sig").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the message file {path} cannot be read: {error}") from error
