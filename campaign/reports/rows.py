"""One recipient of the ledger as one row of a delivery report."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple

from campaign.store.campaigns import CampaignRow
from campaign.store.summary import REPORT_COLUMNS, own_values, report_rows


class ReportRow(NamedTuple):
    """A recipient as every format shows it; the first fields are `REPORT_COLUMNS`, in order.

    `number` is digits with country code. Times are RFC 3339 UTC; `sent_at` and `delivered_at` are
    the device's stamps. `own` holds the values of the list's own columns, one for each.
    """

    row: int
    number: str
    state: str
    evidence: str
    attempts: int
    gateway: str | None
    port: str | None
    iccid: str | None
    tid: int | None
    sent_at: str | None
    delivered_at: str | None
    code: int | None
    reason: str | None
    cause: str | None
    own: tuple[str, ...]

    @property
    def fixed(self) -> tuple[str | int | None, ...]:
        """The values of `REPORT_COLUMNS`."""
        return self[:_WIDTH]  # type: ignore[return-value]  # a slice forgets the fields' types


_WIDTH: Final = len(REPORT_COLUMNS)


def typed_rows(
    conn: sqlite3.Connection, campaign: CampaignRow, states: Sequence[str] = ()
) -> Iterator[ReportRow]:
    """Every recipient (in one of `states`, if any are named) in the order of the list. Streams."""
    width = len(campaign.columns)
    for row in report_rows(conn, campaign, states):
        (
            line, number, state, evidence, attempts, gateway, port, iccid, tid, sent_at,
            delivered_at, code, reason, cause, columns,
        ) = row  # fmt: skip
        yield ReportRow(
            line, number, state, evidence, attempts, gateway, port, iccid or None, tid,
            device_time(sent_at), device_time(delivered_at), code,
            full_reason(state, cause, reason), cause, tuple(own_values(columns, width)),
        )  # fmt: skip


def own_names(columns: Sequence[str]) -> list[str]:
    """Names of the list's own columns beside the report's: scripts read every column by its name.

    A name the report itself uses becomes `list_NAME`; one that occurs twice gets a number.
    """
    taken = set(REPORT_COLUMNS)
    names: list[str] = []
    for column in columns:
        wanted = f"list_{column}" if column in REPORT_COLUMNS else column
        name, copy = wanted, 2
        while name in taken:
            name, copy = f"{wanted}_{copy}", copy + 1
        taken.add(name)
        names.append(name)
    return names


def full_reason(state: str, cause: str | None, reason: str | None) -> str | None:
    """Why a recipient is where it is; the cause leads where nothing better than it is known."""
    if state == "unknown" and cause and reason:
        return f"{cause}: {reason}"
    return reason or cause


def ledger_time(ms: int | None) -> str | None:
    """Milliseconds of our clock as RFC 3339 UTC, to the second."""
    return None if ms is None else device_time(ms // 1000)


# a report has millions of stamps, and those of neighbouring rows are much alike
@lru_cache(maxsize=4096)
def device_time(seconds: int | None) -> str | None:
    """A device's stamp as RFC 3339 UTC; None for one that no calendar holds."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return None
