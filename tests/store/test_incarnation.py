"""A restored ledger repeats nothing: whoever was not final is unknown, and rises only on proof."""

from __future__ import annotations

import random
from typing import Any

import pytest

from campaign.planner.states import (
    CampaignState,
    FenceReason,
    RecipientState,
    TaskState,
    UnknownCause,
)
from campaign.store.campaigns import counts, set_campaign_state
from campaign.store.incarnation import Incarnation, Traces, begin_incarnation
from campaign.store.journal import read_meta
from campaign.store.lineage import AHEAD, LARGEST_TID, ahead_of, mark_copied, refuse_old
from campaign.store.outcomes import close_unknown
from campaign.store.tasks import (
    mark_accepted,
    mark_doubt,
    mark_fenced,
    mark_paused,
    mark_planned,
    start_fence,
)


def begin(ledger: Any) -> Incarnation:
    begun: Incarnation = ledger.do(begin_incarnation, ledger.now, "new", random.Random(1), None)
    ledger.epoch = begun.epoch
    return begun


def in_state(ledger: Any, campaign: int, state: TaskState) -> Any:
    """A task with two recipients in any state that can still put something on air."""
    task = ledger.claim_one(campaign, count=2)
    if state is TaskState.PLANNED:
        ledger.do(mark_planned, [task.id])
    elif state is TaskState.DOUBT:
        ledger.do(mark_doubt, [task.id], ledger.now, UnknownCause.NO_ANSWER)
    elif state is not TaskState.INTENT:
        ledger.do(mark_accepted, [task.id], ledger.now)
    if state is TaskState.PAUSED:
        ledger.do(mark_paused, [task.id])
    if state in (TaskState.FENCING, TaskState.FENCED):
        ledger.do(start_fence, [task.id], ledger.now, FenceReason.SILENCE, "silent")
    if state is TaskState.FENCED:
        ledger.do(mark_fenced, [task.id], ledger.now)
    assert ledger.task(task.id)["state"] == state
    return task


@pytest.mark.parametrize(
    "state", [s for s in TaskState if s is not TaskState.CLOSED], ids=lambda s: str(s)
)
def test_a_task_in_any_state_is_closed_and_its_recipients_are_unknown(
    ledger: Any, state: TaskState
) -> None:
    campaign = ledger.campaign(2)
    task = in_state(ledger, campaign, state)
    begun = begin(ledger)
    assert begun.unknown == {"spring": 2}
    assert ledger.task(task.id)["state"] == "closed"
    assert ledger.states(campaign) == ["unknown", "unknown"]
    assert ledger.recipient(1)["cause"] == "restored"


def test_whoever_waits_or_is_held_is_unknown_and_whoever_is_final_stays(ledger: Any) -> None:
    campaign = ledger.campaign(5)
    ledger.report(ledger.claim_one(campaign, count=1), sent=[1])
    ledger.report(ledger.claim_one(campaign, count=1), failed=[(1, 7, None)])  # held: another try
    ledger.report(ledger.claim_one(campaign, count=1), failed=[(1, 7, None)], budget=1)
    ledger.claim_one(campaign, count=1)
    assert ledger.states(campaign) == ["sent", "held", "failed", "assigned", "pending"]
    begin(ledger)
    assert ledger.states(campaign) == ["sent", "unknown", "failed", "unknown", "unknown"]
    assert counts(ledger.conn, campaign)[RecipientState.UNKNOWN] == 3
    assert any(why.startswith("2 unknown (restored)") for why in ledger.decisions("unknown"))
    assert len(ledger.decisions("restore")) == 1
    assert ledger.claim(campaign) == []


def test_campaigns_stay_as_they_were_so_that_they_can_be_resumed(ledger: Any) -> None:
    states = (CampaignState.RUNNING, CampaignState.PAUSED, CampaignState.WAITING)
    for nth, state in enumerate(states):
        campaign = ledger.campaign(1, name=str(state), first=nth * 10 + 1)
        ledger.do(set_campaign_state, ledger.now, campaign, state, "as it was")
    begin(ledger)
    found = ledger.conn.execute("SELECT name, state FROM campaigns ORDER BY id").fetchall()
    assert [row["name"] for row in found] == [row["state"] for row in found]


def test_an_import_that_was_under_way_is_kept_as_unknown_and_not_dropped_as_unsent(
    ledger: Any,
) -> None:
    campaign = ledger.campaign(3)
    ledger.conn.execute("UPDATE campaigns SET state = 'importing'")
    begin(ledger)
    assert ledger.states(campaign) == ["unknown"] * 3
    (state,) = ledger.conn.execute("SELECT state FROM campaigns").fetchone()
    assert state == "running"


def test_a_late_report_raises_to_sent(ledger: Any) -> None:
    campaign = ledger.campaign(2)
    task = ledger.claim_one(campaign, count=2)
    begin(ledger)
    ledger.report(task, sent=[1])
    assert ledger.states(campaign) == ["sent", "unknown"]
    assert not ledger.incidents()


def test_a_late_receipt_raises_to_delivered(ledger: Any) -> None:
    campaign = ledger.campaign(1)
    ledger.claim_one(campaign, count=1)
    begin(ledger)
    ledger.receipt(ledger.number(1))
    assert ledger.states(campaign) == ["delivered"]


def test_a_receipt_that_waited_for_its_detail_proves_the_message_sent(ledger: Any) -> None:
    campaign = ledger.campaign(2)
    ledger.claim_one(campaign, count=2)
    ledger.receipt(ledger.number(1))
    begun = begin(ledger)
    assert ledger.states(campaign) == ["delivered", "unknown"]
    assert begun.unknown == {"spring": 1}


@pytest.mark.parametrize("cause", ["silence", "restored"])
@pytest.mark.parametrize("program", [7, 2, 6])
def test_a_late_failure_of_before_is_no_reason_to_send_again_nor_to_call_it_failed(
    ledger: Any, program: int, cause: str
) -> None:
    """The lost ledger may have tried again on this very failure, and succeeded."""
    campaign = ledger.campaign(1)
    task = ledger.claim_one(campaign)
    if cause == "silence":
        ledger.do(close_unknown, ledger.now, task.id, UnknownCause.SILENCE, "silent")
    begin(ledger)
    ledger.report(task, failed=[(1, program, None)])
    row = ledger.recipient(1)
    assert (row["state"], row["cause"]) == ("unknown", cause)
    assert ledger.attempt(task.id)["outcome"] is not None
    assert ledger.decisions("retry") == []


def test_a_later_failure_of_the_new_incarnation_is_retried_as_ever(ledger: Any) -> None:
    ledger.claim_one(ledger.campaign(1))
    begin(ledger)
    later = ledger.campaign(1, name="later")
    ledger.report(ledger.claim_one(later), failed=[(1, 7, None)])
    assert ledger.states(later) == ["held"]


class _Drawn(random.Random):
    """Draws what a test says, in turn."""

    def __init__(self, *draws: int) -> None:
        super().__init__(1)
        self._draws = list(draws)

    def randrange(self, *_bounds: int) -> int:  # type: ignore[override]  # bounds alone
        return self._draws.pop(0)


@pytest.mark.parametrize(
    "near",
    [
        pytest.param(1000, id="where-the-copy-would-go-on"),
        pytest.param(701_000, id="where-the-lost-ledger-would"),
        pytest.param(701_000 + 2 * AHEAD, id="where-it-may-have-come-since"),
        pytest.param(LARGEST_TID - AHEAD // 2, id="where-its-tids-would-be-of-our-future"),
    ],
)
def test_tids_begin_where_no_report_of_the_lost_ledger_can_reach(ledger: Any, near: int) -> None:
    far = 1_000_000_000
    rng = _Drawn(near, far)
    begun = ledger.do(begin_incarnation, ledger.now, "new", rng, Traces(701_000, 9))
    ledger.epoch = begun.epoch
    assert read_meta(ledger.conn, "next_tid") == str(far)
    assert begun.epoch == 10
    for tid in (1000, 701_000, 701_000 + AHEAD):
        assert ahead_of(far, tid) >= AHEAD


def test_a_copy_that_was_marked_may_send_again(ledger: Any) -> None:
    ledger.do(mark_copied, "2026-03-02T10:00:00Z")
    begun = begin(ledger)
    refuse_old(ledger.conn)
    assert read_meta(ledger.conn, "incarnation") == begun.id == "new"
