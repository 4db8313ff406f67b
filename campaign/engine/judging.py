"""Judging: a campaign that goes wrong is paused by itself, with the reason.

Theory of operation. Three things are looked at whenever counts may have changed: the test on own
numbers (nothing of the campaign may be claimed before), the canary (only its first recipients may),
and --pause-if, over those that became final since somebody last let it go on. Each verdict is
stored in the transaction that reads what it rests on, a pause included, and is given once: what
was paused and is continued goes on, by whoever said so. A crash before the commit judges again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from campaign.engine.campaign import Campaign
from campaign.engine.order import read_backlog
from campaign.engine.receiptwait import receipt_deadline
from campaign.engine.runtime import Run
from campaign.engine.steer import carry_out
from campaign.engine.trial import trial_name
from campaign.engine.waits import CANARY
from campaign.planner.routing import Waiting
from campaign.planner.states import CampaignState, RecipientState
from campaign.planner.thresholds import Threshold
from campaign.planner.verdicts import broken, since, waits_for_receipts
from campaign.store.backlog import Work
from campaign.store.campaigns import campaign_options, counts, find_campaign, set_campaign_state
from campaign.store.journal import decide
from campaign.store.verdicts import (
    end_sample,
    end_test,
    judge_anew,
    judged_before,
    sample_counts,
)

R = RecipientState
_OPEN = (R.PENDING, R.HELD, R.ASSIGNED)
_ARRIVED = (R.SENT, R.DELIVERED)
_GOES = (CampaignState.RUNNING, CampaignState.WAITING)
_MAY_PAUSE = (*_GOES, CampaignState.SCHEDULED)
_OVER = (CampaignState.FINISHED, CampaignState.CANCELLED)


async def judge(
    run: Run, campaign: Campaign, tallies: Mapping[RecipientState, int]
) -> float | None:
    """Look at what is to be judged of a campaign that has recipients left; returns when to look
    again at the latest (monotonic), None if only events can change anything."""
    # a test goes at once, and is judged at once, whenever the campaign itself is to start
    goes = campaign.state in (_MAY_PAUSE if campaign.awaits_test else _GOES)
    if not goes or not any(tallies[state] for state in _OPEN):
        campaign.why.pop(CANARY, None)
        return None
    if campaign.awaits_test:
        await _judge_test(run, campaign)
    elif campaign.options.canary and not campaign.sampled:
        return await _judge_sample(run, campaign, tallies)
    elif campaign.options.pause_if:
        thresholds = campaign.options.parsed_pause_if
        before = await run.store.read(judged_before, campaign.id)
        receipts = campaign.options.receipts
        why = broken(thresholds, since(tallies, before), receipts=receipts)
        if why is not None:
            await _carry_out(run, campaign, await run.write(_pause, run.now_ms(), campaign.id, why))
    return None


async def _judge_test(run: Run, campaign: Campaign) -> None:
    """The test is a campaign of its own; this run sends for it too, whatever it was started for."""
    name = trial_name(campaign.name)
    row = await run.store.read(find_campaign, name)
    if row is not None and row.state not in _OVER and row.id not in run.targets:
        run.campaigns.setdefault(row.id, Campaign.from_row(row))
        run.targets.add(row.id)
        run.planned.ring()
        run.ring()
    why = await run.write(_settle_test, run.now_ms(), campaign.id, name)
    if why is None:
        return
    campaign.tested = True
    run.ring()
    await _carry_out(run, campaign, why)


def _settle_test(conn: sqlite3.Connection, now_ms: int, campaign_id: int, test: str) -> str | None:
    """'' if the campaign may go, a reason if it was paused, None while the test is under way."""
    row = find_campaign(conn, test)
    tallies = counts(conn, row.id) if row is not None else {}
    if any(tallies.get(state) for state in _OPEN):
        return None
    end_test(conn, campaign_id)
    total = sum(tallies.values())
    arrived = sum(tallies.get(state, 0) for state in _ARRIVED)
    if total and arrived == total:
        decide(conn, now_ms, "test", f"{test}: all {total} sent", campaign_id=campaign_id)
        return ""
    how = ", ".join(f"{n} {state}" for state, n in tallies.items() if n) or "it is not there"
    return _pause(conn, now_ms, campaign_id, f"the test {test} did not arrive: {how}")


async def _judge_sample(
    run: Run, campaign: Campaign, tallies: Mapping[RecipientState, int]
) -> float | None:
    """While the canary runs, whoever is not waiting in it or behind it is in flight or final.

    With thresholds that ask for receipts, an outcome is in once its receipt is. Returns when the
    wait for them is over, None while nothing but reports can end it.
    """
    left = (await read_backlog(run)).work.get(campaign.id, Work())
    if left.pending:  # it is still being sent: gateways and ports tell what it waits for
        campaign.why.pop(CANARY, None)
        return None
    thresholds = campaign.options.sample_thresholds
    receipts = campaign.options.receipts and waits_for_receipts(thresholds)
    under_way = tallies[R.HELD] + tallies[R.ASSIGNED]
    missing = under_way + (tallies[R.SENT] if receipts else 0)
    if under_way:
        campaign.why[CANARY] = Waiting(_so_far(campaign, tallies, missing))
        return None
    if missing:
        over = await receipt_deadline(run, campaign)
        left_over = over - run.env.monotonic()
        if left_over > 0:
            until = run.later(left_over)[11:16]
            so_far = f"{_so_far(campaign, tallies, missing)}, at most until {until} UTC"
            campaign.why[CANARY] = Waiting(so_far, over)
            return over
    why = await run.write(_settle_sample, run.now_ms(), campaign.id, thresholds)
    if why is not None:
        campaign.why.pop(CANARY, None)
        campaign.sampled = True
        run.ring()
        await _carry_out(run, campaign, why)
    return None


def _so_far(campaign: Campaign, tallies: Mapping[RecipientState, int], missing: int) -> str:
    sample = campaign.options.parsed_canary
    size = missing if sample is None else sample.of(sum(tallies.values()))
    return f"{max(0, size - missing)} of {size} outcomes are in"


def _settle_sample(
    conn: sqlite3.Connection, now_ms: int, campaign_id: int, thresholds: Sequence[Threshold]
) -> str | None:
    """'' if the rest may go, a reason if the campaign was paused, None if some are open again."""
    finals = sample_counts(conn, campaign_id)
    if any(finals.pop(state) for state in _OPEN):
        return None
    end_sample(conn, campaign_id)
    judge_anew(conn, campaign_id)
    why = broken(thresholds, finals, receipts=False, least=1)
    if why is not None:
        return _pause(conn, now_ms, campaign_id, f"canary {why}")
    size = sum(finals.values())
    decide(conn, now_ms, "canary", f"the first {size} went well", campaign_id=campaign_id)
    return ""


def _pause(conn: sqlite3.Connection, now_ms: int, campaign_id: int, why: str) -> str:
    """Pause it unless somebody ended it meanwhile; returns the reason, '' if it was not paused."""
    state, _ = campaign_options(conn, campaign_id)
    if state not in _MAY_PAUSE:
        return ""
    set_campaign_state(conn, now_ms, campaign_id, CampaignState.PAUSED, why)
    return why


async def _carry_out(run: Run, campaign: Campaign, why: str) -> None:
    if not why or campaign.state not in _MAY_PAUSE:
        return  # … or somebody ended it in this very moment
    run.notice(f"campaign {campaign.name} is paused: {why}; campaign continue lets it go on")
    await carry_out(run, campaign, CampaignState.PAUSED)
    campaign.paused_for = f"paused: {why}"
