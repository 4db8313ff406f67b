"""Limits in force: what a campaign and the gateway it sends through ask for, both together.

Of each limit the tightest holds, whoever asked for it. The pace of a campaign, of a gateway and of
a port are three: a message pays all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, tzinfo

from campaign.planner.durations import Interval, Rate
from campaign.planner.options import CampaignOptions
from campaign.planner.quotas import Amounts, Caps, parse_balance, parse_ramp, parse_zone
from campaign.planner.settings import LIMITS, Settings, with_overrides


@dataclass(frozen=True, slots=True)
class Pace:
    """Least seconds from one message to the next, and for each SMS segment; 0: no limit."""

    gap: float = 0.0
    segment_gap: float = 0.0

    def __bool__(self) -> bool:
        return self.gap > 0 or self.segment_gap > 0

    def slowest(self, other: Pace) -> Pace:
        """Both together."""
        return Pace(max(self.gap, other.gap), max(self.segment_gap, other.segment_gap))

    @classmethod
    def of(cls, rate: str | None, segment_rate: str | None) -> Pace:
        """From rates as they are written; none or empty: no limit."""
        return cls(
            Rate.parse(rate).gap if rate else 0.0,
            Rate.parse(segment_rate).gap if segment_rate else 0.0,
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds where a campaign sends through a gateway. `intervals` are random gaps between
    two messages of a port; `zone` is whose calendar the caps of SIMs are counted in."""

    campaign: Pace = Pace()
    gateway: Pace = Pace()
    port: Pace = Pace()
    intervals: tuple[Interval, ...] = ()
    caps: Caps = field(default_factory=Caps)
    balance_floor: float | None = None
    zone: tzinfo = field(default=UTC)

    @property
    def paces_ports(self) -> bool:
        return bool(self.port or self.intervals)

    @property
    def paces_all(self) -> bool:
        """Whether one message at a time may be claimed, through whichever port."""
        return bool(self.campaign or self.gateway)

    def port_gap(self, draw: float) -> float:
        """Seconds between two messages of a port for a random `draw` in [0, 1)."""
        return max([self.port.gap, *(interval.pick(draw) for interval in self.intervals)])

    @property
    def least_port_gap(self) -> float:
        """The least that `port_gap` can be."""
        return self.port_gap(0.0)


def limits_between(options: CampaignOptions | None, gateway: Settings) -> Limits:
    """What holds between a campaign (None: whichever) and a gateway with its own settings."""
    ours = options if options is not None else CampaignOptions()
    told = {name: text for name, text in ours.settings.items() if name in LIMITS}
    over = with_overrides(Settings(), told)
    texts = (ours.interval, gateway.interval, over.interval)
    floors = [parse_balance(text) for text in (gateway.balance_floor, over.balance_floor)]
    return Limits(
        campaign=Pace.of(ours.rate, ours.segment_rate),
        gateway=_gateway_pace(gateway).slowest(_gateway_pace(over)),
        port=_port_pace(gateway).slowest(_port_pace(over)).slowest(Pace.of(ours.per_port, None)),
        intervals=tuple(Interval.parse(text) for text in texts if text),
        caps=_caps(gateway)
        .tightest(_caps(over))
        .tightest(Caps(Amounts(day=ours.daily_per_sim or None))),
        balance_floor=max((floor for floor in floors if floor is not None), default=None),
        zone=parse_zone(gateway.limits_timezone),
    )


def _gateway_pace(settings: Settings) -> Pace:
    return Pace.of(settings.rate, settings.segment_rate)


def _port_pace(settings: Settings) -> Pace:
    return Pace.of(settings.port_rate, settings.port_segment_rate)


def _caps(settings: Settings) -> Caps:
    return Caps(
        Amounts(settings.sim_hour or None, settings.sim_day or None, settings.sim_month or None),
        Amounts(
            settings.sim_hour_recipients or None,
            settings.sim_day_recipients or None,
            settings.sim_month_recipients or None,
        ),
        parse_ramp(settings.warm_up),
    )
