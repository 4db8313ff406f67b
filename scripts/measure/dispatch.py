"""Row "dispatch, broadcast": one text for everybody, tasks of 100, posts of 100 tasks.

From the first intent to the last outcome: a real `campaign launch` with its ledger and receiver on
disk, in full durability, against a simulated gateway of 50 ports whose messages take no time. CPU
is that of the engine and of the receiver; the import before is another row's.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from scripts.measure.databases import ask, bound_receiver, wait_until
from scripts.measure.figure import Sample, Scale
from scripts.measure.prepared import register
from scripts.measure.processes import (
    command,
    cpu_seconds,
    end,
    environment,
    has_ended,
    running,
    simulator,
)

_LONGEST = 1800.0
_STRIDE = 618_033_989  # odd and no multiple of 5: permutes the nine-digit numbers


@dataclass(frozen=True)
class Workload:
    """One kind of campaign: its text, what its tasks look like, how its device reports."""

    row: str
    message: str
    task_size: int
    post_tasks: int
    report_count: int
    ports: int = 50
    queue_limit: int = 1000

    def settings(self) -> dict[str, str]:
        return {
            "task-size": str(self.task_size),
            "post-tasks": str(self.post_tasks),
            "task-report-count": str(self.task_size),
            "report-count": str(self.report_count),
            "report-period": "1s",
            "queue-limit": str(self.queue_limit),
        }


BROADCAST = Workload("dispatch, broadcast", "Hello from the north", 100, 100, 100)


def run(scale: Scale) -> Sample:
    return measure(BROADCAST, scale.messages)


def measure(workload: Workload, messages: int) -> Sample:
    """One campaign from start to end. RuntimeError if anybody was not sent exactly to."""
    with tempfile.TemporaryDirectory(prefix="campaign-bench-") as name:
        folder = Path(name)
        env = environment(folder)
        write_list(folder / "list.csv", messages)
        device = f"ports={workload.ports}", "sms-seconds=0", "queue-limit=1000000"
        with simulator(folder, env, *device) as url:
            register(folder, url)
            with running(launching(folder, workload), env, folder / "engine.log") as engine:
                return _watch(folder, workload, engine, messages)


def write_list(path: Path, count: int) -> None:
    """Distinct numbers of country code 999, which belongs to nobody, in scattered order."""
    with path.open("w") as out:
        out.write("phone,name\n")
        out.writelines(f"+999{i * _STRIDE % 10**9:09d},N{i}\n" for i in range(1, count + 1))


def launching(folder: Path, workload: Workload) -> list[str]:
    """The command that sends the list in `folder`."""
    given = [part for item in workload.settings().items() for part in ("--set", "=".join(item))]
    return command(
        "--db", str(folder / "campaign.db"), "--json", "launch", str(folder / "list.csv"),
        "--name", "bench", "--message", workload.message, "--no-receipts", "--yes", *given,
    )  # fmt: skip


def _watch(
    folder: Path, workload: Workload, engine: subprocess.Popen[str], messages: int
) -> Sample:
    wait_until(lambda: _has_started(folder) or has_ended(engine), _LONGEST)
    bound = bound_receiver(folder)
    receiver = bound[0] if bound else 0
    try:
        began = time.perf_counter()
        before = cpu_seconds(engine.pid), cpu_seconds(receiver)
        wait_until(lambda: has_ended(engine), _LONGEST)
        seconds = time.perf_counter() - began
        engine_cpu = cpu_seconds(engine.pid) - before[0]
        receiver_cpu = cpu_seconds(receiver) - before[1]
    finally:
        end(receiver)
    assert engine.stdout is not None  # noqa: S101 - it was started with one
    _check(engine.stdout.read(), folder, messages)
    return Sample(
        workload.row, messages, "messages", seconds, engine_cpu + receiver_cpu,
        notes={"engine_cpu_s": engine_cpu, "receiver_cpu_s": receiver_cpu},
    )  # fmt: skip


def _has_started(folder: Path) -> bool:
    started = "SELECT 1 FROM campaigns WHERE state = 'running'"
    return ask(folder / "campaign.db", started) is not None


def _check(told: str, folder: Path, messages: int) -> None:
    try:
        sent = json.loads(told)["counts"]["sent"]
    except (ValueError, KeyError):
        sent = 0
    if sent != messages:
        log = (folder / "engine.log").read_text()[-2000:]
        raise RuntimeError(f"{messages} were to be sent to: {told}\n{log}")
