"""Foresight: what a forecast needs to know, gathered from the ledger.

Only read here: what comes of it is decided in `planner.forecast`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from campaign.planner.forecast import Forecast
from campaign.planner.lanes import Lane, hours_of
from campaign.planner.limits import Limits, Pace, limits_between
from campaign.planner.options import CampaignOptions
from campaign.planner.quotas import Usage, parse_balance, sim_key
from campaign.planner.settings import Settings, with_overrides
from campaign.planner.workload import SIM_SECONDS, Conditions, Demand, Group, PlannedSim, measured
from campaign.protocol.codes import USABLE_PORT_CODES
from campaign.store.foreseen import failure_share, measured_paces, open_campaigns
from campaign.store.gateways import GatewayRow, PortRow, list_ports
from campaign.store.usage import usage_of

ASSUMED_PORTS = 8
"""Of a device whose ports are not known yet."""

_RANKS = ("urgent", "high", "normal", "low")
_STRICTLY = 1_000_000
"""The weight of a campaign that goes before ours: next to nothing is left for us meanwhile."""


@dataclass(frozen=True)
class Outlook:
    """Everything around a campaign that a forecast of it takes into account."""

    sims: tuple[PlannedSim, ...]
    conditions: Conditions
    others: tuple[Demand, ...]


def outlook(
    conn: sqlite3.Connection,
    now_ms: int,
    options: CampaignOptions,
    gateways: Sequence[GatewayRow],
    *,
    besides: int | None = None,
    deadline: datetime | None = None,
) -> Outlook:
    """The ports of these devices as they were last seen and how they fared lately, and the other
    campaigns (`besides` this one) that want them."""
    paces = measured_paces(conn)
    sims: list[PlannedSim] = []
    gaps: dict[str | None, float] = {}
    part_gaps: dict[str | None, float] = {}
    waits: list[float] = []
    for row in gateways:
        settings = with_overrides(Settings(), dict(row.settings))
        limits = limits_between(options, settings)
        gaps[row.name], part_gaps[row.name] = limits.gateway.gap, limits.gateway.segment_gap
        waits.append(options.settings_over(dict(row.settings)).retry_wait)
        ports = list_ports(conn, row.id)
        usages = _usages(conn, row, ports, limits, now_ms)
        sims += _sims(row, ports, options, limits, paces, usages)
    failures = failure_share(conn, [row.id for row in gateways]) if gateways else None
    return Outlook(
        tuple(sims),
        Conditions(
            failures=failures or 0.0,
            attempts=options.attempts,
            retry_wait=min(waits, default=10.0),
            gateway_gaps=gaps,
            gateway_part_gaps=part_gaps,
            deadline=deadline,
        ),
        tuple(_rivals(conn, options, {row.name for row in gateways}, besides)),
    )


def demand_of(
    options: CampaignOptions,
    alike: Mapping[tuple[int, int], int],
    lanes: Iterable[Lane] = (),
    start: datetime | None = None,
    deadline: datetime | None = None,
) -> Demand:
    """What a campaign wants sent. `alike` counts recipients by (lane, SMS parts)."""
    known = {lane.number: lane for lane in lanes}
    window = options.parsed_window
    groups: list[Group] = []
    for (number, parts), count in sorted(alike.items()):
        lane = known.get(number, Lane(number))
        groups.append(Group(count, parts, hours_of(window, lane, start, deadline), lane.route))
    pace = Pace.of(options.rate, options.segment_rate)
    return Demand(tuple(groups), pace.gap, pace.segment_gap, weight=options.share)


def assumed_sims(
    gateway: str | None,
    options: CampaignOptions,
    limits: Limits,
    seconds: tuple[float, float, float] = SIM_SECONDS,
) -> list[PlannedSim]:
    """The ports of a device of which nothing is known."""
    chosen = options.port_numbers()
    numbers = sorted(chosen) if chosen is not None else list(range(1, ASSUMED_PORTS + 1))
    return [
        PlannedSim(
            gateway, port, False, seconds, _gaps(limits), limits.port.segment_gap, limits.caps,
            zone=limits.zone,
        )
        for port in numbers
    ]  # fmt: skip


def _gaps(limits: Limits) -> tuple[float, float, float]:
    """Seconds between two messages of a port: at an interval's low end, middle and high end."""
    return limits.port_gap(0.0), limits.port_gap(0.5), limits.port_gap(1.0)


def forecast_json(found: Forecast) -> dict[str, object]:
    """A forecast as `plan --json` shows it, and as the ledger keeps it."""
    return {
        "finish": {
            "earliest": moment(found.earliest),
            "expected": moment(found.expected),
            "latest": moment(found.latest),
        },
        "pauses": [
            {"from": moment(pause.begins), "until": moment(pause.ends), "why": pause.why}
            for pause in found.pauses
        ],
        "late": found.late,
        "per_port": [
            {
                "gateway": port.gateway,
                "port": str(port.port),
                "known": port.known,
                "recipients": port.recipients,
                "messages": port.messages,
                "segments": port.segments,
                "quota_out": moment(port.quota_out),
                "quota_until": moment(port.quota_until),
                "quota": port.quota,
            }
            for port in found.ports
        ],
    }


def moment(at: datetime | None) -> str | None:
    """RFC 3339 UTC."""
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _sims(
    row: GatewayRow,
    ports: Sequence[PortRow],
    options: CampaignOptions,
    limits: Limits,
    paces: Mapping[tuple[int, int], float],
    usages: Mapping[str, Usage],
) -> list[PlannedSim]:
    settings = options.settings_over(dict(row.settings))
    least = settings.legacy_gap if settings.api_version == "1.0" else 0.0
    if not ports:
        return assumed_sims(row.name, options, limits)
    sims: list[PlannedSim] = []
    for port in ports:
        if not options.allows_port(port.port) or port.code not in USABLE_PORT_CODES:
            continue
        if _is_too_poor(port, limits):
            continue
        pace = paces.get((row.id, port.port))
        low, middle, high = (max(least, gap) for gap in _gaps(limits))
        sims.append(
            PlannedSim(
                row.name,
                port.port,
                seconds=SIM_SECONDS if pace is None else measured(pace),
                gaps=(low, middle, high),
                part_gap=limits.port.segment_gap,
                caps=limits.caps,
                usage=usages.get(_sim(row, port), Usage()),
                zone=limits.zone,
                operator=port.operator,
            )
        )
    return sims


def _usages(
    conn: sqlite3.Connection,
    row: GatewayRow,
    ports: Sequence[PortRow],
    limits: Limits,
    now_ms: int,
) -> Mapping[str, Usage]:
    if not limits.caps:
        return {}
    return usage_of(conn, {_sim(row, port) for port in ports}, now_ms, limits.zone)


def _sim(row: GatewayRow, port: PortRow) -> str:
    return sim_key(row.id, port.port, port.slot, port.iccid)


def _is_too_poor(port: PortRow, limits: Limits) -> bool:
    balance, floor = parse_balance(port.balance), limits.balance_floor
    return floor is not None and balance is not None and balance < floor


def _rivals(
    conn: sqlite3.Connection, options: CampaignOptions, names: set[str], besides: int | None
) -> Iterator[Demand]:
    """What other campaigns want of the same devices. Their waiting recipients are taken for one
    SMS part each and go wherever they like: how a rival fares is no business of ours."""
    rank = _rank(options)
    for row, left in open_campaigns(conn, besides):
        theirs = row.options
        if theirs.gateways and not names & set(theirs.gateways):
            continue
        if _rank(theirs) > rank:
            continue  # it is served after us
        start = None if row.start_ms is None else datetime.fromtimestamp(row.start_ms / 1000, UTC)
        demand = demand_of(theirs, {(0, 1): left}, start=start)
        weight = _STRICTLY if _rank(theirs) < rank else theirs.share
        yield replace(demand, weight=weight)


def _rank(options: CampaignOptions) -> int:
    return _RANKS.index(options.priority) if options.priority in _RANKS else _RANKS.index("normal")
