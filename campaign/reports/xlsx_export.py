"""The delivery report as a workbook: recipients on the first sheet, totals on the second.

Written row by row to temporary files (constant memory). Every text is stored as a string, never as
a formula, a link or a number; phone numbers and ICCIDs would lose digits as numbers.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, BinaryIO

from campaign.errors import CampaignError
from campaign.reports.figures import DECISION_MEANINGS, MEANINGS, READING_ORDER, Figures, cost_rows
from campaign.reports.rows import ReportRow, full_reason, own_names
from campaign.store.summary import REPORT_COLUMNS

MAX_ROWS = 1_048_575
"""A sheet holds 1,048,576 rows, and the first is the header."""
_MAX_COLUMNS = 16_384
_MAX_TEXT = 32_767
_WIDTHS = (7, 16, 12, 10, 9, 14, 8, 22, 12, 21, 21, 7, 44)


def write_xlsx(
    figures: Figures, rows: Iterable[ReportRow], expected: int, out: BinaryIO, now: datetime
) -> int:
    """Write the workbook; `expected` is how many rows will come. Returns how many came.

    Raises `CampaignError` when the xlsx extra is missing or a sheet cannot hold the report.
    """
    _refuse_too_large(expected, len(figures.campaign.columns))
    workbook = _xlsxwriter().Workbook(
        out,
        {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        },
    )
    workbook.set_properties({"title": figures.campaign.name, "created": now.replace(tzinfo=None)})
    bold = workbook.add_format({"bold": True})
    count = _recipients(workbook.add_worksheet("recipients"), bold, figures, rows, expected)
    _totals(workbook.add_worksheet("totals"), bold, figures)
    workbook.close()
    return count


def _refuse_too_large(rows: int, own_columns: int) -> None:
    if rows > MAX_ROWS:
        raise CampaignError(
            f"{rows:,} recipients do not fit into one sheet (at most {MAX_ROWS:,}): "
            "use --format csv, or choose fewer with --state"
        )
    if len(REPORT_COLUMNS) + own_columns > _MAX_COLUMNS:
        raise CampaignError(
            f"{own_columns:,} columns do not fit into one sheet (at most {_MAX_COLUMNS:,}): "
            "use --format csv"
        )


def _xlsxwriter() -> Any:
    try:  # an optional extra, and slow to load: only whoever asks for a workbook needs it
        return importlib.import_module("xlsxwriter")
    except ImportError as error:
        raise CampaignError(
            "writing .xlsx needs one more package: pip install 'campaign[xlsx]', "
            "or use --format csv"
        ) from error


def _recipients(
    sheet: Any, bold: Any, figures: Figures, rows: Iterable[ReportRow], expected: int
) -> int:
    names = [*REPORT_COLUMNS, *own_names(figures.campaign.columns)]
    for column, width in enumerate(_WIDTHS):
        sheet.set_column(column, column, width)
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, expected, len(names) - 1)
    _line(sheet, 0, names, bold)
    count = 0
    for row in rows:
        count += 1
        _line(sheet, count, (*row.fixed, *row.own))
    return count


def _totals(sheet: Any, bold: Any, figures: Figures) -> None:
    campaign = figures.campaign
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, 1, 14)
    sheet.set_column(2, 2, 80)
    lines: list[Sequence[str | int | None]] = [
        ("campaign", campaign.name),
        ("campaign state", str(campaign.state)),
        ("list", campaign.list_name),
        ("recipients", figures.recipients),
        ("refused rows", campaign.refused),
        *cost_rows(figures),
        (),
        ("state", "recipients", "meaning"),
        *((str(state), figures.counts[state], MEANINGS[state]) for state in READING_ORDER),
        (),
        ("gateway", "recipients"),
        *((entry["gateway"] or "none", entry["recipients"]) for entry in figures.gateways),
        (),
        ("reason: state", "recipients", "reason"),
        *(
            (
                entry["state"],
                entry["recipients"],
                full_reason(entry["state"], entry["cause"], entry["reason"]),
            )
            for entry in figures.reasons
        ),
        (),
        ("incident", "count"),
        *figures.incidents.items(),
        (),
        ("decision", "recipients", "by whom and why"),
        *(
            (
                DECISION_MEANINGS[entry["decision"]],
                entry["recipients"],
                f"{entry['by']}: {entry['why']}",
            )
            for entry in figures.decisions
        ),
    ]
    headings = {"campaign", "state", "gateway", "reason: state", "incident"}
    for number, line in enumerate(lines[:MAX_ROWS]):
        after_gap = number == 0 or not lines[number - 1]
        _line(sheet, number, line, bold if after_gap and line and line[0] in headings else None)


def _line(sheet: Any, row: int, values: Sequence[str | int | None], style: Any = None) -> None:
    for column, value in enumerate(values):
        if isinstance(value, str):
            sheet.write_string(row, column, value[:_MAX_TEXT], style)
        elif value is not None:
            sheet.write_number(row, column, value, style)
