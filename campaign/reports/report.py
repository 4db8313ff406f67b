"""Delivery reports: one campaign, one moment, any format."""

from __future__ import annotations

import contextlib
import io
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import PurePath
from typing import BinaryIO, Final, Literal, TextIO, assert_never, get_args

from campaign.errors import StoreError, UsageError
from campaign.planner.states import RecipientState
from campaign.reports.csv_export import write_csv
from campaign.reports.figures import gather
from campaign.reports.json_export import write_json
from campaign.reports.rows import typed_rows
from campaign.reports.table import figure_lines, recipient_lines
from campaign.reports.xlsx_export import write_xlsx
from campaign.store.campaigns import CampaignRow, get_campaign
from campaign.store.summary import report_rows

Format = Literal["table", "csv", "json", "html", "xlsx"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
_SUFFIXES: Final[dict[str, Format]] = {
    ".csv": "csv", ".json": "json", ".html": "html", ".htm": "html", ".xlsx": "xlsx",
    ".txt": "table",
}  # fmt: skip


def write_report(
    conn: sqlite3.Connection,
    campaign: CampaignRow,
    fmt: Format,
    states: Sequence[str],
    out: BinaryIO,
    now: datetime,
) -> int:
    """Write a report of the recipients in one of `states` (of all, if none) to `out`.

    `conn` is read in one transaction, so that rows and totals agree while a campaign runs; totals
    always cover the whole campaign. `out` is flushed, not closed. Returns how many recipients the
    report covers (of which a page lists the first 1,000, and a table some of the chosen states).
    Raises `UsageError` for a state that does not exist, `CampaignError` where a workbook cannot be
    written, `StoreError` when the ledger cannot be read; `OSError` of `out` is the caller's.
    """
    chosen = _checked(states)
    with _one_moment(conn):
        # read again: the caller's copy may be older than this transaction
        campaign = get_campaign(conn, campaign.name).with_hold(now)
        if fmt == "csv":  # has no totals, which take five passes over the campaign
            with _text(out) as text:
                return write_csv(campaign, report_rows(conn, campaign, chosen), text)
        rows = typed_rows(conn, campaign, chosen)
        figures = gather(conn, campaign)
        covered = figures.covered(chosen)
        match fmt:
            case "json":
                with _text(out) as text:
                    return write_json(conn, figures, rows, text, now)
            case "xlsx":
                return write_xlsx(figures, rows, covered, out, now)
            case "html":
                # jinja2 is slow to load, and every other command does without it
                from campaign.reports.html_export import write_html

                with _text(out) as text:
                    text.write(write_html(figures, rows, chosen, now))
                return covered
            case "table":
                listed = ["", *recipient_lines(rows, covered)] if chosen else []
                with _text(out) as text:
                    text.writelines(f"{line}\n" for line in [*figure_lines(figures), *listed])
                return covered
            case _:
                assert_never(fmt)


def format_for(path: str) -> Format | None:
    """The format that a file's name asks for, None if it tells nothing."""
    return _SUFFIXES.get(PurePath(path).suffix.lower())


def _checked(states: Sequence[str]) -> tuple[str, ...]:
    for state in states:
        if state not in set(RecipientState):
            known = ", ".join(RecipientState)
            raise UsageError(f"there is no recipient state {state!r}; the states are: {known}")
    return tuple(dict.fromkeys(map(str, states)))


@contextlib.contextmanager
def _one_moment(conn: sqlite3.Connection) -> Iterator[None]:
    """One read transaction; inside a transaction of the caller's, that one serves."""
    try:
        if conn.in_transaction:
            yield
            return
        conn.execute("BEGIN")
        try:
            yield
        finally:
            conn.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise StoreError(f"the ledger could not be read: {error}") from error


@contextlib.contextmanager
def _text(out: BinaryIO) -> Iterator[TextIO]:
    """UTF-8 text over `out`, which stays open; what UTF-8 cannot hold is escaped."""
    text = io.TextIOWrapper(out, encoding="utf-8", errors="backslashreplace", newline="")
    try:
        yield text
    finally:
        text.detach()
    out.flush()
