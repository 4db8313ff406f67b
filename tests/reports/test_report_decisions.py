"""What somebody decided stands in every report: how many, by whom, and why."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from campaign.planner.rulings import Decision, Ruling
from campaign.planner.states import UnknownCause
from campaign.reports.figures import gather
from campaign.store.campaigns import CampaignRow
from campaign.store.decisions import send_again, settle_by_word, unknown_recipients

WHY = "they <called> us"


@pytest.fixture
def decided(ledger: Any, mixed: CampaignRow) -> CampaignRow:
    """The one unknown recipient of eight is taken for sent."""
    chosen = unknown_recipients(ledger.conn, mixed.id, [UnknownCause.SILENCE])
    settle_by_word(
        ledger.conn, 1, mixed.id, chosen, Ruling.SENT, by="operator eva", why=WHY
    )  # fmt: skip
    return mixed


def test_the_rows_say_that_somebodys_word_is_all_there_is(
    ledger: Any, decided: CampaignRow
) -> None:
    text = ledger.report(decided, "csv").decode("utf-8-sig")
    row = next(row for row in csv.DictReader(io.StringIO(text)) if row["number"] == "999100005")
    assert (row["state"], row["evidence"]) == ("sent", "operator")
    assert row["reason"] == f"silence, taken for sent by operator eva: {WHY}"


def test_the_table_counts_decisions_by_whom_and_why(ledger: Any, decided: CampaignRow) -> None:
    assert (
        f"decisions\n  1  unknown, taken for sent  operator eva  silence: {WHY}\n"
        in ledger.report(decided, "table").decode()
    )


def test_the_json_lists_decisions(ledger: Any, decided: CampaignRow) -> None:
    assert json.loads(ledger.report(decided, "json"))["campaign"]["decisions"] == [
        {"decision": "resolved_sent", "by": "operator eva", "why": f"silence: {WHY}",
         "recipients": 1},
    ]  # fmt: skip


def test_the_page_shows_decisions_with_their_reasons_as_text(
    ledger: Any, decided: CampaignRow
) -> None:
    html = ledger.report(decided, "html").decode()
    assert "unknown, taken for sent" in html
    assert "silence: they &lt;called&gt; us" in html


def test_a_decision_to_send_again_shows_on_who_waits_for_it(
    ledger: Any, mixed: CampaignRow
) -> None:
    chosen = unknown_recipients(ledger.conn, mixed.id, [UnknownCause.SILENCE])
    send_again(ledger.conn, 1, mixed.id, chosen, Decision.RESEND, by="operator eva", why=WHY)
    (row,) = json.loads(ledger.report(mixed, "json", "pending"))["recipients"][:1]
    assert row["reason"] == f"silence, to be sent again by operator eva: {WHY}"


def test_the_bounds_of_what_was_sent_do_not_rest_on_somebodys_word(
    ledger: Any, mixed: CampaignRow
) -> None:
    before = gather(ledger.conn, mixed).sent_bounds
    chosen = unknown_recipients(ledger.conn, mixed.id, [UnknownCause.SILENCE])
    settle_by_word(ledger.conn, 1, mixed.id, chosen, Ruling.FAILED, by="operator eva", why=WHY)
    assert gather(ledger.conn, mixed).sent_bounds == before


def test_taken_for_sent_is_no_proof_of_having_been_sent(ledger: Any, mixed: CampaignRow) -> None:
    before = gather(ledger.conn, mixed).sent_bounds
    chosen = unknown_recipients(ledger.conn, mixed.id, [UnknownCause.SILENCE])
    settle_by_word(ledger.conn, 1, mixed.id, chosen, Ruling.SENT, by="operator eva", why=WHY)
    assert gather(ledger.conn, mixed).sent_bounds == before
