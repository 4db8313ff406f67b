"""A run comes back from its file as it went in."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from campaign.errors import StoreError
from campaign.load.histogram import Histogram
from campaign.load.keeping import read, save
from campaign.load.outcome import Outcome
from campaign.load.tally import Tally
from campaign.load.thresholds import Threshold
from campaign.load.wire import ErrorKind
from campaign.store.loadfile import LoadRows, write_load_file
from tests.load.outcomes import FACTS, made


def test_a_run_comes_back_from_its_file_without_loss(tmp_path: Path) -> None:
    run = made(seconds=4, rate=60, errors={ErrorKind.TIMEOUT: 2, ErrorKind.RESET: 1})
    run = replace(run, invalid=("worker 0: the machine is busy",))
    run = run.judged([Threshold.parse("accept_p99>500ms"), Threshold.parse("receipt_p95>1s")])
    save(run, tmp_path / "run.load")
    found = read(tmp_path / "run.load")
    assert found == run
    assert found.summary() == run.summary()


def test_a_run_of_which_nothing_came_is_kept_too(tmp_path: Path) -> None:
    run = Outcome(FACTS, 0.0, Tally(), {}, queue=[], series=[])
    save(run, tmp_path / "run.load")
    assert read(tmp_path / "run.load") == run


def test_whoever_looks_in_with_sql_finds_figures(tmp_path: Path) -> None:
    run = made(seconds=3, rate=40)
    save(run, tmp_path / "run.load")
    with closing(sqlite3.connect(tmp_path / "run.load")) as conn:
        (p95, packed) = conn.execute(
            "SELECT p95, packed FROM histograms WHERE clock = 'report'"
        ).fetchone()
        counted = conn.execute("SELECT sum(answered), count(*) FROM seconds").fetchone()
    assert p95 == run.delays["report"].percentile(95)
    assert Histogram.from_bytes(packed) == run.delays["report"]
    assert counted == (120, 3)


def test_a_whole_file_that_holds_no_run_is_told(tmp_path: Path) -> None:
    write_load_file(tmp_path / "run.load", LoadRows({"seconds": 1.0}, [], [], [], []))
    with pytest.raises(StoreError, match="is damaged"):
        read(tmp_path / "run.load")
