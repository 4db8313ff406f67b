"""Kills far more often than a test may: campaign after campaign, with the figures as it goes."""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import FrameType

import click
import pytest

from tests.flows.killing import Toll, go_through

_A_CAMPAIGN = 25
_LEAST = 5
_stopping = threading.Event()


@dataclass
class _Sum:
    """All campaigns together."""

    campaigns: int = 0
    sent: int = 0
    recipients: int = 0
    doubles: int = 0
    false_facts: int = 0
    killed: Counter[str] = field(default_factory=Counter)
    stages: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def add(self, toll: Toll) -> None:
        verdict = toll.verdict
        self.campaigns += 1
        self.recipients += toll.recipients
        self.sent += verdict.sent
        self.doubles += verdict.doubles
        self.false_facts += verdict.false_facts
        self.killed.update(toll.killed)
        self.stages.update(toll.stages)
        self.unknown.update(verdict.unknown)

    def line(self) -> str:
        kills = ", ".join(f"{n} {victim}" for victim, n in sorted(self.killed.items()))
        causes = ", ".join(f"{n} {cause}" for cause, n in sorted(self.unknown.items())) or "none"
        return (
            f"{self.killed.total()} kills ({kills or 'none'}) in {self.campaigns} campaigns of"
            f" {self.recipients} recipients: {self.sent} sent, {self.doubles} twice,"
            f" {self.false_facts} false facts, unknown: {causes}"
        )


def main(words: Sequence[str] | None = None) -> int:
    asked = _parse(words)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    place = Path(tempfile.mkdtemp(prefix="kill-often-"))
    total = _Sum()
    began = time.monotonic()
    click.echo(f"seed {asked.seed}, {asked.kills} kills, {asked.jobs} at a time, in {place}")
    for toll in _campaigns(asked, place, total):
        total.add(toll)
        total.broken += [f"seed {toll.seed}: {what}" for what in toll.verdict.findings]
        click.echo(f"{time.monotonic() - began:6.0f} s  {total.line()}")
    stages = ", ".join(f"{n} {stage}" for stage, n in sorted(total.stages.items()))
    click.echo(f"moments: {stages}")
    missing = asked.kills - total.killed.total()
    if missing > 0:
        total.broken.append(f"{missing} kills short of {asked.kills}")
    click.echo("\n".join(total.broken) or "every promise held")
    if total.broken:
        click.echo(f"ledgers and logs are kept in {place}")
        return 1
    shutil.rmtree(place)
    return 0


def _campaigns(asked: argparse.Namespace, place: Path, total: _Sum) -> Iterator[Toll]:
    """Ordeals, `asked.jobs` at a time, until enough was killed or the time is over."""
    deadline = time.monotonic() + asked.minutes * 60
    seeds = random.Random(asked.seed)
    running: dict[Future[Toll], tuple[int, int]] = {}
    numbers = count()
    with ThreadPoolExecutor(asked.jobs) as threads:
        while True:
            planned = total.killed.total() + sum(kills for _, kills in running.values())
            left = asked.kills - planned
            over = _stopping.is_set() or time.monotonic() > deadline
            if left > 0 and len(running) < asked.jobs and not over:
                seed, kills = seeds.getrandbits(32), max(_LEAST, min(_A_CAMPAIGN, left))
                folder = place / f"{next(numbers)}"
                folder.mkdir()
                running[threads.submit(go_through, folder, seed, kills)] = seed, kills
                continue
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                seed, _ = running.pop(future)
                try:
                    yield future.result()
                except (AssertionError, pytest.fail.Exception) as error:
                    total.broken.append(f"seed {seed}: {error}")


def _parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/kill_often", description=__doc__)
    parser.add_argument("kills", nargs="?", type=int, default=1000, help="default: 1000")
    parser.add_argument("--seed", type=int, default=None, help="default: another each time")
    parser.add_argument("--jobs", type=int, default=2, help="campaigns at a time; default: 2")
    parser.add_argument("--minutes", type=float, default=60, help="start none later; default: 60")
    asked = parser.parse_args(words)
    if asked.kills < 1 or asked.jobs < 1:
        parser.error("KILLS and --jobs are at least 1")
    if asked.seed is None:
        asked.seed = random.SystemRandom().getrandbits(32)
    return asked


def _stop(_number: int, _frame: FrameType | None) -> None:
    """A campaign left alone would leave its processes: what runs is finished, a minute at most."""
    _stopping.set()
    click.echo("stopping: the campaigns at hand are finished first")


if __name__ == "__main__":
    sys.exit(main())
