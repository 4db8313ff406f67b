"""Verdicts on how a campaign goes: sizes of a canary, what is counted, and the words."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.errors import UsageError
from campaign.planner.options import CampaignOptions
from campaign.planner.states import FINAL_RECIPIENT_STATES, RecipientState
from campaign.planner.thresholds import Threshold
from campaign.planner.verdicts import (
    SampleSize,
    broken,
    parse_pause_if,
    since,
    waits_for_receipts,
)

R = RecipientState


def finals(**counts: int) -> Mapping[RecipientState, int]:
    return {state: counts.get(state, 0) for state in FINAL_RECIPIENT_STATES}


@pytest.mark.parametrize(
    ("text", "total", "size"),
    [
        pytest.param("1%", 1000, 10, id="percent"),
        pytest.param("1%", 1001, 11, id="percent rounded up"),
        pytest.param("1%", 3, 1, id="at least one"),
        pytest.param("0.1%", 50, 1, id="a fraction of a percent"),
        pytest.param("50", 1000, 50, id="a number"),
        pytest.param("50", 7, 7, id="never more than there are"),
    ],
)
def test_the_size_of_a_canary(text: str, total: int, size: int) -> None:
    assert SampleSize.parse(text).of(total) == size


@pytest.mark.parametrize("text", ["0", "0%", "101%", "-1", "1.5", "few", "%"])
def test_a_canary_that_cannot_be_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(UsageError, match="write how many go first"):
        CampaignOptions(canary=text).check()


def test_pause_if_counts_final_states_only() -> None:
    with pytest.raises(UsageError, match="pending is not final"):
        CampaignOptions(pause_if=("pending>5%",)).check()
    with pytest.raises(UsageError, match="--pause-if 'nonsense': write STATE"):
        CampaignOptions(pause_if=("nonsense",)).check()


@pytest.mark.parametrize("text", ["failed>500%", "failed+unknown>=100.5%", "sent<101 %"])
@pytest.mark.parametrize("option", ["--pause-if", "--fail-if"])
def test_a_share_of_more_than_all_is_refused(text: str, option: str) -> None:
    with pytest.raises(UsageError, match=f"^{option} '.*': a share lies between 0% and 100%"):
        Threshold.parse(text, option=option).check(option)
    if option == "--pause-if":
        with pytest.raises(UsageError, match="a share lies between"):
            CampaignOptions(pause_if=("failed>5%", text)).check()


@pytest.mark.parametrize("text", ["failed>100%", "failed<0", "sent<0%"])
def test_a_threshold_that_nothing_can_meet_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="that can never be true"):
        Threshold.parse(text).check("--fail-if")


def test_what_was_stored_before_it_was_refused_is_still_carried_out() -> None:
    options = CampaignOptions(pause_if=("failed>500%", "sent<0", "failed>=0"), days="mon-")
    assert [threshold.number for threshold in options.parsed_pause_if] == [500, 0, 0]
    assert options.parsed_window is None or options.parsed_window.days == frozenset({0})
    with pytest.raises(UsageError):
        options.check()


@pytest.mark.parametrize("text", ["failed>=0", "failed>=0%", "failed<=100%"])
def test_a_pause_that_nothing_can_escape_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="true whatever happens"):
        CampaignOptions(pause_if=(text,)).check()


@pytest.mark.parametrize("text", ["failed>=100%", "failed==100%", "failed>0%", "sent<100%"])
def test_the_bounds_of_a_share_can_be_asked_for(text: str) -> None:
    CampaignOptions(pause_if=(text,)).check()


@pytest.mark.parametrize(
    ("text", "counts", "why"),
    [
        ("failed+unknown>5%", finals(sent=17, failed=2, unknown=1), "3 of 20 (15 %)"),
        ("failed+unknown>15%", finals(sent=17, failed=2, unknown=1), None),
        ("failed>2", finals(sent=100, failed=3), "3 of 103 (2.91 %)"),
        ("failed>5%", finals(sent=17, failed=2), None),
    ],
    ids=["percent of those that are final", "just kept", "a number", "too few to tell"],
)
def test_what_breaks_a_threshold(
    text: str, counts: Mapping[RecipientState, int], why: str | None
) -> None:
    expected = None if why is None else f"{text}: {why}"
    assert broken(parse_pause_if([text]), counts, receipts=True) == expected


def test_one_whose_receipt_is_missing_tells_nothing_of_receipts_yet() -> None:
    thresholds = parse_pause_if(["delivered<90%"])
    assert waits_for_receipts(thresholds)
    assert broken(thresholds, finals(sent=50, delivered=20), receipts=True) is None
    assert broken(thresholds, finals(undelivered=15, delivered=20), receipts=True) is not None
    assert not waits_for_receipts(parse_pause_if(["failed>1"]))


@given(
    st.dictionaries(st.sampled_from(sorted(FINAL_RECIPIENT_STATES)), st.integers(0, 99)),
    st.dictionaries(st.sampled_from(sorted(FINAL_RECIPIENT_STATES)), st.integers(0, 99)),
)
def test_what_became_final_since_is_never_less_than_nothing(
    now: dict[RecipientState, int], before: dict[str, int]
) -> None:
    fresh = since({state: now.get(state, 0) for state in R}, before)
    assert all(n >= 0 for n in fresh.values())
    assert all(fresh[state] == now.get(state, 0) for state in fresh if state not in before)
