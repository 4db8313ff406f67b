"""A load run in whichever form is asked for."""

from __future__ import annotations

from enum import StrEnum
from io import StringIO
from typing import assert_never

from campaign.reports.load_export import write_load_csv, write_load_json
from campaign.reports.load_sheet import LoadSheet
from campaign.reports.load_text import load_lines


class LoadFormat(StrEnum):
    """How a run is shown: `csv` is its time series, all others are the whole."""

    TEXT = "text"
    JSON = "json"
    CSV = "csv"
    HTML = "html"


def load_report(sheet: LoadSheet, form: LoadFormat) -> str:
    """The report; write it as UTF-8 and with `newline=""` (lines of CSV end as RFC 4180 says)."""
    out = StringIO(newline="")
    match form:
        case LoadFormat.TEXT:
            out.writelines(f"{line}\n" for line in load_lines(sheet))
        case LoadFormat.JSON:
            write_load_json(sheet, out)
        case LoadFormat.CSV:
            write_load_csv(sheet, out)
        case LoadFormat.HTML:
            from campaign.reports.load_html import write_load_html

            return write_load_html(sheet)
        case _:
            assert_never(form)
    return out.getvalue()
