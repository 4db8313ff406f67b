"""How a run is shown while it lasts, and what is left to say when it has ended."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import trio

from campaign.errors import CampaignError, first_of
from campaign.store.campaigns import CampaignRow, get_campaign, list_campaigns
from campaign.store.summary import campaign_object, incidents


class Screen(Protocol):
    """Where a run talks to: a terminal, plain lines, or nothing."""

    def notice(self, line: str) -> None:
        """One thing that happened, in words."""

    def imported(self, rows: int, refused: int) -> None:
        """The import came this far."""

    def progress(self, state: dict[str, Any]) -> None:
        """Campaigns and gateways now, as the engine's `status` answers."""


@dataclass(frozen=True)
class Result:
    """How a command that ran campaigns ended: campaign objects as `launch --json` shows them."""

    campaigns: list[dict[str, Any]]
    interrupted: bool = False
    waiting: dict[str, str] = field(default_factory=dict)
    credentials: bool = False


def final_objects(
    conn: sqlite3.Connection, name: str | None, now: datetime
) -> list[dict[str, Any]]:
    """One or all campaigns as `launch --json` shows them."""
    rows = [get_campaign(conn, name)] if name else list_campaigns(conn)
    return [final_object(conn, row, now) for row in rows]


def final_object(conn: sqlite3.Connection, row: CampaignRow, now: datetime) -> dict[str, Any]:
    return {**campaign_object(conn, row.with_hold(now)), "incidents": incidents(conn, row.id)}


@asynccontextmanager
async def beside() -> AsyncIterator[trio.Nursery]:
    """A nursery whose children end with its body; an error of either comes out as it is, the body's
    first."""
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                yield nursery
            except Exception as error:  # noqa: BLE001 - raised again below, outside the nursery's group
                failure = error
            nursery.cancel_scope.cancel()
    except* CampaignError as group:
        failure = failure or first_of(group)
    if failure is not None:
        raise failure
