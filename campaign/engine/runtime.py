"""What a running engine holds between two commits: all of it can be rebuilt from the ledger."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, TypeVar

import trio

from campaign.engine.bell import Bell
from campaign.env import Env
from campaign.gateway.client import Device
from campaign.planner.closing import PAUSE_BEFORE
from campaign.planner.lanes import Hours, Lane, Picture, hours_of, picture
from campaign.planner.limits import Limits
from campaign.planner.options import CampaignOptions
from campaign.planner.pacing import Bucket, PortWindow
from campaign.planner.quotas import Usage
from campaign.planner.reach import Ground
from campaign.planner.routing import Wait, active_slots
from campaign.planner.settings import Settings, with_overrides
from campaign.planner.shares import Priority, Queue
from campaign.planner.spread import Spread
from campaign.planner.states import CampaignState
from campaign.planner.switching import SlotSim
from campaign.planner.template import Template
from campaign.protocol.codes import USABLE_PORT_CODES, PortCode
from campaign.protocol.messages import PortState
from campaign.store.backlog import Backlog
from campaign.store.campaigns import CampaignRow
from campaign.store.door import Store
from campaign.store.gateways import GatewayRow
from campaign.store.inbox import InboxRow
from campaign.store.journal import check_epoch


class ReadsInbox(Protocol):
    """The inbox as the engine reads it (a fake in simulations)."""

    @property
    def file_id(self) -> str: ...
    def last_id(self) -> int: ...
    def rows_after(self, cursor: int, limit: int) -> list[InboxRow]: ...
    def data_version(self) -> int: ...


_A_MOMENT = 1.0
"""Seconds that pass at most between a commit and the next step, unless something is wrong."""
_LONGEST_REST = 3600.0
_HALTED = (CampaignState.PAUSED, CampaignState.CANCELLED, CampaignState.FINISHED)

P = ParamSpec("P")
R = TypeVar("R")


def _in_epoch(conn: sqlite3.Connection, epoch: int, fn: Callable[[sqlite3.Connection], R]) -> R:
    check_epoch(conn, epoch)
    return fn(conn)


@dataclass
class Switch:
    """A planned switch of one port under way. Times are on the monotonic clock."""

    target: SlotSim
    former: int | None
    """The slot whose SIM is used up."""
    why: str
    since: float
    """Since when what is queued there stands still."""
    until: float
    """When to look again at the latest."""
    busy: int = -1
    told: float | None = None
    """When the device was told; None: what is queued is waited for."""

    @property
    def words(self) -> str:
        waits = "registering" if self.told is not None else "finishing what is queued"
        return f"switching to the SIM of slot {self.target.slot} ({waits})"


@dataclass
class Port:
    """One port of a gateway. Times are on the monotonic clock."""

    number: int
    slot: int | None = None
    """The SIM in use, as far as it is told."""
    operator: str = ""
    usable: bool = True
    status: str = ""
    iccid: str = ""
    balance: str = ""
    window: PortWindow = field(default_factory=PortWindow)
    bucket: Bucket = field(default_factory=Bucket)
    segment_bucket: Bucket = field(default_factory=Bucket)
    paced_by: int = 0
    """The campaign whose message it last paid for."""
    failures: int = 0
    failed_probes: int = 0
    rests_until: float | None = None
    backs_off_until: float = 0.0
    back_offs: int = 0
    evict: bool = False
    """What is queued there is to be taken back and sent elsewhere."""
    switch: Switch | None = None
    """Another SIM of the port is to take over: nothing more goes there until it has."""
    sim_failed: bool = False
    """The SIM that was to take over did not register."""
    tried_slots: dict[int, float] = field(default_factory=dict)
    """Slots whose SIM did not register, and when that was seen."""
    keeps_sim_until: float = 0.0
    """No other SIM of it has room: looked at again then."""

    def rest(self, now: float, seconds: float) -> None:
        """Send nothing there for a while, then one message as a probe.

        What is queued there stays: a port that fails says so of each message, which is then sent
        elsewhere. Taking it back would leave tasks of several recipients without proof.
        """
        self.rests_until = now + seconds

    def fail(self, now: float, seconds: float) -> float:
        """Rest after a failure too many, twice as long after each probe that failed as well, up to
        an hour; returns for how long."""
        if self.rests_until is not None and now >= self.rests_until:
            self.failed_probes += 1
        rest = min(seconds * 2.0 ** min(self.failed_probes, 20), max(seconds, _LONGEST_REST))
        self.rest(now, rest)
        return rest

    def work(self) -> None:
        """It sends, or has another SIM: earlier failures say nothing any more."""
        self.failures = self.failed_probes = self.back_offs = 0
        self.rests_until = None

    def hold_sim(self, state: PortState) -> None:
        """Take over which SIM is told of; what is not told is as it was, for the same SIM."""
        slot = state.port.slot if state.port.slot is not None else self.slot
        is_new = slot != self.slot or state.iccid not in ("", self.iccid)
        if is_new and (self.iccid or self.slot is not None):
            self.work()
            self.backs_off_until = 0.0
        if is_new or state.code == PortCode.NO_SIM:
            self.iccid, self.balance = state.iccid, state.balance
        self.slot = slot
        self.balance = state.balance or self.balance

    def back_off(self, now: float, first: float, longest: float) -> None:
        """Leave the port alone for a while, twice as long as the last time."""
        self.backs_off_until = now + min(longest, first * 2**self.back_offs)
        self.back_offs = min(self.back_offs + 1, 10)


@dataclass
class Gateway:
    """One device in this run."""

    row: GatewayRow
    settings: Settings
    device: Device
    push_url: str
    ports: dict[int, Port] = field(default_factory=dict)
    boot_id: str | None = None
    ready: bool = False
    trouble: str | None = None
    pushed: bool = False
    """A push of it has reached the receiver in this run: the return path is proved."""
    first_accept: float | None = None
    probes: int = 0
    held: bool = False
    """No report of it reaches us, and its probes are spent."""
    overtaken: frozenset[int] | None = None
    """Ports on which an urgent campaign's tasks go first (`preempting`); None: not looked yet."""
    last_probe: float = 0.0
    bucket: Bucket = field(default_factory=Bucket)
    segment_bucket: Bucket = field(default_factory=Bucket)
    recalled: dict[int, tuple[Bucket, Bucket]] = field(default_factory=dict)
    """Where the paces of ports go on that the device has not told of yet in this run."""
    usages: dict[str, Usage] = field(default_factory=dict)
    """What its SIMs were charged with, as it was read in this turn."""
    strikes: int = 0
    look: bool = False
    """It may have restarted: whoever watches it is to look at once."""
    sampled: float | None = None
    """When its statistics were last stored, on the monotonic clock."""
    subscription_trouble: str | None = None
    crowded: Waiting | None = None
    """What its ports wait for, as the first campaign of a turn found it, while all are full."""
    grounds: dict[Hashable, Ground] = field(default_factory=dict)
    """The ports as they stand in this turn, by what campaigns may use of them."""
    bell: Bell = field(default_factory=Bell)
    duties: Bell = field(default_factory=Bell)
    """Rung for whoever looks after doubt and fences."""
    steering: trio.Lock = field(default_factory=trio.Lock)
    """Held by whoever pauses, resumes or removes tasks on the device."""
    deaf: bool = False
    """It did not answer when it was last asked to pause or resume."""

    @property
    def id(self) -> int:
        return self.row.id

    @property
    def name(self) -> str:
        return self.row.name

    @property
    def is_old(self) -> bool:
        """Whether it knows the old interface only: no task id, no report, no receipt."""
        return self.settings.api_version == "1.0"


@dataclass(frozen=True)
class Waiting:
    """Why a campaign sends nothing, or not all it could, through one gateway.

    `until` is on the monotonic clock, None: until something happens; `why` is empty while it sends.
    """

    why: str
    until: float | None = None
    ports: tuple[Wait, ...] = ()


@dataclass
class Campaign:
    """One campaign in this run, its options parsed once."""

    id: int
    name: str
    options: CampaignOptions
    text: str
    """The constant message; unused where recipients have texts of their own."""
    hours: Mapping[int, Hours]
    """When each of its lanes may be sent to."""
    chosen_ports: frozenset[int] | None
    start: datetime | None = None
    deadline: datetime | None = None
    bucket: Bucket = field(default_factory=Bucket)
    segment_bucket: Bucket = field(default_factory=Bucket)
    most_parts: int = 1
    """SMS segments of its longest message."""
    needs: dict[str, int] = field(default_factory=dict)
    """Segments that must be left of a SIM's caps for the next message in line, where it is known
    that fewer are not enough."""
    used_up: dict[int, frozenset[int]] = field(default_factory=dict)
    """Ports by gateway id whose SIM had no room left for it when it was last looked at."""
    state: CampaignState = CampaignState.RUNNING
    why: dict[str, Waiting] = field(default_factory=dict)
    """What it waits for, by gateway name (or `receipts`)."""
    waiting_for: str | None = ""
    """What it waits for, as it was last stored; empty: nothing was stored yet."""
    priority: Priority = Priority.NORMAL
    sampled: bool = False
    """Its canary was judged (`judging`)."""
    tested: bool = False
    """Its test on own numbers was judged."""
    paused_for: str = ""
    """Why it was paused, as it is shown; empty: somebody asked to."""
    lanes: dict[int, Lane] = field(default_factory=dict)
    spread: Spread = Spread.EVEN
    last_ports: dict[int, int] = field(default_factory=dict)
    """The port that was served last, by gateway."""
    missed_sims: dict[int, float] = field(default_factory=dict)
    """Since when each lane waits for its SIM, on the monotonic clock."""
    finals: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=64))
    is_bounded: bool = False
    """Whether there are times when it may not send."""
    ending: str = "every recipient is final"
    """Why it is over, once it is."""
    _picture: Picture | None = None

    @property
    def places(self) -> Hashable:
        """Campaigns that may use the same gateways and ports have equal ones."""
        return self.options.gateways, self.chosen_ports, self.options.is_mms

    @property
    def awaits_test(self) -> bool:
        """Whether nothing of it may go before the test on own numbers was judged."""
        return bool(self.options.test) and not self.tested

    @property
    def is_urgent(self) -> bool:
        return self.priority is Priority.URGENT

    @classmethod
    def from_row(cls, row: CampaignRow) -> Campaign:
        template = Template.parse(row.message)
        text = template.render({}) if template.is_constant else ""
        window, times = row.options.parsed_window, (_civil(row.start_ms), _civil(row.deadline_ms))
        return cls(
            row.id,
            row.name,
            row.options,
            text if isinstance(text, str) else "",
            {lane.number: hours_of(window, lane, *times) for lane in row.lanes},
            row.options.port_numbers(),
            *times,
            most_parts=row.most_parts,
            state=row.state,
            priority=row.options.parsed_priority,
            sampled=row.sampled,
            tested=row.tested,
            paused_for=(row.waiting_for or "") if row.state is CampaignState.PAUSED else "",
            lanes={lane.number: lane for lane in row.lanes},
            spread=row.options.parsed_spread,
            is_bounded=window is not None or times != (None, None),
        )

    def picture(self, wall: datetime) -> Picture:
        """Which of its lanes are open at `wall`, paused or not.

        `wall` is the civil clock itself: this machine may have slept, and the run's clock with it.
        """
        if self._picture is None or not self._picture.holds(wall):
            self._picture = picture(self.hours, wall)
        return self._picture

    def may_go_on(self, lane: int, wall: datetime) -> bool:
        """Whether what is queued of a lane may start by now: it is not halted, and its window is
        open and not just about to close."""
        if self.state in _HALTED:
            return False
        return lane in self.picture(wall).open_beyond(wall + timedelta(seconds=PAUSE_BEFORE))

    @property
    def is_halted_by_hand(self) -> bool:
        """Whether it is paused or over, whatever its windows say."""
        return self.state in _HALTED

    def is_halted(self, wall: datetime) -> bool:
        """Whether nothing of it may be posted now: paused, over, or every window closed."""
        return self.state in _HALTED or not self.picture(wall).open

    def is_over(self, wall: datetime) -> bool:
        """Whether its deadline is over."""
        return self.deadline is not None and wall >= self.deadline

    def takes(self, gateway: Gateway) -> bool:
        if self.options.is_mms and gateway.is_old:
            return False  # the old interface knows no MMS
        return not self.options.gateways or gateway.name in self.options.gateways

    def takes_port(self, number: int) -> bool:
        return self.chosen_ports is None or number in self.chosen_ports


def _civil(ms: int | None) -> datetime | None:
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)


def ledger_time(moment: datetime | None) -> int | None:
    """A civil moment as the ledger stores it."""
    return None if moment is None else round(moment.timestamp() * 1000)


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
    inbox_every: float = 0.2
    """Seconds: how often the inbox is looked at should a wake-up have got lost."""
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
