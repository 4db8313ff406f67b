"""Laws of limits, told from the tasks themselves: each pace, each cap, as it was in force then.

What SIMs were charged with (`sim_usage`) is not asked but recounted, and may not be below that.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final

import msgspec

from campaign.planner.limits import Limits, Pace, limits_between
from campaign.planner.options import CampaignOptions
from campaign.planner.quotas import Amounts, Caps, Period, bounds
from campaign.planner.settings import LIMITS, Settings, with_overrides
from campaign.store.audit import Finding
from campaign.store.limiting import InForce, campaign_limits, limits_over_time
from campaign.store.unproved import not_released

JITTER_MS = 2000
"""Two clocks, and the time between deciding and writing down, may differ by this much."""

_SHOWN = 10


def _finding(law: str, broken: Sequence[str], detail: str) -> Finding:
    if not broken:
        return Finding(law, "holds", detail)
    more = f" and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
    return Finding(law, "broken", "; ".join(broken[:_SHOWN]) + more)


@dataclass
class _Owner:
    """A campaign or a gateway, and its limits over time."""

    id: int
    name: str
    versions: list[tuple[InForce, Limits]]

    def at(self, at_ms: int) -> list[Limits]:
        """What may have been in force then: around a change either counts."""
        return [
            limits
            for when, limits in self.versions
            if when.from_ms <= at_ms + JITTER_MS
            and (when.until_ms is None or at_ms - JITTER_MS < when.until_ms)
        ]


def _campaigns(conn: sqlite3.Connection, campaign_id: int | None) -> list[_Owner]:
    rows = conn.execute(
        "SELECT id, name, options FROM campaigns WHERE :campaign IS NULL OR id = :campaign"
        " ORDER BY id",
        {"campaign": campaign_id},
    ).fetchall()
    owners = []
    for row in rows:
        options = CampaignOptions.decode(row["options"])
        over_time = limits_over_time(conn, campaign_limits(options), campaign_id=row["id"])
        versions = [(when, _of_campaign(options, when.limits)) for when in over_time]
        owners.append(_Owner(row["id"], row["name"], versions))
    return owners


def _of_campaign(options: CampaignOptions, limits: Mapping[str, Any]) -> Limits:
    return limits_between(msgspec.structs.replace(options, **limits), Settings())


def _gateways(conn: sqlite3.Connection, campaign_id: int | None) -> list[_Owner]:
    rows = conn.execute(
        """
        SELECT id, name, settings FROM gateways AS g WHERE :campaign IS NULL
            OR EXISTS (SELECT 1 FROM tasks AS t -- index tasks_campaign
                       WHERE t.campaign_id = :campaign AND t.gateway_id = g.id)
        ORDER BY id
        """,
        {"campaign": campaign_id},
    ).fetchall()
    owners = []
    for row in rows:
        settings: dict[str, str] = msgspec.json.decode(row["settings"])
        now = {name: value for name, value in settings.items() if name in LIMITS}
        over_time = limits_over_time(conn, now, gateway_id=row["id"])
        versions = [
            (when, limits_between(None, with_overrides(Settings(), dict(when.limits))))
            for when in over_time
        ]
        owners.append(_Owner(row["id"], row["name"], versions))
    return owners


def pace_kept(conn: sqlite3.Connection, campaign_id: int | None) -> Finding:
    """The paces of campaigns, gateways and ports: up to one gap of lateness is made up over all
    ports, none on one. They hold within a run: the next one ties its clock anew."""
    broken: list[str] = []
    checked = 0
    for column, owners in (
        ("campaign_id", _campaigns(conn, campaign_id)),
        ("gateway_id", _gateways(conn, campaign_id)),
    ):
        for owner in owners:
            if not any(_paces(limits) for _, limits in owner.versions):
                continue
            rows = conn.execute(
                # index tasks_campaign, or tasks_tid
                f"SELECT epoch, gateway_id, port, created_ms, size, parts FROM tasks"
                f" WHERE {column} = ? ORDER BY epoch, created_ms, id",
                (owner.id,),
            ).fetchall()
            for when, limits in owner.versions:
                checked += _paces(limits)
                broken += [f"{owner.name} {what}" for what in _broken(_within(rows, when), limits)]
    return _finding("the pace that was asked for is kept", broken, f"{checked} limits")


def _paces(limits: Limits) -> bool:
    return limits.paces_all or limits.paces_ports


def _within(rows: Iterable[sqlite3.Row], when: InForce) -> list[sqlite3.Row]:
    # what was decided under the limits before may be written down a moment after the change
    start = when.from_ms + JITTER_MS if when.from_ms else 0
    return [
        row
        for row in rows
        if start <= row["created_ms"]
        and (when.until_ms is None or row["created_ms"] < when.until_ms)
    ]


def _broken(rows: Sequence[sqlite3.Row], limits: Limits) -> Iterator[str]:
    port = Pace(limits.least_port_gap, limits.port.segment_gap)
    yield from _too_fast_by(rows, lambda row: (row["epoch"],), limits.campaign, 1.0)
    by_gateway: Callable[[sqlite3.Row], Any] = lambda row: (row["epoch"], row["gateway_id"])  # noqa: E731 - a key
    yield from _too_fast_by(rows, by_gateway, limits.gateway, 1.0)
    for what in _too_fast_by(
        rows, lambda row: (row["epoch"], row["gateway_id"], row["port"]), port, 0.0
    ):
        yield f"{what} on a port"


def _too_fast_by(
    rows: Sequence[sqlite3.Row], place: Callable[[sqlite3.Row], Any], pace: Pace, spare: float
) -> Iterator[str]:
    if not pace:
        return
    for key, run in groupby(sorted(rows, key=place), key=place):
        tasks = list(run)
        for gap, what in ((pace.gap, "size"), (pace.segment_gap, "parts")):
            if gap and _too_fast(tasks, gap, what, spare=gap * spare):
                words = "messages" if what == "size" else "segments"
                yield f"is faster than {1 / gap:g} {words} a second (run {key[0]})"


def _too_fast(rows: Sequence[sqlite3.Row], gap: float, what: str, *, spare: float) -> bool:
    """Whether any stretch of claims is shorter than its messages' gaps."""
    most, done = float("-inf"), 0
    for row in rows:
        ahead = row["created_ms"] - done * gap * 1000
        if ahead < most - spare * 1000 - JITTER_MS:
            return True
        most = max(most, ahead)
        done += row[what]
    return False


@dataclass
class _Counts:
    """What SIMs were charged with so far, by (SIM, period, its start)."""

    segments: Counter[tuple[str, Period, datetime]] = field(default_factory=Counter)
    people: dict[tuple[str, Period, datetime], set[str]] = field(
        default_factory=lambda: defaultdict(set)
    )
    days: dict[str, set[datetime]] = field(default_factory=lambda: defaultdict(set))


def caps_kept(conn: sqlite3.Connection, campaign_id: int | None) -> Finding:
    """No task was written down beyond a cap that its campaign or its gateway had on its SIM."""
    campaigns = {owner.id: owner for owner in _campaigns(conn, None)}
    gateways = {owner.id: owner for owner in _gateways(conn, None)}
    law = "no SIM was given more than its caps allow"
    owners = [*campaigns.values(), *gateways.values()]
    if not any(limits.caps for owner in owners for _, limits in owner.versions):
        return Finding(law, "holds", "no caps")
    counts = _Counts()
    broken: list[str] = []
    checked = 0
    for task, numbers in _charged(conn):
        on_gateway = gateways[task["gateway_id"]].at(task["created_ms"])
        over = _over(counts, task, numbers, campaigns[task["campaign_id"]], on_gateway)
        checked += 1
        if over and campaign_id in (None, task["campaign_id"]):
            broken.append(f"{task['sim']} by tid {task['tid']}: {over}")
    return _finding(law, broken, f"{checked} tasks")


_MOVED: Final = """
    t.id IN (SELECT d.task_id FROM decisions AS d
             WHERE d.kind = 'sim_moved' AND d.task_id IS NOT NULL)
"""
"""SQL: the task under the alias t came to its SIM with its port. One pass over the decisions."""


def _charged(conn: sqlite3.Connection) -> Iterator[tuple[sqlite3.Row, list[str]]]:
    """Tasks charged to SIMs with their numbers, in order; those that another SIM came to hold, and
    those that were proved unsent, are left out."""
    rows = conn.execute(
        f"""
        SELECT t.id, t.tid, t.sim, t.campaign_id, t.gateway_id, t.created_ms, t.parts, r.number
        FROM tasks AS t JOIN attempts AS a ON a.task_id = t.id
        JOIN recipients AS r ON r.id = a.recipient_id
        WHERE t.sim IS NOT NULL AND {not_released("t")} AND NOT {_MOVED}
        ORDER BY t.id, a.idx
        """
    )
    for _, places in groupby(rows, key=lambda row: row["id"]):
        found = list(places)
        yield found[0], [row["number"] for row in found]


def _over(
    counts: _Counts,
    task: sqlite3.Row,
    numbers: Sequence[str],
    campaign: _Owner,
    on_gateway: Sequence[Limits],
) -> str:
    """Count a task; which cap it is beyond, if any."""
    at = datetime.fromtimestamp(task["created_ms"] / 1000, UTC)
    zone = on_gateway[-1].zone
    keys = {period: (task["sim"], period, bounds(period, at, zone)[0]) for period in Period}
    today = keys[Period.DAY][2]
    for key in keys.values():
        counts.segments[key] += task["parts"]
        counts.people[key].update(numbers)
    days = len(counts.days[task["sim"]] - {today})
    counts.days[task["sim"]].add(today)
    segments = Amounts(*(counts.segments[keys[period]] for period in Period))
    people = Amounts(*(len(counts.people[keys[period]]) for period in Period))
    verdicts = [
        _beyond(ours.caps.tightest(theirs.caps), segments, people, days)
        for ours in campaign.at(task["created_ms"])
        for theirs in on_gateway
    ]
    # around a change either counts
    return "" if not all(verdicts) else verdicts[-1]


def _beyond(caps: Caps, segments: Amounts, people: Amounts, days: int) -> str:
    for period in Period:
        for cap, used, what in (
            (caps.segments.of(period), segments.of(period) or 0, "segments"),
            (caps.recipients.of(period), people.of(period) or 0, "recipients"),
        ):
            if cap is not None and used > cap:
                return f"{used} of {cap} {what} in its {period}"
    step = caps.warming(days)
    if step is not None and (segments.day or 0) > step:
        return f"{segments.day} of {step} segments on day {days + 1} of its use"
    return ""


def usage_fits(conn: sqlite3.Connection, _campaign_id: int | None) -> Finding:
    """What a SIM was charged with is at least what its tasks of that period say; of a task that
    came to it with its port, what is still open."""
    periods: dict[str, list[sqlite3.Row]] = {}
    for row in conn.execute("SELECT sim, period, start_ms, end_ms, segments FROM sim_usage"):
        periods.setdefault(row["sim"], []).append(row)
    charged = conn.execute(
        # one pass over all tasks
        f"""
        SELECT sim, created_ms, CASE WHEN {_MOVED} THEN (
                SELECT coalesce(sum(r.parts), 0) FROM attempts AS a
                JOIN recipients AS r ON r.id = a.recipient_id
                WHERE a.task_id = t.id AND a.live = 1)
            ELSE parts END AS parts
        FROM tasks AS t WHERE sim IS NOT NULL AND {not_released("t")}
            -- what was closed before it was claimed went out before civil time was set back
            AND (closed_ms IS NULL OR closed_ms >= created_ms)
        ORDER BY sim, created_ms
        """
    )
    broken: list[str] = []
    for sim, tasks in groupby(charged, key=lambda task: str(task["sim"])):
        times, sums = [], [0]
        for task in tasks:
            times.append(task["created_ms"])
            sums.append(sums[-1] + task["parts"])
        for row in sorted(periods.get(sim, ()), key=lambda row: (row["period"], row["start_ms"])):
            first, end = bisect_left(times, row["start_ms"]), bisect_left(times, row["end_ms"])
            parts = sums[end] - sums[first]
            if parts > row["segments"]:
                broken.append(f"{sim}: {row['segments']} of {parts} in its {row['period']}")
    return _finding("SIMs are charged with all that their tasks hold", broken, "")
