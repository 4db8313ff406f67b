"""What operators ask: rows of the report, reasons, retries, what is left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from campaign.planner.options import CampaignOptions
from campaign.planner.states import CampaignState, UnknownCause
from campaign.store.campaigns import (
    Refusal,
    add_recipients,
    get_campaign,
    set_campaign_state,
)
from campaign.store.inbound import InboundRow, keep_inbound
from campaign.store.outcomes import close_unknown
from campaign.store.summary import (
    REPORT_COLUMNS,
    by_gateway,
    by_reason,
    campaign_object,
    incidents,
    refusal_rows,
    report_rows,
    retries,
)

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def finished(ledger: Any) -> int:
    """Sent by the second try, failed for good, unknown, pending."""
    campaign_id: int = ledger.campaign(4)
    task = ledger.claim_one(campaign_id, count=3)
    ledger.report(task, failed=[(1, 7, None), (2, 7, 1)])
    ledger.do(close_unknown, ledger.now, task.id, UnknownCause.SILENCE, "no word")
    ledger.now += 60_000
    ledger.report(ledger.claim_one(campaign_id, ports=(2,), count=1), sent=[1])
    return campaign_id


def test_the_report_has_every_recipient_in_the_order_of_the_list(ledger: Any) -> None:
    finished(ledger)
    rows = ledger.do(lambda conn: list(report_rows(conn, get_campaign(conn, "spring"))))
    assert set(REPORT_COLUMNS) < set(rows[0].keys())
    assert [(row["row"], row["state"], row["attempts"], row["gateway"]) for row in rows] == [
        (1, "sent", 2, "gw"), (2, "failed", 1, "gw"), (3, "unknown", 1, "gw"),
        (4, "pending", 0, None),
    ]  # fmt: skip


def test_waiting_recipients_of_a_paused_campaign_are_shown_as_held(ledger: Any) -> None:
    campaign_id = finished(ledger)
    ledger.do(set_campaign_state, ledger.now, campaign_id, CampaignState.PAUSED, "asked to")
    campaign = ledger.do(get_campaign, "spring").with_hold(START)
    rows = ledger.do(lambda conn: list(report_rows(conn, campaign, ("held",))))
    assert [(row["row"], row["cause"]) for row in rows] == [(4, "paused")]
    counts = ledger.do(campaign_object, campaign)["counts"]
    assert (counts["held"], counts["pending"]) == (1, 0)


def test_waiting_recipients_outside_the_window_are_shown_as_held(ledger: Any) -> None:
    ledger.campaign(2, options=CampaignOptions(window="11:00-12:00", timezone="UTC"))
    campaign = ledger.do(get_campaign, "spring")
    assert campaign.with_hold(START).hold == "window"
    assert campaign.with_hold(START + timedelta(hours=1, minutes=30)).hold is None


def test_the_report_can_be_narrowed_to_states(ledger: Any) -> None:
    finished(ledger)
    rows = ledger.do(
        lambda conn: list(report_rows(conn, get_campaign(conn, "spring"), ("failed", "unknown")))
    )
    assert [row["row"] for row in rows] == [2, 3]


def test_reasons_are_counted_and_successes_have_none(ledger: Any) -> None:
    found = ledger.do(by_reason, finished(ledger))
    assert {(row["state"], row["cause"], row["recipients"]) for row in found} == {
        ("failed", None, 1), ("unknown", "silence", 1),
    }  # fmt: skip


def test_recipients_are_counted_by_gateway(ledger: Any) -> None:
    finished(ledger)
    assert ledger.do(by_gateway, ledger.do(get_campaign, "spring")) == [
        {"gateway": None, "recipients": 1, "counts": {"pending": 1}},
        {"gateway": "gw", "recipients": 3, "counts": {"failed": 1, "sent": 1, "unknown": 1}},
    ]


def test_a_retry_that_helped_is_told(ledger: Any) -> None:
    assert ledger.do(retries, finished(ledger)) == (1, 1)


def test_every_kind_of_incident_is_named(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    task = ledger.claim_one(campaign_id)
    ledger.report(task, sent=[1])
    ledger.report(task, failed=[(1, 7, 1)])
    assert ledger.do(incidents, campaign_id) == {
        "duplicate": 0, "anomaly": 1, "opted_out_in_flight": 0,
    }  # fmt: skip


def test_refused_rows_come_by_line(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    refusals = [Refusal(9, "x", "letters", "a"), Refusal(3, "y", "empty", "b")]
    ledger.do(add_recipients, campaign_id, [], refusals)
    rows = ledger.do(lambda conn: list(refusal_rows(conn, campaign_id)))
    assert [row["row"] for row in rows] == [3, 9]


def test_a_campaigns_object_partitions_its_recipients(ledger: Any) -> None:
    finished(ledger)
    shown = campaign_object(ledger.conn, ledger.do(get_campaign, "spring"))
    assert (shown["name"], shown["state"], shown["recipients"]) == ("spring", "running", 4)
    assert sum(shown["counts"].values()) == 4


def test_a_reply_is_kept_once_however_often_it_comes(ledger: Any) -> None:
    reply = InboundRow(1, "1", "89", 1000, "99900000001", "", "STOP", 5)
    assert ledger.do(keep_inbound, reply)
    assert not ledger.do(keep_inbound, reply)
    assert ledger.do(keep_inbound, InboundRow(1, "1", "89", 1001, "99900000001", "", "STOP", 5))
