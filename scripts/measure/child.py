"""A command of this checkout, run to its end or until it is somewhere, and what it took."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from scripts.measure.databases import ask, bound_receiver
from scripts.measure.processes import cpu_seconds, rss_mb

_LOOK_SECONDS = 0.02
_MOST_SECONDS = 600.0


@dataclass(frozen=True)
class Spent:
    """What a process took: wall and CPU seconds, and the most memory it held."""

    seconds: float
    cpu_seconds: float
    rss_mb: float


def spent_by(arguments: Sequence[str], env: Mapping[str, str], log: Path) -> Spent:
    """Run to the end; stdout goes nowhere, stderr to `log`. RuntimeError if it failed."""
    with log.open("w") as errors:
        began = time.perf_counter()
        process = subprocess.Popen(arguments, env=env, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(
            f"{arguments}: exit code {process.returncode}\n{log.read_text()[-2000:]}"
        )
    return Spent(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000)


@contextmanager
def started(
    arguments: Sequence[str], env: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A process and all it starts, in a group of their own that is killed on leaving."""
    with (
        log.open("w") as errors,
        subprocess.Popen(
            arguments, env=env, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
        ) as process,
    ):
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def until(process: subprocess.Popen[bytes], done: Callable[[], bool], log: Path) -> None:
    """Wait for `done`. RuntimeError if the process ends before, or it takes ten minutes."""
    last = time.monotonic() + _MOST_SECONDS
    while not done():
        if process.poll() is not None or time.monotonic() > last:
            raise RuntimeError(f"it came to nothing:\n{log.read_text()[-2000:]}")
        time.sleep(_LOOK_SECONDS)


def spent_so_far(pid: int, began: float) -> Spent:
    """What a running process took since `began` (perf_counter), its whole CPU time included."""
    seconds = time.perf_counter() - began
    return Spent(seconds, cpu_seconds(pid), rss_mb(pid))


def asked(db: Path, question: str) -> int:
    """One figure out of a ledger that another process writes; 0 where it is not there yet."""
    return int(ask(db, question) or 0)


def end_receiver(db: Path) -> None:
    """The receiver of a ledger is a process of its own that outlives its engine."""
    bound = bound_receiver(db.parent)
    if bound is not None:
        with suppress(ProcessLookupError):
            os.kill(bound[0], signal.SIGKILL)
