"""An older copy of a ledger gives itself away, and nobody else is taken for one."""

from __future__ import annotations

from typing import Any

import pytest

from campaign.errors import OldLedger
from campaign.protocol.messages import TaskReport
from campaign.store.campaigns import cancel_waiting
from campaign.store.claims import reclaim_planned
from campaign.store.journal import read_meta, write_meta
from campaign.store.lineage import AHEAD, LARGEST_TID, mark_copied, refuse_old, why_old

NEXT = 1000
"""The next tid of the ledger fixture."""


@pytest.mark.parametrize(
    ("following", "tid"),
    [
        pytest.param(NEXT, NEXT, id="the-next-one"),
        pytest.param(NEXT, NEXT + AHEAD - 1, id="the-last-of-the-neighbourhood"),
        pytest.param(LARGEST_TID, 1, id="past-the-wrap"),
        pytest.param(LARGEST_TID - 5, AHEAD - 7, id="far-past-the-wrap"),
    ],
)
def test_a_report_of_a_tid_of_our_future_stops_every_claim(
    ledger: Any, following: int, tid: int
) -> None:
    campaign = ledger.campaign(2)
    ledger.do(write_meta, {"next_tid": str(following)})
    ledger.fold(TaskReport(tid=tid))
    assert f"tid {tid}" in (why_old(ledger.conn) or "")
    told = r"campaign --db \S*campaign\.db db restore"
    with pytest.raises(OldLedger, match=told):
        ledger.claim(campaign)
    with pytest.raises(OldLedger, match=told):
        ledger.do(reclaim_planned, ledger.epoch, 1, None, 1)
    assert ledger.incidents() == {"orphan": 1}
    assert len(ledger.decisions("alarm")) == 1


@pytest.mark.parametrize(
    ("following", "tid"),
    [
        pytest.param(NEXT, NEXT - 1, id="just-before"),
        pytest.param(NEXT, NEXT + AHEAD, id="just-beyond-the-neighbourhood"),
        pytest.param(NEXT, LARGEST_TID, id="long-ago-before-the-wrap"),
        pytest.param(1, LARGEST_TID, id="just-before-the-wrap"),
        pytest.param(NEXT, 1_500_000_000, id="a-stranger"),
    ],
)
def test_an_ordinary_orphan_stops_nothing(ledger: Any, following: int, tid: int) -> None:
    ledger.gateway()
    ledger.do(write_meta, {"next_tid": str(following)})
    ledger.fold(TaskReport(tid=tid))
    assert ledger.incidents() == {"orphan": 1}
    refuse_old(ledger.conn)


def test_reports_of_our_own_tasks_stop_nothing_whatever_became_of_them(ledger: Any) -> None:
    campaign = ledger.campaign(3)
    task = ledger.claim_one(campaign, count=1)
    other = ledger.claim_one(campaign, count=1)
    ledger.report(task, sent=[1])
    ledger.do(cancel_waiting, ledger.now, campaign, "cancelled", by="operator")
    ledger.report(task, sent=[1])  # closed already
    ledger.report(other, sent=[1], gateway="gw")
    ledger.gateway("elsewhere")
    ledger.fold(TaskReport(tid=task.tid), gateway="elsewhere")  # known, if not there
    refuse_old(ledger.conn)


def test_a_ledger_that_never_sent_takes_no_report_for_its_future(ledger: Any) -> None:
    ledger.gateway()
    ledger.conn.execute("DELETE FROM meta WHERE key = 'next_tid'")
    ledger.fold(TaskReport(tid=5))
    refuse_old(ledger.conn)


def test_the_first_such_report_is_remembered_and_told_once(ledger: Any) -> None:
    ledger.gateway()
    for tid in (NEXT + 3, NEXT + 4):
        ledger.fold(TaskReport(tid=tid))
    assert f"tid {NEXT + 3}, 3 after" in (read_meta(ledger.conn, "overtaken") or "")
    assert len(ledger.decisions("alarm")) == 1


def test_a_marked_copy_may_not_send(ledger: Any) -> None:
    campaign = ledger.campaign(1)
    ledger.do(mark_copied, "2026-03-02T10:00:00Z")
    with pytest.raises(OldLedger, match="a copy of a ledger, made 2026-03-02T10:00:00Z"):
        ledger.claim(campaign)
