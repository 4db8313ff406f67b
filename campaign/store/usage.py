"""What each SIM was charged with, by calendar hour, day and month.

A message is charged in the transaction of its claim, before its first byte, so that no crash can
lose it. What is queued when a period ends may go on air in the next: a new period begins with what
its SIM still has in flight. A row is thus never below what truly went on air in its period. What
is proved unsent is given back.

`recipients` are counted from the first cap on them on: then it is kept which numbers a SIM wrote
to (`sim_contacts`). A number whose message was proved unsent stays counted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Final

from campaign.planner.quotas import Amounts, Caps, Period, Usage, bounds
from campaign.planner.split import Claimable, PlannedTask
from campaign.store.journal import decide, read_meta, write_meta
from campaign.store.unproved import not_released

_LONGEST_MS: Final = 32 * 86_400_000
"""No period is longer."""


@dataclass(frozen=True)
class SimLimits:
    """The SIM that a port sends through in a claim, its caps, and whose calendar they follow."""

    sim: str
    caps: Caps = field(default_factory=Caps)
    zone: tzinfo = UTC


@dataclass(frozen=True, slots=True)
class _Row:
    """One period of one SIM; milliseconds."""

    start_ms: int
    end_ms: int
    segments: int
    recipients: int
    is_stored: bool


def usage_of(
    conn: sqlite3.Connection, sims: Collection[str], now_ms: int, zone: tzinfo
) -> dict[str, Usage]:
    """What each of these SIMs was charged with in the periods of now; nothing is written."""
    return {sim: _usage(conn, sim, _rows(conn, sim, now_ms, zone)) for sim in sims}


def _usage(conn: sqlite3.Connection, sim: str, rows: Mapping[Period, _Row]) -> Usage:
    return Usage(
        Amounts(*(rows[period].segments for period in Period)),
        Amounts(*(rows[period].recipients for period in Period)),
        _days_before(conn, sim, rows[Period.DAY].start_ms),
    )


def _days_before(conn: sqlite3.Connection, sim: str, today_ms: int) -> int:
    """On how many days before today it sent (primary key)."""
    (days,) = conn.execute(
        """
        SELECT count(*) FROM sim_usage
        WHERE sim = ? AND period = 'day' AND start_ms < ? AND segments > 0
        """,
        (sim, today_ms),
    ).fetchone()
    return int(days)


@lru_cache(maxsize=8)  # the same for all SIMs of a claim
def _periods(now_ms: int, zone: tzinfo) -> Mapping[Period, tuple[int, int]]:
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    found = {period: bounds(period, now, zone) for period in Period}
    return {
        period: (round(start.timestamp() * 1000), round(end.timestamp() * 1000))
        for period, (start, end) in found.items()
    }


def _rows(conn: sqlite3.Connection, sim: str, now_ms: int, zone: tzinfo) -> dict[Period, _Row]:
    rows: dict[Period, _Row] = {}
    for period, (start_ms, end_ms) in _periods(now_ms, zone).items():
        found = conn.execute(
            """
            SELECT segments, recipients FROM sim_usage
            WHERE sim = ? AND period = ? AND start_ms = ?
            """,
            (sim, period, start_ms),
        ).fetchone()
        segments, recipients = count_charged(conn, sim, start_ms) if found is None else found
        rows[period] = _Row(start_ms, end_ms, segments, recipients, found is not None)
    return rows


_CHARGED: Final = f"""
    FROM tasks AS t JOIN attempts AS a ON a.task_id = t.id
    JOIN recipients AS r ON r.id = a.recipient_id
    WHERE t.sim = :sim AND {{of}}
        AND (a.live = 1 OR a.outcome IS NOT NULL OR {not_released("t")})
        -- of an earlier period's task only what was not final when this one began
        AND (t.created_ms >= :start OR a.live = 1 OR a.evidence = 'receipt'
            OR t.closed_ms IS NOT NULL OR coalesce(t.news_ms, 0) >= :start)
"""


def count_charged(conn: sqlite3.Connection, sim: str, start_ms: int) -> tuple[int, int]:
    """(segments, distinct recipients) of a SIM that may have gone on air since then, or still may,
    counted from its tasks (index tasks_sim)."""
    segments, recipients = conn.execute(
        f"""
        SELECT coalesce(sum(parts), 0), count(DISTINCT number) FROM (
            SELECT r.parts, r.number {_CHARGED.format(of="t.closed_ms IS NULL")}
            UNION ALL
            SELECT r.parts, r.number {_CHARGED.format(of="t.closed_ms >= :start")})
        """,
        {"sim": sim, "start": start_ms},
    ).fetchone()
    return int(segments), int(recipients)


def count_again_if_set_back(conn: sqlite3.Connection, sim: str, now_ms: int) -> None:
    """Civil time was set back if a period begins later than now (primary key).

    That one is counted from its tasks once it comes; those of now hold what was claimed meanwhile,
    too, for it may go on air in them.
    """
    gone = conn.executemany(
        "DELETE FROM sim_usage WHERE sim = ? AND period = ? AND start_ms > ?",
        [(sim, period, now_ms) for period in Period],
    ).rowcount
    if not gone:
        return
    rows = conn.execute(
        "SELECT period, start_ms FROM sim_usage WHERE sim = ? AND start_ms <= ? AND end_ms > ?",
        (sim, now_ms, now_ms),
    ).fetchall()
    for period, start_ms in rows:
        segments, recipients = count_charged(conn, sim, start_ms)
        conn.execute(
            """
            UPDATE sim_usage SET segments = max(segments, ?), recipients = max(recipients, ?)
            WHERE sim = ? AND period = ? AND start_ms = ?
            """,
            (segments, recipients, sim, period, start_ms),
        )


def charge(
    conn: sqlite3.Connection,
    sims: Mapping[int, SimLimits],
    planned: Sequence[PlannedTask],
    now_ms: int,
) -> list[PlannedTask]:
    """Charge tasks to the SIMs of their ports, and leave out whom a cap has no room for.

    The recipients of a task that do not fit wait on; smaller messages behind them may fit. Call it
    in the transaction that writes the tasks down.
    """
    charged: list[PlannedTask] = []
    accounts: dict[str, _Account] = {}
    for task in planned:
        limits = sims.get(task.port)
        if limits is None:
            charged.append(task)
            continue
        if limits.sim not in accounts:
            accounts[limits.sim] = _Account.open(conn, limits, now_ms)
        account = accounts[limits.sim]
        if account.is_open:
            account.segments += task.parts
            charged.append(task)
            continue
        account.learn(conn, task.recipients)
        fitting = tuple(recipient for recipient in task.recipients if account.takes(recipient))
        if fitting:
            charged.append(replace(task, recipients=fitting))
    _store(conn, list(accounts.values()))
    return charged


def _store(conn: sqlite3.Connection, accounts: Sequence[_Account]) -> None:
    """Write down what was charged, all SIMs together."""
    conn.executemany(
        # a new period begins with what was in flight; without a claim it need not begin
        """
        INSERT INTO sim_usage (sim, period, start_ms, end_ms, segments, recipients)
        VALUES (?, ?, ?, ?, ?, ?)
        ON CONFLICT (sim, period, start_ms) DO UPDATE SET
            segments = excluded.segments, recipients = excluded.recipients
        """,
        [row for account in accounts for row in account.charged()],
    )
    conn.executemany(
        # periods of another calendar that are not over: what is claimed now may go on air in them
        # too (primary key)
        """
        UPDATE sim_usage SET segments = segments + ?, recipients = recipients + ?
        WHERE sim = ? AND period = ? AND start_ms >= ? AND end_ms > ? AND start_ms <> ?
        """,
        [row for account in accounts for row in account.charged_elsewhere()],
    )
    conn.executemany(
        """
        INSERT INTO sim_contacts (sim, number, last_ms) VALUES (?, ?, ?)
        ON CONFLICT (sim, number) DO UPDATE SET last_ms = max(last_ms, excluded.last_ms)
        """,
        [
            (account.sim, number, account.now_ms)
            for account in accounts
            for number in account.contacted
        ],
    )


@dataclass
class _Account:
    """One SIM while a claim is charged to it."""

    sim: str
    caps: Caps
    now_ms: int
    rows: dict[Period, _Row]
    days: int
    keeps_contacts: bool
    wrote: dict[str, int] = field(default_factory=dict)
    """When it last wrote to whom, of those asked for."""
    segments: int = 0
    contacted: list[str] = field(default_factory=list)
    fresh: dict[Period, int] = field(default_factory=lambda: dict.fromkeys(Period, 0))
    """Recipients it had not written to before in the period."""

    @classmethod
    def open(cls, conn: sqlite3.Connection, limits: SimLimits, now_ms: int) -> _Account:
        count_again_if_set_back(conn, limits.sim, now_ms)
        rows = _rows(conn, limits.sim, now_ms, limits.zone)
        keeps = _keeps_contacts(conn, limits, rows, now_ms)
        if keeps:
            rows = _rows(conn, limits.sim, now_ms, limits.zone)
        days = _days_before(conn, limits.sim, rows[Period.DAY].start_ms) if limits.caps.ramp else 0
        return cls(limits.sim, limits.caps, now_ms, rows, days, keeps)

    @property
    def is_open(self) -> bool:
        """Whether it takes everybody, whoever they are: nothing is capped, nobody is counted."""
        return not (self.caps or self.keeps_contacts)

    def learn(self, conn: sqlite3.Connection, recipients: Sequence[Claimable]) -> None:
        """Look up when this SIM last wrote to them (primary key of sim_contacts)."""
        if not self.keeps_contacts:
            return
        marks = ", ".join("?" * len(recipients))
        found = conn.execute(
            f"SELECT number, last_ms FROM sim_contacts WHERE sim = ? AND number IN ({marks})",
            (self.sim, *(recipient.number for recipient in recipients)),
        )
        for number, last_ms in found.fetchall():
            self.wrote.setdefault(number, last_ms)

    def takes(self, recipient: Claimable) -> bool:
        """Charge one message; False, with nothing charged, where a cap has no room for it."""
        last = self.wrote.get(recipient.number, -1)
        fresh = [period for period in Period if last < self.rows[period].start_ms]
        if not self._has_room(recipient.parts, fresh):
            return False
        self.segments += recipient.parts
        if self.keeps_contacts:
            for period in fresh:
                self.fresh[period] += 1
            self.wrote[recipient.number] = self.now_ms
            self.contacted.append(recipient.number)
        return True

    def _has_room(self, parts: int, fresh: Sequence[Period]) -> bool:
        for period, row in self.rows.items():
            cap = self.caps.segments.of(period)
            if cap is not None and row.segments + self.segments + parts > cap:
                return False
            cap = self.caps.recipients.of(period)
            if period in fresh and cap is not None and row.recipients + self.fresh[period] >= cap:
                return False
        step = self.caps.warming(self.days)
        today = self.rows[Period.DAY].segments
        return step is None or today + self.segments + parts <= step

    def charged(self) -> list[tuple[object, ...]]:
        """Its periods with what they hold now."""
        return [
            (
                self.sim, period, row.start_ms, row.end_ms, row.segments + self.segments,
                row.recipients + self.fresh[period],
            )
            for period, row in self.rows.items()
        ]  # fmt: skip

    def charged_elsewhere(self) -> list[tuple[object, ...]]:
        """What the periods of other calendars are charged with."""
        return [
            (
                self.segments, len(set(self.contacted)), self.sim, period,
                self.now_ms - _LONGEST_MS, self.now_ms, row.start_ms,
            )
            for period, row in self.rows.items()
        ]  # fmt: skip


def _keeps_contacts(
    conn: sqlite3.Connection, limits: SimLimits, rows: Mapping[Period, _Row], now_ms: int
) -> bool:
    """Whether it is kept whom this SIM writes to; the first cap on recipients begins it, with whom
    it wrote to in the periods of now."""
    began = f"contacts_of {limits.sim}"
    if read_meta(conn, began) is not None:
        return True
    if not limits.caps.recipients:
        return False
    start = {"sim": limits.sim, "start": min(row.start_ms for row in rows.values())}
    conn.execute(
        f"""
        INSERT INTO sim_contacts (sim, number, last_ms)
        SELECT :sim, number, max(created_ms) FROM (
            SELECT r.number, t.created_ms {_CHARGED.format(of="t.closed_ms IS NULL")}
            UNION ALL
            SELECT r.number, t.created_ms {_CHARGED.format(of="t.closed_ms >= :start")})
        WHERE true GROUP BY number
        ON CONFLICT (sim, number) DO UPDATE SET last_ms = max(last_ms, excluded.last_ms)
        """,
        start,
    )
    conn.executemany(
        # whom it wrote to is known from before: a number that counts as written to is counted
        """
        UPDATE sim_usage SET recipients = (SELECT count(*) FROM sim_contacts AS c
            WHERE c.sim = sim_usage.sim AND c.last_ms >= sim_usage.start_ms)
        WHERE sim = ? AND period = ? AND start_ms = ?
        """,
        [(limits.sim, period, row.start_ms) for period, row in rows.items() if row.is_stored],
    )
    write_meta(conn, {began: str(now_ms)})
    return True


def give_back(conn: sqlite3.Connection, task_id: int) -> None:
    """The open attempts of a task are proved unsent: each period they were charged to gets their
    segments back. Call it before the attempts are closed."""
    row = conn.execute(
        """
        SELECT t.sim, t.created_ms, coalesce(sum(r.parts), 0) AS parts
        FROM tasks AS t JOIN attempts AS a ON a.task_id = t.id AND a.live = 1
        JOIN recipients AS r ON r.id = a.recipient_id WHERE t.id = ? GROUP BY t.id
        """,
        (task_id,),
    ).fetchone()
    if row is not None and row["sim"] is not None:
        _add(conn, row["sim"], -row["parts"], row["created_ms"])


def charge_to_another(
    conn: sqlite3.Connection, gateway_id: int, iccids: Mapping[int, str], now_ms: int
) -> None:
    """Ports now hold these SIMs: what is still queued there goes out through them, whichever it
    was claimed for. The SIM it was claimed for stays charged: some of it may be on air already."""
    rows = conn.execute(
        # index tasks_live
        """
        SELECT id, port, sim, created_ms FROM tasks
        WHERE gateway_id = ? AND state <> 'closed' AND sim IS NOT NULL ORDER BY id
        """,
        (gateway_id,),
    ).fetchall()
    for row in rows:
        iccid = iccids.get(row["port"], "")
        if not iccid or iccid == row["sim"]:
            continue
        (parts,) = conn.execute(
            """
            SELECT coalesce(sum(r.parts), 0) FROM attempts AS a
            JOIN recipients AS r ON r.id = a.recipient_id WHERE a.task_id = ? AND a.live = 1
            """,
            (row["id"],),
        ).fetchone()
        conn.execute("UPDATE tasks SET sim = ? WHERE id = ?", (iccid, row["id"]))
        decide(
            conn, now_ms, "sim_moved", "its port holds another SIM now",
            gateway_id=gateway_id, task_id=row["id"],
        )  # fmt: skip
        _add(conn, iccid, parts, row["created_ms"])


def _add(conn: sqlite3.Connection, sim: str, parts: int, since_ms: int) -> None:
    """Add to (or take from) every period of a SIM that was not over at a moment: all of them were
    charged with what was claimed then (primary key)."""
    conn.executemany(
        """
        UPDATE sim_usage SET segments = max(0, segments + ?)
        WHERE sim = ? AND period = ? AND start_ms >= ? AND end_ms > ?
        """,
        [(parts, sim, period, since_ms - _LONGEST_MS, since_ms) for period in Period],
    )
