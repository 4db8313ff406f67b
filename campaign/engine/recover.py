"""Recovery, which is the ordinary start: every run begins as if the last one had crashed."""

from __future__ import annotations

import sqlite3

from campaign.engine.campaign import Campaign
from campaign.engine.repacing import recall_campaigns
from campaign.engine.runtime import Run
from campaign.engine.settle import fold_all
from campaign.planner.states import CampaignState, FenceReason, TaskState, UnknownCause
from campaign.store.campaigns import drop_draft, list_campaigns
from campaign.store.claims import start_tids
from campaign.store.earlier import heard_runs, held_by_ports
from campaign.store.gateways import list_gateways
from campaign.store.journal import begin_epoch, decide
from campaign.store.lineage import refuse_old
from campaign.store.loading import restore_index
from campaign.store.tasks import live_tasks, mark_doubt, start_fence

_OPEN = (
    CampaignState.SCHEDULED,
    CampaignState.RUNNING,
    CampaignState.PAUSED,
    CampaignState.WAITING,
)


async def recover(run: Run) -> None:
    """Take the ledger over, fold the whole inbox, and put what was in flight where it belongs.

    An import that never ended is dropped: nothing of it was sent. A task that was written down but
    never answered is in doubt. Clocks of what is in flight start again: a horizon is never cut
    short by the time this program was not running. Raises `OldLedger`, before anything is sent or
    dropped, where the ledger is an older copy: reports in the inbox name tids of its future.
    """
    run.anchor()
    await run.store.read(refuse_old)
    run.epoch = await run.store.write(begin_epoch)
    await run.write(start_tids, run.env.rng)
    run.inbox_start = run.inbox.last_id()
    for gateway in await run.store.read(list_gateways):  # before the fold tells that much is sent
        run.left_behind[gateway.id] = await run.store.read(held_by_ports, gateway.id)
    await fold_all(run)
    await run.store.read(refuse_old)
    run.heard = await run.store.read(heard_runs)
    for draft in await run.write(_drop_drafts):
        run.notice(f"the import of {draft} was interrupted: its draft is dropped, nothing was sent")
    await run.write(_restart_clocks, run.now_ms())
    for row in await run.store.read(list_campaigns, _OPEN):
        run.campaigns[row.id] = Campaign.from_row(row)
    await recall_campaigns(run, list(run.campaigns.values()))


def _drop_drafts(conn: sqlite3.Connection) -> list[str]:
    drafts = list_campaigns(conn, (CampaignState.IMPORTING,))
    for draft in drafts:
        drop_draft(conn, draft.id)
    restore_index(conn)
    return [draft.name for draft in drafts]


def _restart_clocks(conn: sqlite3.Connection, now_ms: int) -> None:
    for gateway in list_gateways(conn):
        why = "the program ended between its intent and the answer"
        doubt_unanswered(conn, now_ms, gateway.id, why)
    conn.execute(
        """
        UPDATE tasks SET news_ms = CASE WHEN news_ms IS NOT NULL THEN ? END,
            doubt_ms = CASE WHEN doubt_ms IS NOT NULL THEN ? END,
            fenced_ms = CASE WHEN fenced_ms IS NOT NULL THEN ? END
        WHERE closed_ms IS NULL
        """,
        (now_ms, now_ms, now_ms),
    )
    _fence_cancelled(conn, now_ms)


def doubt_unanswered(conn: sqlite3.Connection, now_ms: int, gateway_id: int, why: str) -> None:
    """Tasks written down for a device whose answer nobody waits for any more are in doubt."""
    intents = [task.id for task in live_tasks(conn, gateway_id, (TaskState.INTENT,))]
    mark_doubt(conn, intents, now_ms, UnknownCause.NO_ANSWER)
    for task_id in intents:
        decide(conn, now_ms, "doubt", why, gateway_id=gateway_id, task_id=task_id)


def _fence_cancelled(conn: sqlite3.Connection, now_ms: int) -> None:
    cancelled = {row.id for row in list_campaigns(conn, (CampaignState.CANCELLED,))}
    for gateway in list_gateways(conn):
        tasks = live_tasks(conn, gateway.id, (TaskState.ACCEPTED, TaskState.PAUSED))
        ids = [task.id for task in tasks if task.campaign_id in cancelled]
        start_fence(conn, ids, now_ms, FenceReason.CANCEL, "its campaign was cancelled")
