"""The workbook: read back, strings only, refused where it cannot be."""

from __future__ import annotations

import sys
from io import BytesIO
from typing import Any

import openpyxl
import pytest

from campaign.errors import CampaignError
from campaign.reports.figures import gather
from campaign.reports.rows import ReportRow
from campaign.reports.xlsx_export import MAX_ROWS, write_xlsx
from campaign.store.campaigns import CampaignRow
from campaign.store.summary import REPORT_COLUMNS


def _sheets(data: bytes) -> dict[str, list[tuple[Any, ...]]]:
    book = openpyxl.load_workbook(BytesIO(data))
    return {sheet.title: list(sheet.iter_rows(values_only=True)) for sheet in book.worksheets}


def test_the_workbook_reads_back_as_the_report(ledger: Any, mixed: CampaignRow) -> None:
    sheets = _sheets(ledger.report(mixed, "xlsx"))
    header, first, *rest = sheets["recipients"]
    assert header == (*REPORT_COLUMNS, "name", "city")
    assert first == (
        2, "999100001", "delivered", "receipt", 1, "north", "1.01", "8986001", 41,
        "2026-03-02T09:00:05Z", "2026-03-02T09:00:09Z", None, None, "Name 1", "Köln",
    )  # fmt: skip
    assert len(rest) == 7


def test_the_second_sheet_has_the_totals(ledger: Any, mixed: CampaignRow) -> None:
    totals = _sheets(ledger.report(mixed, "xlsx", "failed"))["totals"]
    cells = {row[0]: row[1] for row in totals if row[0]}
    assert (cells["recipients"], cells["delivered"], cells["expired"]) == (8, 1, 0)
    assert (cells["north"], cells["south"], cells["none"]) == (4, 2, 2)


def test_formulas_links_and_long_digits_stay_strings(ledger: Any) -> None:
    values = ("=1+1", "http://example.org", "8613800138000123456", "+1")
    campaign = ledger.campaign(
        [("999100001", *values)], columns=("=a", "b", "c", "d"), name="=name", list_name="=l"
    )
    book = openpyxl.load_workbook(BytesIO(ledger.report(campaign, "xlsx")))
    assert {c.data_type for c in book["recipients"][1]} == {"s"}
    cells = book["recipients"][2][13:]
    assert [(cell.value, cell.data_type, cell.hyperlink) for cell in cells] == [
        (value, "s", None) for value in values
    ]
    assert not any(c.data_type == "f" for row in book["totals"].iter_rows() for c in row)


def test_more_rows_than_a_sheet_holds_are_refused_with_the_way_out(
    ledger: Any, mixed: CampaignRow
) -> None:
    none: list[ReportRow] = []
    with pytest.raises(CampaignError, match=r"1,048,576 recipients .* use --format csv"):
        write_xlsx(gather(ledger.reader, mixed), none, MAX_ROWS + 1, BytesIO(), ledger.now)
    assert write_xlsx(gather(ledger.reader, mixed), none, 0, BytesIO(), ledger.now) == 0


def test_without_its_extra_a_workbook_is_refused_with_the_command_to_install_it(
    ledger: Any, mixed: CampaignRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)  # what an import finds when it is missing
    with pytest.raises(CampaignError, match=r"pip install 'campaign\[xlsx\]'"):
        ledger.report(mixed, "xlsx")


def test_more_columns_than_a_sheet_holds_are_refused(ledger: Any) -> None:
    campaign = ledger.campaign([("999100001",)], columns=[f"c{n}" for n in range(16_384)])
    with pytest.raises(CampaignError, match="16,384 columns"):
        ledger.report(campaign, "xlsx")
