"""Costs: SMS parts by the longest prefix, counted by the store."""

from __future__ import annotations

from typing import Any

from campaign.engine.deciding import resolve
from campaign.planner.states import UnknownCause
from campaign.planner.tariffs import Tariff
from campaign.store.costs import parts_sent, parts_to_send
from campaign.store.outcomes import close_unknown


def test_each_part_counts_for_the_longest_prefix_that_covers_its_number(ledger: Any) -> None:
    campaign_id = ledger.campaign(12, parts=2)  # 999 and eight digits, from 1 to 12
    ledger.report(ledger.claim_one(campaign_id, count=9), sent=[1, 2, 3], failed=[(4, 7, None)])
    ledger.report(ledger.claim_one(campaign_id, count=3, ports=(2,)), sent=[1, 2])
    prices = Tariff.parse(("999=1", "9990000000=2", "99900000011=3")).prices
    sent, maybe = parts_sent(ledger.conn, campaign_id, prices)
    # 10 is sent under 999, 11 under its own, 12 is in flight; 4 failed and 5 to 9 are in flight
    assert dict(sent) == {"9990000000": 6, "999": 2, "99900000011": 2}
    assert dict(maybe) == {"9990000000": 10, "999": 2}


def test_a_resend_after_an_attempt_that_was_never_proved_may_cost_twice(ledger: Any) -> None:
    campaign_id = ledger.campaign(3, parts=2)
    prices = Tariff.parse(("*=1",)).prices

    def counted() -> tuple[int, int]:
        sent, maybe = parts_sent(ledger.conn, campaign_id, prices)
        return dict(sent).get("*", 0), dict(maybe).get("*", 0)

    def lose(count: int) -> None:
        task = ledger.claim_one(campaign_id, count=count)
        ledger.do(close_unknown, ledger.now, task.id, UnknownCause.SILENCE, "no report")

    def resend() -> None:
        words = {"name": "spring", "causes": ("all",), "as": "resend", "by": "eva", "yes": True}
        ledger.do(resolve, ledger.now, words)

    lose(3)
    assert counted() == (0, 6)
    resend()
    assert counted() == (0, 6), "nothing more is under way yet"
    task = ledger.claim_one(campaign_id, count=3)
    assert counted() == (0, 12)
    ledger.report(task, sent=[1], failed=[(2, 7, None), (3, 7, None)])
    assert counted()[0] == 2
    assert counted()[1] == 6, "of each the first attempt may have gone out"


def test_an_attempt_that_failed_for_certain_costs_nothing_when_another_went(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    ledger.report(ledger.claim_one(campaign_id), failed=[(1, 7, None)])
    ledger.now += 3_600_000
    ledger.report(ledger.claim_one(campaign_id, ports=(2,)), sent=[1])
    assert parts_sent(ledger.conn, campaign_id, Tariff.parse(("*=1",)).prices) == ([("*", 1)], [])


def test_who_opted_out_costs_nothing_and_the_star_takes_the_rest(ledger: Any) -> None:
    campaign_id = ledger.campaign(12)
    ledger.opt_out(ledger.number(1))

    def counted(*costs: str) -> dict[str | None, int]:
        prices = Tariff.parse(costs).prices
        return dict(parts_to_send(ledger.conn, campaign_id, prices))

    assert counted("9990000000=1", "*=2") == {"9990000000": 8, "*": 3}
    assert counted("9990000000=1") == {"9990000000": 8, None: 3}
    assert counted("*=1") == {"*": 11}
