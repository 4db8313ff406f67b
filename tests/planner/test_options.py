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


@pytest.mark.parametrize(
    "name",
    [
        "ports", "rate", "segment_rate", "per_port", "interval", "window", "days", "timezone",
        "start", "deadline", "canary", "at_most", "region", "phone_column",
    ],
)  # fmt: skip
@pytest.mark.parametrize("text", ["", "  "])
def test_an_option_without_a_value_is_refused_and_never_taken_for_no_limit(
    name: str, text: str
) -> None:
    option = name.replace("_", "-")
    with pytest.raises(UsageError, match=f"^--{option} is empty: .* leave --{option} out"):
        CampaignOptions(**{name: text}).check()  # type: ignore[arg-type]  # each is a text


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (CampaignOptions(rate="-1/s"), "'-1/s' is not a rate"),
        (CampaignOptions(segment_rate="0/min"), "'0/min' is not a rate"),
        (CampaignOptions(per_port="-3/min"), "'-3/min' is not a rate"),
        (CampaignOptions(window="08:00-08:00"), "is never open"),
        (CampaignOptions(days="mon-"), "days 'mon-'"),
        (CampaignOptions(at_most="0/day"), "'0/day' is not a cap"),
        (CampaignOptions(share=0), "--share counts from 1"),
        (CampaignOptions(daily_per_sim=0), "--daily-per-sim 0"),
        (CampaignOptions(retries=-1), "--retries -1"),
    ],
    ids=[
        "rate",
        "segment rate",
        "per port",
        "window",
        "days",
        "cap",
        "share",
        "daily",
        "retries",
    ],
)
def test_limits_that_would_let_nothing_go_are_refused(
    options: CampaignOptions, complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
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
