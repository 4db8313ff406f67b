"""Decisions: somebody's word is the weakest evidence, and a resend is one attempt, not two."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from campaign.engine.deciding import resolve, retry
from campaign.errors import NothingToDo, UsageError
from campaign.planner.options import CampaignOptions
from campaign.planner.states import CampaignState, UnknownCause
from campaign.store.campaigns import cancel_waiting, get_campaign, set_campaign_state
from campaign.store.claims import ClaimedTask, release
from campaign.store.outcomes import close_unknown, settle_without_receipts
from campaign.store.tasks import mark_accepted, overtaken_tasks, reject
from tests.store.conftest import Bench

FAILED, TIMEOUT = 7, 6
BARRED = 38


def unknown(
    ledger: Bench, size: int = 1, cause: UnknownCause = UnknownCause.SILENCE
) -> tuple[int, ClaimedTask]:
    """A campaign whose recipients are all unknown for one cause, and the task that says so."""
    campaign = ledger.campaign(size)
    task = ledger.claim_one(campaign)
    ledger.do(close_unknown, ledger.now, task.id, cause, "no report")
    return campaign, task


def rule(ledger: Bench, as_: str, causes: Sequence[str] = ("all",), **more: object) -> object:
    parameters = {"name": "spring", "causes": causes, "as": as_, "by": "operator eva", "yes": True}
    return ledger.do(resolve, ledger.now, {**parameters, **more})


def again(ledger: Bench, **more: object) -> object:
    return ledger.do(retry, ledger.now, {"name": "spring", "by": "operator eva", **more})


def failed(ledger: Bench, *, retries: int = 0) -> tuple[int, ClaimedTask]:
    campaign = ledger.campaign(1, options=CampaignOptions(retries=retries))
    task = ledger.claim_one(campaign)
    ledger.report(task, failed=[(1, FAILED, 1)], budget=1 + retries)
    assert ledger.states(campaign) == ["failed"]
    return campaign, task


# --- somebody's word


@pytest.mark.parametrize("word", ["sent", "failed"])
def test_a_word_settles_the_unknown_ones_of_its_cause_only(ledger: Bench, word: str) -> None:
    campaign = ledger.campaign(3)
    first, second = ledger.claim(campaign, ports=(1, 2), count=2, task_size=2)
    ledger.do(close_unknown, ledger.now, first.id, UnknownCause.SILENCE, "no report")
    ledger.do(close_unknown, ledger.now, second.id, UnknownCause.REBOOT, "it restarted")
    rule(ledger, word, ["silence"], why="they called us")
    assert sorted(ledger.states(campaign)) == sorted([word, word, "unknown"])
    one = ledger.recipient(1)
    assert (one["evidence"], one["cause"]) == ("operator", "silence")
    assert ledger.decisions(f"resolved_{word}") == ["silence: they called us"] * 2
    (who,) = {row["by"] for row in ledger.conn.execute(
        "SELECT by FROM decisions WHERE kind LIKE 'resolved%'")}  # fmt: skip
    assert who == "operator eva"


def test_a_late_report_raises_what_was_taken_for_sent_and_is_no_duplicate(ledger: Bench) -> None:
    campaign, task = unknown(ledger)
    rule(ledger, "sent")
    ledger.report(task, sent=[1])
    one = ledger.recipient(1)
    assert (one["state"], one["evidence"], one["cause"]) == ("sent", "report", None)
    assert not ledger.incidents()
    assert campaign


def test_a_receipt_refines_what_was_taken_for_sent(ledger: Bench) -> None:
    unknown(ledger)
    rule(ledger, "sent")
    ledger.receipt(ledger.number(1))
    one = ledger.recipient(1)
    assert (one["state"], one["evidence"]) == ("delivered", "receipt")


def test_half_a_receipt_proves_what_was_taken_for_sent(ledger: Bench) -> None:
    campaign = ledger.campaign(1, parts=2)
    task = ledger.claim_one(campaign)
    ledger.do(close_unknown, ledger.now, task.id, UnknownCause.SILENCE, "no report")
    rule(ledger, "sent")
    ledger.receipt(ledger.number(1))
    one = ledger.recipient(1)
    assert (one["state"], one["evidence"]) == ("sent", "receipt")


def test_receipt_wait_makes_nothing_of_somebodys_word(ledger: Bench) -> None:
    campaign, _ = unknown(ledger)
    rule(ledger, "sent")
    assert ledger.do(settle_without_receipts, ledger.now, campaign) == 0
    assert ledger.states(campaign) == ["sent"]


def test_a_late_report_of_sent_beats_somebodys_word_that_it_failed(ledger: Bench) -> None:
    campaign, task = unknown(ledger)
    rule(ledger, "failed")
    ledger.report(task, sent=[1])
    assert ledger.states(campaign) == ["sent"]
    assert ledger.incidents() == {"anomaly": 1}


def test_a_late_receipt_beats_somebodys_word_that_it_failed(ledger: Bench) -> None:
    campaign, _ = unknown(ledger)
    rule(ledger, "failed")
    ledger.receipt(ledger.number(1))
    assert ledger.states(campaign) == ["delivered"]
    assert ledger.incidents() == {"anomaly": 1}


def test_a_late_failure_proves_what_was_taken_for_failed_and_retries_nothing(
    ledger: Bench,
) -> None:
    campaign, task = unknown(ledger)
    rule(ledger, "failed")
    ledger.report(task, failed=[(1, FAILED, BARRED)])
    one = ledger.recipient(1)
    assert (one["state"], one["evidence"], one["code"]) == ("failed", "report", BARRED)
    assert ledger.claim(campaign) == []


def test_a_late_failure_of_what_was_taken_for_sent_stands_beside_it(ledger: Bench) -> None:
    campaign, task = unknown(ledger)
    rule(ledger, "sent")
    ledger.report(task, failed=[(1, FAILED, None)])
    assert ledger.states(campaign) == ["sent"]
    assert ledger.incidents() == {"anomaly": 1}


# --- sending again


def test_a_resend_is_one_more_attempt_with_its_decision(ledger: Bench) -> None:
    campaign, task = unknown(ledger, 2)
    told = rule(ledger, "resend", ["silence"], why="the shop is closed tomorrow")
    assert told == {
        "as": "resend", "recipients": 2, "by_cause": {"silence": 2}, "left": {},
        "state": "running", "dry_run": False,
        "risk": {"by_cause": {"silence": 2}, "queued": {"gw": 2}}, "needs_yes": True,
        "warning": "2 of them may have gone out unreported (silence 2): up to 2 people get the "
        "message twice; 2 may still stand in a gateway's queue, which never confirmed that it "
        "dropped them (gw 2)",
    }  # fmt: skip
    decided = ledger.conn.execute(
        "SELECT task_id, recipient_id, by FROM decisions WHERE kind = 'resend' ORDER BY id"
    ).fetchall()
    assert [tuple(row) for row in decided] == [
        (task.id, 1, "operator eva"), (task.id, 2, "operator eva"),
    ]  # fmt: skip
    second = ledger.claim_one(campaign)
    ledger.report(second, sent=[1, 2])
    assert ledger.states(campaign) == ["sent", "sent"]
    assert ledger.recipient(1)["attempts"] == 2
    assert ledger.claim(campaign) == []
    with pytest.raises(NothingToDo, match="none at all"):
        rule(ledger, "resend")


@pytest.mark.parametrize("cause", [UnknownCause.REBOOT, UnknownCause.AMBIGUOUS])
def test_what_left_no_queue_may_have_gone_out_too_and_needs_no_consent(
    ledger: Bench, cause: UnknownCause
) -> None:
    unknown(ledger, 2, cause)
    told = rule(ledger, "resend", yes=False)
    assert isinstance(told, dict)
    assert told["risk"] == {"by_cause": {cause: 2}, "queued": {}}
    assert told["needs_yes"] is False
    assert told["warning"] == (
        f"2 of them may have gone out unreported ({cause} 2): up to 2 people get the message twice"
    )


def test_a_timeout_taken_for_failed_and_retried_may_have_gone_out_as_well(ledger: Bench) -> None:
    campaign = ledger.campaign(2)
    ledger.report(ledger.claim_one(campaign), failed=[(1, TIMEOUT, None), (2, FAILED, 1)], budget=1)
    rule(ledger, "failed")
    told = again(ledger)
    assert isinstance(told, dict)
    assert (told["recipients"], told["needs_yes"]) == (2, False)
    assert told["risk"] == {"by_cause": {"timeout": 1}, "queued": {}}


def test_a_resend_that_is_unknown_again_waits_for_another_decision(ledger: Bench) -> None:
    campaign, _ = unknown(ledger)
    rule(ledger, "resend")
    second = ledger.claim_one(campaign)
    ledger.do(close_unknown, ledger.now, second.id, UnknownCause.REBOOT, "it restarted")
    assert ledger.states(campaign) == ["unknown"]
    assert ledger.claim(campaign) == []


@pytest.mark.parametrize("cause", ["silence", "no_answer", "unreachable", "collision", "restored"])
def test_what_may_still_be_queued_is_sent_again_only_by_somebody_who_knows(
    ledger: Bench, cause: str
) -> None:
    campaign, _ = unknown(ledger, 2, UnknownCause(cause))
    with pytest.raises(UsageError, match=rf"2 recipients .*{cause} 2.*gw 2.*--yes"):
        rule(ledger, "resend", yes=False)
    assert ledger.states(campaign) == ["unknown", "unknown"]
    assert ledger.decisions("resend") == []


@pytest.mark.parametrize("cause", ["timeout", "reboot", "ambiguous"])
def test_what_no_queue_holds_any_more_is_sent_again_without_asking(
    ledger: Bench, cause: str
) -> None:
    campaign, _ = unknown(ledger, 1, UnknownCause(cause))
    rule(ledger, "resend", yes=False)
    assert ledger.states(campaign) == ["pending"]


def test_a_dry_run_tells_the_same_and_changes_nothing(ledger: Bench) -> None:
    campaign, _ = unknown(ledger)
    before = list(ledger.conn.iterdump())
    told = rule(ledger, "resend", dry_run=True, yes=False)
    assert isinstance(told, dict)
    assert (told["recipients"], told["dry_run"]) == (1, True)
    rule(ledger, "sent", dry_run=True)
    assert list(ledger.conn.iterdump()) == before
    assert campaign


def test_who_opted_out_is_not_sent_to_again(ledger: Bench) -> None:
    campaign, _ = unknown(ledger, 2)
    ledger.opt_out(ledger.number(1))
    told = rule(ledger, "resend")
    assert isinstance(told, dict)
    assert (told["recipients"], told["left"]) == (1, {"opted out": 1})
    assert ledger.states(campaign) == ["unknown", "pending"]


def test_who_opts_out_after_the_decision_is_unknown_again_not_skipped(ledger: Bench) -> None:
    campaign, task = unknown(ledger)
    rule(ledger, "resend")
    ledger.opt_out(ledger.number(1))
    assert ledger.claim(campaign) == []
    assert ledger.states(campaign) == ["unknown"]
    ledger.report(task, sent=[1])
    assert ledger.states(campaign) == ["sent"]


def test_a_place_reported_as_timed_out_may_be_sent_again_while_its_task_goes_on(
    ledger: Bench,
) -> None:
    campaign = ledger.campaign(2)
    task = ledger.claim_one(campaign)
    ledger.report(task, failed=[(1, TIMEOUT, None)])
    rule(ledger, "resend", ["timeout"])
    assert ledger.states(campaign) == ["pending", "assigned"]
    second = ledger.claim_one(campaign)
    ledger.report(task, sent=[2])
    ledger.report(second, sent=[1])
    assert ledger.states(campaign) == ["sent", "sent"]
    assert not ledger.incidents()


# --- evidence after the decision


def test_a_late_report_before_the_resend_spares_it(ledger: Bench) -> None:
    campaign, task = unknown(ledger)
    rule(ledger, "resend")
    ledger.report(task, sent=[1])
    assert ledger.states(campaign) == ["sent"]
    assert ledger.claim(campaign) == []
    assert not ledger.incidents()


def test_a_late_receipt_before_the_resend_spares_it(ledger: Bench) -> None:
    campaign, _ = unknown(ledger)
    rule(ledger, "resend")
    ledger.receipt(ledger.number(1))
    assert ledger.states(campaign) == ["delivered"]
    assert ledger.claim(campaign) == []
    assert not ledger.incidents()


def test_both_attempts_reported_sent_is_a_duplicate(ledger: Bench) -> None:
    campaign, task = unknown(ledger)
    rule(ledger, "resend")
    ledger.report(ledger.claim_one(campaign), sent=[1])
    ledger.report(task, sent=[1])
    assert ledger.states(campaign) == ["sent"]
    assert ledger.incidents() == {"duplicate": 1}


def test_a_late_report_while_the_resend_is_in_flight_leaves_one_duplicate_if_both_went_out(
    ledger: Bench,
) -> None:
    campaign, task = unknown(ledger)
    rule(ledger, "resend")
    second = ledger.claim_one(campaign)
    ledger.report(task, sent=[1])
    assert ledger.states(campaign) == ["sent"]
    assert not ledger.incidents()
    ledger.report(second, sent=[1])
    assert ledger.incidents() == {"duplicate": 1}


def test_a_receipt_for_the_first_attempt_while_the_resend_is_in_flight_has_it_taken_back(
    ledger: Bench,
) -> None:
    campaign, _ = unknown(ledger)
    rule(ledger, "resend")
    second = ledger.claim_one(campaign, ports=(2,))
    ledger.receipt(ledger.number(1), port=1)
    assert ledger.states(campaign) == ["delivered"]
    ledger.do(mark_accepted, [second.id], ledger.now)
    assert ledger.do(overtaken_tasks, ledger.gateway("gw")) == [second.id]
    ledger.report(second, sent=[1])
    assert ledger.incidents() == {"duplicate": 1}


def test_a_second_receipt_may_be_the_first_again_and_proves_no_duplicate(ledger: Bench) -> None:
    campaign, _ = unknown(ledger)
    rule(ledger, "resend")
    ledger.report(ledger.claim_one(campaign), sent=[1])
    ledger.receipt(ledger.number(1), at=2000)
    assert not ledger.incidents()
    ledger.receipt(ledger.number(1), at=2001)
    assert ledger.states(campaign) == ["delivered"]
    assert not ledger.incidents()


def test_a_resend_that_fails_proves_nothing_of_the_attempt_before(ledger: Bench) -> None:
    campaign, task = unknown(ledger)
    rule(ledger, "resend")
    ledger.report(ledger.claim_one(campaign), failed=[(1, FAILED, 1)])
    one = ledger.recipient(1)
    assert (one["state"], one["cause"]) == ("unknown", "ambiguous")
    ledger.report(task, failed=[(1, FAILED, 1)])
    assert ledger.recipient(1)["state"] == "unknown"
    ledger.report(task, sent=[1])
    assert ledger.states(campaign) == ["sent"]


def test_a_resend_refused_by_its_content_proves_nothing_of_the_attempt_before(
    ledger: Bench,
) -> None:
    campaign, _ = unknown(ledger)
    rule(ledger, "resend")
    ledger.do(reject, ledger.claim_one(campaign).id, ledger.now, 8, "bad content", fail=True)
    assert ledger.states(campaign) == ["unknown"]


def test_cancelling_leaves_who_waited_for_a_resend_unknown(ledger: Bench) -> None:
    campaign, _ = unknown(ledger, 3)
    rule(ledger, "resend")
    in_flight = ledger.claim_one(campaign, count=1)
    ledger.do(cancel_waiting, ledger.now, campaign, "enough", by="operator eva")
    assert ledger.states(campaign) == ["assigned", "unknown", "unknown"]
    ledger.do(release, in_flight.id, ledger.now, "removed before it started")
    assert ledger.states(campaign) == ["unknown"] * 3
    assert ledger.recipient(1)["attempts"] == 1


# --- what failed


def test_a_retry_is_one_more_attempt_beyond_the_budget(ledger: Bench) -> None:
    campaign, _ = failed(ledger, retries=0)
    again(ledger, why="the operator's fault is mended")
    assert ledger.decisions("retry_failed") == ["code 1: the operator's fault is mended"]
    ledger.report(ledger.claim_one(campaign), failed=[(1, FAILED, 42)], budget=1)
    one = ledger.recipient(1)
    assert (one["state"], one["attempts"], one["failures"]) == ("failed", 2, 2)
    assert ledger.claim(campaign) == []


def test_a_retry_goes_on_with_what_the_campaigns_own_budget_has_left(ledger: Bench) -> None:
    campaign, _ = failed(ledger, retries=2)  # a permanent cause: its first failure was final
    again(ledger)
    ledger.report(ledger.claim_one(campaign), failed=[(1, FAILED, 42)], budget=3)
    assert ledger.states(campaign) == ["held"]
    ledger.now += 3_600_000
    third = ledger.claim_one(campaign, only_place=True)
    ledger.report(third, failed=[(1, FAILED, 42)], budget=3)
    one = ledger.recipient(1)
    assert (one["state"], one["attempts"]) == ("failed", 3)
    (retries,) = ledger.conn.execute("SELECT count(*) FROM decisions WHERE kind = 'retry'")
    assert one["attempts"] <= 1 + retries[0] + len(ledger.decisions("retry_failed"))


def test_only_the_chosen_code_is_retried(ledger: Bench) -> None:
    campaign, _ = failed(ledger)
    with pytest.raises(NothingToDo, match=r"nobody failed with code 42.*code 1 1"):
        again(ledger, codes=[42])
    again(ledger, codes=[1])
    assert ledger.states(campaign) == ["pending"]


def test_a_retry_of_what_only_somebodys_word_made_failed_asks_as_a_resend_does(
    ledger: Bench,
) -> None:
    campaign, _ = unknown(ledger)
    rule(ledger, "failed")
    with pytest.raises(UsageError, match="--yes"):
        again(ledger)
    again(ledger, yes=True)
    assert ledger.states(campaign) == ["pending"]


# --- the campaign


def test_a_finished_campaign_runs_again_with_the_reason(ledger: Bench) -> None:
    campaign, _ = unknown(ledger)
    ledger.do(set_campaign_state, ledger.now, campaign, CampaignState.FINISHED, "all final")
    rule(ledger, "sent", dry_run=True)
    rule(ledger, "resend", why="once more")
    row = get_campaign(ledger.conn, "spring")
    assert (row.state, row.finished_ms) == (CampaignState.RUNNING, None)
    assert ledger.decisions("running") == ["1 recipients to be sent to again: once more"]
    assert ledger.claim_one(campaign).size == 1


def test_a_word_leaves_a_finished_campaign_finished(ledger: Bench) -> None:
    campaign, _ = unknown(ledger)
    ledger.do(set_campaign_state, ledger.now, campaign, CampaignState.FINISHED, "all final")
    rule(ledger, "sent")
    assert get_campaign(ledger.conn, "spring").state is CampaignState.FINISHED


def test_a_cancelled_campaign_sends_nothing_again_but_may_be_ruled_about(ledger: Bench) -> None:
    campaign, _ = unknown(ledger)
    ledger.do(cancel_waiting, ledger.now, campaign, "enough", by="operator eva")
    with pytest.raises(UsageError, match="was cancelled, and that is final"):
        rule(ledger, "resend")
    rule(ledger, "sent")
    assert ledger.states(campaign) == ["sent"]


def test_where_nobody_matches_it_is_said_what_there_is(ledger: Bench) -> None:
    unknown(ledger, 2)
    with pytest.raises(NothingToDo, match=r"nobody is unknown by reboot.*silence 2") as caught:
        rule(ledger, "resend", ["reboot"])
    assert caught.value.exit_code == 4


def test_a_cause_that_is_none_is_refused(ledger: Bench) -> None:
    unknown(ledger)
    with pytest.raises(UsageError, match="unknown cause 'weather': known are silence"):
        rule(ledger, "sent", ["weather"])
