"""What a campaign cost, in every format that has totals."""

from __future__ import annotations

import json
from typing import Any

import pytest

from campaign.planner.options import CampaignOptions
from campaign.store.campaigns import CampaignRow


def priced(ledger: Any, campaign: CampaignRow, *costs: str) -> None:
    ledger.conn.execute(
        "UPDATE campaigns SET options = ? WHERE id = ?",
        (CampaignOptions(cost=costs).encode(), campaign.id),
    )


def test_what_was_sent_and_what_may_have_been_are_two_sums(ledger: Any, mixed: CampaignRow) -> None:
    priced(ledger, mixed, "999=0.045")
    told = json.loads(ledger.report(mixed, "json"))["campaign"]["cost"]
    # delivered, sent and no_receipt; unknown and assigned
    assert told == {"sent": 0.135, "unknown": 0.09, "unpriced_segments": 0}
    table = ledger.report(mixed, "table").decode()
    assert "cost of what was sent: 0.135\n" in table
    assert "and at most, for what may have been sent: 0.09\n" in table


def test_numbers_without_a_price_are_told_of(ledger: Any, mixed: CampaignRow) -> None:
    priced(ledger, mixed, "9991000001=1")
    assert "SMS parts without a price, not in it: 5" in ledger.report(mixed, "table").decode()


@pytest.mark.parametrize("fmt", ["html", "table"])
def test_without_a_tariff_nothing_is_said_of_cost(
    ledger: Any, mixed: CampaignRow, fmt: str
) -> None:
    assert "cost" not in ledger.report(mixed, fmt).decode().lower()
    assert json.loads(ledger.report(mixed, "json"))["campaign"]["cost"] is None


def test_the_page_and_the_workbook_show_it_too(ledger: Any, mixed: CampaignRow) -> None:
    priced(ledger, mixed, "*=2")
    assert "<dt>Cost of what was sent</dt><dd>6.00</dd>" in ledger.report(mixed, "html").decode()
    assert ledger.report(mixed, "xlsx")[:2] == b"PK"
