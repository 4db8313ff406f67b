"""Options of a campaign: kept word for word, checked as they are read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from campaign.errors import CampaignError, UsageError
from campaign.planner.options import CampaignOptions

SATURDAY_NOON = datetime(2026, 3, 7, 12, tzinfo=UTC)
MONDAY_NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)


def test_options_come_back_word_for_word() -> None:
    options = CampaignOptions(
        gateways=("a", "b"), ports="1-8", rate="20/s", window="08:00-21:00", days="mon-sat",
        timezone="Asia/Shanghai", retries=0, receipts=False, settings={"task-size": "5"},
    )  # fmt: skip
    assert CampaignOptions.decode(options.encode()) == options


def test_defaults_ask_for_nothing() -> None:
    options = CampaignOptions()
    options.check()
    assert (options.parsed_rate, options.parsed_per_port, options.parsed_interval) == (None,) * 3
    assert options.parsed_window is None
    assert options.attempts == 3
    assert options.port_numbers() is None
    assert options.allows_port(64)


@pytest.mark.parametrize(
    "options",
    [
        CampaignOptions(rate="fast"),
        CampaignOptions(per_port="0/s"),
        CampaignOptions(interval="6s-3s"),
        CampaignOptions(window="8-21"),
        CampaignOptions(window="08:00-21:00", days="someday"),
        CampaignOptions(days="someday"),
        CampaignOptions(window="08:00-21:00", timezone="Mars/Base"),
        CampaignOptions(ports="one"),
        CampaignOptions(settings={"task-size": "many"}),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_checked(options: CampaignOptions) -> None:
    with pytest.raises(CampaignError):
        options.check()


def test_chosen_ports_are_the_only_ones() -> None:
    options = CampaignOptions(ports="1-3,7")
    assert options.port_numbers() == frozenset({1, 2, 3, 7})
    assert [port for port in range(1, 9) if options.allows_port(port)] == [1, 2, 3, 7]


@pytest.mark.parametrize("window", [None, "any"])
def test_days_alone_are_a_window_too(window: str | None) -> None:
    parsed = CampaignOptions(window=window, days="mon-fri").parsed_window
    assert parsed is not None
    assert not parsed.is_open(SATURDAY_NOON)
    assert parsed.is_open(MONDAY_NOON)


def test_any_hour_of_any_day_is_no_window() -> None:
    assert CampaignOptions(window="any", timezone="Asia/Shanghai").parsed_window is None


def test_a_campaigns_settings_beat_the_gateways() -> None:
    options = CampaignOptions(settings={"task-size": "5"})
    settings = options.settings_over({"task-size": "9", "max-chars": "70"})
    assert (settings.task_size, settings.max_chars) == (5, 70)
    with pytest.raises(UsageError):
        options.settings_over({"report-horizon": "1s"})
