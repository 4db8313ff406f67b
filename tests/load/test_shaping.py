"""What an operator asks for makes one shape, or says why not."""

from __future__ import annotations

import pytest

from campaign.errors import UsageError
from campaign.load.schedule import Constant, Poisson, Ramp, Shape, Soak, Spike, parse_stages
from campaign.load.shaping import Wish


@pytest.mark.parametrize(
    ("wish", "shape"),
    [
        (Wish(rate="500/s", duration="30s"), Constant(500, 30)),
        (Wish(rate="60/min", duration="1m"), Constant(1, 60)),
        (Wish(rate="5/s", duration="10s", ramp_to="50/s"), Ramp(5, 50, 10)),
        (Wish(rate="5/s", duration="10s", spike_to="50/s"), Spike(5, 50, 10, 2)),
        (Wish(rate="5/s", duration="10s", spike_to="50/s", spike_for="1s"), Spike(5, 50, 10, 1)),
        (Wish(rate="5/s", duration="1h", slopes="1m"), Soak(5, 3600, 60)),
        (Wish(stages="9s:5/s,1m:5-20/s"), parse_stages("9s:5/s,1m:5-20/s")),
        (Wish(rate="5/s", duration="10s", poisson=True), Poisson(Constant(5, 10))),
    ],
)
def test_options_make_a_shape(wish: Wish, shape: Shape) -> None:
    assert wish.shape() == (shape, 0.0)


def test_the_closed_model_has_a_length_and_no_shape() -> None:
    assert Wish(closed=True, duration="10s").shape() == (None, 10.0)


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        (Wish(), "how much load"),
        (Wish(rate="5/s"), "--rate for how long"),
        (Wish(closed=True), "--closed for how long"),
        (Wish(rate="5/s", duration="0s"), "more than nothing"),
        (Wish(rate="fast", duration="1s"), "is not a rate"),
        (Wish(closed=True, duration="1s", rate="5/s"), "not --rate"),
        (Wish(closed=True, duration="1s", poisson=True), "not --poisson"),
        (Wish(stages="1s:5/s", duration="1s"), "not --duration"),
        (Wish(rate="5/s", duration="1s", ramp_to="9/s", slopes="1s"), "are two shapes"),
        (Wish(rate="5/s", duration="1s", spike_for="1s"), "give --spike-to"),
    ],
)
def test_options_that_make_none_say_why(wish: Wish, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        wish.shape()
