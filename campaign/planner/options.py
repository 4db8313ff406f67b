"""What an operator asked of one campaign; stored with it, so that `resume` keeps every word."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from campaign.errors import UsageError
from campaign.planner.durations import Interval, Rate
from campaign.planner.frequency import Cap
from campaign.planner.moments import check_moments, start_and_deadline
from campaign.planner.routes import Routes
from campaign.planner.settings import Settings, with_overrides
from campaign.planner.shares import Priority
from campaign.planner.spread import Spread
from campaign.planner.tariffs import Tariff
from campaign.planner.thresholds import Threshold
from campaign.planner.verdicts import CANARY_THRESHOLD, SampleSize, check_pause_if, parse_pause_if
from campaign.planner.windows import Window, check_days, zone_named
from campaign.protocol.ports import AllPorts, parse_selection

_WORDS = (
    "ports", "rate", "segment_rate", "per_port", "interval", "window", "days", "timezone", "start",
    "deadline", "canary", "at_most", "region", "phone_column",
)  # fmt: skip
"""Options that are one text each, which is not to be empty."""
_LIMITS = ("rate", "segment_rate", "per_port", "interval")


class CampaignOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Options of `launch`, as written; the properties parse (and so check) them.

    `gateways` are registry names, empty for all. Every property raises `UsageError` on bad text.
    """

    gateways: tuple[str, ...] = ()
    ports: str = "all"
    rate: str | None = None
    segment_rate: str | None = None
    per_port: str | None = None
    interval: str | None = None
    daily_per_sim: int | None = None
    window: str | None = None
    days: str | None = None
    timezone: str | None = None
    recipient_time: bool = False
    skip_dates: tuple[str, ...] = ()
    start: str | None = None
    deadline: str | None = None
    late: str = "start"
    retries: int = 2
    receipts: bool = True
    priority: str = "normal"
    share: int = 1
    test: tuple[str, ...] = ()
    canary: str | None = None
    pause_if: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    spread: str = "even"
    cost: tuple[str, ...] = ()
    at_most: str | None = None
    region: str | None = None
    phone_column: str | None = None
    subject: str | None = None
    """Of an MMS; None for an SMS campaign."""
    settings: dict[str, str] = {}

    def encode(self) -> str:
        return msgspec.json.encode(self).decode()

    @classmethod
    def decode(cls, text: str) -> CampaignOptions:
        return msgspec.json.decode(text, type=cls)

    def check(self) -> None:
        """Raise `UsageError` for the first option that cannot be."""
        self._check_words(_WORDS)
        check_days(self.days)
        _ = self.parsed_window, self.parsed_at_most
        self.check_limits()
        self.check_order()
        self._check_outcome()
        _ = self.parsed_routes, self.parsed_spread, self.parsed_tariff
        if "limits-timezone" in self.settings:
            raise UsageError(
                "limits-timezone is a gateway's, whose SIMs all campaigns share:"
                " gateway set NAME limits-timezone=…"
            )
        self.allows_port(1)
        zone_named(self.timezone or "UTC")
        check_moments(self.start, self.deadline, self.timezone or "UTC")
        if self.late not in ("start", "skip"):
            raise UsageError(f"--late {self.late}: write start or skip")
        with_overrides(Settings(), self.settings)

    def check_limits(self) -> None:
        """What may be changed while it runs, and nothing else."""
        self._check_words(_LIMITS)
        _ = self.parsed_rate, self.parsed_segment_rate, self.parsed_per_port, self.parsed_interval
        if self.daily_per_sim is not None and self.daily_per_sim < 1:
            raise UsageError(f"--daily-per-sim {self.daily_per_sim}: write a number above zero")

    def check_order(self) -> None:
        """How it stands to other campaigns, and nothing else."""
        _ = self.parsed_priority
        if self.share < 1:
            raise UsageError(
                "--share counts from 1: a campaign with twice as much gets twice as much"
            )

    def _check_words(self, names: Iterable[str]) -> None:
        """Nothing at all is what a shell makes of a variable that is not set: no limit was meant,
        and none would be kept."""
        for name in names:
            text = getattr(self, name)
            if text is not None and not text.strip():
                option = name.replace("_", "-")
                raise UsageError(f"--{option} is empty: write a value, or leave --{option} out")

    @property
    def is_mms(self) -> bool:
        return self.subject is not None

    def _check_outcome(self) -> None:
        if self.retries < 0:
            raise UsageError(f"--retries {self.retries}: write 0 or more")
        _ = self.parsed_canary
        check_pause_if(self.parsed_pause_if)

    @property
    def parsed_priority(self) -> Priority:
        """Who is served first where campaigns share gateways."""
        try:
            return Priority(self.priority)
        except ValueError as error:
            known = ", ".join(Priority)
            raise UsageError(f"--priority {self.priority!r}: it is one of {known}") from error

    @property
    def parsed_canary(self) -> SampleSize | None:
        """How many go first and are judged before the rest goes; None: all go."""
        return SampleSize.parse(self.canary) if self.canary else None

    @property
    def parsed_pause_if(self) -> tuple[Threshold, ...]:
        return parse_pause_if(self.pause_if)

    @property
    def sample_thresholds(self) -> tuple[Threshold, ...]:
        """What the first recipients are judged by."""
        return self.parsed_pause_if or parse_pause_if((CANARY_THRESHOLD,))

    @property
    def parsed_rate(self) -> Rate | None:
        return Rate.parse(self.rate) if self.rate else None

    @property
    def parsed_segment_rate(self) -> Rate | None:
        return Rate.parse(self.segment_rate) if self.segment_rate else None

    @property
    def parsed_per_port(self) -> Rate | None:
        return Rate.parse(self.per_port) if self.per_port else None

    @property
    def parsed_interval(self) -> Interval | None:
        return Interval.parse(self.interval) if self.interval else None

    @property
    def parsed_at_most(self) -> Cap | None:
        return Cap.parse(self.at_most) if self.at_most else None

    @property
    def parsed_window(self) -> Window | None:
        """The sending window, or None for any time."""
        if self.window in (None, "", "any") and not self.days and not self.skip_dates:
            return None
        return Window.parse(
            self.window or "any",
            days=self.days,
            timezone=self.timezone or "UTC",
            skip=self.skip_dates,
        )

    def times(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        """Start and deadline (aware UTC) of a campaign launched at `now`."""
        return start_and_deadline(self.start, self.deadline, now, self.timezone or "UTC")

    @property
    def parsed_routes(self) -> Routes:
        return Routes.parse(self.routes)

    @property
    def parsed_spread(self) -> Spread:
        return Spread.parse(self.spread)

    @property
    def parsed_tariff(self) -> Tariff:
        return Tariff.parse(self.cost)

    @property
    def attempts(self) -> int:
        """Most times one recipient may be tried."""
        return 1 + self.retries

    def port_numbers(self) -> frozenset[int] | None:
        """The chosen port numbers, None for all."""
        selection = parse_selection(self.ports)
        if isinstance(selection, AllPorts):
            return None
        return frozenset(port.number for port in selection)

    def allows_port(self, number: int) -> bool:
        chosen = self.port_numbers()
        return chosen is None or number in chosen

    def settings_over(self, gateway: dict[str, str]) -> Settings:
        """The settings in force between this campaign and a gateway with its own."""
        return with_overrides(Settings(), {**gateway, **self.settings})
