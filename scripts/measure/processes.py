"""Processes under measurement: started, watched through /proc, and ended, whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
_TICK = os.sysconf("SC_CLK_TCK")
_END_SECONDS = 15.0


def command(*arguments: str) -> list[str]:
    """This checkout's `campaign` with arguments, by the running interpreter."""
    return [sys.executable, "-m", "campaign", *arguments]


def environment(folder: Path) -> dict[str, str]:
    """Nothing of the user's own settings and opt-outs; this checkout comes first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CAMPAIGN_")}
    kept["PYTHONPATH"] = str(ROOT)
    kept["CAMPAIGN_OPTOUTS"] = str(folder / "optouts.db")
    kept["BENCH_PASSWORD"] = "root"  # noqa: S105 - a simulator's
    return kept


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, 0 when it is gone; one that ended but was not
    waited for still tells."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def rss_mb(pid: int) -> float:
    """The most memory a process has held so far, in MB; 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    peaks = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(peaks[0]) / 1000 if peaks else 0.0


@contextmanager
def running(
    arguments: Sequence[str], env: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[str]]:
    """A process with its stdout readable and its stderr in `log`; ended on leaving."""
    with (
        log.open("w") as errors,
        subprocess.Popen(
            arguments, env=env, text=True, stdout=subprocess.PIPE, stderr=errors
        ) as process,
    ):
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(_END_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()


@contextmanager
def simulator(folder: Path, env: Mapping[str, str], *settings: str) -> Iterator[str]:
    """A simulated gateway as a process of its own; its address."""
    asked = [part for setting in settings for part in ("--set", setting)]
    log = folder / "simulator.log"
    with running(command("simulate", *asked), env, log) as process:
        assert process.stdout is not None  # noqa: S101 - it was started with one
        first = process.stdout.readline().split()
        if first[:2] != ["listening", "on"]:
            raise RuntimeError(f"the simulated gateway did not start:\n{log.read_text()}")
        yield first[2]


def has_ended(process: subprocess.Popen[str]) -> bool:
    """Whether it ended, without reaping it: /proc tells of it until it is waited for."""
    flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, process.pid, flags) is not None


def end(pid: int) -> None:
    """Ask a process that detached itself to end; 0: there is none."""
    if not pid:
        return
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
