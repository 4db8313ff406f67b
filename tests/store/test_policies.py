"""The policy per cause decides in the transaction that makes a recipient unknown, and only once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from campaign.errors import UsageError
from campaign.planner.options import CampaignOptions
from campaign.planner.rulings import Policy, parse_policy
from campaign.planner.settings import parse_pairs
from campaign.planner.states import UnknownCause
from campaign.store.campaigns import cancel_waiting
from campaign.store.claims import ClaimedTask
from campaign.store.outcomes import close_unknown
from campaign.store.tasks import mark_removed
from tests.store.conftest import Bench

TIMEOUT = (1, 6, None)


def begun(ledger: Bench, policy: str, size: int = 1) -> tuple[int, ClaimedTask]:
    options = CampaignOptions(settings={"on-unknown": policy} if policy else {})
    campaign = ledger.campaign(size, options=options)
    return campaign, ledger.claim_one(campaign)


def lose(ledger: Bench, task: ClaimedTask, cause: UnknownCause = UnknownCause.REBOOT) -> None:
    ledger.do(close_unknown, ledger.now, task.id, cause, "no report")


def by_policy(ledger: Bench) -> list[tuple[str, str]]:
    rows = ledger.conn.execute("SELECT kind, why FROM decisions WHERE by = 'policy' ORDER BY id")
    return [(row["kind"], row["why"]) for row in rows]


@pytest.mark.parametrize("policy", ["", "hold", "timeout:hold", "reboot:resend"])
def test_whoever_is_not_named_is_held(ledger: Bench, policy: str) -> None:
    campaign, task = begun(ledger, policy)
    ledger.report(task, failed=[TIMEOUT])
    assert ledger.states(campaign) == ["unknown"]
    assert by_policy(ledger) == []


def test_a_timeout_taken_for_sent_rests_on_no_more_than_the_policy(ledger: Bench) -> None:
    campaign, task = begun(ledger, "timeout:assume-sent", 2)
    ledger.report(task, failed=[TIMEOUT])
    assert ledger.states(campaign) == ["sent", "assigned"]
    assert ledger.recipient(1)["evidence"] == "operator"
    assert by_policy(ledger) == [
        ("resolved_sent", "timeout: on-unknown=timeout:assume-sent"),
    ]  # fmt: skip
    ledger.report(task, sent=[1, 2])
    assert ledger.recipient(1)["evidence"] == "report"
    assert not ledger.incidents()


def test_a_policy_sends_again_once_and_then_holds(ledger: Bench) -> None:
    campaign, task = begun(ledger, "timeout:resend,reboot:resend")
    ledger.report(task, failed=[TIMEOUT])
    assert ledger.states(campaign) == ["pending"]
    lose(ledger, ledger.claim_one(campaign))
    assert ledger.states(campaign) == ["unknown"]
    assert [kind for kind, _ in by_policy(ledger)] == ["resend"]
    assert ledger.recipient(1)["attempts"] == 2


def test_what_a_gateway_did_not_confirm_to_have_dropped_is_held(ledger: Bench) -> None:
    campaign, task = begun(ledger, "silence:resend")
    lose(ledger, task, UnknownCause.SILENCE)
    assert ledger.states(campaign) == ["unknown"]


def test_what_a_gateway_confirmed_to_have_dropped_is_sent_again(ledger: Bench) -> None:
    campaign, task = begun(ledger, "silence:resend")
    ledger.do(mark_removed, [task.id])
    lose(ledger, task, UnknownCause.SILENCE)
    assert ledger.states(campaign) == ["pending"]


def test_a_cancelled_campaign_sends_nothing_again_by_policy(ledger: Bench) -> None:
    campaign, task = begun(ledger, "reboot:resend")
    ledger.do(cancel_waiting, ledger.now, campaign, "enough", by="operator eva")
    lose(ledger, task)
    assert ledger.states(campaign) == ["unknown"]


def test_who_opted_out_is_not_sent_to_again_by_policy(ledger: Bench) -> None:
    campaign, task = begun(ledger, "reboot:resend")
    ledger.opt_out(ledger.number(1))
    lose(ledger, task)
    assert ledger.states(campaign) == ["unknown"]


def test_a_gateways_own_policy_holds_unless_the_campaign_has_one(ledger: Bench) -> None:
    gateway = ledger.gateway()
    ledger.conn.execute(
        "UPDATE gateways SET settings = ? WHERE id = ?",
        ('{"on-unknown": "reboot:assume-sent"}', gateway),
    )
    plain, task = begun(ledger, "")
    lose(ledger, task)
    assert ledger.states(plain) == ["sent"]
    options = CampaignOptions(settings={"on-unknown": "reboot:hold"})
    own = ledger.campaign(1, name="own", options=options)
    lose(ledger, ledger.claim_one(own))
    assert ledger.states(own) == ["unknown"]


AGAIN_THEN_SENT = "reboot:resend,ambiguous:assume-sent"


def cancelled(ledger: Bench, campaign: int) -> None:
    ledger.do(cancel_waiting, ledger.now, campaign, "enough", by="operator eva")


def failed(ledger: Bench, campaign: int) -> None:
    ledger.report(ledger.claim_one(campaign), failed=[(1, 7, 38)], budget=1)


def opted_out(ledger: Bench, campaign: int) -> None:
    ledger.opt_out(ledger.number(1))
    assert ledger.claim(campaign) == []


@pytest.mark.parametrize("then", [cancelled, failed, opted_out])
def test_whoever_falls_back_to_unknown_after_a_resend_is_held(
    ledger: Bench, then: Callable[[Bench, int], None]
) -> None:
    campaign, task = begun(ledger, AGAIN_THEN_SENT)
    lose(ledger, task)
    assert ledger.states(campaign) == ["pending"]
    then(ledger, campaign)
    one = ledger.recipient(1)
    assert (one["state"], one["cause"]) == ("unknown", "ambiguous")
    assert [kind for kind, _ in by_policy(ledger)] == ["resend"]


def test_whom_a_task_leaves_ambiguous_at_its_end_the_policy_decides(ledger: Bench) -> None:
    campaign, task = begun(ledger, AGAIN_THEN_SENT, 2)
    ledger.report(task, counters=(0, 1, 1, 0))
    lose(ledger, task, UnknownCause.AMBIGUOUS)
    assert ledger.states(campaign) == ["sent", "sent"]


def test_every_cause_is_every_one_a_policy_decides_about() -> None:
    assert set(parse_policy("all:assume-sent")) == set(UnknownCause) - {UnknownCause.RESTORED}


def test_a_policy_is_read_by_cause() -> None:
    assert parse_policy("Timeout:assume-sent, no-answer:hold") == {
        UnknownCause.TIMEOUT: Policy.ASSUME_SENT,
        UnknownCause.NO_ANSWER: Policy.HOLD,
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("unreachable:resend", "queue may still hold"),
        ("collision:resend", "queue may still hold"),
        ("all:resend", "queue may still hold"),
        ("restored:hold", "restored copy"),
        ("restored:assume-sent", "restored copy"),
        ("timeout:hold,restored:resend", "restored copy"),
        ("timeout", "write CAUSE:hold or"),
        ("timeout:perhaps", "write CAUSE:hold or"),
        ("weather:hold", "unknown cause 'weather'"),
    ],
)
def test_a_policy_that_cannot_be_is_refused_at_once(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        parse_pairs([f"on-unknown={text}"])
    assert caught.value.exit_code == 2
