"""What a run leaves for scripts and people: exit codes, rejects, opt-outs, a demo that adds up."""

from __future__ import annotations

import csv
from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.flows.conftest import Flow

pytestmark = pytest.mark.process

_MAGIC = {"magic": "on", "reply-seconds": "0.1"}


def test_a_list_from_standard_input_and_a_broken_threshold(flow: Flow) -> None:
    path = flow.write_list(5, "+99966000001", "+99966100001")
    with path.open("rb") as stdin:
        engine = flow.launch(
            "-", "--fail-if", "failed>1", "--json", simulate=1, simulated=_MAGIC, stdin=stdin
        )
        done = engine.wait()
    assert done.code == 3, done.err
    assert "threshold broken: failed>1" in done.err
    result = done.json()
    assert result["recipients"] == 7
    assert {s: n for s, n in result["counts"].items() if n} == {"delivered": 5, "failed": 2}
    assert result["incidents"] == {"duplicate": 0, "anomaly": 0, "opted_out_in_flight": 0}


def test_refused_rows_are_written_down_and_decide_how_it_ends(flow: Flow, down: str) -> None:
    strict = flow.write_list(2, "1.38E+10", flow.numbers(1)[0], name="strict.csv")
    done = flow.launch(strict, "--strict", simulate=None).wait()
    assert done.code == 7, done.err
    assert "2 rows refused (--strict)" in done.err
    with (flow.folder / "strict.csv.rejects.csv").open(encoding="utf-8-sig", newline="") as file:
        rejects = list(csv.DictReader(file))
    assert [(row["line"], row["code"]) for row in rejects] == [
        ("4", "scientific"),
        ("5", "duplicate"),
    ]
    assert all(row["reason"] for row in rejects)

    hopeless = flow.write_list(0, "nonsense", "12", name="hopeless.csv")
    done = flow.launch(hopeless, simulate=None).wait()
    assert done.code == 4, done.err
    assert "no valid row in hopeless.csv: all 2 refused" in done.err
    written = (flow.folder / "hopeless.csv.rejects.csv").read_text(encoding="utf-8-sig")
    assert written.splitlines()[0] == "line,reason,code,row"
    assert "nonsense" in written
    assert flow.counts() == {}


def test_who_opted_out_is_skipped_and_who_answers_stop_opts_out(flow: Flow) -> None:
    spared, stops, silent = flow.numbers(1)[0], "99966000009", "99966000005"
    flow.run("optout", "add", f"+{spared}")
    # the one without a receipt keeps the run open until the answer is in
    path = flow.write_list(3, f"+{stops}", f"+{silent}")
    assert flow.launch(path, simulate=1, simulated=_MAGIC).wait().code == 0
    rows = {row["number"]: row for row in flow.report()}
    assert rows[spared]["state"] == "skipped"
    assert "opted" in rows[spared]["reason"]
    assert flow.on_air() == Counter({*rows} - {spared})
    stored = flow.run("optout", "list").out
    assert spared in stored
    assert stops in stored

    path = flow.write_list(3, f"+{stops}")
    assert flow.launch(path, name="next", simulate=1, simulated=_MAGIC).wait().code == 0
    assert flow.counts("next") == {"skipped": 2, "delivered": 2}
    assert flow.on_air()[stops] == 1


def test_the_demo_runs_to_its_end_and_its_report_adds_up(flow: Flow) -> None:
    out = flow.folder / "demo"
    done = flow.run("demo", "--out", out, "--recipients", "60")
    with (out / "report.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["number"] for row in rows}) == len(rows) == 60
    states = Counter(row["state"] for row in rows)
    flow.db = out / "demo.db"
    assert states == Counter(flow.counts("demo"))
    assert states["delivered"] > 40
    air = flow.on_air()
    assert set(air.values()) == {1}
    for row in rows:
        if row["state"] in ("delivered", "undelivered", "no_receipt"):
            assert air[row["number"]] == 1, row
        elif row["state"] == "failed":
            assert air[row["number"]] == 0, row
    assert (out / "report.html").stat().st_size > 1000
    assert "campaign demo finished" in done.out
    assert not flow.pids("simulate")
