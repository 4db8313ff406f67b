"""Charging: what a claim costs the SIMs of its ports, and whom their caps have no room for.

A message is charged in the transaction of its claim, before its first byte, so that no crash can
lose it. All SIMs of a claim are read and written together: a claim of small tasks names many.

`recipients` are counted from the first cap on them on: then it is kept which numbers a SIM wrote
to (`sim_contacts`). A number whose message was proved unsent stays counted.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from campaign.planner.quotas import Caps, Period
from campaign.planner.split import Claimable, PlannedTask
from campaign.store.journal import write_meta
from campaign.store.usage import (
    LONGEST_MS,
    PeriodRow,
    SimLimits,
    add_segments,
    are_in_their_periods,
    charged,
    count_again_if_set_back,
    days_before,
    rows_of,
)


def _open(
    conn: sqlite3.Connection, chosen: Sequence[SimLimits], now_ms: int
) -> dict[str, _Account]:
    """The accounts of these SIMs, read together as far as that goes."""
    accounts: dict[str, _Account] = {}
    if not chosen:
        return accounts
    by_sim = {limits.sim: limits for limits in chosen}
    count_again_if_set_back(conn, by_sim, now_ms)
    keeping = _keepers(conn, by_sim)
    for zone in dict.fromkeys(limits.zone for limits in by_sim.values()):
        of_zone = [sim for sim, limits in by_sim.items() if limits.zone == zone]
        rows = rows_of(conn, of_zone, now_ms, zone)
        for sim in of_zone:
            limits, keeps = by_sim[sim], sim in keeping
            if not keeps and limits.caps.recipients:
                _begin_contacts(conn, sim, rows[sim], now_ms)
                rows |= rows_of(conn, (sim,), now_ms, zone)
                keeps = True
            today = rows[sim][Period.DAY].start_ms
            days = days_before(conn, sim, today) if limits.caps.ramp else 0
            accounts[sim] = _Account(sim, limits.caps, now_ms, rows[sim], days, keeps)
    return accounts


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
    within: list[PlannedTask] = []
    named = {task.port: sims[task.port] for task in planned if task.port in sims}
    uncapped = _uncapped(conn, named.values(), now_ms)
    if uncapped:
        _charge_uncapped(conn, named, planned, uncapped, now_ms)
        named = {port: limits for port, limits in named.items() if limits.sim not in uncapped}
    accounts = _open(conn, list(named.values()), now_ms)
    for task in planned:
        limits = named.get(task.port)
        if limits is None:
            within.append(task)
            continue
        account = accounts[limits.sim]
        if account.is_open:
            account.segments += task.parts
            within.append(task)
            continue
        account.learn(conn, task.recipients)
        fitting = tuple(recipient for recipient in task.recipients if account.takes(recipient))
        if fitting:
            within.append(task._replace(recipients=fitting))
    _store(conn, list(accounts.values()))
    return within


def _uncapped(
    conn: sqlite3.Connection, chosen: Collection[SimLimits], now_ms: int
) -> Collection[str]:
    """The SIMs that take everybody, and whose periods of now have begun: most of the time all."""
    capped = {limits.sim for limits in chosen if limits.caps}
    zones = {limits.sim: limits.zone for limits in chosen if limits.sim not in capped}
    for sim in _keepers(conn, zones):
        del zones[sim]
    uncapped: list[str] = []
    for zone in set(zones.values()):
        sims = [sim for sim, its_zone in zones.items() if its_zone == zone]
        if are_in_their_periods(conn, sims, now_ms, zone):
            uncapped += sims
    return frozenset(uncapped)


def _charge_uncapped(
    conn: sqlite3.Connection,
    named: Mapping[int, SimLimits],
    planned: Sequence[PlannedTask],
    uncapped: Collection[str],
    now_ms: int,
) -> None:
    parts: Counter[str] = Counter()
    for task in planned:
        limits = named.get(task.port)
        if limits is not None and limits.sim in uncapped:
            parts[limits.sim] += task.parts
    add_segments(conn, sorted(parts.items()), now_ms)


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
    if _have_another_calendar(conn, accounts):
        conn.executemany(
            # its periods that are not over: what is claimed now may go on air in them too
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


def _have_another_calendar(conn: sqlite3.Connection, accounts: Sequence[_Account]) -> bool:
    """Whether any of these SIMs has a period, not over yet, that began at another moment than ours
    (primary key)."""
    starts = {
        (account.now_ms, period, row.start_ms)
        for account in accounts
        for period, row in account.rows.items()
    }
    sims = json.dumps([account.sim for account in accounts])
    return any(
        conn.execute(
            """
            SELECT 1 FROM sim_usage WHERE sim IN (SELECT value FROM json_each(?))
                AND period = ? AND start_ms >= ? AND end_ms > ? AND start_ms <> ? LIMIT 1
            """,
            (sims, period, now_ms - LONGEST_MS[period], now_ms, start_ms),
        ).fetchone()
        for now_ms, period, start_ms in starts
    )


@dataclass
class _Account:
    """One SIM while a claim is charged to it."""

    sim: str
    caps: Caps
    now_ms: int
    rows: dict[Period, PeriodRow]
    days: int
    keeps_contacts: bool
    wrote: dict[str, int] = field(default_factory=dict)
    """When it last wrote to whom, of those asked for."""
    segments: int = 0
    contacted: list[str] = field(default_factory=list)
    fresh: dict[Period, int] = field(default_factory=lambda: dict.fromkeys(Period, 0))
    """Recipients it had not written to before in the period."""

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
                self.now_ms - LONGEST_MS[period], self.now_ms, row.start_ms,
            )
            for period, row in self.rows.items()
        ]  # fmt: skip


_CONTACTS_OF: Final = "contacts_of "


def _keepers(conn: sqlite3.Connection, sims: Collection[str]) -> set[str]:
    """Those of these SIMs of which it is kept whom they write to."""
    rows = conn.execute(
        "SELECT key FROM meta WHERE key IN (SELECT value FROM json_each(?))",
        (json.dumps([_CONTACTS_OF + sim for sim in sims]),),
    )
    return {row[0].removeprefix(_CONTACTS_OF) for row in rows}


def _begin_contacts(
    conn: sqlite3.Connection, sim: str, rows: Mapping[Period, PeriodRow], now_ms: int
) -> None:
    """The first cap on recipients begins to keep whom a SIM writes to, with whom it wrote to in the
    periods of now."""
    since = {
        "sim": sim,
        "sims": json.dumps([sim]),
        "start": min(row.start_ms for row in rows.values()),
    }
    conn.execute(
        f"""
        INSERT INTO sim_contacts (sim, number, last_ms)
        SELECT :sim, number, max(created_ms) FROM ({charged("r.number, t.created_ms")})
        WHERE true GROUP BY number
        ON CONFLICT (sim, number) DO UPDATE SET last_ms = max(last_ms, excluded.last_ms)
        """,
        since,
    )
    conn.executemany(
        # whom it wrote to is known from before: a number that counts as written to is counted
        """
        UPDATE sim_usage SET recipients = (SELECT count(*) FROM sim_contacts AS c
            WHERE c.sim = sim_usage.sim AND c.last_ms >= sim_usage.start_ms)
        WHERE sim = ? AND period = ? AND start_ms = ?
        """,
        [(sim, period, row.start_ms) for period, row in rows.items() if row.is_stored],
    )
    write_meta(conn, {_CONTACTS_OF + sim: str(now_ms)})
