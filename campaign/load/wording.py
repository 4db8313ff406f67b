"""A load in words, short enough for one line."""

from __future__ import annotations

from typing import assert_never

from campaign.load.schedule import Constant, Poisson, Ramp, Shape, Soak, Spike, Stages, Stretch
from campaign.planner.durations import format_duration


def shape_in_words(shape: Shape | None, seconds: float = 0.0) -> str:
    """`500/s for 30s`; without a shape it is the closed model, for `seconds`."""
    match shape:
        case None:
            return f"as fast as answers come for {format_duration(seconds)}"
        case Poisson(mean):
            return f"{shape_in_words(mean)}, at random times (Poisson)"
        case Constant(rate, lasting):
            return f"{_rate(rate)} for {format_duration(lasting)}"
        case Ramp(start, end, lasting):
            return f"from {_rate(start)} to {_rate(end)} in {format_duration(lasting)}"
        case Stages(stages):
            return ", then ".join(map(_stage, stages))
        case Spike(rate, peak, lasting, jump):
            return (
                f"{_rate(rate)} for {format_duration(lasting)},"
                f" {_rate(peak)} for {format_duration(jump)} in the middle"
            )
        case Soak(rate, lasting, edge):
            slopes = f" with slopes of {format_duration(edge)}" if edge else ""
            return f"soak at {_rate(rate)} for {format_duration(lasting)}{slopes}"
    assert_never(shape)


def _stage(stage: Stretch) -> str:
    if stage.start == stage.end:
        return f"{_rate(stage.start)} for {format_duration(stage.seconds)}"
    lasting = format_duration(stage.seconds)
    return f"from {_rate(stage.start)} to {_rate(stage.end)} in {lasting}"


def _rate(per_second: float) -> str:
    """Up to three decimals, none of them a zero at the end."""
    return f"{per_second:,.3f}".rstrip("0").rstrip(".") + "/s"
