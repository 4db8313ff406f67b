"""Rows and cells: what every format shows of one recipient."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.reports.cells import safe_cell, terminal_text
from campaign.reports.figures import percent, took
from campaign.reports.rows import device_time, full_reason, own_names
from campaign.store.campaigns import CampaignRow


@pytest.mark.parametrize(
    "text",
    [
        "=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx",
        "＝1+1", "＋1", "－1", "＠x", "﹦1", "−1",
        "  =1", "\u00a0=1", "\u3000=1", "\ufeff=1", "\u200b=1", "\u200f@x", "'=1",
        '=HYPERLINK("http://evil.example")', "=cmd|' /C calc'!A0",
    ],
)  # fmt: skip
def test_a_cell_that_a_spreadsheet_would_calculate_gets_a_quote(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "Ada", "O'Neill", "'quoted'", "a=b", "1-2", "深圳", "x@y.zz"])
def test_a_cell_without_a_formula_is_left_alone(text: str) -> None:
    assert safe_cell(text) == text


@given(st.text(alphabet="'=+-@＝ \t\nab"), st.text(alphabet="'=+-@＝ \t\nab"))
def test_no_two_texts_become_the_same_safe_cell(one: str, other: str) -> None:
    assert (safe_cell(one) == safe_cell(other)) == (one == other)


def test_a_terminal_never_gets_control_characters() -> None:
    assert terminal_text("a\x1b[31mred\x07\u202eb\r\n") == r"a\x1b[31mred\x07\u202eb\r\n"
    assert terminal_text("全角\u3000ok") == "全角\u3000ok"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, None),
        (0, "1970-01-01T00:00:00Z"),
        (1_772_442_000, "2026-03-02T09:00:00Z"),
        (-1, "1969-12-31T23:59:59Z"),
        (10**15, None),
        (2**63 - 1, None),
        (-(2**62), None),
    ],
)
def test_a_device_stamp_is_rfc_3339_in_utc(seconds: int | None, text: str | None) -> None:
    assert device_time(seconds) == text


@pytest.mark.parametrize(
    ("state", "cause", "reason", "text"),
    [
        ("unknown", "silence", "no report", "silence: no report"),
        ("unknown", "reboot", None, "reboot"),
        ("failed", None, "refused", "refused"),
        ("skipped", "opted_out", "opted out", "opted out"),
        ("held", "quota", None, "quota"),
        ("sent", None, None, None),
    ],
)
def test_the_cause_leads_the_reason_of_the_unknown(
    state: str, cause: str | None, reason: str | None, text: str | None
) -> None:
    assert full_reason(state, cause, reason) == text


def test_own_columns_never_hide_the_reports_columns() -> None:
    assert own_names(["name", "code", "list_code", "name", "State"]) == [
        "name", "list_code", "list_code_2", "name_2", "State",
    ]  # fmt: skip


def test_a_script_that_reads_by_name_gets_the_reports_state_and_the_lists_too(ledger: Any) -> None:
    campaign: CampaignRow = ledger.campaign([("999100001", "Ohio")], columns=("state",))
    text = ledger.report(campaign, "csv").decode()
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["state"], row["list_state"]) == ("pending", "Ohio")


@pytest.mark.parametrize(
    ("n", "total", "text"),
    [
        (0, 0, "–"),
        (0, 10, "0.0 %"),
        (1, 100_000, "<0.1 %"),
        (99_999, 100_000, ">99.9 %"),
        (10, 10, "100.0 %"),
        (1, 3, "33.3 %"),
    ],
)
def test_a_share_never_rounds_to_nothing_or_to_all(n: int, total: int, text: str) -> None:
    assert percent(n, total) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3661, "1 h 1 min"),
        (90_000, "1 d 1 h"),
        (-5, "0 s"),
    ],
)
def test_a_duration_has_at_most_two_units(seconds: int, text: str) -> None:
    assert took(0, seconds * 1000) == text
