"""Intake: a list becomes a campaign, in chunks and in constant memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec
import trio

from campaign.engine.appointments import announce
from campaign.engine.campaign import Campaign, ledger_time
from campaign.engine.loading import load
from campaign.engine.mms import read_attachments, wire_text
from campaign.engine.rendering import Renderer
from campaign.engine.runtime import Run
from campaign.engine.trial import check_trial, complete
from campaign.errors import NothingToDo, UsageError
from campaign.lists.reader import ListReader, open_list
from campaign.planner.options import CampaignOptions
from campaign.planner.settings import Settings, with_overrides
from campaign.reports.rejects import write_rejects
from campaign.store.attachments import keep_attachments, list_attachments
from campaign.store.campaigns import (
    create_campaign,
    drop_draft,
    fingerprint_of,
    get_campaign,
    twin_campaign,
)
from campaign.store.gateways import GatewayRow, get_gateway, list_gateways, ports_by_gateway
from campaign.store.summary import refusal_rows


class LaunchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What `launch` asks for; it also travels to a running engine, so paths are absolute.

    `rejects` is where refused rows are written.
    """

    name: str
    path: str
    list_name: str
    message: str
    rejects: str
    options: CampaignOptions
    strict: bool = False
    again: bool = False
    mms: tuple[str, ...] = ()
    """Files of an MMS, absolute."""


class StrictRefusal(UsageError):
    """Rows were refused under --strict; nothing was sent."""

    exit_code = 7


async def intake(
    run: Run, request: LaunchRequest, progress: Callable[[int, int], None]
) -> Campaign:
    """Import a list as a new campaign and make it a target of this run.

    `progress(rows, refused)` is called after every chunk. Raises `ListError`, `UsageError`,
    `NothingToDo` or `StrictRefusal`; the draft is gone then. A crash leaves a draft that the next
    run drops.
    """
    gateways = await run.store.read(chosen_gateways, request.options.gateways)
    request.options.check()
    known = await run.store.read(ports_by_gateway)
    request.options.parsed_routes.check_places(
        {row.name: known.get(row.name, frozenset()) for row in gateways}
    )
    await run.store.read(check_trial, request.name, request.options)
    start, deadline = request.options.times(run.env.wall())
    max_chars = min(
        with_overrides(Settings(), {**row.settings, **request.options.settings}).max_chars
        for row in gateways
    )
    options = request.options
    files = read_attachments(request.mms)
    with open_list(
        Path(request.path),
        request.list_name,
        region=options.region,
        phone_column=options.phone_column,
    ) as rows:
        renderer = Renderer(
            request.message,
            rows.columns,
            max_chars,
            mms=options.is_mms,
            files=bool(files),
            routes=options.parsed_routes,
        )
        campaign_id = await run.write(
            create_campaign,
            run.now_ms(),
            name=request.name,
            list_name=request.list_name,
            message=request.message,
            columns=rows.columns,
            options=options,
        )
        try:
            await run.write(keep_attachments, campaign_id, files)
            times = ledger_time(start), ledger_time(deadline)
            return await _import(run, request, campaign_id, rows, renderer, times, progress)
        except (Exception, trio.Cancelled, BaseExceptionGroup):
            with trio.CancelScope(shield=True):
                await run.write(drop_draft, campaign_id)
            raise


def chosen_gateways(conn: sqlite3.Connection, names: tuple[str, ...]) -> list[GatewayRow]:
    """The registered devices of these names, all if none is named. Raises `UsageError`."""
    chosen = [get_gateway(conn, name) for name in names] if names else list_gateways(conn)
    if not chosen:
        raise UsageError(
            "no gateway is registered: campaign gateway add NAME URL …, or try --simulate 2"
        )
    return chosen


async def _import(
    run: Run,
    request: LaunchRequest,
    campaign_id: int,
    rows: ListReader,
    renderer: Renderer,
    times: tuple[int | None, int | None],
    progress: Callable[[int, int], None],
) -> Campaign:
    sums = await load(run, request.options, campaign_id, rows, renderer, progress)
    total, refused_total = sums.kept, sums.refused
    if refused_total:
        await run.store.read(_write_rejects, campaign_id, Path(request.rejects))
    if sums.first is None:
        raise NothingToDo(
            f"no valid row in {request.list_name}"
            + (f": all {refused_total} refused, see {request.rejects}" if refused_total else "")
        )
    if request.strict and refused_total:
        raise StrictRefusal(f"{refused_total} rows refused (--strict), see {request.rejects}")
    files = await run.store.read(list_attachments, campaign_id)
    message = request.message
    if request.options.is_mms:  # the same words with another picture are another message
        message = f"{message}\0{request.options.subject}\0{wire_text(files)}"
    fingerprint = fingerprint_of(sums.numbers, total, message)
    await _refuse_twin(run, request, campaign_id, fingerprint)
    draft = await run.store.read(get_campaign, request.name)
    for begun in await run.write(complete, run.now_ms(), draft, fingerprint, sums.first, times):
        run.campaigns[begun.id] = Campaign.from_row(begun)
        run.targets.add(begun.id)
        announce(run, run.campaigns[begun.id])
    run.planned.ring()
    run.ring()
    return run.campaigns[campaign_id]


def _write_rejects(conn: sqlite3.Connection, campaign_id: int, path: Path) -> None:
    try:
        write_rejects(path, refusal_rows(conn, campaign_id))
    except OSError as error:
        raise UsageError(f"cannot write refused rows to {path}: {error.strerror}") from error


async def _refuse_twin(
    run: Run, request: LaunchRequest, campaign_id: int, fingerprint: str
) -> None:
    """The commonest real double send is a second launch of the same list."""
    if request.again:
        return
    twin = await run.store.read(twin_campaign, run.now_ms(), campaign_id, fingerprint)
    if twin is not None:
        raise UsageError(
            f"campaign {twin.name!r} ({twin.state}) has the same numbers and the same message: "
            f"campaign resume {twin.name} goes on with it; --again sends to everybody once more"
        )
