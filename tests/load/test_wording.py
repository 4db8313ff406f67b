"""Every shape of a load has words of its own."""

from __future__ import annotations

import pytest

from campaign.load.schedule import Constant, Poisson, Ramp, Shape, Soak, Spike, parse_stages
from campaign.load.wording import shape_in_words


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (Constant(500, 30), "500/s for 30s"),
        (Constant(1 / 3, 90), "0.333/s for 90s"),
        (Ramp(0, 2000, 60), "from 0/s to 2,000/s in 1m"),
        (parse_stages("9s:5/s,1m:5-20/s"), "5/s for 9s, then from 5/s to 20/s in 1m"),
        (Spike(100, 900, 60, 5), "100/s for 1m, 900/s for 5s in the middle"),
        (Soak(50, 3600), "soak at 50/s for 1h with slopes of 30s"),
        (Soak(50, 3600, 0), "soak at 50/s for 1h"),
        (Poisson(Constant(20, 10)), "20/s for 10s, at random times (Poisson)"),
        (None, "as fast as answers come for 10s"),
    ],
)  # fmt: skip
def test_a_load_is_told_in_one_line(shape: Shape | None, words: str) -> None:
    assert shape_in_words(shape, 10.0) == words
