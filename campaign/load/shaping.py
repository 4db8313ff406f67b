"""From what an operator asks for to a schedule: which options make which shape, and which clash."""

from __future__ import annotations

from dataclasses import dataclass

from campaign.errors import UsageError
from campaign.load.schedule import Constant, Poisson, Ramp, Shape, Soak, Spike, Steady, parse_stages
from campaign.planner.durations import Rate, parse_duration

_SPIKE_SHARE = 5
"""A spike without a length of its own takes a fifth of the load."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Options as they were typed; None: not given. A bare `rate` for `duration` is constant."""

    rate: str | None = None
    duration: str | None = None
    stages: str | None = None
    ramp_to: str | None = None
    spike_to: str | None = None
    spike_for: str | None = None
    slopes: str | None = None
    poisson: bool = False
    closed: bool = False

    def shape(self) -> tuple[Shape | None, float]:
        """The schedule and how long it runs; no schedule is the closed model. UsageError."""
        if self.closed:
            self._refuse("--closed", "rate", "stages", "ramp_to", "spike_to", "slopes")
            if self.poisson:
                raise UsageError("--closed has no schedule that could be random: not --poisson")
            return None, self._seconds("--closed")
        if self.stages is not None:
            self._refuse("--stages", "rate", "duration", "ramp_to", "spike_to", "slopes")
            steady: Steady = parse_stages(self.stages)
        else:
            steady = self._of_rate()
        return (Poisson(steady) if self.poisson else steady), 0.0

    def _of_rate(self) -> Steady:
        if self.rate is None:
            raise UsageError("how much load? Give --rate 500/s, --stages 30s:500/s or --closed")
        rate, seconds = self._rate(self.rate), self._seconds("--rate")
        given = [name for name in ("ramp_to", "spike_to", "slopes") if getattr(self, name)]
        if len(given) > 1:
            raise UsageError(f"{_option(given[0])} and {_option(given[1])} are two shapes: one")
        if self.spike_for is not None and self.spike_to is None:
            raise UsageError("--spike-for says how long a spike lasts: give --spike-to as well")
        if self.ramp_to is not None:
            return Ramp(rate, self._rate(self.ramp_to), seconds)
        if self.spike_to is not None:
            jump = parse_duration(self.spike_for) if self.spike_for else seconds / _SPIKE_SHARE
            return Spike(rate, self._rate(self.spike_to), seconds, jump)
        if self.slopes is not None:
            return Soak(rate, seconds, parse_duration(self.slopes))
        return Constant(rate, seconds)

    def _seconds(self, option: str) -> float:
        if self.duration is None:
            raise UsageError(f"{option} for how long? Give --duration 30s")
        seconds = parse_duration(self.duration)
        if seconds <= 0:
            raise UsageError(f"--duration {self.duration}: give more than nothing")
        return seconds

    @staticmethod
    def _rate(text: str) -> float:
        return Rate.parse(text).per_second

    def _refuse(self, option: str, *others: str) -> None:
        for name in others:
            if getattr(self, name) is not None:
                raise UsageError(f"{option} sets the pace by itself: not {_option(name)}")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
