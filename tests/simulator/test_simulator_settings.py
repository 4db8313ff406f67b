"""Settings: overrides by key, profiles, and refusals that name the keys."""

from __future__ import annotations

from typing import Any

import pytest

from campaign.errors import UsageError
from campaign.simulator import MAGIC, SimulatorSettings, magic_help, settings_help


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        pytest.param("sms-seconds=500ms", "sms_seconds", 0.5, id="milliseconds"),
        pytest.param("tid-memory=5m", "tid_memory", 300.0, id="minutes"),
        pytest.param("tid_memory=0", "tid_memory", 0.0, id="bare-number-and-underscore"),
        pytest.param("receipts-seconds=1-3", "receipts_seconds", (1.0, 3.0), id="span"),
        pytest.param("receipts-seconds=2", "receipts_seconds", (2.0, 2.0), id="one-value-span"),
        pytest.param("push-retry=1,5s", "push_retry", (1.0, 5.0), id="list"),
        pytest.param("push-retry=none", "push_retry", (), id="empty-list"),
        pytest.param("fail-rate=5%", "fail_rate", 0.05, id="percent"),
        pytest.param("remove-started=off", "remove_started", False, id="switch"),
        pytest.param("queue-limit=3", "queue_limit", 3, id="number"),
        pytest.param("reboot-queue=kept", "reboot_queue", "kept", id="choice"),
    ],
)
def test_a_key_sets_its_value(text: str, name: str, value: Any) -> None:
    assert getattr(SimulatorSettings().with_overrides([text]), name) == value


@pytest.mark.parametrize(
    "text",
    ["sms-seconds", "nonsense=1", "sms-seconds=fast", "fail-rate=2", "profile=wild", "ports=0"],
)
def test_a_bad_assignment_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        SimulatorSettings().with_overrides([text])


def test_an_unknown_key_names_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"tid-memory.*push-loss"):
        SimulatorSettings().with_overrides(["tid-memry=3"])


@pytest.mark.parametrize(
    "order", [("profile=lossy", "push-loss=0.5"), ("push-loss=0.5", "profile=lossy")]
)
def test_a_single_fault_beats_the_profile_in_any_order(order: tuple[str, str]) -> None:
    plan = SimulatorSettings().with_overrides(order).fault_plan
    assert (plan.push_loss, plan.push_duplicate) == (0.5, 0.1)


def test_a_fault_is_added_to_the_profile_of_the_settings() -> None:
    plan = SimulatorSettings(profile="deaf").with_overrides(["push-loss=0.5"]).fault_plan
    assert (plan.push_loss, plan.deaf) == (0.5, 0.1)


def test_the_help_shows_every_key_with_a_default_that_can_be_written_back() -> None:
    for key, default, about in settings_help():
        assert about
        SimulatorSettings().with_overrides([f"{key}={default}"])


def test_every_magic_number_is_documented_once() -> None:
    suffixes = [magic.suffix for magic in MAGIC]
    assert len(set(suffixes)) == len(suffixes)
    assert all(suffix in magic_help() for suffix in suffixes)
