"""Statistics of devices as a time series: each query's answer, as it was told (spec §9, §10)."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final, Literal

from campaign.protocol.messages import CallStat, SmsStat

Kind = Literal["sms", "call"]

_SMS: Final = tuple(name for name in SmsStat.__struct_fields__ if name not in ("port", "slot"))
_CALL: Final = tuple(name for name in CallStat.__struct_fields__ if name not in ("port", "slot"))
COUNTS: Final[dict[Kind, tuple[str, ...]]] = {"sms": _SMS, "call": _CALL}
"""The figures of a row, by kind, in the specification's order."""

_BELIEVABLE = 2**53


def keep_samples(
    conn: sqlite3.Connection,
    now_ms: int,
    gateway_id: int,
    boot_id: str | None,
    period: int,
    stats: Sequence[SmsStat] | Sequence[CallStat],
    kind: Kind,
) -> None:
    """Store one answer. `period` is the query's type: 0 last hour … 3 in all."""
    names = COUNTS[kind]
    conn.executemany(
        f"""
        INSERT INTO {kind}_samples (gateway_id, at_ms, boot_id, period, port, slot,
                                    {", ".join(names)})
        VALUES (?, ?, ?, ?, ?, ?, {", ".join("?" * len(names))})
        """,
        [
            (
                gateway_id, now_ms, boot_id or "", period, stat.port, stat.slot,
                *(_bounded(getattr(stat, name)) for name in names),
            )
            for stat in stats
        ],
    )  # fmt: skip


def _bounded(value: int | str) -> int | str:
    """Nothing counts as high; what a broken device says must not break the ledger."""
    return value if isinstance(value, str) else max(-_BELIEVABLE, min(value, _BELIEVABLE))


def list_samples(
    conn: sqlite3.Connection,
    gateway_id: int,
    kind: Kind,
    *,
    since_ms: int = 0,
    limit: int = 1000,
) -> list[dict[str, Any]]:
    """The stored series, newest first: `at_ms`, `boot_id`, `period`, `port`, `slot`, figures."""
    rows = conn.execute(
        f"""
        SELECT at_ms, boot_id, period, port, slot, {", ".join(COUNTS[kind])}
        FROM {kind}_samples WHERE gateway_id = ? AND at_ms >= ?
        ORDER BY at_ms DESC, id LIMIT ?
        """,
        (gateway_id, since_ms, limit),
    )
    return [dict(row) for row in rows]
