"""Received messages become replies, receipts and opt-outs, whichever way they came.

Pushed by the device or fetched from it, once or often: the same message counts once. Opt-outs are
stored before the commit that remembers the message: seen twice is harmless, lost is not.
"""

from __future__ import annotations

import sqlite3
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from campaign.protocol.messages import ReceivedSms
from campaign.store.inbound import InboundRow, keep_inbound
from campaign.store.optouts import OptOut, add_optouts
from campaign.store.receipts import Receipt, fold_receipt

_PUNCTUATION = str.maketrans("", "", "+ -()./")
_SHORTEST_NUMBER = 3

OPT_OUT_WORDS = frozenset(
    {"stop", "stopall", "unsubscribe", "cancel", "quit", "end", "t", "td", "退订"}
)


@dataclass(frozen=True)
class Received:
    """How many messages were new."""

    replies: int = 0
    receipts: int = 0


def fold_received(
    conn: sqlite3.Connection,
    now_ms: int,
    gateway_id: int,
    messages: Sequence[ReceivedSms],
    source: Literal["push", "poll"],
    arrived_ms: int | None = None,
) -> Received:
    """Store replies and apply receipts, each once. Call `keep_optouts` before.

    `arrived_ms` is when they reached us, if that was before now.
    """
    arrived = now_ms if arrived_ms is None else arrived_ms
    seen: Counter[tuple[int | None, str, int | None, int]] = Counter()
    replies = receipts = 0
    for message in messages:
        port = message.port.number if message.port else None
        if message.receipt and message.receipt_code is not None:
            key = (port, message.recipient_digits, message.at, message.receipt_code)
            seen[key] += 1
            receipts += fold_receipt(conn, arrived, gateway_id, Receipt(*key, ordinal=seen[key]))
            continue
        replies += keep_inbound(
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
                source=source,
                opted_out=not message.receipt and is_opt_out(message.text),
            ),
        )
    return Received(replies, receipts)


def who_opts_out(messages: Iterable[ReceivedSms]) -> list[str]:
    """Senders (digits) of messages that are an opt-out word and nothing else.

    A name, or a short code too short to be in a list, has nobody to suppress.
    """
    return [
        digits
        for message in messages
        if not message.receipt and is_opt_out(message.text)
        for digits in [message.sender.translate(_PUNCTUATION)]
        if digits.isascii() and digits.isdigit() and len(digits) >= _SHORTEST_NUMBER
    ]


def keep_optouts(optouts: Path, now_ms: int, numbers: Iterable[str]) -> int:
    """Store the opt-outs of these numbers in the user's one store; how many are new."""
    why = "replied with an opt-out word"
    return add_optouts(optouts, [OptOut(number, now_ms, "inbound", why) for number in numbers])


def is_opt_out(text: str) -> bool:
    """Whether the *whole* message, trimmed, NFKC and case-folded, is an opt-out word."""
    return unicodedata.normalize("NFKC", text).strip().casefold() in OPT_OUT_WORDS
