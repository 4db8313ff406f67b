"""What a running engine holds between two commits: all of it can be rebuilt from the ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Hashable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

import trio

from campaign.engine.bell import Bell
from campaign.engine.campaign import Campaign
from campaign.engine.device import Gateway, Panorama, Port
from campaign.env import Env
from campaign.planner.limits import Limits
from campaign.planner.routing import active_slots
from campaign.planner.settings import Settings, with_overrides
from campaign.planner.shares import Queue
from campaign.protocol.codes import USABLE_PORT_CODES
from campaign.protocol.messages import PortState
from campaign.store.backlog import Backlog
from campaign.store.door import Store
from campaign.store.gateways import GatewayRow
from campaign.store.inbox import InboxRow
from campaign.store.journal import check_epoch

if TYPE_CHECKING:  # httpx behind it is a tenth of the start of a command
    from campaign.gateway.client import Device


class ReadsInbox(Protocol):
    """The inbox as the engine reads it (a fake in simulations)."""

    @property
    def file_id(self) -> str: ...
    def last_id(self) -> int: ...
    def rows_after(self, cursor: int, limit: int) -> list[InboxRow]: ...
    def data_version(self) -> int: ...


_A_MOMENT = 1.0
"""Seconds that pass at most between a commit and the next step, unless something is wrong."""

P = ParamSpec("P")
R = TypeVar("R")


def _in_epoch(conn: sqlite3.Connection, epoch: int, fn: Callable[[sqlite3.Connection], R]) -> R:
    check_epoch(conn, epoch)
    return fn(conn)


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment by both clocks."""

    wall: datetime
    monotonic: float


@dataclass
class Run:
    """One engine run over one ledger."""

    env: Env
    store: Store
    inbox: ReadsInbox
    optouts: Path
    connect: Callable[[GatewayRow, Settings], Device]
    push_url: Callable[[GatewayRow], str]
    notice: Callable[[str], None] = lambda _line: None
    epoch: int = 0
    gateways: dict[int, Gateway] = field(default_factory=dict)
    campaigns: dict[int, Campaign] = field(default_factory=dict)
    targets: set[int] = field(default_factory=set)
    """Campaigns this run sends for; every other one is settled, but not sent on."""
    queue: Queue = field(default_factory=Queue)
    """Who is served next where several campaigns share a gateway."""
    loading: trio.Lock = field(default_factory=trio.Lock)
    """One list is stored at a time."""
    commits: int = 0
    """Writes of this run: what was read of the ledger holds until the next one."""
    backlog: tuple[Hashable, Backlog] | None = None
    """What the target campaigns have left, and as of when (`order.read_backlog`)."""
    settings_cache: dict[tuple[int, int], Settings] = field(default_factory=dict)
    limits_cache: dict[tuple[int, int], Limits] = field(default_factory=dict)
    attachments: dict[int, str] = field(default_factory=dict)
    """Those of MMS campaigns as their tasks carry them, as far as they were read."""
    changed: Bell = field(default_factory=Bell)
    """Rung when counts or states may have changed."""
    planned: Bell = field(default_factory=Bell)
    """Rung when a campaign comes: its windows are to be kept."""
    inbox_bell: Bell = field(default_factory=Bell)
    serving: bool = False
    """It stands as a service: it never ends by itself, whatever there is to send."""
    reopened: int = 0
    """How often a decision gave a target campaign something to send again."""
    stopping: bool = False
    posting: int = 0
    """Posts on the wire now."""
    unusable: dict[str, str] = field(default_factory=dict)
    """Registered gateways that cannot even be tried, and why, by name."""
    reload: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
    """Bring the running gateways in line with the registry; set by the engine."""
    inbox_start: int = 0
    left_behind: dict[int, dict[int, int]] = field(default_factory=dict)
    """Messages that ports had been given when this run began, by gateway id and port."""
    heard: dict[int, frozenset[int]] = field(default_factory=dict)
    """Earlier runs that reports of a device reached, by its gateway id: what it holds of theirs
    proves nothing of this run's way back, but puts nothing more at risk either."""
    folded_to: int | None = None
    """The inbox row up to which this run has folded; None: the ledger is to be asked."""
    inbox_every: float = 0.2
    """Seconds: how often the inbox is looked at should a wake-up have got lost."""
    seen: dict[Hashable, Panorama] = field(default_factory=dict)
    """What each view of the gateways' ports came to, and from which looks (`places`)."""
    _usable: dict[Hashable, tuple[float, int]] = field(default_factory=dict)
    _wall: datetime | None = None
    _mono: float = 0.0

    async def write(
        self, fn: Callable[Concatenate[sqlite3.Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Write as this run's engine: `StaleEpoch` once another one has taken the ledger over."""
        try:
            return await self.store.write(
                _in_epoch, self.epoch, lambda conn: fn(conn, *args, **kwargs)
            )
        finally:
            self.commits += 1

    def anchor(self) -> None:
        """Tie civil time to the monotonic clock for the length of this run: a stepped wall clock
        must not shorten a horizon."""
        self._wall, self._mono = self.env.wall(), self.env.monotonic()

    def now(self) -> datetime:
        """Aware UTC, steady within the run."""
        if self._wall is None:
            self.anchor()
        assert self._wall is not None  # noqa: S101 - just set
        return self._wall + timedelta(seconds=self.env.monotonic() - self._mono)

    def now_ms(self) -> int:
        """`now` as the ledger stores it."""
        return round(self.now().timestamp() * 1000)

    def monotonic_at(self, wall_ms: int) -> float:
        """When a ledger time comes on the monotonic clock."""
        return self.env.monotonic() + (wall_ms - self.now_ms()) / 1000

    def instant(self) -> Instant:
        """Now, for `passed_since`."""
        return Instant(self.env.wall(), self.env.monotonic())

    def passed_since(self, instant: Instant) -> float:
        """Seconds since then by the clock that says more: a suspended machine's monotonic clock
        stands still."""
        civil = (self.env.wall() - instant.wall).total_seconds()
        return max(civil, self.env.monotonic() - instant.monotonic)

    async def check_still_ours(self, since: Instant) -> None:
        """Before the first byte of what was committed after `since`: `StaleEpoch` if this process
        was stopped in between and another engine took the ledger over meanwhile."""
        if self.passed_since(since) > _A_MOMENT:
            await self.store.read(check_epoch, self.epoch)

    def later(self, seconds: float) -> str:
        """RFC 3339 UTC, that many seconds from now."""
        return (self.now() + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def settings(self, gateway: Gateway, campaign_id: int) -> Settings:
        """The times in force between a gateway and a campaign."""
        key = (gateway.id, campaign_id)
        if key not in self.settings_cache:
            campaign = self.campaigns.get(campaign_id)
            over = campaign.options.settings if campaign else {}
            self.settings_cache[key] = with_overrides(Settings(), {**gateway.row.settings, **over})
        return self.settings_cache[key]

    def settings_now(self, gateway: Gateway) -> Settings:
        """What holds for a gateway as a whole: its latest campaign here decides."""
        latest = max(
            (id_ for id_ in self.targets if self.campaigns[id_].takes(gateway)), default=None
        )
        return gateway.settings if latest is None else self.settings(gateway, latest)

    def gateways_of(self, campaign: Campaign) -> list[Gateway]:
        return [gateway for gateway in self.gateways.values() if campaign.takes(gateway)]

    def usable_ports(self, campaign: Campaign) -> int:
        """How many ports could send for this campaign now.

        Counted anew after every ring, and once a second: with many gateways this costs more than
        all the rest of a turn.
        """
        now = self.env.monotonic()
        where = campaign.places, campaign.id if campaign.used_up else None
        counted = self._usable.get(where)
        if counted is None or now - counted[0] >= _A_MOMENT:
            counted = self._usable[where] = (
                now,
                sum(
                    port.usable
                    and port.rests_until is None
                    and campaign.takes_port(port.number)
                    and port.number not in campaign.used_up.get(gateway.id, ())
                    for gateway in self.gateways_of(campaign)
                    if gateway.ready and not gateway.row.stopped and not gateway.held
                    for port in gateway.ports.values()
                ),
            )
        return counted[1]

    def ring(self, gateways: Iterable[Gateway] | None = None) -> None:
        """Something changed: wake the dispatchers (of these gateways) and whoever shows it."""
        self._usable.clear()
        for gateway in self.gateways.values() if gateways is None else gateways:
            gateway.bell.ring()
        self.changed.ring()

    def stands_otherwise(self, gateway: Gateway) -> None:
        """Its ports can send, or cannot any more: the others' turns, which may wait for them or
        count on them, look at it anew."""
        gateway.changes += 1
        self.ring(other for other in self.gateways.values() if other is not gateway)

    def learn_ports(self, gateway: Gateway, states: Iterable[PortState]) -> None:
        """Take over what a device said of its ports; one that can send again is used again."""
        for state in active_slots(states):
            port = gateway.ports.setdefault(state.port.number, Port(state.port.number))
            usable = state.code in USABLE_PORT_CODES
            port.hold_sim(state)
            port.evict = port.evict or (port.usable and not usable)
            port.operator = state.operator or port.operator
            port.usable = usable
            port.status = state.text
        self._usable.clear()
