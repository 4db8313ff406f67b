"""Limits in force: of each the tightest, whoever asked for it; buckets that never burst."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.errors import UsageError
from campaign.planner.limits import Limits, Pace, limits_between
from campaign.planner.options import CampaignOptions
from campaign.planner.pacing import Bucket
from campaign.planner.quotas import Amounts
from campaign.planner.settings import LIMITS, MEANINGS, Settings, with_overrides


def between(gateway: dict[str, str], **options: Any) -> Limits:
    return limits_between(CampaignOptions(**options), with_overrides(Settings(), gateway))


def test_without_limits_nothing_holds() -> None:
    limits = limits_between(None, Settings())
    assert limits == Limits(zone=limits.zone)
    assert not limits.paces_all
    assert not limits.paces_ports


@pytest.mark.parametrize(
    ("gateway", "campaign", "gap"),
    [("2/s", "", 0.5), ("", "2/s", 0.5), ("2/s", "1/s", 1.0), ("1/s", "2/s", 1.0)],
)
def test_a_campaign_can_only_tighten_a_gateways_rate(
    gateway: str, campaign: str, gap: float
) -> None:
    ours = {name: campaign for name in ("rate", "port-rate", "segment-rate") if campaign}
    theirs = {name: gateway for name in ("rate", "port-rate", "segment-rate") if gateway}
    limits = between(theirs, settings=ours)
    assert (limits.gateway, limits.port) == (Pace(gap, gap), Pace(gap, 0.0))
    assert limits.campaign == Pace()


def test_a_campaign_can_only_tighten_the_caps_of_a_sim() -> None:
    gateway = {"sim-day": "100", "sim-hour": "20", "warm-up": "10,50", "balance-floor": "2"}
    ours = {"sim-day": "200", "sim-hour": "9", "warm-up": "20,30,70", "balance-floor": "1"}
    limits = between(gateway, settings=ours, daily_per_sim=90)
    assert limits.caps.segments == Amounts(hour=9, day=90)
    assert limits.caps.ramp == (10, 30, 70)
    assert limits.balance_floor == 2.0
    assert between({"balance-floor": "0"}).balance_floor == 0.0


def test_a_port_keeps_the_longest_gap_that_any_interval_draws() -> None:
    limits = between({"interval": "3s-6s", "port-rate": "15/min"}, interval="1s-9s")
    assert [limits.port_gap(draw) for draw in (0.0, 0.5, 1.0)] == [4.0, 5.0, 9.0]
    assert limits.least_port_gap == 4.0


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_a_limit_that_cannot_be_read_is_refused_when_it_is_set(name: str) -> None:
    assert name in MEANINGS
    with pytest.raises(UsageError, match=name):
        with_overrides(Settings(), {name: "a lot"})


@given(
    st.lists(st.tuples(st.floats(0, 5), st.integers(1, 4)), min_size=1, max_size=40),
    st.floats(0.05, 2),
)
def test_segments_never_burst_however_long_the_messages_are(
    looks: list[tuple[float, int]], gap: float
) -> None:
    """Each message pays as the longest first; between any two moments no more segments go out than
    the rate allows, one message and one segment of lateness apart."""
    bucket, now, sent = Bucket(), 0.0, []
    for wait, parts in looks:
        now = max(now + wait, bucket.next_at)
        bucket = bucket.take(now, gap * 4, spare=gap).given_back(gap * (4 - parts))
        sent.append((now, parts))
    for first in range(len(sent)):
        paid = 0.0
        for at, parts in sent[first:]:
            assert at - sent[first][0] >= paid - gap - 1e-9
            paid += gap * parts


def test_what_another_took_meanwhile_stays_taken_when_a_token_is_given_back() -> None:
    # two gateways share a campaign's rate: one's claim in vain must not undo the other's
    one = Bucket().take(10.0, 1.0)
    both = one.take(11.0, 1.0)
    assert both.given_back(1.0) == Bucket(11.0)


def test_a_faster_rate_does_not_wait_for_the_slower_ones_next_turn() -> None:
    slow = Bucket().take(0.0, 3600.0)
    assert slow.relaxed(5.0, 0.5) == Bucket(5.5)
    assert Bucket(3.0).relaxed(5.0, 0.5) == Bucket(3.0)
