"""Campaigns and their lists: import, states, counts."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from campaign.errors import UsageError
from campaign.planner.lanes import Lane, hours_of
from campaign.planner.options import CampaignOptions
from campaign.planner.states import CampaignState, RecipientState
from campaign.store.batches import AlikeRecipients, Recipients, one_by_one
from campaign.store.batches import NewRecipient as NewRecipient
from campaign.store.journal import Tally, decide
from campaign.store.lanes import LANES_COLUMN, ONLY_LANE, add_lanes, read_lanes
from campaign.store.loading import end_fresh, insert_recipients, restore_index
from campaign.store.unproved import back_to_unknown, unproved_waiting

_DAY_MS = 86_400_000
_GUARD_DAYS = 7


@dataclass(frozen=True)
class CampaignRow:
    """One campaign as stored; times are milliseconds since 1970 UTC."""

    id: int
    name: str
    state: CampaignState
    waiting_for: str | None
    list_name: str
    message: str
    columns: tuple[str, ...]
    options: CampaignOptions
    fingerprint: str | None
    refused: int
    created_ms: int
    started_ms: int | None
    finished_ms: int | None
    sampled: bool = False
    """Its canary was judged."""
    tested: bool = False
    """Its test on own numbers was judged."""
    start_ms: int | None = None
    deadline_ms: int | None = None
    lanes: tuple[Lane, ...] = ONLY_LANE
    hold: str | None = None
    """Why all its waiting recipients are held at the moment (paused, window); see `with_hold`."""
    most_parts: int = 1
    """SMS segments of its longest message."""

    def with_hold(self, now: datetime) -> CampaignRow:
        """The campaign as it is to be shown at `now` (aware UTC).

        A pause or a closed window leaves rows stored as pending: held is derived for output.
        """
        if self.state in (CampaignState.FINISHED, CampaignState.CANCELLED):
            return self
        window = self.options.parsed_window
        closed = window is not None and not any(
            hours_of(window, lane, None, None).phase(now).is_open for lane in self.lanes
        )
        paused = self.state is CampaignState.PAUSED
        return replace(self, hold="paused" if paused else "window" if closed else None)


class Refusal(NamedTuple):
    """One refused row of a list."""

    row: int
    raw: str
    code: str
    reason: str


_COLUMNS = (
    "id, name, state, waiting_for, list_name, message, columns, options, fingerprint, refused,"
    " created_ms, started_ms, finished_ms, sampled, tested,"
    f" start_ms, deadline_ms, most_parts, {LANES_COLUMN}"
)


def _campaign(row: sqlite3.Row) -> CampaignRow:
    values = dict(row)
    return CampaignRow(
        **{
            **values,
            "state": CampaignState(values["state"]),
            "columns": tuple(json.loads(values["columns"])),
            "options": CampaignOptions.decode(values["options"]),
            "sampled": bool(values["sampled"]),
            "tested": bool(values["tested"]),
            "lanes": read_lanes(values["lanes"]),
        }
    )


def create_campaign(
    conn: sqlite3.Connection,
    now_ms: int,
    *,
    name: str,
    list_name: str,
    message: str,
    columns: Sequence[str],
    options: CampaignOptions,
) -> int:
    """A new draft, `importing` until its list is whole. `UsageError` if the name is taken."""
    if find_campaign(conn, name) is not None:
        raise UsageError(f"a campaign named {name!r} exists already: choose another --name")
    cursor = conn.execute(
        """
        INSERT INTO campaigns (name, state, list_name, message, columns, options, created_ms)
        VALUES (?, 'importing', ?, ?, ?, ?, ?)
        """,
        (name, list_name, message, json.dumps(list(columns), ensure_ascii=False),
         options.encode(), now_ms),
    )  # fmt: skip
    return int(cursor.lastrowid or 0)


def add_recipients(
    conn: sqlite3.Connection,
    campaign_id: int,
    rows: Recipients,
    refusals: Sequence[Refusal],
    lanes: Sequence[Lane] = (),
    *,
    fresh: bool = False,
) -> list[NewRecipient]:
    """Store a chunk of a list with the lanes it brings; returns the rows that repeat a number
    (stored as refusals too). Those of a `fresh` list are found by `end_fresh_list`."""
    add_lanes(conn, campaign_id, lanes)
    places = insert_recipients(conn, campaign_id, rows, fresh=fresh)
    every = one_by_one(rows) if places else ()
    repeated = [every[place] for place in places]
    all_refusals = [*refusals, *(_duplicate(row.row, row.number) for row in repeated)]
    _refuse(conn, campaign_id, all_refusals)
    conn.execute(
        "UPDATE campaigns SET most_parts = max(most_parts, ?) WHERE id = ?",
        (_most_parts(rows), campaign_id),
    )
    tally = Tally()
    tally.moved(campaign_id, None, RecipientState.PENDING, len(rows) - len(repeated))
    tally.store(conn)
    return repeated


def _most_parts(rows: Recipients) -> int:
    if isinstance(rows, AlikeRecipients):
        return rows.parts
    return max((row.parts for row in rows), default=1)


def end_fresh_list(
    conn: sqlite3.Connection, campaign_id: int, suspects: Sequence[str] | None = None
) -> list[str]:
    """The ledger's first list is stored: refuse what repeats a number; returns those numbers.
    `suspects` as for `end_fresh`."""
    again = end_fresh(conn, campaign_id, suspects)
    _refuse(conn, campaign_id, [_duplicate(row, number) for row, number in again])
    tally = Tally()
    tally.moved(campaign_id, None, RecipientState.PENDING, -len(again))
    tally.store(conn)
    return [number for _, number in again]


def _refuse(conn: sqlite3.Connection, campaign_id: int, refusals: Sequence[Refusal]) -> None:
    conn.executemany(
        "INSERT INTO refusals (campaign_id, row, raw, code, reason) VALUES (?, ?, ?, ?, ?)",
        [(campaign_id, *refusal) for refusal in refusals],
    )
    conn.execute(
        "UPDATE campaigns SET refused = refused + ? WHERE id = ?", (len(refusals), campaign_id)
    )


def _duplicate(row: int, number: str) -> Refusal:
    return Refusal(row, number, "duplicate", "the number stands in the list already")


def fingerprint_of(numbers_sum: int, count: int, message: str) -> str:
    """The same set of numbers with the same template, in whatever order, has the same one."""
    digest = hashlib.sha256(message.encode())
    digest.update(count.to_bytes(8, "big") + numbers_sum.to_bytes(24, "big"))
    return digest.hexdigest()


def twin_campaign(
    conn: sqlite3.Connection, now_ms: int, campaign_id: int, fingerprint: str
) -> CampaignRow | None:
    """An earlier campaign of the last seven days with the same numbers and the same message."""
    row = conn.execute(
        f"""
        SELECT {_COLUMNS} FROM campaigns
        WHERE fingerprint = ? AND id <> ? AND created_ms > ? AND state <> 'importing'
        ORDER BY id DESC LIMIT 1
        """,
        (fingerprint, campaign_id, now_ms - _GUARD_DAYS * _DAY_MS),
    ).fetchone()
    return None if row is None else _campaign(row)


def complete_import(
    conn: sqlite3.Connection,
    now_ms: int,
    campaign_id: int,
    fingerprint: str,
    times: tuple[int | None, int | None] = (None, None),
) -> None:
    """The list is whole: the draft becomes a running campaign, or one that waits for its start.

    `times` are its start and its deadline, in ms.
    """
    start_ms, deadline_ms = times
    scheduled = start_ms is not None and start_ms > now_ms
    conn.execute(
        """
        UPDATE campaigns SET state = ?, fingerprint = ?, started_ms = ?, start_ms = ?,
            deadline_ms = ? WHERE id = ? AND state = 'importing'
        """,
        (
            CampaignState.SCHEDULED if scheduled else CampaignState.RUNNING, fingerprint, now_ms,
            start_ms, deadline_ms, campaign_id,
        ),
    )  # fmt: skip
    decide(conn, now_ms, "start", "list imported", campaign_id=campaign_id)


def give_up_fresh_list(conn: sqlite3.Connection, campaign_id: int) -> None:
    """Forget the ledger's first list, whose import failed, and have the index of numbers again."""
    drop_draft(conn, campaign_id)
    restore_index(conn)


def drop_draft(conn: sqlite3.Connection, campaign_id: int) -> None:
    """Forget a campaign whose import never ended; nothing of it was ever sent.

    Any other campaign is left as it is.
    """
    if not conn.execute(
        "SELECT 1 FROM campaigns WHERE id = ? AND state = 'importing'", (campaign_id,)
    ).fetchone():
        return
    for table in ("recipients", "refusals", "tallies", "decisions", "attachments", "lanes"):
        conn.execute(f"DELETE FROM {table} WHERE campaign_id = ?", (campaign_id,))
    conn.execute("DELETE FROM campaigns WHERE id = ?", (campaign_id,))


def list_campaigns(
    conn: sqlite3.Connection, states: Sequence[CampaignState] = tuple(CampaignState)
) -> list[CampaignRow]:
    """Campaigns in any of `states`, oldest first."""
    marks = ", ".join("?" * len(states))
    rows = conn.execute(
        f"SELECT {_COLUMNS} FROM campaigns WHERE state IN ({marks}) ORDER BY id", list(states)
    )
    return [_campaign(row) for row in rows]


def find_campaign(conn: sqlite3.Connection, name: str) -> CampaignRow | None:
    row = conn.execute(f"SELECT {_COLUMNS} FROM campaigns WHERE name = ?", (name,)).fetchone()
    return None if row is None else _campaign(row)


def get_campaign(conn: sqlite3.Connection, name: str) -> CampaignRow:
    """The campaign of this name, else `UsageError` naming the latest ones."""
    campaign = find_campaign(conn, name)
    if campaign is None:
        latest = ", ".join(row.name for row in list_campaigns(conn)[-5:]) or "none yet"
        raise UsageError(f"there is no campaign named {name!r} (latest: {latest})")
    return campaign


def set_campaign_state(
    conn: sqlite3.Connection,
    now_ms: int,
    campaign_id: int,
    state: CampaignState,
    why: str,
    *,
    by: str = "engine",
) -> None:
    """Move a campaign and record why."""
    ended = state in (CampaignState.FINISHED, CampaignState.CANCELLED)
    conn.execute(
        "UPDATE campaigns SET state = ?, waiting_for = NULL, finished_ms = ? WHERE id = ?",
        (state, now_ms if ended else None, campaign_id),
    )
    decide(conn, now_ms, str(state), why, campaign_id=campaign_id, by=by)


def set_options(conn: sqlite3.Connection, campaign_id: int, options: CampaignOptions) -> None:
    """What was asked of a campaign is asked otherwise from now on; the caller records who did."""
    conn.execute("UPDATE campaigns SET options = ? WHERE id = ?", (options.encode(), campaign_id))


def set_waiting(conn: sqlite3.Connection, campaign_id: int, why: str | None) -> None:
    """What a campaign waits for, for `status`."""
    conn.execute(
        "UPDATE campaigns SET waiting_for = ? WHERE id = ? AND waiting_for IS NOT ?",
        (why, campaign_id, why),
    )


def counts(conn: sqlite3.Connection, campaign_id: int) -> dict[RecipientState, int]:
    """Recipients by state; every state is there."""
    found: Mapping[str, int] = dict(
        conn.execute(
            "SELECT state, n FROM tallies WHERE campaign_id = ?", (campaign_id,)
        ).fetchall()
    )
    return {state: found.get(state, 0) for state in RecipientState}


def cancel_waiting(
    conn: sqlite3.Connection, now_ms: int, campaign_id: int, why: str, *, by: str
) -> int:
    """Cancel every recipient that is not in flight; returns how many.

    One that waits to be sent to again is not cancelled but unknown, as it was.
    """
    tally = Tally()
    total = 0
    for state in (RecipientState.PENDING, RecipientState.HELD):
        unproved = unproved_waiting(conn, campaign_id, state)
        back_to_unknown(conn, unproved, why)
        tally.moved(campaign_id, state, RecipientState.UNKNOWN, len(unproved))
        moved = conn.execute(
            """
            UPDATE recipients SET state = 'cancelled', due_ms = NULL, cause = NULL, reason = ?
            WHERE campaign_id = ? AND state = ?
            """,
            (why, campaign_id, state),
        ).rowcount
        if moved:
            tally.moved(campaign_id, state, RecipientState.CANCELLED, moved)
        total += moved
    tally.store(conn)
    set_campaign_state(conn, now_ms, campaign_id, CampaignState.CANCELLED, why, by=by)
    return total


def shown_counts(conn: sqlite3.Connection, campaign: CampaignRow) -> dict[RecipientState, int]:
    """Recipients by state as they are shown: waiting ones are held while the campaign is."""
    tallies = counts(conn, campaign.id)
    if campaign.hold is not None:
        tallies[RecipientState.HELD] += tallies[RecipientState.PENDING]
        tallies[RecipientState.PENDING] = 0
    return tallies


def campaign_options(
    conn: sqlite3.Connection, campaign_id: int
) -> tuple[CampaignState, CampaignOptions]:
    """State and options of a campaign: what a failure in it may lead to."""
    row = conn.execute(
        "SELECT state, options FROM campaigns WHERE id = ?", (campaign_id,)
    ).fetchone()
    return CampaignState(row["state"]), CampaignOptions.decode(row["options"])
