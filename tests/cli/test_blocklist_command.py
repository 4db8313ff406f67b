"""blocklist: named lists in and out of the ledger, and what `plan` says of them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from campaign.cli import main

Run = Callable[..., Result]

ANNA, BORIS, CARLA = "447700900123", "447700900124", "447700900125"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def call(*words: str, stdin: str | None = None) -> Result:
        site = ["--db", str(tmp_path / "c.db"), "--optouts", str(tmp_path / "o.db")]
        return CliRunner().invoke(main, [*site, *words], input=stdin)

    return call


def lists(run: Run) -> dict[str, int]:
    found = json.loads(run("blocklist", "list", "--json").stdout)["blocklists"]
    return {entry["name"]: entry["numbers"] for entry in found}


def test_numbers_are_cleaned_and_added_once_to_a_list(run: Run) -> None:
    assert lists(run) == {}
    result = run("blocklist", "add", "rivals", f"+{ANNA}", "07700 900124", "--region", "GB")
    assert (result.exit_code, result.stdout) == (0, "2 added\n")
    again = run("blocklist", "add", "rivals", f"+{ANNA}", "--json")
    assert json.loads(again.stdout) == {"list": "rivals", "numbers": [ANNA], "new": 0, "known": 1}
    assert lists(run) == {"rivals": 2}


def test_an_export_is_imported_again_as_it_is(run: Run) -> None:
    run("blocklist", "add", "rivals", f"+{ANNA}", f"+{BORIS}")
    out = run("blocklist", "export", "rivals").stdout
    assert [row["number"] for row in csv.DictReader(StringIO(out))] == [ANNA, BORIS]
    result = run("blocklist", "import", "copy", "-", stdin=out)
    assert result.stdout == "2 added, 0 known already, 0 rows refused\n"
    assert lists(run) == {"copy": 2, "rivals": 2}


def test_rows_without_a_number_are_told_and_left_out(run: Run) -> None:
    told = run("blocklist", "import", "rivals", "-", "--json", stdin=f"phone\n+{ANNA}\nnobody\n")
    shown = json.loads(told.stdout)
    assert (shown["new"], shown["refused"]) == (1, 1)
    assert run("blocklist", "import", "rivals", "-", stdin="phone\nnobody\n").exit_code == 4


def test_numbers_and_whole_lists_are_taken_off(run: Run) -> None:
    run("blocklist", "add", "rivals", f"+{ANNA}", f"+{BORIS}", f"+{CARLA}")
    result = run("blocklist", "remove", "rivals", f"+{ANNA}", "+447700900199")
    assert result.stdout == "1 removed, 1 did not stand there\n"
    assert run("blocklist", "remove", "rivals").stdout == "2 removed\n"
    assert lists(run) == {}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("add", "no name", f"+{ANNA}"), "is not a name"),
        (("add", "rivals", "nobody"), "nobody"),
        (("remove", "rivals"), "there is no blocklist named 'rivals'"),
        (("export", "rivals"), "there is no"),
    ],
)
def test_what_cannot_be_is_told(run: Run, words: tuple[str, ...], complaint: str) -> None:
    result = run("blocklist", *words)
    assert result.exit_code in (1, 2)
    assert complaint in result.stderr


def test_a_plan_counts_who_is_suppressed(run: Run, tmp_path: Path) -> None:
    run("blocklist", "add", "rivals", f"+{ANNA}")
    run("optout", "add", f"+{BORIS}")
    path = tmp_path / "list.csv"
    path.write_text(f"phone\n+{ANNA}\n+{BORIS}\n+{CARLA}\n")
    words = ("plan", str(path), "--message", "hi", "--at-most", "1/week")
    planned = json.loads(run(*words, "--json").stdout)
    assert (planned["recipients"], planned["opted_out"], planned["suppressed"]) == (3, 1, 1)
    assert planned["segments"] == 1
    assert any("blocklist" in warning for warning in planned["warnings"])
    assert run(*words[:-1], "often").exit_code == 2
