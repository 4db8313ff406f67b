"""Settings: only known names, only values that can be, and no pair that contradicts itself."""

from __future__ import annotations

from dataclasses import fields

import pytest

from campaign.errors import UsageError
from campaign.planner.settings import MEANINGS, Settings, describe, parse_pairs, with_overrides


def test_every_setting_has_a_meaning_and_the_other_way_round() -> None:
    assert {field.name.replace("_", "-") for field in fields(Settings)} == set(MEANINGS)


def test_the_defaults_do_not_contradict_themselves() -> None:
    assert with_overrides(Settings(), {}) == Settings()


def test_what_is_described_can_be_set_again() -> None:
    settings = with_overrides(
        Settings(), {"report-horizon": "90", "keep-plus": "yes", "tid-memory": "0"}
    )
    assert with_overrides(Settings(), describe(settings)) == settings


def test_the_later_override_wins() -> None:
    gateway, campaign = {"task-size": "5", "max-chars": "70"}, {"task-size": "9"}
    settings = with_overrides(Settings(), {**gateway, **campaign})
    assert (settings.task_size, settings.max_chars) == (9, 70)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("no-such-thing", "1"), ("task_size", "5"), ("doubt-wait", "1"), ("", "1"),
        ("task-size", "0"), ("task-size", "-1"), ("task-size", "1.5"), ("task-size", "５"),
        ("client-timeout", "0"), ("client-timeout", "soon"), ("doubt-deadline", "0s"),
        ("keep-plus", "perhaps"), ("return-path", "guess"), ("task-report-count", "0"),
        ("report-count", "0"), ("report-horizon", "10s"), ("report-horizon", "9"),
        ("task-report-period", "30s"), ("report-period", "30s"), ("task-report-period", "500ms"),
        ("report-period", "0"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(name: str, value: str) -> None:
    with pytest.raises(UsageError):
        with_overrides(Settings(), {name: value})


@pytest.mark.parametrize("name", ["tid-memory", "retry-wait", "receipt-wait"])
def test_some_times_may_be_zero(name: str) -> None:
    with_overrides(Settings(), {name: "0"})


@pytest.mark.parametrize(
    ("overrides", "seconds"),
    [({}, 30.0), ({"client-timeout": "60s"}, 62.0), ({"report-horizon": "45s"}, 45.0)],
)
def test_doubt_waits_until_a_device_had_time_to_report(
    overrides: dict[str, str], seconds: float
) -> None:
    assert with_overrides(Settings(), overrides).doubt_wait == seconds


def test_pairs_are_read_and_each_value_is_checked() -> None:
    assert parse_pairs(["Task-Size = 5", "keep-plus=no"]) == {"task-size": "5", "keep-plus": "no"}
    for pair in ("task-size", "task-size=many", "report-horizon=soon", "x=1", "=1"):
        with pytest.raises(UsageError):
            parse_pairs([pair])


def test_pairs_that_fit_only_together_are_taken_together() -> None:
    pairs = ["task-report-period=40s", "report-horizon=60s"]
    assert with_overrides(Settings(), parse_pairs(pairs)).report_horizon == 60.0
