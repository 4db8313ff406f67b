"""Time zones by the prefix of a number."""

from __future__ import annotations

import pytest

from campaign.lists.zones import zones_of


@pytest.mark.parametrize(
    ("number", "zones"),
    [
        ("12125550123", ("America/New_York",)),
        ("18085550123", ("Pacific/Honolulu",)),
        ("8613800138000", ("Asia/Shanghai",)),
        ("819012345678", ("Asia/Tokyo",)),
        ("390612345678", ("Europe/Rome",)),
    ],
)
def test_a_number_tells_its_zone(number: str, zones: tuple[str, ...]) -> None:
    assert zones_of(number) == zones


def test_a_mobile_of_a_wide_country_may_be_in_any_of_its_zones() -> None:
    zones = zones_of("61491570006")
    assert {"Australia/Perth", "Australia/Sydney"} < set(zones)
    assert list(zones) == sorted(zones)


@pytest.mark.parametrize("number", ["999000000001", "447700900123", "0000", "12345"])
def test_a_number_that_tells_none_has_none(number: str) -> None:
    assert zones_of(number) == ()
