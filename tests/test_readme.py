"""The README keeps true: its generated parts, the commands of its tour, its links."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import click
import pytest

from campaign.cli import main
from campaign.cli.context import Context
from campaign.service.site import Site

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


@cache
def _generator() -> ModuleType:
    """scripts/readme, which has no suffix to be imported by."""
    loader = SourceFileLoader("readme_generator", str(ROOT / "scripts/readme"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # no scripts/__pycache__
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = written
    return module


def _lines() -> Iterator[str]:
    """Every shell line of the README, with what was continued joined."""
    for block in re.findall(r"^```console\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("$ "):
                yield line.removeprefix("$ ")


def _commands() -> list[str]:
    return [line for line in _lines() if line.startswith("campaign ")]


def _inline() -> list[str]:
    """Commands in running text, where they are written out in full: `campaign …`."""
    prose = re.sub(r"^```.*?^```", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    return [found for found in re.findall(r"`(campaign [^`]+)`", prose) if "[" not in found]


def _leaf(words: list[str], context: click.Context) -> tuple[click.Command, list[str]]:
    """The command that `words` name below the group of `context`, and its arguments."""
    group = context.command
    assert isinstance(group, click.Group)
    _options, rest, _order = group.make_parser(context).parse_args(words)
    assert rest, f"{context.command_path} needs a command"
    command = group.get_command(context, rest[0])
    assert command is not None, f"{context.command_path} has no command {rest[0]}"
    if isinstance(command, click.Group):
        inner = click.Context(command, parent=context, info_name=rest[0])
        return _leaf(rest[1:], inner)
    return command, rest[1:]


def _parse(line: str, tmp_path: Path, *, resilient: bool = False) -> None:
    words = shlex.split(line.removesuffix("&"), comments=True)
    context = click.Context(main, info_name="campaign", obj=Context(Site.at(str(tmp_path / "db"))))
    command, arguments = _leaf(words[1:], context)
    command.make_context(command.name, arguments, parent=context, resilient_parsing=resilient)


def test_the_generated_parts_are_current() -> None:
    assert _generator().renewed(TEXT) == TEXT, "run scripts/readme"


def test_a_part_that_is_missing_or_unknown_is_an_error() -> None:
    with pytest.raises(LookupError, match="settings"):
        _generator().renewed(TEXT.replace("generated: settings", "by hand: settings"))
    with pytest.raises(LookupError, match="nonsense"):
        _generator().renewed(TEXT + "<!-- generated: nonsense -->\n<!-- end -->")


@pytest.mark.parametrize("line", _commands())
def test_a_command_of_the_tour_parses(line: str, tmp_path: Path) -> None:
    _parse(line, tmp_path)


@pytest.mark.parametrize("line", _inline())
def test_a_command_in_the_text_exists_with_its_options(line: str, tmp_path: Path) -> None:
    _parse(line, tmp_path, resilient=True)  # arguments may be left out there


@pytest.mark.parametrize(
    "line", ["campaign lunch list.csv", "campaign launch --nonsense", "campaign gateway fly x"]
)
def test_what_does_not_exist_is_noticed(line: str, tmp_path: Path) -> None:
    with pytest.raises((AssertionError, click.UsageError)):
        _parse(line, tmp_path)


def test_links_lead_somewhere() -> None:
    headings = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        else:
            assert (ROOT / target).exists(), target


def test_the_programs_it_names_exist_and_can_be_run() -> None:
    for name in set(re.findall(r"\bscripts/([a-z_]+)\b(?!\.\w)", TEXT)):
        assert os.access(ROOT / "scripts" / name, os.X_OK), name


@pytest.mark.process
def test_the_first_launch_of_the_tour_delivers_to_everybody(tmp_path: Path) -> None:
    line = next(line for line in _commands() if " launch " in line)
    assert "sample_lists/personalised.csv" in line
    assert "--simulate 2" in line
    environment = {
        **os.environ,
        "CAMPAIGN_DB": str(tmp_path / "tour.db"),
        "CAMPAIGN_OPTOUTS": str(tmp_path / "optouts.db"),
    }

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *words],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    try:
        done = run(
            *shlex.split(line),
            *("--simulate-set", "sms-seconds=0.05", "--simulate-set", "receipts-seconds=0.1-0.2"),
            *("--set", "task-report-period=1s", "--set", "report-period=1s"),
        )
        assert done.returncode == 0, done.stderr
        assert "15 recipients: 15 delivered" in done.stdout
    finally:  # whatever happened, no process is left behind
        for words in (("gateway", "remove", "sim1"), ("gateway", "remove", "sim2")):
            run("campaign", *words)
        run("campaign", "listen", "--stop")
