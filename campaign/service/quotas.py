"""What each SIM of a gateway has sent, and what its caps leave."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from campaign.planner.limits import Limits, limits_between
from campaign.planner.quotas import Period, Room, Usage, parse_balance, room_for, sim_key
from campaign.planner.settings import Settings, with_overrides
from campaign.service.gateways import registered
from campaign.service.ledger import read
from campaign.service.site import Site
from campaign.store.gateways import PortRow, list_ports
from campaign.store.usage import usage_of


@dataclass(frozen=True)
class SimQuota:
    """One port with the SIM in it: what that was charged with, and what it may still send."""

    port: PortRow
    sim: str
    usage: Usage
    room: Room
    limits: Limits

    @property
    def state(self) -> str:
        """Why it sends nothing, in words; empty if it may."""
        floor, balance = self.limits.balance_floor, parse_balance(self.port.balance)
        if floor is not None and balance is not None and balance < floor:
            return f"SIM has a balance of {balance:g}, below {floor:g}"
        return self.room.why

    def as_json(self) -> dict[str, Any]:
        caps, usage = self.limits.caps, self.usage
        return {
            "port": self.port.port,
            "sim": self.sim,
            "iccid": self.port.iccid,
            "balance": self.port.balance,
            "days_used": usage.days,
            "segments": {
                p.value: _figure(usage.segments.of(p), caps.segments.of(p)) for p in Period
            },
            "recipients": {
                p.value: _figure(usage.recipients.of(p), caps.recipients.of(p)) for p in Period
            },
            "warm_up": caps.warming(usage.days),
            "left": {"segments": self.room.segments, "recipients": self.room.recipients},
            "waiting_for": self.state or None,
            "until": _rfc3339(self.room.until),
        }

    def cells(self) -> tuple[str, ...]:
        """Port, SIM, the three periods, what is left, and why it waits, as a line of a table."""
        caps, used = self.limits.caps, self.usage
        periods = [
            _of(used.segments.of(period), caps.segments.of(period))
            + _recipients(used.recipients.of(period), caps.recipients.of(period))
            for period in Period
        ]
        step = caps.warming(used.days)
        warming = "" if step is None else f" (warming up: {step} today)"
        left = self.room.segments
        until = _rfc3339(self.room.until)
        waits = self.state + (f", until {until}" if until else "")
        return (
            str(self.port.port), self.sim, *periods,
            ("no cap" if left is None else str(left)) + warming, waits,
        )  # fmt: skip


def _of(used: int | None, cap: int | None) -> str:
    return str(used or 0) if cap is None else f"{used or 0} of {cap}"


def _recipients(used: int | None, cap: int | None) -> str:
    return "" if cap is None else f" to {used or 0} of {cap} people"


def _figure(used: int | None, cap: int | None) -> dict[str, int | None]:
    return {"used": used or 0, "cap": cap}


def _rfc3339(at: datetime | None) -> str | None:
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")


def quotas(site: Site, name: str) -> list[SimQuota]:
    """Every port of a gateway as it was last seen, with its own limits (campaigns may ask for
    tighter ones). Raises `UsageError` for an unknown name."""
    row = registered(site, name)
    limits = limits_between(None, with_overrides(Settings(), dict(row.settings)))
    return read(site, _quotas, row.id, limits, site.env.wall())


def _quotas(
    conn: sqlite3.Connection, gateway_id: int, limits: Limits, now: datetime
) -> list[SimQuota]:
    ports = list_ports(conn, gateway_id)
    sims = {port.port: sim_key(gateway_id, port.port, port.slot, port.iccid) for port in ports}
    usages = usage_of(conn, set(sims.values()), round(now.timestamp() * 1000), limits.zone)
    return [
        SimQuota(
            port, sims[port.port], (used := usages[sims[port.port]]),
            room_for(limits.caps, used, now, limits.zone), limits,
        )
        for port in ports
    ]  # fmt: skip
