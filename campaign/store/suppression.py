"""Who must not be written to: opted out, on a blocklist of this ledger, or written to enough.

The question is asked inside the transaction that writes an intent down, so that nobody can get in
between: neither an entry that was committed before, nor another campaign's message.

**What counts towards a frequency cap.** Every attempt, of whatever campaign of this ledger, that
went out, may have gone out, or may still: not those proved failed, and not those proved unsent
(released). So a retry after a proved failure is no second message to that person, while one after
an attempt that may have gone out is. An attempt counts from its intent until the cap's time has
passed since its task was closed: within that span it was on air, whenever that was.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from campaign.planner.frequency import Cap
from campaign.planner.states import RecipientState
from campaign.store.campaigns import campaign_options
from campaign.store.journal import Tally
from campaign.store.unproved import back_to_unknown, is_unproved, not_released

OPTED_OUT = "opted out"

_BLOCKLIST = """
    (SELECT 'blocklist ' || min(b.list) FROM {schema}.blocked AS b WHERE b.number = r.number)
"""

UNWANTED = f"""
    CASE WHEN EXISTS (SELECT 1 FROM optouts.optouts AS o WHERE o.number = r.number)
        THEN '{OPTED_OUT}' ELSE {_BLOCKLIST.format(schema="main")} END
"""
"""SQL: why nobody may ever write to the recipient under the alias r, NULL if they may. By the
primary keys of optouts and blocked."""


def counts_towards_cap(attempt: str, task: str) -> str:
    """SQL: an attempt (by alias, beside its task) that is a message to its person, for all that is
    known."""
    return f"""
        {attempt}.outcome IS NOT 'failed'
        AND ({attempt}.live = 1 OR {attempt}.outcome IS NOT NULL OR {not_released(task)})
    """


def unwanted_now(cap: Cap | None, now_ms: int, schema: str = "main") -> str:
    """SQL: why the recipient under the alias r may not be written to now, NULL if they may."""
    blocklist = _BLOCKLIST.format(schema=schema)
    capped = "NULL" if cap is None else _capped(cap, now_ms, schema)
    return f"""
        CASE WHEN EXISTS (SELECT 1 FROM optouts.optouts AS o WHERE o.number = r.number)
            THEN '{OPTED_OUT}' ELSE coalesce({blocklist}, {capped}) END
    """


def _capped(cap: Cap, now_ms: int, schema: str) -> str:
    since = now_ms - round(cap.seconds * 1000)
    return f"""
        CASE WHEN (SELECT count(*)
         -- by the indexes recipients_number and attempts_recipient
         FROM {schema}.recipients AS p
         CROSS JOIN {schema}.attempts AS a ON a.recipient_id = p.id
         CROSS JOIN {schema}.tasks AS t ON t.id = a.task_id
         WHERE p.number = r.number AND (t.closed_ms IS NULL OR t.closed_ms > {since})
            AND {counts_towards_cap("a", "t")}
        ) >= {cap.most} THEN 'frequency cap: {cap.words}' END
    """


def unwanted_in(conn: sqlite3.Connection, campaign_id: int, now_ms: int) -> str:
    """`unwanted_now` for a campaign's own cap."""
    _, options = campaign_options(conn, campaign_id)
    return unwanted_now(options.parsed_at_most, now_ms)


def is_unwanted(conn: sqlite3.Connection, number: str) -> bool:
    """Whether nobody may write to a number (digits) any more, whatever the campaign."""
    row = conn.execute(f"SELECT {UNWANTED} FROM (SELECT ? AS number) AS r", (number,)).fetchone()
    return row[0] is not None


def skip_unwanted(
    conn: sqlite3.Connection,
    campaign_id: int,
    unwanted: Sequence[tuple[int, str]],
    tally: Tally,
) -> None:
    """pending -> skipped, by (recipient, reason); whose earlier attempt may have gone out is
    unknown again."""
    unproved = {id_: why for id_, why in unwanted if is_unproved(conn, id_)}
    for why in sorted(set(unproved.values())):
        back_to_unknown(conn, [id_ for id_, told in unproved.items() if told == why], why)
    tally.moved(campaign_id, RecipientState.PENDING, RecipientState.UNKNOWN, len(unproved))
    skipped = [(id_, why) for id_, why in unwanted if id_ not in unproved]
    conn.executemany(
        "UPDATE recipients SET state = 'skipped', cause = ?, reason = ? WHERE id = ?",
        [("opted_out" if why == OPTED_OUT else "suppressed", why, id_) for id_, why in skipped],
    )
    tally.moved(campaign_id, RecipientState.PENDING, RecipientState.SKIPPED, len(skipped))


def block(conn: sqlite3.Connection, now_ms: int, name: str, numbers: Iterable[str]) -> int:
    """Put numbers (digits with country code) on a blocklist; returns how many are new to it."""
    before = conn.total_changes
    conn.executemany(
        "INSERT INTO blocked (number, list, at_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        [(number, name, now_ms) for number in sorted(numbers)],
    )
    return conn.total_changes - before


def unblock(conn: sqlite3.Connection, name: str, numbers: Iterable[str] | None) -> int:
    """Take numbers off a blocklist (None: all of them, and the list is gone); returns how many
    stood there."""
    if numbers is None:
        return conn.execute("DELETE FROM blocked WHERE list = ?", (name,)).rowcount
    return sum(
        conn.execute("DELETE FROM blocked WHERE number = ? AND list = ?", (number, name)).rowcount
        for number in numbers
    )


def blocklists(conn: sqlite3.Connection) -> list[sqlite3.Row]:
    """Each blocklist: `name`, `numbers`, and when its first and last entry came (`since_ms`,
    `changed_ms`)."""
    return conn.execute(
        """
        SELECT list AS name, count(*) AS numbers, min(at_ms) AS since_ms, max(at_ms) AS changed_ms
        FROM blocked GROUP BY list ORDER BY list
        """
    ).fetchall()


def blocked_numbers(conn: sqlite3.Connection, name: str) -> Iterable[sqlite3.Row]:
    """`number` and `at_ms` of every entry of a blocklist, by number. Streams."""
    return conn.execute("SELECT number, at_ms FROM blocked WHERE list = ? ORDER BY number", (name,))
