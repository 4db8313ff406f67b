"""One campaign in a run: its options parsed once, its hours, and what it waits for."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from campaign.engine.device import Gateway
from campaign.planner.closing import PAUSE_BEFORE
from campaign.planner.lanes import Hours, Lane, Picture, hours_of, picture
from campaign.planner.options import CampaignOptions
from campaign.planner.pacing import Bucket
from campaign.planner.routing import Waiting
from campaign.planner.shares import Priority
from campaign.planner.spread import Spread
from campaign.planner.states import CampaignState
from campaign.planner.template import Template
from campaign.store.campaigns import CampaignRow

_HALTED = (CampaignState.PAUSED, CampaignState.CANCELLED, CampaignState.FINISHED)


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
    nobody: dict[tuple[int, int], float] = field(default_factory=dict)
    """Until when a port (gateway id, number) is not offered to it again, on the monotonic clock:
    nobody who waits could go there."""
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
