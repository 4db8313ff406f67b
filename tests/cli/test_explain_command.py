"""explain: one number, several tables."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from campaign.cli import main
from campaign.protocol.codes import TaskCode, explain
from campaign.service.explaining import readings


def test_a_code_is_explained_by_every_table_that_has_it() -> None:
    result = CliRunner().invoke(main, ["explain", "1", "--json"])
    assert result.exit_code == 0
    found = json.loads(result.stdout)["readings"]
    tables = ["task status", "port status", "network cause", "delivery receipt"]
    assert [each["table"] for each in found] == tables
    assert found[0]["meaning"] == "Invalid User"
    assert "gateway test" in found[0]["engine"]
    assert "fails at once" in found[2]["engine"]


def test_people_read_meaning_class_and_consequence() -> None:
    result = CliRunner().invoke(main, ["explain", "38"])
    assert "38 network out of order" in result.stdout
    assert "may pass later" in result.stdout
    assert "tried again" in result.stdout


def test_the_timeout_of_a_report_may_have_gone_out() -> None:
    (task, *_) = readings(TaskCode.TIMEOUT)
    assert "never tried again" in task.engine


def test_an_unknown_code_is_an_error_in_one_sentence() -> None:
    result = CliRunner().invoke(main, ["explain", "999"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no table has the code 999" in result.stderr


@pytest.mark.parametrize("words", [["explain"], ["explain", "seven"]])
def test_what_is_no_code_is_a_usage_error(words: list[str]) -> None:
    assert CliRunner().invoke(main, words).exit_code == 2


def test_every_known_code_has_a_consequence() -> None:
    known = [code for code in range(600) if explain(code)]
    assert len(known) > 50
    assert all(reading.engine for code in known for reading in readings(code))
