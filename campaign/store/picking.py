"""Picking: which of a campaign's waiting recipients are claimed next.

The oldest of a lane first. Lanes that go to the same ports take turns of a task each, in the order
of their oldest: so a claim reads what its ports can take, however many lanes there are, and its
tasks, each of one lane, are full.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any

from campaign.planner.split import Claimable, Grant
from campaign.store.journal import Tally
from campaign.store.reachable import EVERYBODY, Condition, goes_to
from campaign.store.suppression import skip_unwanted, unwanted_in
from campaign.store.usage import SimLimits

_STRIDE = 1000
_LAST_ID = 2**63 - 1


@dataclass(frozen=True)
class ClaimOrder:
    """What a dispatcher may claim now; `most_tasks` bounds one POST."""

    epoch: int
    campaign_id: int
    gateway_id: int
    boot_id: str | None
    grants: Sequence[Grant]
    task_size: int
    most_tasks: int
    only_place: bool
    now_ms: int
    lanes: Sequence[int] = (0,)
    """The lanes that may be claimed from now."""
    most_skipped: int = 20_000
    """Unwanted recipients that a claim walks through at most in a lane: a fraction of a second."""
    reach: Mapping[int, Collection[str]] | None = None
    """The places ('gateway:port') that could serve each lane now; None: not known."""
    sims: Mapping[int, SimLimits] = field(default_factory=dict)
    """The SIM of each port, which is charged, and its caps."""
    until: Mapping[int, int] = field(default_factory=dict)
    """When the window of a lane closes, in ms; lanes that are not named are open for good."""


@dataclass(frozen=True)
class Picked:
    """Who is to be claimed, and how many were skipped on the way.

    `more`: the ports have room for others, who were not read.
    """

    recipients: Sequence[Claimable]
    skipped: int
    more: bool = False


def pick(
    conn: sqlite3.Connection, order: ClaimOrder, last: int | None, tally: Tally, most: int
) -> Picked:
    """Those who wait in the lanes asked for, as many as the ports take, of lanes that the same
    ports take `most` at most; none behind the `last` of the canary. Those met on the way who must
    not be written to (store.suppression) are skipped."""
    unwanted = unwanted_in(conn, order.campaign_id, order.now_ms)
    blocks: list[list[Claimable]] = []
    skipped = 0
    more = False
    for lanes, grants in _alike(order):
        waiting = [
            _Waiting(order, lane, grants, unwanted, last)
            for lane in _oldest_first(conn, order.campaign_id, lanes)
        ]
        granted = sum(grant.count for grant in grants)
        room = min(granted, most)
        # a lane alone may have it all at once
        found = _in_turn(conn, waiting, room, order.task_size if len(lanes) > 1 else room, tally)
        more = more or (room < granted and sum(map(len, found)) >= room)
        blocks += found
        skipped += sum(lane.skipped for lane in waiting)
    blocks.sort(key=lambda block: block[0].id)
    return Picked([recipient for block in blocks for recipient in block], skipped, more)


def anybody_waits(conn: sqlite3.Connection, order: ClaimOrder, last: int | None) -> bool:
    """Whether somebody waits in a lane that any of the ports takes, wherever they may go."""
    lanes = [lane for lane in order.lanes if any(grant.takes(lane) for grant in order.grants)]
    (found,) = conn.execute(
        # one look a lane into recipients_pending
        """
        SELECT EXISTS (
            SELECT 1 FROM json_each(:lanes) AS asked CROSS JOIN recipients AS r
            WHERE r.campaign_id = :campaign AND r.lane = asked.value AND r.state = 'pending'
                AND r.id <= :end)
        """,
        {
            "campaign": order.campaign_id,
            "lanes": json.dumps(lanes),
            "end": _LAST_ID if last is None else last,
        },
    ).fetchone()
    return bool(found)


def _alike(order: ClaimOrder) -> list[tuple[list[int], list[Grant]]]:
    """The lanes that any port takes, those together that the same ports take."""
    alike: dict[tuple[bool, ...], list[int]] = {}
    for lane in order.lanes:
        alike.setdefault(tuple(grant.takes(lane) for grant in order.grants), []).append(lane)
    return [
        (lanes, list(compress(order.grants, takes))) for takes, lanes in alike.items() if any(takes)
    ]


def _oldest_first(
    conn: sqlite3.Connection, campaign_id: int, lanes: Sequence[int]
) -> Sequence[int]:
    """The lanes in which anybody waits, by who has waited longest."""
    if len(lanes) == 1:
        return lanes
    rows = conn.execute(
        # one look a lane into recipients_pending
        """
        SELECT asked.value AS lane, (
            SELECT min(r.id) FROM recipients AS r WHERE r.campaign_id = :campaign
                AND r.lane = asked.value AND r.state = 'pending') AS oldest
        FROM json_each(:lanes) AS asked WHERE oldest IS NOT NULL ORDER BY oldest
        """,
        {"campaign": campaign_id, "lanes": json.dumps(lanes)},
    )
    return [row["lane"] for row in rows]


def _in_turn(
    conn: sqlite3.Connection, waiting: Sequence[_Waiting], room: int, most: int, tally: Tally
) -> list[list[Claimable]]:
    """As many of these lanes as there is room for, in blocks of a lane each, of `most` at most."""
    left = room
    blocks = []
    while waiting and left > 0:
        more = []
        for lane in waiting:
            block = lane.next(conn, min(most, left), tally)
            if block:
                blocks.append(block)
                more.append(lane)
                left -= len(block)
            if left <= 0:
                break
        waiting = more
    return blocks


class _Waiting:
    """Those who wait in a lane, read from the oldest on."""

    def __init__(
        self,
        order: ClaimOrder,
        lane: int,
        grants: Sequence[Grant],
        unwanted: str,
        last: int | None,
    ) -> None:
        self._grants = grants
        self._order = order
        self._lane = lane
        self._unwanted = unwanted
        self._end = _LAST_ID if last is None else last
        self._read = 0
        self.skipped = 0

    def next(self, conn: sqlite3.Connection, wanted: int, tally: Tally) -> list[Claimable]:
        """So many more at most; none when nobody else of them may go."""
        most = wanted
        while True:
            rows = self._rows(conn, most)
            left_out = [(row[0], row[-1]) for row in rows if row[-1] is not None]
            skip_unwanted(conn, self._order.campaign_id, left_out, tally)
            self.skipped += len(left_out)
            # a long run of unwanted numbers must not cost a turn for every few of them, nor stop
            # everything else while it is walked through
            ended = len(left_out) < len(rows) or self.skipped >= self._order.most_skipped
            if not left_out or ended:
                break
            most = max(wanted, _STRIDE)
        going = [row for row in rows if row[-1] is None] if left_out else rows
        picked = [Claimable._make(row[:-1]) for row in going[:wanted]]
        if picked:
            self._read = picked[-1].id
        return picked

    def _rows(self, conn: sqlite3.Connection, most: int) -> list[tuple[Any, ...]]:
        """The fields of a `Claimable`, and why they are not wanted."""
        willing, places = self._willing()
        order = self._order
        cursor = conn.cursor()
        cursor.row_factory = None  # of these there are many, and names cost more than reading
        return cursor.execute(
            # uses recipients_pending, in primary-key order
            f"""
            SELECT r.id, r.number, r.text, r.avoid, r.lane, r.parts, {self._unwanted}
            FROM recipients AS r
            WHERE r.campaign_id = :campaign AND r.lane = :lane AND r.state = 'pending'
                AND r.id > :read AND r.id <= :end AND {willing}
            ORDER BY r.id LIMIT :most
            """,
            {
                "campaign": order.campaign_id,
                "lane": self._lane,
                "most": most,
                "read": self._read,
                "end": self._end,
                **places,
            },
        ).fetchall()

    def _willing(self) -> Condition:
        """Whoever cannot go to any place there is now must not stand in the way of those behind."""
        if self._order.only_place:
            return EVERYBODY
        reach = None if self._order.reach is None else self._order.reach.get(self._lane)
        return goes_to([grant.place for grant in self._grants], reach)
