"""Worlds with limits, and a judge who knows nothing but what went on air.

A `Limited` world is drawn with every limit an operator can set, alone and together. The judge
counts again, from the devices' own ground truth, what each SIM, gateway and campaign sent in each
hour, day and second, and `most` says how much the limits would have let through, so that a
scheduler that keeps every limit by doing nothing is found out as well.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from campaign.simulator.truth import Attempt
from tests.simulation.scenario import CampaignPlan, Crash, DevicePlan, Scenario

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
"""When every world begins: a Monday, at ten."""

_HOUR, _DAY = 3600.0, 86400.0
_PRICE = 0.25
_ASKED, _QUEUED = 30.0, 60.0
"""Seconds: how often a device tells its balances, and how much sending waits on a port."""
_ON_AIR = 0.5
"""Seconds by which two messages may be closer on air than they were claimed: a device takes them
from the wire and begins, whatever a request took."""


@dataclass(frozen=True)
class Caps:
    """What each SIM of a gateway may send; None or empty: no limit. Counts are SMS parts, or
    distinct recipients."""

    hour: int | None = None
    day: int | None = None
    month: int | None = None
    hour_recipients: int | None = None
    day_recipients: int | None = None
    month_recipients: int | None = None
    ramp: tuple[int, ...] = ()
    gap: float = 0.0
    """Least seconds between two messages of one port."""
    segment_gap: float = 0.0
    """… for each SMS part of a message."""
    interval: tuple[int, int] | None = None
    """Least and most seconds between two messages of one port, drawn for each."""

    def settings(self) -> dict[str, str]:
        found = {
            "sim-hour": self.hour,
            "sim-day": self.day,
            "sim-month": self.month,
            "sim-hour-recipients": self.hour_recipients,
            "sim-day-recipients": self.day_recipients,
            "sim-month-recipients": self.month_recipients,
        }
        settings = {name: str(value) for name, value in found.items() if value is not None}
        if self.ramp:
            settings["warm-up"] = ",".join(map(str, self.ramp))
        if self.gap:
            settings["port-rate"] = f"{60 / self.gap:.6f}/min"
        if self.segment_gap:
            settings["port-segment-rate"] = f"{60 / self.segment_gap:.6f}/min"
        if self.interval is not None:
            settings["interval"] = "{}s-{}s".format(*self.interval)
        return settings

    def least_gap(self, parts: int) -> float:
        """Seconds that lie between two messages of one port at least."""
        return max(self.gap, self.segment_gap * parts, *(self.interval or (0,))[:1])

    def usual_gap(self, parts: int) -> float:
        """… and on the average."""
        drawn = sum(self.interval) / 2 if self.interval is not None else 0.0
        return max(self.least_gap(parts), drawn)

    def day_cap(self, nth: int) -> int | None:
        """The tightest cap in SMS parts on a SIM's `nth` day of use, from 0."""
        caps = [self.day, self.ramp[nth] if nth < len(self.ramp) else None]
        return min((cap for cap in caps if cap is not None), default=None)


@dataclass(frozen=True)
class Box:
    """One gateway: its ports, how long a message takes on air, and its own pace."""

    name: str
    ports: int
    air: float
    caps: Caps = Caps()
    gap: float = 0.0
    """Least seconds between two messages of the whole gateway."""
    segment_gap: float = 0.0
    """… for each SMS part of a message."""
    money: int | None = None
    """How many messages each SIM can pay before its balance is below the floor."""

    def plan(self, seed: int) -> DevicePlan:
        settings = {"status-period": "10m", "push-silence": "30m", **self.caps.settings()}
        if self.gap:
            settings["rate"] = f"{60 / self.gap:.6f}/min"
        if self.segment_gap:
            settings["segment-rate"] = f"{60 / self.segment_gap:.6f}/min"
        purse = {}
        if self.money is not None:
            purse = {"balance": 5.0 + self.money * _PRICE - _PRICE / 2, "sms_price": _PRICE}
            settings |= {"balance-floor": "5", "status-period": f"{_ASKED:g}s"}
        return DevicePlan(
            self.name,
            {
                "ports": self.ports, "seed": seed, "sms_seconds": self.air, "fail_rate": 0.0,
                "tid_memory": 10**6, "receipts_seconds": (2.0, 20.0), **purse,
            },
            settings,
        )  # fmt: skip


@dataclass(frozen=True)
class Limited:
    """A world of `boxes` that one list of many people is sent through, for `hours`."""

    seed: int
    boxes: tuple[Box, ...]
    hours: int
    window: tuple[int, int] | None = None
    """From the one hour of each day to the other, UTC."""
    gap: float = 0.0
    """Least seconds between two messages of the campaign."""
    segment_gap: float = 0.0
    """… for each SMS part of a message."""
    parts: int = 1
    crashes: tuple[float, ...] = ()
    """When the engine is killed, in seconds."""
    campaigns: int = 1
    """How many equal campaigns share the SIMs and the work."""

    @property
    def text(self) -> str:
        return "x" * (140 * self.parts if self.parts > 1 else 20)

    def scenario(self) -> Scenario:
        """More people than can be reached until the deadline, for the real engine."""
        wanted = round(1.1 * most(self)) + 20
        options = {"retries": 0, "receipts": False, "deadline": f"+{self.hours}h"}
        if self.gap:
            options["rate"] = f"{60 / self.gap:.6f}/min"
        if self.segment_gap:
            options["segment_rate"] = f"{60 / self.segment_gap:.6f}/min"
        if self.window is not None:
            options["window"] = "{:02d}:00-{:02d}:00".format(*self.window)
        plans = tuple(
            CampaignPlan(
                f"list{nth}",
                tuple(f"99932{nth}{i:05d}{4000 + i % 5000:04d}" for i in range(wanted)),
                self.text,
                options,
            )
            for nth in range(self.campaigns)
        )
        lives = (0.0, *self.crashes)
        return Scenario(
            self.seed,
            # another seed each: SIMs of the same seed are the same SIMs
            tuple(box.plan(self.seed + 10**6 * nth) for nth, box in enumerate(self.boxes)),
            plans,
            crashes=tuple(
                Crash(after - before, steps=7 * nth, downtime=20.0)
                for nth, (before, after) in enumerate(pairwise(lives), 1)
            ),
            calm=self.hours * _HOUR,
            inbox_every=60.0,
        )


# -- what was sent -----------------------------------------------------------------------------


def broken(world: Limited, air: Sequence[Attempt]) -> list[str]:
    """Every limit that what went on air does not keep, in words; empty if all hold."""
    boxes = {box.name: box for box in world.boxes}
    by_box: dict[str, list[_Sent]] = defaultdict(list)
    for attempt in air:
        box = boxes[attempt.device]
        by_box[box.name].append(_Sent(attempt, box.air, world.parts))
    everything = sorted((sent for found in by_box.values() for sent in found), key=_by_start)
    gap = max(world.gap, world.segment_gap * world.parts) / world.campaigns
    found = list(_too_fast("the campaigns", everything, gap, world))
    for name, sents in by_box.items():
        box = boxes[name]
        sents.sort(key=_by_start)
        found += _too_fast(name, sents, max(box.gap, box.segment_gap * world.parts), world)
        for port, group in _grouped(sents):
            who = f"{name} port {port}"
            found += _over_caps(who, group, box.caps)
            found += _too_fast(who, group, box.caps.least_gap(world.parts), world, strict=True)
            if box.money is not None and len(group) > box.money + (_ASKED + _QUEUED) / box.air:
                found.append(f"{who}: {len(group)} messages, its balance pays {box.money}")
    return found + list(_outside(everything, world))


@dataclass(frozen=True)
class _Sent:
    """One message on air: when it began, on which port, to whom."""

    attempt: Attempt
    seconds: float
    parts: int
    start: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", self.attempt.t - self.seconds)

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.start, UTC)


def _by_start(sent: _Sent) -> float:
    return sent.start


def _grouped(sents: Sequence[_Sent]) -> Iterator[tuple[str, list[_Sent]]]:
    ports: dict[str, list[_Sent]] = defaultdict(list)
    for sent in sents:
        ports[sent.attempt.port].append(sent)
    yield from sorted(ports.items())


def _over_caps(who: str, sents: Sequence[_Sent], caps: Caps) -> Iterator[str]:
    hours, days, months = (defaultdict[datetime, list[_Sent]](list) for _ in range(3))
    for sent in sents:
        hour = sent.at.replace(minute=0, second=0, microsecond=0)
        hours[hour].append(sent)
        days[hour.replace(hour=0)].append(sent)
        months[hour.replace(hour=0, day=1)].append(sent)
    for hour, found in sorted(hours.items()):
        yield from _above(who, hour, _parts(found), caps.hour, "SMS an hour")
        yield from _above(who, hour, _people(found), caps.hour_recipients, "people an hour")
    for nth, (day, found) in enumerate(sorted(days.items())):
        yield from _above(who, day, _parts(found), caps.day_cap(nth), "SMS a day")
        yield from _above(who, day, _people(found), caps.day_recipients, "people a day")
    for month, found in sorted(months.items()):
        yield from _above(who, month, _parts(found), caps.month, "SMS a month")
        yield from _above(who, month, _people(found), caps.month_recipients, "people a month")


def _parts(sents: Sequence[_Sent]) -> int:
    return sum(sent.parts for sent in sents)


def _people(sents: Sequence[_Sent]) -> int:
    return len({sent.attempt.number for sent in sents})


def _above(who: str, when: datetime, count: int, cap: int | None, unit: str) -> Iterator[str]:
    if cap is not None and count > cap:
        yield f"{who}: {count} of {cap} {unit} from {when:%d %H:%M}"


def _too_fast(
    who: str, sents: Sequence[_Sent], gap: float, world: Limited, *, strict: bool = False
) -> Iterator[str]:
    """Whether in any stretch more went out than its gaps allow.

    A port keeps its gap to the letter. A pace over several ports makes up for lateness below one
    gap, and a message may wait on a busy port while the next goes out elsewhere: so many of spare.
    """
    if not gap:
        return
    ports = len({(sent.attempt.device, sent.attempt.port) for sent in sents})
    spare = (0 if strict else ports) * gap + (len(world.crashes) + 1) * _ON_AIR
    latest = float("-inf")
    for nth, sent in enumerate(sents):
        ahead = sent.start - nth * gap
        if ahead < latest - spare - gap * 0.001:
            yield f"{who}: faster than one in {gap:g} s at {sent.at:%d %H:%M:%S}"
            return
        latest = max(latest, ahead)


def _outside(sents: Sequence[_Sent], world: Limited) -> Iterator[str]:
    over = START + timedelta(hours=world.hours)
    for sent in sents:
        if sent.at >= over + timedelta(seconds=1):
            yield f"sent after the deadline: {sent.at:%d %H:%M:%S}"
            return
        if world.window is not None:
            opens, closes = world.window
            if not opens <= sent.at.hour < closes:
                yield f"sent outside the window: {sent.at:%d %H:%M:%S}"
                return


# -- what could have been sent -----------------------------------------------------------------


def most(world: Limited) -> int:
    """How many messages all the limits together let through, hour by hour."""
    total = 0
    used = Counter[tuple[str, int, int]]()  # (box, port, day): messages
    for hour in range(world.hours):
        begins = START + timedelta(hours=hour)
        if world.window is not None and not world.window[0] <= begins.hour < world.window[1]:
            continue
        day = (begins.date() - START.date()).days
        gap = max(world.gap, world.segment_gap * world.parts)
        left = int(_HOUR * world.campaigns / gap) if gap else 10**9
        for box in world.boxes:
            gap = max(box.gap, box.segment_gap * world.parts)
            of_box = min(left, int(_HOUR / gap) if gap else 10**9)
            for port in range(box.ports):
                share = -(-of_box // (box.ports - port))
                until_now = [used[box.name, port, nth] for nth in range(day + 1)]
                sent = min(share, _of_port(world, box, until_now))
                used[box.name, port, day] += sent
                of_box -= sent
                left -= sent
                total += sent
    return total


def _of_port(world: Limited, box: Box, by_day: Sequence[int]) -> int:
    """Messages that one port may send in one more hour, after so many by day."""
    caps, parts = box.caps, world.parts
    today, ever = by_day[-1], sum(by_day)
    found = [int(_HOUR / max(box.air, caps.usual_gap(parts)))]
    segments = ((caps.hour, 0), (caps.day_cap(len(by_day) - 1), today), (caps.month, ever))
    people = (
        (caps.hour_recipients, 0), (caps.day_recipients, today), (caps.month_recipients, ever),
        (box.money, ever),
    )  # fmt: skip
    found += [(cap - sent * parts) // parts for cap, sent in segments if cap is not None]
    found += [cap - sent for cap, sent in people if cap is not None]
    return max(0, min(found))
