"""Moves that the engine decides by itself: only from a state it decided for.

Whoever pauses or cancels a campaign commits that first and tells the engine then: what was decided
in between, by the state the engine still knew, must not undo it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from campaign.planner.states import CampaignState
from campaign.store.campaigns import campaign_options, set_campaign_state, set_waiting


def move_from(
    conn: sqlite3.Connection,
    now_ms: int,
    campaign_id: int,
    expected: Collection[CampaignState],
    state: CampaignState,
    why: str,
    *,
    waiting_for: str | None = None,
) -> bool:
    """Move a campaign that is in one of the `expected` states, and say what it waits for then;
    False, and nothing is done, if it is in another by now."""
    stored, _ = campaign_options(conn, campaign_id)
    if stored not in expected:
        return False
    set_campaign_state(conn, now_ms, campaign_id, state, why)
    set_waiting(conn, campaign_id, waiting_for)
    return True


def tell_waiting(
    conn: sqlite3.Connection, campaign_id: int, state: CampaignState, why: str | None
) -> None:
    """What a campaign in this state waits for; of one in another nothing is told."""
    stored, _ = campaign_options(conn, campaign_id)
    if stored is state:
        set_waiting(conn, campaign_id, why)
