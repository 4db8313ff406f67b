"""The laws of the ledger after random sequences of everything that can happen to it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from campaign.planner.states import CampaignState, FenceReason, UnknownCause
from campaign.store.campaigns import cancel_waiting, counts, set_campaign_state
from campaign.store.claims import reclaim_planned, release
from campaign.store.outcomes import close_unknown, settle_without_receipts
from campaign.store.tasks import (
    mark_accepted,
    mark_doubt,
    mark_fenced,
    mark_paused,
    mark_planned,
    mark_resumed,
    reject,
    start_fence,
)

SIZE = 12
STEPS = 150


class Story:
    """One seeded life of a ledger: every step is something the engine might do, right or late."""

    def __init__(self, ledger: Any, seed: int) -> None:
        self.ledger = ledger
        self.rng = random.Random(seed)
        self.campaigns = [
            ledger.campaign(SIZE, name="one", texts=(None, "a")),
            ledger.campaign(SIZE, name="two", parts=2, first=5),
        ]
        self.tasks: list[Any] = []
        self.acts: list[Callable[[], None]] = [
            self.claim, self.claim, self.claim, self.report, self.report, self.report,
            self.answer, self.answer, self.steer, self.fence, self.give_up, self.receive,
            self.receive, self.pass_time, self.opt_out, self.plan_again, self.command,
        ]  # fmt: skip

    def step(self) -> None:
        self.rng.choice(self.acts)()
        self.ledger.now += self.rng.choice((1, 1000, 15_000))

    def any_task(self) -> Any | None:
        return self.rng.choice(self.tasks) if self.tasks else None

    def claim(self) -> None:
        ports = self.rng.sample((1, 2, 3), self.rng.randint(1, 3))
        self.tasks += self.ledger.claim(
            self.rng.choice(self.campaigns),
            ports=ports,
            count=self.rng.randint(1, 4),
            task_size=self.rng.randint(1, 4),
            only_place=self.rng.random() < 0.2,
        )

    def report(self) -> None:
        if (task := self.any_task()) is None:
            return
        sent, failed = [], []
        for idx in range(1, task.size + 1):
            match self.rng.randrange(5):
                case 0 | 1:
                    sent.append(idx)
                case 2:
                    code = self.rng.choice([(7, 1), (7, None), (5, None), (6, None)])
                    failed.append((idx, *code))
        counters = None
        if self.rng.random() < 0.5:
            n_sent = self.rng.randint(0, task.size)
            counters = (0, n_sent, self.rng.choice((0, task.size - n_sent)), 0)
        self.ledger.report(task, sent=sent, failed=failed, counters=counters)

    def answer(self) -> None:
        if (task := self.any_task()) is None:
            return
        ledger, ids = self.ledger, [task.id]
        cause = self.rng.choice((UnknownCause.NO_ANSWER, UnknownCause.COLLISION))
        match self.rng.randrange(6):
            case 0 | 1:
                ledger.do(mark_accepted, ids, ledger.now)
            case 2:
                ledger.do(mark_doubt, ids, ledger.now, cause)
            case 3:
                ledger.do(mark_planned, ids)
            case 4:
                ledger.do(reject, task.id, ledger.now, 16, "16", fail=False)
            case 5:
                ledger.do(reject, task.id, ledger.now, 8, "8", fail=True)

    def steer(self) -> None:
        if (task := self.any_task()) is not None:
            self.ledger.do(mark_paused, [task.id])
        if (task := self.any_task()) is not None:
            self.ledger.do(mark_resumed, [task.id], self.ledger.now)

    def fence(self) -> None:
        if (task := self.any_task()) is None:
            return
        reason = self.rng.choice(list(FenceReason))
        self.ledger.do(start_fence, [task.id], self.ledger.now, reason, "a test")
        if self.rng.random() < 0.7:
            self.ledger.do(mark_fenced, [task.id], self.ledger.now)

    def give_up(self) -> None:
        if (task := self.any_task()) is None:
            return
        if self.ledger.task(task.id)["state"] == "closed":
            return
        if self.rng.random() < 0.5:
            self.ledger.do(release, task.id, self.ledger.now, "a test")
        else:
            cause = self.rng.choice(list(UnknownCause))
            self.ledger.do(close_unknown, self.ledger.now, task.id, cause, "a test")

    def receive(self) -> None:
        number = (
            self.ledger.number(self.rng.randint(1, SIZE + 6)) if self.rng.random() < 0.9 else ""
        )
        self.ledger.receipt(
            number, self.rng.choice((0, 0, 70, 33)), port=self.rng.choice((1, 2, 3, None)),
            at=self.rng.choice((2000, 2001, None)), ordinal=self.rng.randint(1, 2),
        )  # fmt: skip

    def pass_time(self) -> None:
        self.ledger.now += 60_000
        if self.rng.random() < 0.2:
            self.ledger.do(
                settle_without_receipts, self.ledger.now, self.rng.choice(self.campaigns)
            )

    def opt_out(self) -> None:
        if self.rng.random() < 0.3:
            self.ledger.opt_out(self.ledger.number(self.rng.randint(1, SIZE)))

    def plan_again(self) -> None:
        ledger = self.ledger
        ledger.do(reclaim_planned, ledger.epoch, ledger.gateway(), "boot-1", ledger.now)

    def command(self) -> None:
        ledger, campaign_id = self.ledger, self.rng.choice(self.campaigns)
        match self.rng.randrange(8):
            case 0:
                ledger.do(cancel_waiting, ledger.now, campaign_id, "a test", by="operator")
            case 1 | 2:
                ledger.do(
                    set_campaign_state, ledger.now, campaign_id, CampaignState.PAUSED, "a test"
                )
            case _:
                ledger.do(
                    set_campaign_state, ledger.now, campaign_id, CampaignState.RUNNING, "a test"
                )


def check_sent_is_final(story: Story, before: set[int]) -> set[int]:
    """Nobody who was known to be sent is ever waiting or in flight again."""
    rows = story.ledger.conn.execute(
        "SELECT id FROM recipients "
        "WHERE state IN ('sent', 'delivered', 'undelivered', 'no_receipt')"
    )
    now = {row["id"] for row in rows}
    assert before <= now
    return now


@pytest.mark.parametrize("seed", range(40))
def test_the_laws_hold_after_every_step_of_any_life(ledger: Any, seed: int) -> None:
    story = Story(ledger, seed)
    sent: set[int] = set()
    for _ in range(STEPS):
        story.step()
        ledger.check_laws()
        sent = check_sent_is_final(story, sent)
    for campaign_id in story.campaigns:
        assert sum(ledger.do(counts, campaign_id).values()) == SIZE
    over_budget = ledger.conn.execute(
        "SELECT count(*) FROM recipients WHERE failures > 3"
    ).fetchone()[0]
    assert over_budget == 0
    twice = ledger.conn.execute(
        """
        SELECT count(*) FROM (SELECT 1 FROM attempts AS a
        JOIN tasks AS t ON t.id = a.task_id JOIN recipients AS r ON r.id = a.recipient_id
        GROUP BY t.id, r.number HAVING count(*) > 1)
        """
    ).fetchone()[0]
    assert twice == 0
