"""serve: what it may be asked, and the unit that starts it."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from campaign.cli import COMMANDS, main
from campaign.service.locks import FileLock

UNIT = Path(__file__).parents[2] / "scripts" / "campaign.service"


def settings() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def test_the_unit_starts_a_command_there_is_and_takes_its_end_by_a_signal_for_none() -> None:
    unit = settings()
    program, command, *more = shlex.split(unit["ExecStart"][0])
    assert (Path(program).name, more) == ("campaign", [])
    assert command in COMMANDS
    assert unit["SuccessExitStatus"] == ["130"]
    assert unit["RestartPreventExitStatus"] == ["2"]
    assert unit["KillMode"] == ["process"], "the receiver outlives the engine"


def test_a_ledger_that_an_engine_holds_is_refused(tmp_path: Path) -> None:
    db = tmp_path / "c.db"
    lock = FileLock(tmp_path / "c.db.lock")
    assert lock.acquire()
    result = CliRunner().invoke(main, ["--db", str(db), "--optouts", str(tmp_path / "o"), "serve"])
    lock.release()
    assert result.exit_code == 6
    assert "is held by an engine" in result.stderr


@pytest.mark.parametrize("words", [["--listen", "nowhere"], ["--allow", "everybody"]])
def test_wrong_options_are_exit_2(tmp_path: Path, words: list[str]) -> None:
    result = CliRunner().invoke(main, ["--db", str(tmp_path / "c.db"), "serve", *words])
    assert result.exit_code == 2
