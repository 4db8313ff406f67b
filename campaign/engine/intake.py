"""Intake: a list becomes a campaign, in chunks and in constant memory."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec
import trio

from campaign.engine.appointments import announce
from campaign.engine.campaign import Campaign, ledger_time
from campaign.engine.mms import read_attachments, wire_text
from campaign.engine.placing import Placing
from campaign.engine.runtime import Run
from campaign.engine.trial import check_trial, complete
from campaign.errors import NothingToDo, UsageError
from campaign.lists.reader import ListReader, RefusedRow, Row, open_list
from campaign.planner.options import CampaignOptions
from campaign.planner.routes import NO_ROUTE, Routes
from campaign.planner.settings import Settings, with_overrides
from campaign.planner.template import MissingValue, Template
from campaign.protocol.text import segments
from campaign.reports.rejects import write_rejects
from campaign.store.attachments import keep_attachments, list_attachments
from campaign.store.campaigns import (
    NewRecipient,
    Refusal,
    add_recipients,
    create_campaign,
    drop_draft,
    fingerprint_of,
    get_campaign,
    twin_campaign,
)
from campaign.store.gateways import GatewayRow, get_gateway, list_gateways, ports_by_gateway
from campaign.store.summary import refusal_rows

_CHUNK = 1000


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


class Renderer:
    """Turns list rows into recipients: text rendered and counted, misfits refused with reason."""

    def __init__(
        self,
        message: str,
        columns: tuple[str, ...],
        max_chars: int,
        *,
        mms: bool = False,
        files: bool = False,
        routes: Routes | None = None,
    ) -> None:
        """`mms`: one message whatever its length; with `files` it needs no text; `routes` may
        give a number to nobody."""
        self._routes = routes or Routes.parse(())
        self._template = Template.parse(message)
        self._mms = mms
        self._may_be_empty = files
        self._columns = columns
        self._max_chars = max_chars
        unknown = self._template.unknown_fields(columns)
        if unknown:
            names = ", ".join(f"{{{name}}}" for name in unknown)
            there = ", ".join(columns) or "none but the phone column"
            raise UsageError(f"the message asks for {names}, but the list's columns are: {there}")
        self._parts = 0
        if self._template.is_constant:
            text = str(self._template.render({}))
            if len(text) > max_chars and not mms:
                raise UsageError(self._too_long(text))
            if not text.strip() and not files:
                raise UsageError("the message is empty")
            self._parts = 1 if mms else segments(text).parts

    def recipient(self, row: Row) -> NewRecipient | Refusal:
        nobody = self._routes.refuses(row.number)
        if nobody is not None:
            return Refusal(row.line, row.number, NO_ROUTE, nobody)
        columns = (
            json.dumps(list(row.columns.values()), ensure_ascii=False) if row.columns else None
        )
        if self._parts:
            return NewRecipient(row.line, row.number, None, columns, self._parts)
        text = self._template.render(row.columns)
        if isinstance(text, MissingValue):
            why = f"no value for {{{text.field}}} in this row"
            return Refusal(row.line, row.number, "missing_value", why)
        if len(text) > self._max_chars and not self._mms:
            return Refusal(row.line, row.number, "text_too_long", self._too_long(text))
        if not text.strip() and not self._may_be_empty:
            return Refusal(row.line, row.number, "empty_text", "the message is empty for this row")
        parts = 1 if self._mms else segments(text).parts
        return NewRecipient(row.line, row.number, text, columns, parts)

    def _too_long(self, text: str) -> str:
        return (
            f"the text has {len(text)} characters, the gateway takes {self._max_chars} "
            "(gateway set NAME max-chars=…)"
        )


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
        except (Exception, trio.Cancelled):
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
    accepted: list[NewRecipient] = []
    first: list[NewRecipient] = []
    refused: list[Refusal] = []
    placing = Placing(request.options, run.env.wall())
    total = numbers_sum = refused_total = 0

    async def store_chunk() -> None:
        nonlocal total, numbers_sum, refused_total
        placed = accepted
        if placing.is_needed:
            sims = await placing.sims(run, accepted)
            placed = [placing.place(row, sims.get(row.number, "")) for row in accepted]
        repeated = await run.write(
            add_recipients, campaign_id, placed, refused, placing.take_fresh()
        )
        dropped = {row.row for row in repeated}
        kept = [row for row in accepted if row.row not in dropped]
        first.extend([] if first else kept[:1])
        numbers_sum = (numbers_sum + sum(_hash(row.number) for row in kept)) % 2**192
        total += len(kept)
        refused_total += len(refused) + len(repeated)
        accepted.clear()
        refused.clear()
        progress(total, refused_total)

    for row in rows:
        recipient = (
            Refusal(row.line, row.raw, row.code, row.reason)
            if isinstance(row, RefusedRow)
            else renderer.recipient(row)
        )
        (refused if isinstance(recipient, Refusal) else accepted).append(recipient)  # type: ignore[arg-type]  # told apart right here
        if len(accepted) + len(refused) >= _CHUNK:
            await store_chunk()
    if accepted or refused:
        await store_chunk()
    if refused_total:
        await run.store.read(_write_rejects, campaign_id, Path(request.rejects))
    if not total:
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
    fingerprint = fingerprint_of(numbers_sum, total, message)
    await _refuse_twin(run, request, campaign_id, fingerprint)
    draft = await run.store.read(get_campaign, request.name)
    for begun in await run.write(complete, run.now_ms(), draft, fingerprint, first[0], times):
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


def _hash(number: str) -> int:
    return int.from_bytes(hashlib.blake2b(number.encode(), digest_size=16).digest(), "big")
