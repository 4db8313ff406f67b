"""Settling: the inbox is folded into outcomes, each row exactly once.

The cursor moves in the transaction of the outcomes; a crash between two commits folds a row again
or not at all, never half. Opt-outs are stored before that commit: seen twice is harmless, lost is
not.
"""

from __future__ import annotations

import sqlite3
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import trio

from campaign.engine.runtime import Gateway, Run
from campaign.errors import RemoteProtocolError
from campaign.planner.retry import Failure, Final, Retry, after_failure
from campaign.planner.states import CampaignState
from campaign.protocol.codec import decode_push
from campaign.protocol.messages import (
    DevStatus,
    PortState,
    PortStatus,
    Push,
    ReceivedSms,
    RecvSms,
    StatusReport,
    UnknownPush,
)
from campaign.store.gateways import store_ports
from campaign.store.inbound import InboundRow, keep_inbound, known_numbers
from campaign.store.inbox import InboxRow
from campaign.store.journal import incident, read_meta, write_meta
from campaign.store.optouts import OptOut, add_optouts
from campaign.store.outcomes import AfterFailure, Folded, campaign_options, fold_report
from campaign.store.receipts import Receipt, fold_receipt

_BATCH = 200
_SAFETY_NET = 0.2
"""Seconds: a wake-up may get lost with its connection; the inbox itself never does."""

_PUNCTUATION = str.maketrans("", "", "+ -()./")
_SHORTEST_NUMBER = 3

OPT_OUT_WORDS = frozenset(
    {"stop", "stopall", "unsubscribe", "cancel", "quit", "end", "t", "td", "退订"}
)


@dataclass
class _Effects:
    """What a fold means for the running engine, by gateway."""

    folded: dict[int, Folded] = field(default_factory=dict)
    ports: dict[int, list[PortState]] = field(default_factory=dict)
    pushed: set[int] = field(default_factory=set)

    def of(self, gateway_id: int) -> Folded:
        return self.folded.setdefault(gateway_id, Folded())


async def settle(run: Run) -> None:
    """Fold whatever reaches the inbox, for as long as the run lasts."""
    while True:
        mark = run.inbox_bell.mark()
        version = run.inbox.data_version()
        while await fold_batch(run):
            pass
        while run.inbox.data_version() == version:
            if await run.inbox_bell.wait(mark, run.env.monotonic() + _SAFETY_NET):
                break


async def fold_all(run: Run) -> None:
    """Fold the whole inbox: before the first intent of a run."""
    while await fold_batch(run):
        pass


async def fold_batch(run: Run) -> bool:
    """Fold the next rows; False when there are none left."""
    cursor = await run.store.read(inbox_cursor, run.inbox.file_id)
    rows = run.inbox.rows_after(cursor, _BATCH)
    if not rows:
        return False
    pushes = [(row, _decode(row)) for row in rows]
    senders = _who_opts_out(pushes)
    if senders:
        numbers = await run.store.read(known_numbers, senders)
        now_ms, why = run.now_ms(), "replied with an opt-out word"
        add_optouts(run.optouts, [OptOut(number, now_ms, "inbound", why) for number in numbers])
    effects = await run.write(_fold, run.now_ms(), run.inbox.file_id, pushes, _retry_wait(run))
    _act_on(run, effects, rows, opted_out=bool(senders))
    await trio.lowlevel.checkpoint()
    return True


def inbox_cursor(conn: sqlite3.Connection, file_id: str) -> int:
    """Up to where this inbox is folded; another file starts over."""
    if read_meta(conn, "inbox_file") != file_id:
        return 0
    return int(read_meta(conn, "inbox_cursor") or 0)


def _decode(row: InboxRow) -> Push | RemoteProtocolError:
    try:
        return decode_push(row.body)
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
    policies: dict[int, AfterFailure] = {}

    def policy(campaign_id: int) -> AfterFailure:
        if campaign_id not in policies:
            policies[campaign_id] = _policy(conn, campaign_id, retry_wait)
        return policies[campaign_id]

    for row, push in pushes:
        effects.pushed.add(row.gateway_id)
        match push:
            case StatusReport():
                for report in push.reports:
                    fold_report(
                        conn, now_ms, row.gateway_id, report, policy, effects.of(row.gateway_id)
                    )
            case RecvSms():
                _fold_received(conn, now_ms, row.gateway_id, push.messages)
            case DevStatus():
                store_ports(conn, now_ms, row.gateway_id, push.ports)
                effects.ports.setdefault(row.gateway_id, []).extend(push.ports)
            case PortStatus():
                store_ports(conn, now_ms, row.gateway_id, [push.state])
                effects.ports.setdefault(row.gateway_id, []).append(push.state)
            case UnknownPush() | RemoteProtocolError():
                detail = push.type if isinstance(push, UnknownPush) else str(push)
                incident(
                    conn, now_ms, "anomaly", f"push kept raw (inbox row {row.id}): {detail}"[:300],
                    gateway_id=row.gateway_id,
                )  # fmt: skip
    write_meta(conn, {"inbox_file": file_id, "inbox_cursor": str(pushes[-1][0].id)})
    return effects


def _policy(conn: sqlite3.Connection, campaign_id: int, retry_wait: float) -> AfterFailure:
    state, options = campaign_options(conn, campaign_id)

    def decide(failure: Failure, failures: int) -> Retry | Final:
        if state in (CampaignState.CANCELLED, CampaignState.FINISHED):
            return Final(f"campaign {state}")
        wait = (
            options.settings_over({}).retry_wait if "retry-wait" in options.settings else retry_wait
        )
        return after_failure(failure, failures, options.attempts, wait)

    return decide


def _fold_received(
    conn: sqlite3.Connection, now_ms: int, gateway_id: int, messages: Sequence[ReceivedSms]
) -> None:
    seen: Counter[tuple[int | None, str, int | None, int]] = Counter()
    for message in messages:
        port = message.port.number if message.port else None
        if message.receipt and message.receipt_code is not None:
            key = (port, message.recipient_digits, message.at, message.receipt_code)
            seen[key] += 1
            fold_receipt(conn, now_ms, gateway_id, Receipt(*key, ordinal=seen[key]))
            continue
        keep_inbound(
            conn,
            InboundRow(
                gateway_id=gateway_id,
                port=str(message.port) if message.port else "",
                iccid=message.iccid,
                at=message.at,
                sender=message.sender,
                recipient=message.recipient,
                text=message.text,
                received_ms=now_ms,
            ),
        )


def _who_opts_out(
    pushes: Sequence[tuple[InboxRow, Push | RemoteProtocolError]],
) -> list[str]:
    """Senders (digits) of messages that are an opt-out word and nothing else.

    A name, or a short code too short to be in a list, has nobody to suppress.
    """
    return [
        digits
        for _, push in pushes
        if isinstance(push, RecvSms)
        for message in push.messages
        if not message.receipt and is_opt_out(message.text)
        for digits in [message.sender.translate(_PUNCTUATION)]
        if digits.isascii() and digits.isdigit() and len(digits) >= _SHORTEST_NUMBER
    ]


def is_opt_out(text: str) -> bool:
    """Whether the *whole* message, trimmed, NFKC and case-folded, is an opt-out word."""
    return unicodedata.normalize("NFKC", text).strip().casefold() in OPT_OUT_WORDS


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
        if gateway_id in effects.folded:
            _pace(run, gateway, effects.folded[gateway_id], now)
    if opted_out:
        for gateway in run.gateways.values():
            gateway.duties.ring()
    # a failed recipient may be another gateway's next one
    run.ring()


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
            port.failures, port.rests_until = 0, None
            continue
        port.failures += 1
        if port.failures >= settings.port_failures:
            if port.rests_until is None:
                rest = settings.port_rest
                run.notice(
                    f"{gateway.name} port {number} failed {port.failures} in a row: "
                    f"rests {rest:g} s, then one message probes it"
                )
            port.rest(now, settings.port_rest)
            gateway.duties.ring()
