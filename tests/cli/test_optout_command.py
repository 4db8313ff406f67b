"""optout: numbers in, numbers out, nothing lost and nobody twice."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from trio.testing import MockClock

from campaign.cli import main
from campaign.service.locks import FileLock
from campaign.service.site import Site
from campaign.service.suppression import tell_engine

Run = Callable[..., Result]

ANNA, BORIS, CARLA = "447700900123", "447700900124", "447700900125"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """`run("list", "--json")` calls campaign optout on an empty store."""

    def call(*words: str, stdin: str | bytes | None = None) -> Result:
        site = ["--db", str(tmp_path / "c.db"), "--optouts", str(tmp_path / "user" / "o.db")]
        return CliRunner().invoke(main, [*site, "optout", *words], input=stdin)

    return call


def listed(run: Run) -> list[str]:
    return [entry["number"] for entry in json.loads(run("list", "--json").stdout)["optouts"]]


def test_numbers_are_cleaned_added_once_and_listed(run: Run) -> None:
    result = run("add", f"+{ANNA}", "07700 900124", "07700900124", "--region", "GB")
    assert (result.exit_code, result.stdout) == (0, "2 added\n")
    assert listed(run) == [ANNA, BORIS]
    again = run("add", f"+{ANNA}", "--json")
    assert json.loads(again.stdout) == {"numbers": [ANNA], "new": 0, "known": 1}


def test_one_bad_number_adds_none(run: Run) -> None:
    result = run("add", f"+{ANNA}", "not-a-number")
    assert result.exit_code == 2
    assert "not-a-number" in result.stderr
    assert listed(run) == []


def test_the_list_says_when_how_and_why(run: Run) -> None:
    run("add", f"+{ANNA}", "--reason", "asked by phone")
    (entry,) = json.loads(run("list", "--json").stdout)["optouts"]
    assert entry["since"].endswith("Z")
    assert (entry["source"], entry["reason"]) == ("operator", "asked by phone")
    assert "asked by phone" in run("list").stdout


def test_an_empty_list_prints_nothing(run: Run) -> None:
    result = run("list")
    assert (result.exit_code, result.stdout) == (0, "")


def test_a_removed_number_is_allowed_again(run: Run) -> None:
    run("add", f"+{ANNA}", f"+{BORIS}")
    result = run("remove", f"+{ANNA}", f"+{CARLA}")
    assert result.stdout == "1 removed, 1 had not opted out\n"
    assert listed(run) == [BORIS]


def test_a_list_is_imported_and_bad_rows_are_told_without_the_numbers(
    run: Run, tmp_path: Path
) -> None:
    run("add", f"+{ANNA}")
    path = tmp_path / "stop.csv"
    path.write_text(f"name,phone\nA,+{ANNA}\nB,+{BORIS}\nB,+{BORIS}\nC,+44770090\n")
    result = run("import", str(path), "--reason", "old stop list")
    assert (result.exit_code, result.stdout) == (0, "1 added, 2 known already, 1 rows refused\n")
    assert "line 5 is refused" in result.stderr
    assert "44770090" not in result.stderr
    assert listed(run) == [ANNA, BORIS]


def test_an_import_reads_standard_input(run: Run) -> None:
    result = run("import", "-", "--json", stdin=f"phone\n+{ANNA}\n+{BORIS}\nx\n")
    done = json.loads(result.stdout)
    assert (done["new"], done["known"], done["refused"]) == (2, 0, 1)
    assert done["refusals"][0]["line"] == 4


def test_a_list_without_a_number_is_nothing_to_do(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "stop.csv"
    path.write_text("phone\n12\n13\n")
    assert run("import", str(path)).exit_code == 4


def test_a_list_that_is_not_there_is_an_error(run: Run, tmp_path: Path) -> None:
    result = run("import", str(tmp_path / "nowhere.csv"))
    assert result.exit_code == 1
    assert "does not exist" in result.stderr


def test_an_export_is_csv_only_its_owner_can_read_and_import_takes_it(
    run: Run, tmp_path: Path
) -> None:
    run("add", f"+{ANNA}", f"+{BORIS}", "--reason", "=HYPERLINK()")
    path = tmp_path / "out.csv"
    result = run("export", "-o", str(path))
    assert (result.exit_code, result.stdout) == (0, "")
    assert path.stat().st_mode & 0o777 == 0o600
    rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    assert [row["number"] for row in rows] == [ANNA, BORIS]
    assert rows[0]["reason"] == "'=HYPERLINK()"
    assert run("import", str(path)).stdout == "0 added, 2 known already, 0 rows refused\n"


def test_an_export_goes_to_stdout_by_default(run: Run) -> None:
    run("add", f"+{ANNA}")
    rows = list(csv.reader(StringIO(run("export").stdout)))
    assert rows[0] == ["number", "since", "source", "reason"]
    assert rows[1][0] == ANNA


def test_a_store_that_is_none_is_an_error_in_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "o.db").write_text("this is not a database, whatever its name says" * 20)
    for words in (["list"], ["add", f"+{ANNA}"], ["export"], ["remove", f"+{ANNA}"]):
        result = run(*words)
        assert result.exit_code == 1, words
        assert result.stderr.startswith("Error: cannot")
        assert result.stderr.count("\n") == 1


async def test_an_engine_that_does_not_hear_is_no_failure(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    site = Site.at(str(tmp_path / "c.db"), str(tmp_path / "o.db"))
    assert await tell_engine(site)  # none runs: nobody has to be told
    lock = FileLock(site.paths.lock)
    assert lock.acquire()
    try:
        assert not await tell_engine(site)
    finally:
        lock.release()
