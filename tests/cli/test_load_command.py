"""load: what it refuses before anything is sent, and kept runs in every form."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from campaign.cli import main
from campaign.cli.load import COMMANDS
from campaign.cli.load.options import share
from campaign.errors import UsageError
from campaign.load.keeping import save
from tests.load.outcomes import made, steady

Run = Callable[..., Result]

AT_ONCE = ("--rate", "5/s", "--duration", "1s")
DEVICE = "http://root:secret@127.0.0.1:9"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """`run("report", file)` calls campaign load on a ledger of its own."""

    def call(*words: str | Path, group: str = "load") -> Result:
        where = ["--db", str(tmp_path / "c.db"), "--optouts", str(tmp_path / "o.db")]
        return CliRunner().invoke(
            main, [*where, group, *map(str, words)], input="password", catch_exceptions=False
        )

    return call


def test_every_command_has_a_help_that_ends_with_an_example(run: Run) -> None:
    for name in COMMANDS:
        assert "Example" in run(name, "--help").stdout
    assert "Example" in run("--help").stdout


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((DEVICE,), "how much load"),
        (("nowhere", *AT_ONCE), "no gateway named 'nowhere'"),
        (("http://127.0.0.1:9", *AT_ONCE), "http://user:password@host:port"),
        ((DEVICE, *AT_ONCE, "--fail-if", "beauty<1"), "metrics are"),
        ((DEVICE, *AT_ONCE, "--mix", "send=x"), "KIND=WEIGHT"),
        ((DEVICE, *AT_ONCE, "--price", "0.1"), "a limit of cost"),
        ((DEVICE, *AT_ONCE, "--price", "x", "--max-cost", "1"), "write an amount"),
        ((DEVICE, *AT_ONCE, "--session-requests", "3"), "give --crypt"),
        (("http://root:secret@192.0.2.1", *AT_ONCE), "cannot reach a receiver on 127.0.0.1"),
    ],
)
def test_what_cannot_be_is_exit_2_and_says_why(run: Run, words: tuple[str, ...], why: str) -> None:
    result = run("run", *words)
    assert result.exit_code == 2
    assert why in result.stderr
    assert "secret" not in result.stderr


def test_a_file_of_numbers_names_its_wrong_line(run: Run, tmp_path: Path) -> None:
    numbers = tmp_path / "mine.txt"
    numbers.write_text("+49 151 0000001 # mine\nnobody\n", encoding="utf-8")
    result = run("run", DEVICE, *AT_ONCE, "--numbers", numbers)
    assert result.exit_code == 2
    assert "line 2 is no phone number" in result.stderr


def test_a_device_that_is_not_there_is_exit_5(run: Run) -> None:
    for words in (("run", DEVICE, *AT_ONCE), ("limit", DEVICE)):
        result = run(*words)
        assert result.exit_code == 5
        assert "secret" not in result.stderr


def test_a_gateway_of_the_old_interface_is_refused_in_words(run: Run) -> None:
    added = run(
        "add", "office", "http://127.0.0.1:9", "--username", "root", "--password-stdin",
        "--api-version", "1.0", group="gateway",
    )  # fmt: skip
    assert added.exit_code == 0, added.stderr
    result = run("run", "office", *AT_ONCE)
    assert result.exit_code == 2
    assert "neither task ids nor reports" in result.stderr


def test_a_kept_run_is_shown_in_every_form(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "a.load"
    save(made(seconds=3, rate=20), file)
    assert "achieved" in run("report", file).stdout
    assert json.loads(run("report", file, "--json").stdout)["requests"] == 60
    assert run("report", file, "--format", "csv").stdout.count("\n") == 4
    for name, begin in (("a.html", "<!doctype html>"), ("a.json", "{"), ("a.csv", "second,")):
        written = run("report", file, "-o", tmp_path / name)
        assert written.exit_code == 0
        assert (tmp_path / name).read_text(encoding="utf-8").lower().startswith(begin)
    assert run("report", file, "-o", tmp_path / "no" / "a.html").exit_code == 1
    assert run("report", tmp_path / "none.load").exit_code == 1


def test_kept_runs_are_compared_and_the_same_files_give_the_same_answer(
    run: Run, tmp_path: Path
) -> None:
    for name, latency in (("a", steady(4)), ("b", steady(8))):
        save(made(seconds=20, rate=30, latency=latency, report_ms=None), tmp_path / name)
    result = run("compare", tmp_path / "a", tmp_path / "b", "--json")
    found = {one["what"]: one for one in json.loads(result.stdout)["figures"]}
    assert found["accept p50"]["against_first"]["B"]["finding"] == "slower"
    assert found["accept p50"]["against_first"]["B"]["better"] is False
    assert run("compare", tmp_path / "a", tmp_path / "b", "--json").stdout == result.stdout
    assert "B against A" in run("compare", tmp_path / "a", tmp_path / "b").stdout
    assert run("compare", tmp_path / "a").exit_code == 2


@pytest.mark.parametrize(("text", "value"), [("3%", 0.03), ("0.03", 0.03), ("0%", 0.0)])
def test_a_share_is_written_in_percent_or_plainly(text: str, value: float) -> None:
    assert share(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "x", "101%", "-1%", "nan"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no share"):
        share(text)


def test_no_other_command_waits_for_the_load_engine() -> None:
    look = (
        "import sys\n"
        "from campaign.cli import main\n"
        "for name in ('launch', 'status', 'simulate'):\n"
        "    main.get_command(None, name)\n"
        "print([name for name in sys.modules if name.startswith(('campaign.load', 'httptools'))])\n"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_group_names_every_command() -> None:
    group = main.get_command(click.Context(main), "load")
    assert isinstance(group, click.Group)
    assert group.list_commands(click.Context(group)) == sorted(COMMANDS)
