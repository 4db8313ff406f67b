"""`campaign plan`: a list and a message judged in a ledger of their own that is thrown away.

The same reader, templates and store as a launch, so that it comes to the same figures; the real
ledger is only read.
"""

from __future__ import annotations

import functools
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from campaign.engine.foresight import (
    ASSUMED_PORTS,
    Outlook,
    assumed_sims,
    demand_of,
    forecast_json,
    outlook,
)
from campaign.engine.intake import chosen_gateways
from campaign.engine.mms import read_attachments
from campaign.engine.placing import Placing
from campaign.engine.rendering import Renderer
from campaign.engine.trial import own_numbers
from campaign.errors import CampaignError, NothingToDo
from campaign.lists.reader import ListReader, open_list
from campaign.planner.forecast import Forecast, forecast, task_count
from campaign.planner.forecast_ports import PortLoad
from campaign.planner.limits import limits_between
from campaign.planner.options import CampaignOptions
from campaign.planner.settings import Settings
from campaign.planner.tariffs import Cost, Tariff
from campaign.planner.template import Template
from campaign.planner.workload import SIM_SECONDS, Conditions, measured
from campaign.protocol.codes import USABLE_PORT_CODES
from campaign.protocol.text import Encoding
from campaign.reports.rejects import write_rejects
from campaign.service.defaults import settle_window
from campaign.service.ledger import has_ledger, read
from campaign.service.remarks import (
    Texts,
    cost_warnings,
    forecast_warnings,
    list_warnings,
    tally,
    text_warnings,
    window_warnings,
    zone_warnings,
)
from campaign.service.site import Site
from campaign.service.spooling import spooled
from campaign.service.waysout import check_routes, simulated_names
from campaign.store.attachments import StoredAttachment
from campaign.store.batches import AlikeRecipients, Recipients, one_by_one
from campaign.store.campaigns import Refusal, add_recipients, create_campaign
from campaign.store.costs import parts_to_send
from campaign.store.door import transaction
from campaign.store.draft import (
    DraftFigures,
    draft_figures,
    refusal_counts,
    see_ledger,
    suppress_draft,
)
from campaign.store.foreseen import all_alike
from campaign.store.gateways import GatewayRow, list_gateways, list_ports
from campaign.store.lanes import lane_counts, lanes_of
from campaign.store.opening import open_ledger
from campaign.store.summary import refusal_rows

SIMULATED_SECONDS = 2.0
"""Air time of an SMS on a simulated gateway, unless it is told another."""
_CHUNK = 20_000


@dataclass(frozen=True)
class PlanRequest:
    """What to plan. `rejects` is where refused rows are written, None for nowhere."""

    list: Path | BinaryIO
    list_name: str
    message: str
    options: CampaignOptions
    rejects: Path | None = None
    mms: Sequence[Path] = ()
    simulate: int = 0
    """How many simulated gateways a launch would bring; 0: none."""


@dataclass(frozen=True)
class Plan:
    """What a launch would come to. `texts` counts messages by alphabet, `refused_by` refused rows
    by code; SMS parts, tasks and times are those of recipients who have neither opted out nor
    are suppressed."""

    recipients: int
    refused: int
    refused_by: dict[str, int]
    opted_out: int
    suppressed: int
    segments: int
    texts: dict[Encoding, int]
    tasks: int
    finish: Forecast
    cost: Cost | None
    warnings: tuple[str, ...]
    mms: str | None = None
    """What an MMS carries, in words; None for SMS."""

    @property
    def encoding(self) -> str:
        """`gsm7`, `ucs2`, or `mixed`."""
        return "mixed" if len(self.texts) > 1 else next(iter(self.texts)).value

    @property
    def per_port(self) -> tuple[PortLoad, ...]:
        """What falls to each port at the usual pace."""
        return self.finish.ports


def plan(site: Site, request: PlanRequest) -> Plan:
    """Read the list and say what a launch would come to; nothing is sent or kept.

    Raises `ListError`, `UsageError`, and `NothingToDo` when no row is valid.
    """
    gateways = _gateways(site, request.options, request.simulate)
    check_routes(site, request.options, simulate=request.simulate)
    files = read_attachments(request.mms)
    options = settle_window(
        site, request.options, simulated=not gateways or request.simulate > 0
    ).options
    now = site.env.wall()
    start, deadline = options.times(now)
    own_numbers(options)
    max_chars = min(
        (options.settings_over(dict(row.settings)).max_chars for row in gateways),
        default=options.settings_over({}).max_chars,
    )
    with tempfile.TemporaryDirectory(prefix="campaign-plan-") as folder:
        # The user's opt-outs are attached read-only; without a store an empty one stands in.
        optouts = site.optouts if site.optouts.exists() else Path(folder) / "optouts.db"
        with (
            closing(open_ledger(Path(folder) / "plan.db", optouts)) as conn,
            open_list(
                spooled(request.list),
                request.list_name,
                region=options.region,
                phone_column=options.phone_column,
            ) as rows,
        ):
            renderer = Renderer(
                request.message,
                rows.columns,
                max_chars,
                mms=options.is_mms,
                files=bool(files),
                routes=options.parsed_routes,
            )
            campaign_id, texts = _import(conn, now, request, options, rows, renderer)
            _suppress(conn, site, campaign_id, options)
            figures = draft_figures(conn, campaign_id)
            alike, lanes = all_alike(conn, campaign_id), lanes_of(conn, campaign_id)
            cost = _cost(conn, campaign_id, options.parsed_tariff)
            counts = lane_counts(conn, campaign_id)
            by_lane = {lane: counts.get(lane.number, 0) for lane in lanes}
            refused_by = refusal_counts(conn, campaign_id)
            _write_rejects(conn, campaign_id, request.rejects)
            if not figures.recipients:
                refused = sum(refused_by.values())
                raise NothingToDo(
                    f"no valid row in {request.list_name}"
                    + (f": all {refused} refused ({tally(refused_by)})" if refused else "")
                )
            columns = rows.columns
    if not texts.encodings:
        texts.add(str(Template.parse(request.message).render({})), figures.recipients)
    around = _around(site, request, options, gateways, deadline)
    demand = demand_of(options, alike, lanes, start, deadline)
    found = forecast(now, demand, around.sims, around.conditions, around.others)
    return Plan(
        recipients=figures.recipients,
        refused=sum(refused_by.values()),
        refused_by=refused_by,
        opted_out=figures.opted_out,
        suppressed=figures.suppressed,
        segments=figures.parts,
        texts=dict(texts.encodings),
        tasks=_tasks(figures, len(around.sims), options, _task_size(gateways, options)),
        finish=found,
        cost=cost,
        warnings=(
            *list_warnings(figures, refused_by),
            *text_warnings(request.message, columns, texts, figures.recipients),
            *_port_warnings(site, request, gateways, options),
            *cost_warnings(cost),
            *window_warnings(options.parsed_window, now),
            *(zone_warnings(options.parsed_window, by_lane) if options.recipient_time else ()),
            *forecast_warnings(found, around, options, gateways),
        ),
        mms=_mms_words(files) if options.is_mms else None,
    )


def _cost(conn: sqlite3.Connection, campaign_id: int, tariff: Tariff) -> Cost | None:
    if not tariff:
        return None
    return tariff.cost(parts_to_send(conn, campaign_id, tariff.prices))


def _mms_words(files: Sequence[StoredAttachment]) -> str:
    if not files:
        return "the text as its attachment"
    size = sum(len(item.content) for item in files)
    return f"{', '.join(item.name for item in files)} ({size} bytes)"


def _gateways(site: Site, options: CampaignOptions, simulate: int) -> list[GatewayRow]:
    """The devices a launch would use that are registered; none where none is yet."""
    known = has_ledger(site)
    if not options.gateways:
        return read(site, list_gateways) if known else []
    there = {row.name for row in read(site, list_gateways)} if known else set()
    brought = set(simulated_names(simulate)) - there
    named = tuple(name for name in options.gateways if name not in brought)
    return read(site, chosen_gateways, named) if named else []


def _import(
    conn: sqlite3.Connection,
    now: datetime,
    request: PlanRequest,
    options: CampaignOptions,
    rows: ListReader,
    renderer: Renderer,
) -> tuple[int, Texts]:
    texts = Texts()
    placing = Placing(options, now)
    with transaction(conn):
        campaign_id = create_campaign(
            conn,
            round(now.timestamp() * 1000),
            name="plan",
            list_name=request.list_name,
            message=request.message,
            columns=rows.columns,
            options=options,
        )

    def store(accepted: Recipients, refused: Sequence[Refusal]) -> None:
        if placing.is_needed:
            accepted = [placing.place(row) for row in one_by_one(accepted)]
        with transaction(conn):
            fresh = placing.take_fresh()
            stored = add_recipients(conn, campaign_id, accepted, refused, fresh)
        if isinstance(accepted, AlikeRecipients):
            return
        repeated = {row.row for row in stored}
        for row in accepted:
            if row.text is not None and row.row not in repeated:
                texts.add(row.text)

    accepted, refused = renderer.begin(), list[Refusal]()
    for block in rows.blocks():
        renderer.take(block, accepted, refused)
        if len(accepted) + len(refused) >= _CHUNK:
            store(accepted, refused)
            accepted, refused = renderer.begin(), []
    store(accepted, refused)
    return campaign_id, texts


def _suppress(
    conn: sqlite3.Connection, site: Site, campaign_id: int, options: CampaignOptions
) -> None:
    """Blocklists and earlier messages stand in the real ledger."""
    if has_ledger(site):
        see_ledger(conn, site.paths.db)
        with transaction(conn):
            now_ms = site.env.wall_ms()
            suppress_draft(conn, campaign_id, options.parsed_at_most, now_ms, schema="ledger")


def _write_rejects(conn: sqlite3.Connection, campaign_id: int, path: Path | None) -> None:
    if path is None:
        return
    try:
        write_rejects(path, refusal_rows(conn, campaign_id))
    except OSError as error:
        raise CampaignError(f"{path} cannot be written: {error.strerror or error}") from error


def _task_size(gateways: Iterable[GatewayRow], options: CampaignOptions) -> int:
    return min(
        (options.settings_over(dict(row.settings)).task_size for row in gateways),
        default=options.settings_over({}).task_size,
    )


def _tasks(figures: DraftFigures, ports: int, options: CampaignOptions, task_size: int) -> int:
    if any((options.rate, options.segment_rate, options.per_port, options.interval)):
        return figures.messages  # each has a moment of its own
    return sum(
        texts * task_count(same_text, max(1, ports), task_size)
        for same_text, texts in figures.groups
    )


def _around(
    site: Site,
    request: PlanRequest,
    options: CampaignOptions,
    gateways: Sequence[GatewayRow],
    deadline: datetime | None,
) -> Outlook:
    """The ports of the ledger's devices; assumed ones where none is registered, or simulated."""
    if gateways and not request.simulate:
        known = functools.partial(outlook, deadline=deadline)
        return read(site, known, site.env.wall_ms(), options, gateways)
    simulated: list[str | None] = [*simulated_names(request.simulate)]
    seconds = measured(SIMULATED_SECONDS) if simulated else SIM_SECONDS
    limits = limits_between(options, Settings())
    sims = [
        sim for name in simulated or [None] for sim in assumed_sims(name, options, limits, seconds)
    ]
    return Outlook(tuple(sims), Conditions(attempts=options.attempts, deadline=deadline), ())


def _port_warnings(
    site: Site, request: PlanRequest, gateways: Iterable[GatewayRow], options: CampaignOptions
) -> Iterator[str]:
    rows = [] if request.simulate else list(gateways)
    if not rows and not request.simulate:
        yield f"no gateway is registered: one with {ASSUMED_PORTS} ports is assumed"
    for row in rows:
        ports = read(site, list_ports, row.id)
        chosen = [port for port in ports if options.allows_port(port.port)]
        usable = [port for port in chosen if port.code in USABLE_PORT_CODES]
        if row.stopped:
            yield f"{row.name} is stopped by an alarm: {row.stopped}"
        if not ports:
            yield f"the ports of {row.name} are not known yet: {ASSUMED_PORTS} are assumed"
        elif not usable:
            yield f"no chosen port of {row.name} could send when it was last seen"
        elif len(usable) < len(chosen):
            yield (
                f"{len(chosen) - len(usable)} of {len(chosen)} ports of {row.name} could not send"
                " when they were last seen: they are left out"
            )


def plan_json(made: Plan) -> dict[str, Any]:
    """What `plan --json` prints."""
    return {
        "recipients": made.recipients,
        "refused": made.refused,
        "refused_by": made.refused_by,
        "opted_out": made.opted_out,
        "suppressed": made.suppressed,
        "segments": made.segments,
        "encoding": made.encoding,
        "mms": made.mms,
        "encodings": {encoding.value: count for encoding, count in made.texts.items()},
        "tasks": made.tasks,
        **forecast_json(made.finish),
        "cost": None if made.cost is None else made.cost.number,
        "warnings": list(made.warnings),
    }
