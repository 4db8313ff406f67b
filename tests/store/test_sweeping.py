"""Sweeping: ordinary reports written together come to what each of them would by itself."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Final

import pytest

from campaign.planner.retry import Failure, Retry, after_failure
from campaign.planner.retry import Final as Over
from campaign.planner.states import FenceReason, UnknownCause
from campaign.protocol.messages import FailedRow, SentRow, TaskReport
from campaign.protocol.ports import Port
from campaign.store.applying import Folded
from campaign.store.claims import ClaimedTask
from campaign.store.door import transaction
from campaign.store.journal import begin_epoch, write_meta
from campaign.store.opening import open_ledger
from campaign.store.outcomes import fold_report
from campaign.store.sweeping import fold_reports
from campaign.store.tasks import mark_accepted, mark_doubt, start_fence
from tests.store.conftest import NOW, Bench

SEEDS: Final = range(12)
CODES: Final = [(7, 38), (7, 1), (6, None), (2, None)]


def ledger(folder: Path) -> Bench:
    conn = open_ledger(folder / "campaign.db", folder / "optouts.db")
    conn.execute("PRAGMA synchronous = OFF")
    with transaction(conn):
        epoch = begin_epoch(conn)
        write_meta(conn, {"next_tid": "1000"})
    return Bench(conn, folder / "campaign.db", folder / "optouts.db", epoch)


def in_flight(bench: Bench, rng: random.Random) -> list[ClaimedTask]:
    """Tasks of one and of several, of two campaigns to the same people, in all stages."""
    tasks: list[ClaimedTask] = []
    for name, texts in (("alike", (None,)), ("apart", tuple(f"hello {n}" for n in range(40)))):
        campaign = bench.campaign(40, name=name, texts=texts)
        tasks += bench.claim(campaign, ports=(1, 2, 3), count=12, task_size=rng.choice((1, 3, 6)))
    for task in tasks:
        match rng.randrange(8):
            case 0:
                bench.do(mark_doubt, [task.id], bench.now, UnknownCause.NO_ANSWER)
            case 1:
                bench.do(mark_accepted, [task.id], bench.now)
                bench.do(start_fence, [task.id], bench.now, FenceReason.SILENCE, "silence")
            case 2:
                pass
            case _:
                bench.do(mark_accepted, [task.id], bench.now)
    for n in rng.sample(range(1, 41), 3):
        bench.receipt(bench.number(n), port=rng.choice((1, 2, 3)))
    return tasks


def a_report(bench: Bench, rng: random.Random, task: ClaimedTask) -> TaskReport:
    """Whole, partial, of counters alone, or with failures among the rows."""
    numbers = bench.numbers_of(task.id)
    told = [idx for idx in range(1, len(numbers) + 1) if rng.random() < 0.8]
    failed = {idx for idx in told if rng.random() < 0.06}
    port = Port(task.port)
    left = len(numbers) - len(told)
    counts = (0, len(told) - len(failed), len(failed), left) if rng.random() < 0.8 else None
    if rng.random() < 0.05:
        told, counts = [], (0, len(numbers), 0, 0)  # from which all are inferred
    program, network = rng.choice(CODES)
    sending, n_sent, n_failed, unsent = counts or (None, None, None, None)
    return TaskReport(
        tid=task.tid if rng.random() < 0.97 else 900_000_000,
        sending=sending, sent=n_sent, failed=n_failed, unsent=unsent,
        sdr=tuple(
            SentRow(index=i, number=numbers[i - 1], port=port, at=1000 + i)
            for i in told if i not in failed
        ),
        fdr=tuple(
            FailedRow(
                index=i, number=numbers[i - 1], port=port, at=1000, program=program, network=network
            )
            for i in sorted(failed)
        ),
        odd=("odd",) if rng.random() < 0.02 else (),
    )  # fmt: skip


def policy(_campaign_id: int) -> Callable[[Failure, int], Retry | Over]:
    return lambda failure, failures: after_failure(failure, failures, 3, 10.0)


def played(
    folder: Path, seed: int, fold: Callable[[Bench, Sequence[TaskReport], Folded], None]
) -> tuple[list[str], Counter[int], list[int], bool, list[tuple[int, bool]]]:
    rng = random.Random(seed)
    folder.mkdir()
    bench = ledger(folder)
    folded = Folded()
    with closing(bench.conn):
        tasks = in_flight(bench, rng)
        for _push in range(4):
            bench.now += 1000
            chosen = rng.choices(tasks, k=rng.randrange(1, 30))
            fold(bench, [a_report(bench, rng, task) for task in chosen], folded)
        runs = [streak for streak, _ in groupby(folded.streaks)]  # how long one is tells nothing
        return (
            [line for line in bench.conn.iterdump() if "_sqlite_migrations" not in line],
            Counter(folded.done), folded.closed, folded.waits_again,
            runs,
        )  # fmt: skip


def one_by_one(bench: Bench, reports: Sequence[TaskReport], folded: Folded) -> None:
    for report in reports:
        bench.do(fold_report, bench.now, bench.gateway(), report, policy, folded)


def together(bench: Bench, reports: Sequence[TaskReport], folded: Folded) -> None:
    bench.do(fold_reports, bench.now, bench.gateway(), reports, policy, folded)


@pytest.mark.parametrize("seed", SEEDS)
def test_reports_of_a_push_come_to_the_same_one_by_one_and_together(
    tmp_path: Path, seed: int
) -> None:
    assert played(tmp_path / "one", seed, one_by_one) == played(tmp_path / "all", seed, together)


def test_ordinary_reports_cost_no_statement_each(tmp_path: Path) -> None:
    bench = ledger(tmp_path)
    with closing(bench.conn):
        texts = tuple(f"hello {n}" for n in range(100))
        tasks = bench.claim(bench.campaign(100, texts=texts), count=100)
        bench.now = NOW + 1000
        reports = [
            TaskReport(
                tid=task.tid, sending=0, sent=1, failed=0, unsent=0,
                sdr=(SentRow(index=1, number=bench.numbers_of(task.id)[0], port=Port(1), at=1),),
            )
            for task in tasks
        ]  # fmt: skip
        asked: list[str] = []
        with transaction(bench.conn):
            bench.conn.set_trace_callback(asked.append)
            fold_reports(bench.conn, bench.now, bench.gateway(), reports, policy, Folded())
            bench.conn.set_trace_callback(None)
        reads = [sql for sql in asked if sql.lstrip().startswith("SELECT")]
        assert len(reads) < 10
        assert bench.task(tasks[-1].id)["verdict"] == "every attempt final"
