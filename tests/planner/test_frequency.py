"""Frequency caps as operators write them."""

from __future__ import annotations

import pytest

from campaign.errors import UsageError
from campaign.planner.frequency import Cap
from campaign.planner.options import CampaignOptions

_DAY = 86_400


@pytest.mark.parametrize(
    ("text", "most", "seconds", "words"),
    [
        ("2/week", 2, 7 * _DAY, "2 in 7 days"),
        ("1/day", 1, _DAY, "1 in 1 day"),
        ("4 / Month", 4, 30 * _DAY, "4 in 30 days"),
        ("3/72h", 3, 3 * _DAY, "3 in 3 days"),
        ("1/20h", 1, 20 * 3600, "1 in 20 hours"),
        ("5/90m", 5, 5400, "5 in 90 minutes"),
        ("1/90", 1, 90, "1 in 90 seconds"),
    ],
)
def test_a_cap_is_a_number_in_a_sliding_time(
    text: str, most: int, seconds: int, words: str
) -> None:
    cap = Cap.parse(text)
    assert (cap.most, cap.seconds, cap.words) == (most, seconds, words)


@pytest.mark.parametrize(
    "text", ["", "2", "0/day", "-1/day", "two/week", "2/fortnight", "1/59s", "1/9999d", "1/"]
)
def test_what_is_no_cap_is_refused_with_words(text: str) -> None:
    with pytest.raises(UsageError, match=r"cap|duration"):
        Cap.parse(text)


def test_a_launch_is_checked_for_its_cap() -> None:
    with pytest.raises(UsageError, match="is not a cap"):
        CampaignOptions(at_most="often").check()
    assert CampaignOptions(at_most="2/week").parsed_at_most == Cap(2, 7 * _DAY)
    assert CampaignOptions().parsed_at_most is None


def test_an_unknown_span_is_told_with_what_can_be_written() -> None:
    with pytest.raises(UsageError, match="'2/fortnight' is not a cap: write 2/week"):
        Cap.parse("2/fortnight")
