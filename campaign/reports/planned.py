"""Plan against actual: what was forecast when a campaign began, beside what came of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from campaign.store.campaigns import CampaignRow
from campaign.store.foreseen import kept_forecast, refused_tries, sent_by_port
from campaign.store.tasks import last_closed


@dataclass(frozen=True)
class Compared:
    """One figure of the plan and what it came to; `off` is by how much, in words."""

    what: str
    planned: str
    actual: str
    off: str = ""


@dataclass(frozen=True)
class PlannedPort:
    """One port: messages and SMS parts that were to be sent there, and that were."""

    gateway: str | None
    port: int
    planned: int
    sent: int
    planned_segments: int
    sent_segments: int


@dataclass(frozen=True)
class Planned:
    """The plan of a campaign and how far it was right. Moments are aware UTC; `ended` is when the
    last of its tasks was closed, None while it runs."""

    made_at: datetime | None
    earliest: datetime | None
    expected: datetime | None
    latest: datetime | None
    ended: datetime | None
    recipients: int
    segments: int
    sent: int
    sent_segments: int
    failures: int
    refused_tries: int
    ports: tuple[PlannedPort, ...]
    assumed: int = 0
    """Ports that had sent too little to tell their pace when the plan was made."""
    assumed_seconds: float = 0.0
    """What an SMS was taken to need there."""

    @property
    def finish_off(self) -> float | None:
        """How much of its time it took longer than planned (below zero: less), as a share."""
        if self.ended is None or self.expected is None or self.made_at is None:
            return None
        planned = (self.expected - self.made_at).total_seconds()
        return (self.ended - self.expected).total_seconds() / planned if planned > 0 else None

    @property
    def rows(self) -> tuple[Compared, ...]:
        """The comparison, line by line."""
        off = self.finish_off
        return (
            Compared(
                "sending done",
                _shown(self.expected),
                _shown(self.ended) if self.ended else "not yet",
                "" if off is None else f"{100 * off:+.1f} %",
            ),
            Compared("at the earliest", _shown(self.earliest), ""),
            Compared("at the latest", _shown(self.latest), ""),
            Compared("recipients sent", str(self.recipients), str(self.sent)),
            Compared("SMS parts", str(self.segments), str(self.sent_segments)),
            Compared("refused tries", str(self.failures), str(self.refused_tries)),
            *self._pace,
        )

    @property
    def _pace(self) -> tuple[Compared, ...]:
        """Where the plan had to assume how fast SIMs send, the report says so."""
        if not self.assumed:
            return ()
        planned = f"{self.assumed_seconds:g} s an SMS"
        return (Compared("pace", planned, "", f"assumed on {self.assumed} ports"),)

    def json(self) -> dict[str, Any]:
        """As the report's JSON shows it."""
        off = self.finish_off
        return {
            "made_at": _stamp(self.made_at),
            "finish": {
                "earliest": _stamp(self.earliest),
                "expected": _stamp(self.expected),
                "latest": _stamp(self.latest),
                "actual": _stamp(self.ended),
                "off": None if off is None else round(off, 4),
            },
            "recipients": {"planned": self.recipients, "actual": self.sent},
            "segments": {"planned": self.segments, "actual": self.sent_segments},
            "failures": {"planned": self.failures, "actual": self.refused_tries},
            "assumed": {"ports": self.assumed, "seconds": self.assumed_seconds},
            "per_port": [
                {
                    "gateway": port.gateway,
                    "port": str(port.port),
                    "recipients": {"planned": port.planned, "actual": port.sent},
                    "segments": {"planned": port.planned_segments, "actual": port.sent_segments},
                }
                for port in self.ports
            ],
        }


def plan_against_actual(conn: sqlite3.Connection, campaign: CampaignRow) -> Planned | None:
    """The forecast kept with a campaign and what the ledger tells by now; None without one."""
    kept = kept_forecast(conn, campaign.id)
    if kept is None:
        return None
    went = sent_by_port(conn, campaign.id)
    ports = _ports(kept["per_port"], [port for port in went if port["port"] is not None])
    ended_ms = campaign.finished_ms
    if ended_ms is not None:  # receipts are waited for longer than anything is sent
        ended_ms = last_closed(conn, campaign.id) or ended_ms
    finish = kept["finish"]
    return Planned(
        made_at=_moment(kept["made_at"]),
        earliest=_moment(finish["earliest"]),
        expected=_moment(finish["expected"]),
        latest=_moment(finish["latest"]),
        ended=None if ended_ms is None else datetime.fromtimestamp(ended_ms / 1000, UTC),
        recipients=kept["recipients"],
        segments=kept["segments"],
        sent=sum(port["recipients"] for port in went),
        sent_segments=sum(port["segments"] for port in went),
        failures=sum(port["messages"] - port["recipients"] for port in kept["per_port"]),
        refused_tries=refused_tries(conn, campaign.id),
        ports=ports,
        assumed=kept.get("assumed", {}).get("ports", 0),
        assumed_seconds=kept.get("assumed", {}).get("seconds", 0.0),
    )


def _ports(planned: list[dict[str, Any]], actual: list[dict[str, Any]]) -> tuple[PlannedPort, ...]:
    """Ports that were planned with or used, by gateway and number."""
    ours = {(port["gateway"], int(port["port"])): port for port in planned}
    theirs = {(port["gateway"], int(port["port"])): port for port in actual}
    places = sorted(ours.keys() | theirs.keys(), key=lambda place: (place[0] or "", place[1]))
    return tuple(
        PlannedPort(
            *place,
            _figure(ours.get(place), "recipients"),
            _figure(theirs.get(place), "recipients"),
            _figure(ours.get(place), "segments"),
            _figure(theirs.get(place), "segments"),
        )
        for place in places
    )


def _figure(port: Mapping[str, Any] | None, name: str) -> int:
    return 0 if port is None else int(port[name])


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _stamp(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _shown(at: datetime | None) -> str:
    return "never" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
