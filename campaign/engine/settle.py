"""Settling: the inbox is folded into outcomes, each row exactly once.

The cursor moves in the transaction of the outcomes; a crash between two commits folds a row again
or not at all, never half. Opt-outs are stored before that commit: seen twice is harmless, lost is
not.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

import trio

from campaign.engine.device import Gateway
from campaign.engine.received import fold_received, keep_optouts, who_opts_out
from campaign.engine.runtime import ReadsInbox, Run
from campaign.errors import RemoteProtocolError
from campaign.planner.retry import Failure, Final, Retry, after_failure
from campaign.planner.states import CampaignState
from campaign.protocol.codec import decode_push
from campaign.protocol.messages import (
    DevStatus,
    PortState,
    PortStatus,
    Push,
    RecvSms,
    StatusReport,
    UnknownPush,
)
from campaign.store.applying import AfterFailure, Folded
from campaign.store.campaigns import campaign_options
from campaign.store.expiry import deadline_of
from campaign.store.gateways import boot_of, keep_status
from campaign.store.inbound import known_numbers
from campaign.store.inbox import InboxRow
from campaign.store.journal import (
    forget_repeated,
    incident,
    last_incident,
    read_meta,
    write_meta,
)
from campaign.store.lineage import refuse_old, why_old
from campaign.store.sims import fell_back, store_states
from campaign.store.sweeping import fold_reports

_BATCH = 200


@dataclass
class _Effects:
    """What a fold means for the running engine, by gateway."""

    folded: dict[int, Folded] = field(default_factory=dict)
    ports: dict[int, list[PortState]] = field(default_factory=dict)
    fell_back: set[int] = field(default_factory=set)
    """Devices whose sequences fell: they may have restarted."""
    pushed: set[int] = field(default_factory=set)
    is_old: bool = False
    """The ledger turned out to be an older copy."""

    def of(self, gateway_id: int) -> Folded:
        return self.folded.setdefault(gateway_id, Folded())


async def settle(run: Run) -> None:
    """Fold whatever reaches the inbox, for as long as the run lasts.

    Raises `OldLedger` when a report shows that this is an older copy of the ledger.
    """
    while True:
        mark = run.inbox_bell.mark()
        version = run.inbox.data_version()
        more = True
        while more:
            more, is_old = await fold_batch(run)
            if is_old:
                await run.store.read(refuse_old)
        while run.inbox.data_version() == version:
            if await run.inbox_bell.wait(mark, run.env.monotonic() + run.inbox_every):
                break


async def fold_all(run: Run) -> None:
    """Fold the whole inbox: before the first intent of a run."""
    await run.write(_begin_again_if_replaced, run.inbox)
    run.folded_to = None
    more = True
    while more:
        more, _ = await fold_batch(run)


async def fold_batch(run: Run) -> tuple[bool, bool]:
    """Fold the next rows; tells whether there may be more of them, and whether they proved that
    this ledger is an older copy."""
    if run.folded_to is None:
        read = run.store.read(inbox_cursor, run.inbox.file_id, run.inbox.last_id())
        run.folded_to = await read
    rows = run.inbox.rows_after(run.folded_to, _BATCH)
    if not rows:
        return False, False
    pushes = [(row, _decode(row)) for row in rows]
    senders = who_opts_out(
        message for _, push in pushes if isinstance(push, RecvSms) for message in push.messages
    )
    if senders:
        numbers = await run.store.read(known_numbers, senders)
        keep_optouts(run.optouts, run.now_ms(), numbers)
    effects = await run.write(_fold, run.now_ms(), run.inbox.file_id, pushes, _retry_wait(run))
    run.folded_to = rows[-1].id
    _act_on(run, effects, rows, opted_out=bool(senders))
    await trio.lowlevel.checkpoint()
    return len(rows) == _BATCH, effects.is_old


def inbox_cursor(conn: sqlite3.Connection, file_id: str, last_id: int) -> int:
    """Up to where this inbox is folded; another file, or one that ends before, starts over."""
    if read_meta(conn, "inbox_file") != file_id:
        return 0
    cursor = int(read_meta(conn, "inbox_cursor") or 0)
    return cursor if cursor <= last_id else 0


def _begin_again_if_replaced(conn: sqlite3.Connection, inbox: ReadsInbox) -> None:
    """Start over where the inbox is not the one that was folded, though its file id may be: an
    older copy of it grows past the cursor again, with other pushes under the ids that were folded.

    Folding twice changes no outcome; what it would count twice is left out (`inbox_again`).
    """
    last = inbox.last_id()
    folded = int(read_meta(conn, "inbox_cursor") or 0)
    cursor = inbox_cursor(conn, inbox.file_id, last)
    if cursor:
        mark = read_meta(conn, "inbox_mark")
        at_cursor = inbox.rows_after(cursor - 1, 1)
        # a purge takes the oldest rows away, the one at the cursor with them
        purged = not at_cursor or at_cursor[0].id > cursor
        if mark is None or purged or _mark_of(at_cursor[0]) == mark:
            return
    if folded:
        write_meta(conn, {"inbox_cursor": "0", "inbox_again": str(last)})


def _mark_of(row: InboxRow) -> str:
    """Tells the row at the cursor from another one under the same id."""
    told = f"{row.id} {row.gateway_id} {row.received_ms} {row.query} ".encode()
    return hashlib.sha256(told + row.body).hexdigest()


def _decode(row: InboxRow) -> Push | RemoteProtocolError:
    try:
        return decode_push(row.body, row.content_type, row.query)
    except RemoteProtocolError as error:
        return error


def _retry_wait(run: Run) -> float:
    """The shortest first wait among the gateways' settings; campaigns override it below."""
    return min((g.settings.retry_wait for g in run.gateways.values()), default=10.0)


def _fold(
    conn: sqlite3.Connection,
    now_ms: int,
    file_id: str,
    pushes: Sequence[tuple[InboxRow, Push | RemoteProtocolError]],
    retry_wait: float,
) -> _Effects:
    effects = _Effects()
    again = pushes[0][0].id <= int(read_meta(conn, "inbox_again") or 0)
    told = last_incident(conn) if again else 0
    known = {gateway_id for (gateway_id,) in conn.execute("SELECT id FROM gateways")}
    policies: dict[int, AfterFailure] = {}

    def policy(campaign_id: int) -> AfterFailure:
        if campaign_id not in policies:
            policies[campaign_id] = _policy(conn, now_ms, campaign_id, retry_wait)
        return policies[campaign_id]

    for row, push in pushes:
        effects.pushed.add(row.gateway_id)
        match push:
            case StatusReport():
                fold_reports(
                    conn, now_ms, row.gateway_id, push.reports, policy, effects.of(row.gateway_id)
                )
            case RecvSms():
                fold_received(conn, now_ms, row.gateway_id, push.messages, "push", row.received_ms)
                _keep_odd(conn, now_ms, row, push.odd)
            case DevStatus() | PortStatus() if row.gateway_id not in known:
                # registered after a copy of this ledger was made that was restored since
                incident(
                    conn, now_ms, "orphan", "status of a gateway this ledger does not know",
                    gateway_id=row.gateway_id,
                )  # fmt: skip
            case DevStatus():
                _fold_states(conn, now_ms, row.gateway_id, push.ports, effects)
                if keep_status(conn, row.gateway_id, push):
                    effects.fell_back.add(row.gateway_id)
                _keep_odd(conn, now_ms, row, push.odd)
            case PortStatus():
                _fold_states(conn, now_ms, row.gateway_id, [push.state], effects)
            case UnknownPush() | RemoteProtocolError():
                detail = push.type if isinstance(push, UnknownPush) else str(push)
                incident(
                    conn, now_ms, "anomaly", f"push kept raw (inbox row {row.id}): {detail}"[:300],
                    gateway_id=row.gateway_id,
                )  # fmt: skip
    if again:
        forget_repeated(conn, told)
    last = pushes[-1][0]
    write_meta(
        conn,
        {"inbox_file": file_id, "inbox_cursor": str(last.id), "inbox_mark": _mark_of(last)},
    )
    effects.is_old = why_old(conn) is not None
    return effects


def _keep_odd(conn: sqlite3.Connection, now_ms: int, row: InboxRow, odd: Sequence[str]) -> None:
    for item in odd:
        detail = f"an item of a push is not understood (inbox row {row.id}): {item}"[:300]
        incident(conn, now_ms, "anomaly", detail, gateway_id=row.gateway_id)


def _fold_states(
    conn: sqlite3.Connection,
    now_ms: int,
    gateway_id: int,
    states: Sequence[PortState],
    effects: _Effects,
) -> None:
    if fell_back(conn, gateway_id, states):
        effects.fell_back.add(gateway_id)
    about = store_states(conn, now_ms, gateway_id, boot_of(conn, gateway_id), states, "push")
    effects.ports.setdefault(gateway_id, []).extend(about)


def _policy(
    conn: sqlite3.Connection, now_ms: int, campaign_id: int, retry_wait: float
) -> AfterFailure:
    state, options = campaign_options(conn, campaign_id)
    deadline_ms = deadline_of(conn, campaign_id)

    def decide(failure: Failure, failures: int) -> Retry | Final:
        if state in (CampaignState.CANCELLED, CampaignState.FINISHED):
            return Final(f"campaign {state}")
        if deadline_ms is not None and now_ms >= deadline_ms:
            return Final("the campaign's deadline is over")
        wait = (
            options.settings_over({}).retry_wait if "retry-wait" in options.settings else retry_wait
        )
        return after_failure(failure, failures, options.attempts, wait)

    return decide


def _act_on(run: Run, effects: _Effects, rows: Sequence[InboxRow], *, opted_out: bool) -> None:
    now = run.env.monotonic()
    touched: list[Gateway] = []
    for gateway_id in effects.pushed:
        gateway = run.gateways.get(gateway_id)
        if gateway is None:
            continue
        touched.append(gateway)
        in_this_run = any(r.gateway_id == gateway_id and r.id > run.inbox_start for r in rows)
        if in_this_run and not gateway.pushed:
            gateway.pushed = True
            if gateway.trouble is not None and gateway.ready:
                run.notice(f"a report from {gateway.name} has arrived: sending on")
                gateway.trouble = None
        run.learn_ports(gateway, effects.ports.get(gateway_id, ()))
        if gateway_id in effects.fell_back:
            gateway.look = True  # its run id decides; the watcher reads it at once
        if gateway_id in effects.folded:
            _pace(run, gateway, effects.folded[gateway_id], now)
    if opted_out:
        for gateway in run.gateways.values():
            gateway.duties.ring()
    # a failed recipient may be another gateway's next one; what went well concerns nobody else
    elsewhere = opted_out or any(folded.waits_again for folded in effects.folded.values())
    run.ring(None if elsewhere else touched)


def _pace(run: Run, gateway: Gateway, folded: Folded, now: float) -> None:
    """Let windows follow the measured pace, and rest ports that fail several in a row."""
    settings = run.settings_now(gateway)
    for number, done in folded.done.items():
        port = gateway.ports.get(number)
        if port is not None:
            port.back_offs = 0
            port.window = port.window.finished(
                done, now, settings.port_window, settings.queue_limit
            )
    for number, works in folded.streaks:
        port = gateway.ports.get(number)
        if port is None:
            continue
        if works:
            if port.rests_until is not None:
                run.notice(f"{gateway.name} port {number} sends again")
            port.work()
            continue
        port.failures += 1
        if port.failures >= settings.port_failures:
            is_first = port.rests_until is None
            rest = port.fail(now, settings.port_rest)
            if is_first:
                run.notice(
                    f"{gateway.name} port {number} failed {port.failures} in a row: "
                    f"rests {rest:g} s, then one message probes it"
                )
            gateway.duties.ring()
