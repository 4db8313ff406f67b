"""plan with --recipient-time says whose clocks count, and for how many."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from campaign.cli import main


@pytest.fixture
def world_wide(tmp_path: Path) -> Path:
    """Three in two zones of North America, and one whose number tells none."""
    path = tmp_path / "list.csv"
    numbers = ("12125550123", "12125550124", "13105550123", "999000000001")
    path.write_text("phone\n" + "".join(f"+{number}\n" for number in numbers))
    return path


def plan(path: Path, *words: str) -> Result:
    where = ["--db", str(path.parent / "c.db"), "--optouts", str(path.parent / "o.db")]
    return CliRunner().invoke(main, [*where, "plan", str(path), "--message", "hi", *words])


def test_plan_counts_the_recipients_of_each_zone_and_those_of_none(world_wide: Path) -> None:
    words = ("--recipient-time", "--window", "08:00-21:00", "--timezone", "Europe/Berlin")
    warnings = json.loads(plan(world_wide, *words, "--json").stdout)["warnings"]
    assert (
        "the window counts in the recipients' own zones: 2 in America/New_York,"
        " 1 in America/Los_Angeles" in warnings
    )
    (own,) = [line for line in warnings if "tells no zone" in line]
    assert own.startswith("1 recipient whose number")
    assert own.endswith("the window counts in Europe/Berlin")


def test_without_a_window_nobodys_clocks_count(world_wide: Path) -> None:
    warnings = json.loads(plan(world_wide, "--recipient-time", "--json").stdout)["warnings"]
    assert "--recipient-time changes nothing: there is no sending window" in warnings


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--skip-date", "25.12.2026"), "write it as 2026-12-25"),
        (("--start", "soon"), "is not a time"),
        (("--late", "perhaps"), "perhaps"),
        (("--window", "08:00-21:00", "--timezone", "Mars/Olympus"), "unknown time zone"),
    ],
)
def test_times_that_cannot_be_read_are_usage_errors(
    world_wide: Path, words: tuple[str, ...], complaint: str
) -> None:
    result = plan(world_wide, *words)
    assert result.exit_code == 2
    assert complaint in result.stderr
