"""The JSON report: its shape, and that its numbers agree with each other."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any

from campaign.planner.states import RecipientState
from campaign.reports.report import write_report
from campaign.store.campaigns import CampaignRow

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer


class SlowFile(BytesIO):
    """While the first bytes of a report are written here, something else happens."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        super().__init__()
        self._meanwhile: Callable[[], None] | None = meanwhile

    def write(self, data: Buffer, /) -> int:
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return super().write(data)


def test_the_json_has_the_shape_scripts_rely_on(ledger: Any, mixed: CampaignRow) -> None:
    ledger.finish(mixed, 75)
    ledger.incident(mixed, "duplicate")
    report = json.loads(ledger.report(mixed, "json"))
    assert list(report) == ["campaign", "totals", "by_gateway", "by_reason", "recipients"]
    totals = dict.fromkeys(map(str, RecipientState), 0) | {
        "delivered": 1, "sent": 1, "no_receipt": 1, "failed": 1, "unknown": 1, "skipped": 1,
        "assigned": 1, "pending": 1,
    }  # fmt: skip
    assert report["totals"] == totals
    assert report["campaign"] == {
        "name": "spring", "state": "finished", "recipients": 8, "refused": 2, "counts": totals,
        "rate_per_second": None, "eta": None, "waiting_for": None,
        "incidents": {"duplicate": 1, "anomaly": 0, "opted_out_in_flight": 0},
        "retries": {"tries": 2, "sent": 1}, "decisions": [], "cost": None, "plan": None,
        "list": "customers.csv", "message": "Hello",
        "created_at": "2026-03-02T09:00:00Z", "started_at": "2026-03-02T09:00:00Z",
        "finished_at": "2026-03-02T09:01:15Z", "reported_at": "2026-03-02T09:00:00Z",
    }  # fmt: skip
    assert report["by_reason"][0] == {
        "state": "failed", "cause": None, "code": 38,
        "reason": "send failed: network out of order", "recipients": 1,
    }  # fmt: skip


def test_one_recipient_in_json_is_exactly_this(ledger: Any, mixed: CampaignRow) -> None:
    (recipient,) = json.loads(ledger.report(mixed, "json", "unknown"))["recipients"]
    assert recipient == {
        "row": 6, "number": "999100005", "state": "unknown", "evidence": "none", "attempts": 1,
        "gateway": "south", "port": "3.01", "iccid": None, "tid": 44, "sent_at": None,
        "delivered_at": None, "code": None, "reason": "silence: no report within the horizon",
        "cause": "silence", "columns": {"name": "Name 5", "city": "Köln"},
    }  # fmt: skip


def test_totals_gateways_and_recipients_add_up(ledger: Any, mixed: CampaignRow) -> None:
    report = json.loads(ledger.report(mixed, "json"))
    listed = Counter(recipient["state"] for recipient in report["recipients"])
    assert {state: n for state, n in report["totals"].items() if n} == listed
    assert sum(entry["recipients"] for entry in report["by_gateway"]) == listed.total()
    for entry in report["by_gateway"]:
        here = Counter(r["state"] for r in report["recipients"] if r["gateway"] == entry["gateway"])
        assert entry["counts"] == here


def test_a_choice_of_states_leaves_the_totals_whole(ledger: Any, mixed: CampaignRow) -> None:
    report = json.loads(ledger.report(mixed, "json", "expired"))
    assert report["recipients"] == []
    assert sum(report["totals"].values()) == 8


def test_rows_and_totals_are_of_one_moment_while_the_campaign_runs(
    ledger: Any,
) -> None:
    campaign = ledger.campaign([(f"9992{n:05}",) for n in range(1000)], name="long")
    ledger.settle("999200000", "sent")
    before = json.loads(ledger.report(campaign, "json"))
    slow = SlowFile(lambda: ledger.settle("999200999", "failed", reason="refused"))
    write_report(ledger.reader, campaign, "json", (), slow, ledger.now)
    report = json.loads(slow.getvalue())
    assert report["totals"] == before["totals"]
    assert report["recipients"] == before["recipients"]
    assert json.loads(ledger.report(campaign, "json"))["totals"]["failed"] == 1


def test_control_characters_and_quotes_are_valid_json(ledger: Any) -> None:
    campaign = ledger.campaign([("999100001", 'a"b\\\x1b\u2028')], columns=("na\nme",))
    (recipient,) = json.loads(ledger.report(campaign, "json"))["recipients"]
    assert recipient["columns"] == {"na\nme": 'a"b\\\x1b\u2028'}
