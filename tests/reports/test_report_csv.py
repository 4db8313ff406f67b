"""The CSV report: exact text, choice of states, safe cells."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from io import BytesIO
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.errors import UsageError
from campaign.reports.cells import FORMULA, safe_cell
from campaign.reports.csv_export import write_csv
from campaign.reports.report import write_report
from campaign.store.campaigns import CampaignRow
from campaign.store.summary import REPORT_COLUMNS

EXPECTED = """\
row,number,state,evidence,attempts,gateway,port,iccid,tid,sent_at,delivered_at,code,reason,name,city
2,999100001,delivered,receipt,1,north,1.01,8986001,41,{time}:05Z,{time}:09Z,,,Name 1,Köln
3,999100002,sent,report,2,south,2.01,,42,{time}:06Z,,,,Name 2,深圳
4,999100003,no_receipt,report,1,north,,,,,,,,Name 3,Köln
5,999100004,failed,report,3,north,4,,43,,,38,send failed: network out of order,Name 4,深圳
6,999100005,unknown,none,1,south,3.01,,44,,,,silence: no report within the horizon,Name 5,Köln
7,999100006,skipped,none,0,,,,,,,,opted out,Name 6,深圳
8,999100007,assigned,none,1,north,1.01,,45,,,,,Name 7,Köln
9,999100008,pending,none,0,,,,,,,,,Name 8,深圳
""".replace("{time}", "2026-03-02T09:00")


def test_the_csv_is_exactly_this(ledger: Any, mixed: CampaignRow) -> None:
    assert ledger.report(mixed, "csv") == EXPECTED.replace("\n", "\r\n").encode()


def test_the_first_columns_are_the_contract(ledger: Any, mixed: CampaignRow) -> None:
    header = ledger.report(mixed, "csv").decode().splitlines()[0].split(",")
    assert tuple(header[:13]) == REPORT_COLUMNS


def test_only_chosen_states_are_listed(ledger: Any, mixed: CampaignRow) -> None:
    rows = list(
        csv.DictReader(io.StringIO(ledger.report(mixed, "csv", "unknown", "sent").decode()))
    )
    assert [row["number"] for row in rows] == ["999100002", "999100005"]


def test_the_count_of_rows_is_returned(ledger: Any, mixed: CampaignRow) -> None:
    now = datetime(2026, 3, 2, tzinfo=UTC)
    assert write_report(ledger.reader, mixed, "csv", (), BytesIO(), now) == 8
    assert write_report(ledger.reader, mixed, "csv", ("failed",), BytesIO(), now) == 1
    assert write_report(ledger.reader, mixed, "csv", ("expired",), BytesIO(), now) == 0


def test_a_state_that_does_not_exist_is_named_with_those_that_do(
    ledger: Any, mixed: CampaignRow
) -> None:
    with pytest.raises(UsageError, match=r"'lost'.*pending.*no_receipt"):
        ledger.report(mixed, "csv", "lost")


def test_strangers_formulas_are_text_in_header_values_and_reasons(ledger: Any) -> None:
    campaign = ledger.campaign(
        [("999100001", "=cmd|'/C calc'!A0", 'a,"b"\nc')], columns=("@name", "note")
    )
    ledger.settle("999100001", "failed", reason="＝1+1")
    header, row = csv.reader(io.StringIO(ledger.report(campaign, "csv").decode(), newline=""))
    assert header[13:] == ["'@name", "note"]
    assert row[12:] == ["'＝1+1", "'=cmd|'/C calc'!A0", 'a,"b"\nc']


@given(st.lists(st.text(alphabet="ab1 ,;\"'\r\n\t=é李", max_size=6), min_size=2, max_size=2))
def test_a_cell_is_quoted_as_the_standard_writer_would(cells: list[str]) -> None:
    expected = io.StringIO(newline="")
    csv.writer(expected).writerow(["999100001", *map(safe_cell, cells)])
    campaign = SimpleNamespace(columns=("name", "note"))
    row = (1, "999100001", "sent", *[None] * 11, msgspec.json.encode(cells).decode())
    written = io.StringIO(newline="")
    write_csv(cast(CampaignRow, campaign), [row], written)
    (header, line) = written.getvalue().split("\r\n", 1)
    assert header.endswith(",name,note")
    assert line.startswith("1,999100001,sent,")
    assert line.endswith(expected.getvalue().removeprefix("999100001,"))


def test_an_own_value_that_is_missing_is_blank_and_never_shifts_the_others(ledger: Any) -> None:
    campaign = ledger.campaign([("999100001", "Ada"), ("999100002",)], columns=("name", "city"))
    rows = list(csv.reader(io.StringIO(ledger.report(campaign, "csv").decode())))
    assert [row[13:] for row in rows] == [["name", "city"], ["Ada", ""], ["", ""]]


def test_the_stream_stays_open_for_its_owner(ledger: Any, mixed: CampaignRow) -> None:
    out = BytesIO()
    write_report(ledger.reader, mixed, "csv", (), out, ledger.now)
    assert not out.closed


def test_nothing_that_begins_with_a_letter_or_a_digit_is_taken_for_a_formula() -> None:
    """Such cells are left alone at once: no alphanumeric character may open a formula."""
    letters = (chr(code) for code in range(0x110000) if chr(code).isalnum())
    assert not [letter for letter in letters if FORMULA.match(f"{letter}=1")]
