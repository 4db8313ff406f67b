"""Plan against actual: the forecast a campaign began with, beside what came of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from campaign.store.campaigns import CampaignRow
from campaign.store.foreseen import keep_forecast

PLANNED: dict[str, Any] = {
    "made_at": "2026-03-02T09:00:00Z",
    "recipients": 2,
    "segments": 2,
    "failures": 0.0,
    "finish": {
        "earliest": "2026-03-02T09:00:40Z",
        "expected": "2026-03-02T09:01:00Z",
        "latest": "2026-03-02T09:01:40Z",
    },
    "pauses": [],
    "late": 0,
    "per_port": [
        {"gateway": "office", "port": "1", "recipients": 1, "messages": 2, "segments": 2},
        {"gateway": "office", "port": "2", "recipients": 1, "messages": 1, "segments": 1},
    ],
}


@pytest.fixture
def finished(ledger: Any) -> CampaignRow:
    """A finished campaign of two, both sent through port 1, one of them after a refusal."""
    campaign: CampaignRow = ledger.campaign([["999000001"], ["999000002"]])
    gateway = ledger.gateway("office")
    for number, failures in (("999000001", 0), ("999000002", 1)):
        ledger.settle(number, "sent", gateway_id=gateway, port="1.01", failures=failures)
    keep_forecast(ledger.conn, campaign.id, PLANNED)
    ledger.finish(campaign, 66)
    return campaign


def test_the_report_compares_what_was_planned_with_what_came(
    ledger: Any, finished: CampaignRow
) -> None:
    told = json.loads(ledger.report(finished, "json"))["campaign"]["plan"]
    assert told["finish"] == {
        **PLANNED["finish"], "actual": "2026-03-02T09:01:06Z", "off": 0.1,
    }  # fmt: skip
    assert told["recipients"] == {"planned": 2, "actual": 2}
    assert told["failures"] == {"planned": 1, "actual": 1}
    assert [(p["port"], p["recipients"]) for p in told["per_port"]] == [
        ("1", {"planned": 1, "actual": 2}),
        ("2", {"planned": 1, "actual": 0}),
    ]


def test_people_read_it_in_the_table_and_on_the_page(ledger: Any, finished: CampaignRow) -> None:
    table = ledger.report(finished, "table").decode()
    (line,) = [line for line in table.splitlines() if "sending done" in line]
    assert line.split() == [
        "sending", "done", "2026-03-02", "09:01:00", "2026-03-02", "09:01:06", "+10.0", "%",
    ]  # fmt: skip
    page = ledger.report(finished, "html").decode()
    assert "Plan against actual" in page
    assert '<td class="n">2026-03-02 09:01:06</td><td>+10.0 %</td>' in page


def test_a_pace_that_was_only_assumed_is_said_to_be(ledger: Any) -> None:
    campaign = ledger.campaign([["999000001"]])
    keep_forecast(ledger.conn, campaign.id, {**PLANNED, "assumed": {"ports": 3, "seconds": 6.0}})
    (line,) = [
        line for line in ledger.report(campaign, "table").decode().splitlines() if "pace" in line
    ]
    assert " ".join(line.split()) == "pace 6 s an SMS assumed on 3 ports"
    told = json.loads(ledger.report(campaign, "json"))["campaign"]["plan"]
    assert told["assumed"] == {"ports": 3, "seconds": 6.0}


def test_while_it_runs_nothing_is_said_of_its_end(ledger: Any) -> None:
    campaign = ledger.campaign([["999000001"]])
    keep_forecast(ledger.conn, campaign.id, PLANNED)
    told = json.loads(ledger.report(campaign, "json"))["campaign"]["plan"]
    assert (told["finish"]["actual"], told["finish"]["off"]) == (None, None)


def test_the_plan_is_that_of_the_beginning(ledger: Any, finished: CampaignRow) -> None:
    keep_forecast(ledger.conn, finished.id, {**PLANNED, "recipients": 99})
    assert json.loads(ledger.report(finished, "json"))["campaign"]["plan"]["recipients"] == {
        "planned": 2, "actual": 2,
    }  # fmt: skip


def test_without_a_forecast_there_is_nothing_to_compare(ledger: Any, mixed: CampaignRow) -> None:
    assert json.loads(ledger.report(mixed, "json"))["campaign"]["plan"] is None
    assert "plan against actual" not in ledger.report(mixed, "table").decode()
