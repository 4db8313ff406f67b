"""A device as a run knows it: its ports with their SIMs, paces and failures, and itself."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from campaign.engine.bell import Bell
from campaign.planner.pacing import Bucket, PortWindow
from campaign.planner.quotas import Usage
from campaign.planner.reach import Ground, Place
from campaign.planner.routing import Waiting
from campaign.planner.settings import Settings
from campaign.planner.switching import SlotSim
from campaign.protocol.codes import PortCode
from campaign.protocol.messages import PortState
from campaign.store.gateways import GatewayRow

if TYPE_CHECKING:  # httpx behind it is a tenth of the start of a command
    from campaign.gateway.client import Device

_LONGEST_REST = 3600.0


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


@dataclass(frozen=True, slots=True)
class Sight:
    """One look at a gateway's ports: it holds while the mark is the same, at most until then."""

    places: tuple[Place, ...]
    mark: tuple[int, int]
    until: float


@dataclass(frozen=True, slots=True)
class Panorama:
    """The looks at several gateways, and what was put together from them."""

    sights: tuple[tuple[Place, ...], ...]
    ground: Ground


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
    held_before: dict[int, int] = field(default_factory=dict)
    """Messages that such ports had been given at once by the run before."""
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
    changes: int = 0
    """Raised whenever its ports may stand otherwise than at the last look."""
    sights: dict[Hashable, Sight] = field(default_factory=dict)
    """Its ports as they stood at the last look, by what campaigns may use of them (`places`)."""
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
