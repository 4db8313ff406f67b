"""`campaign plan`: a list and a message judged in a ledger of their own that is thrown away.

The same reader, templates and store as a launch, so that it comes to the same figures; the real
ledger is only read.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from campaign.engine.intake import Renderer, chosen_gateways
from campaign.engine.mms import read_attachments
from campaign.engine.placing import Placing
from campaign.errors import CampaignError, NothingToDo
from campaign.lists.reader import ListReader, RefusedRow, open_list
from campaign.planner.forecast import Forecast, Pacing, Workload, deal, forecast, task_count
from campaign.planner.options import CampaignOptions
from campaign.planner.tariffs import Cost, Tariff
from campaign.planner.template import Template
from campaign.protocol.codes import USABLE_PORT_CODES
from campaign.protocol.text import Encoding
from campaign.reports.rejects import write_rejects
from campaign.service.defaults import settle_window
from campaign.service.ledger import has_ledger, read
from campaign.service.remarks import (
    Texts,
    cost_warnings,
    list_warnings,
    tally,
    text_warnings,
    window_warnings,
    zone_warnings,
)
from campaign.service.site import Site
from campaign.service.spooling import spooled
from campaign.store.attachments import StoredAttachment
from campaign.store.campaigns import NewRecipient, Refusal, add_recipients, create_campaign
from campaign.store.costs import parts_to_send
from campaign.store.door import transaction
from campaign.store.draft import DraftFigures, draft_figures, refusal_counts
from campaign.store.gateways import GatewayRow, list_gateways, list_ports
from campaign.store.lanes import lane_counts, lanes_of
from campaign.store.opening import open_ledger
from campaign.store.summary import refusal_rows

ASSUMED_PORTS = 8
_CHUNK = 1000


@dataclass(frozen=True)
class PlanRequest:
    """What to plan. `rejects` is where refused rows are written, None for nowhere."""

    list: Path | BinaryIO
    list_name: str
    message: str
    options: CampaignOptions
    rejects: Path | None = None
    mms: Sequence[Path] = ()


@dataclass(frozen=True)
class PlannedPort:
    """One port and how many recipients fall to it; `known` is False where it is only assumed."""

    gateway: str | None
    port: int
    known: bool
    recipients: int


@dataclass(frozen=True)
class Plan:
    """What a launch would come to. `texts` counts messages by alphabet, `refused_by` refused rows
    by code; SMS parts, tasks and times are those of recipients who have not opted out."""

    recipients: int
    refused: int
    refused_by: dict[str, int]
    opted_out: int
    segments: int
    texts: dict[Encoding, int]
    tasks: int
    finish: Forecast
    cost: Cost | None
    per_port: tuple[PlannedPort, ...]
    warnings: tuple[str, ...]
    mms: str | None = None
    """What an MMS carries, in words; None for SMS."""

    @property
    def encoding(self) -> str:
        """`gsm7`, `ucs2`, or `mixed`."""
        return "mixed" if len(self.texts) > 1 else next(iter(self.texts)).value


@dataclass(frozen=True)
class _Ports:
    numbers: tuple[tuple[str | None, int, bool], ...]
    warnings: tuple[str, ...]


def plan(site: Site, request: PlanRequest) -> Plan:
    """Read the list and say what a launch would come to; nothing is sent or kept.

    Raises `ListError`, `UsageError`, and `NothingToDo` when no row is valid.
    """
    gateways = _gateways(site, request.options)
    if gateways:
        request.options.parsed_routes.check_gateways(row.name for row in gateways)
    files = read_attachments(request.mms)
    options = settle_window(site, request.options, simulated=not gateways).options
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
            campaign_id, texts = _import(conn, site.env.wall(), request, options, rows, renderer)
            figures = draft_figures(conn, campaign_id)
            cost = _cost(conn, campaign_id, options.parsed_tariff)
            lanes = {
                lane: lane_counts(conn, campaign_id).get(lane.number, 0)
                for lane in lanes_of(conn, campaign_id)
            }
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
    ports = _ports(site, gateways, options)
    pacing = Pacing(
        options.parsed_rate,
        options.parsed_per_port,
        options.parsed_interval,
        options.parsed_window,
    )
    work = Workload(figures.messages, figures.parts, len(ports.numbers))
    return Plan(
        recipients=figures.recipients,
        refused=sum(refused_by.values()),
        refused_by=refused_by,
        opted_out=figures.opted_out,
        segments=figures.parts,
        texts=dict(texts.encodings),
        tasks=_tasks(figures, len(ports.numbers), pacing, _task_size(gateways, options)),
        finish=forecast(site.env.wall(), work, pacing),
        cost=cost,
        per_port=tuple(
            PlannedPort(*port, recipients)
            for port, recipients in zip(
                ports.numbers, deal(figures.messages, len(ports.numbers)), strict=True
            )
        ),
        warnings=(
            *list_warnings(figures, refused_by),
            *text_warnings(request.message, columns, texts, figures.recipients),
            *ports.warnings,
            *cost_warnings(cost),
            *window_warnings(pacing.window, site.env.wall()),
            *(zone_warnings(pacing.window, lanes) if options.recipient_time else ()),
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


def _gateways(site: Site, options: CampaignOptions) -> list[GatewayRow]:
    """The devices a launch would use; none where none is registered yet."""
    if not has_ledger(site) and not options.gateways:
        return []
    if not options.gateways:
        return read(site, list_gateways)
    return read(site, chosen_gateways, options.gateways)


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
    accepted: list[NewRecipient] = []
    refused: list[Refusal] = []
    with transaction(conn):
        campaign_id = create_campaign(
            conn,
            round(now.timestamp() * 1000),
            name="plan",
            list_name=request.list_name,
            message=request.message,
            columns=rows.columns,
            options=request.options,
        )

    def store_chunk() -> None:
        with transaction(conn):
            fresh = placing.take_fresh()
            stored = add_recipients(conn, campaign_id, accepted, refused, fresh)
            repeated = {row.row for row in stored}
        for row in accepted:
            if row.text is not None and row.row not in repeated:
                texts.add(row.text)
        accepted.clear()
        refused.clear()

    for row in rows:
        if isinstance(row, RefusedRow):
            refused.append(Refusal(row.line, row.raw, row.code, row.reason))
        else:
            outcome = renderer.recipient(row)
            if isinstance(outcome, Refusal):
                refused.append(outcome)
            else:
                accepted.append(placing.place(outcome) if placing.is_needed else outcome)
        if len(accepted) + len(refused) >= _CHUNK:
            store_chunk()
    store_chunk()
    return campaign_id, texts


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


def _tasks(figures: DraftFigures, ports: int, pacing: Pacing, task_size: int) -> int:
    if pacing.one_by_one:
        return figures.messages
    return sum(
        texts * task_count(same_text, max(1, ports), task_size)
        for same_text, texts in figures.groups
    )


def _ports(site: Site, gateways: Iterable[GatewayRow], options: CampaignOptions) -> _Ports:
    found: list[tuple[str | None, int, bool]] = []
    warnings: list[str] = []
    rows = list(gateways)
    if not rows:
        warnings.append(f"no gateway is registered: one with {ASSUMED_PORTS} ports is assumed")
        found += [(None, port, False) for port in _assumed(options)]
    for row in rows:
        ports = read(site, list_ports, row.id)
        chosen = [port for port in ports if options.allows_port(port.port)]
        usable = [port for port in chosen if port.code in USABLE_PORT_CODES]
        if row.stopped:
            warnings.append(f"{row.name} is stopped by an alarm: {row.stopped}")
        if not ports:
            warnings.append(
                f"the ports of {row.name} are not known yet: {ASSUMED_PORTS} are assumed"
            )
            found += [(row.name, port, False) for port in _assumed(options)]
        elif not usable:
            warnings.append(f"no chosen port of {row.name} could send when it was last seen")
        elif len(usable) < len(chosen):
            warnings.append(
                f"{len(chosen) - len(usable)} of {len(chosen)} ports of {row.name} could not send"
                " when they were last seen: they are left out"
            )
        found += [(row.name, port.port, True) for port in usable]
    return _Ports(tuple(found), tuple(warnings))


def _assumed(options: CampaignOptions) -> list[int]:
    chosen = options.port_numbers()
    return sorted(chosen) if chosen is not None else list(range(1, ASSUMED_PORTS + 1))


def plan_json(made: Plan) -> dict[str, Any]:
    """What `plan --json` prints."""
    finish = made.finish
    return {
        "recipients": made.recipients,
        "refused": made.refused,
        "refused_by": made.refused_by,
        "opted_out": made.opted_out,
        "segments": made.segments,
        "encoding": made.encoding,
        "mms": made.mms,
        "encodings": {encoding.value: count for encoding, count in made.texts.items()},
        "tasks": made.tasks,
        "finish": {
            "earliest": _moment(finish.earliest),
            "expected": _moment(finish.expected),
            "latest": _moment(finish.latest),
        },
        "cost": None if made.cost is None else made.cost.number,
        "per_port": [
            {
                "gateway": port.gateway,
                "port": str(port.port),
                "known": port.known,
                "recipients": port.recipients,
            }
            for port in made.per_port
        ],
        "warnings": list(made.warnings),
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
