"""priority, and the flags that say how a campaign goes beside others and is tried first."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from campaign.cli import main
from campaign.store.campaigns import get_campaign, set_options
from campaign.store.gateways import add_gateway
from campaign.store.journal import begin_epoch
from campaign.store.opening import open_ledger
from tests.store.conftest import Bench

Run = Callable[..., Result]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    optouts = tmp_path / "optouts.db"
    with closing(open_ledger(tmp_path / "c.db", optouts)) as conn:
        bench = Bench(conn, tmp_path / "c.db", optouts, 1)
        bench.do(begin_epoch)
        bench.campaign(4)
        yield bench


@pytest.fixture
def run(bench: Bench) -> Run:
    def call(*words: str) -> Result:
        site = ["--db", str(bench.path), "--optouts", str(bench.optouts)]
        return CliRunner().invoke(main, [*site, *words])

    return call


def test_a_priority_is_stored_with_who_changed_it(run: Run, bench: Bench) -> None:
    done = run("priority", "spring", "urgent", "--share", "3")
    assert (done.exit_code, done.stdout) == (
        0, "campaign spring is urgent, share 3 once it runs: campaign resume\n",
    )  # fmt: skip
    options = bench.do(get_campaign, "spring").options
    assert (options.priority, options.share) == ("urgent", 3)
    (row,) = bench.conn.execute("SELECT by, why FROM decisions WHERE kind = 'priority'")
    assert row["by"].startswith("operator ")
    assert row["why"] == "priority urgent, share 3"


def test_a_share_alone_leaves_the_priority(run: Run) -> None:
    told = json.loads(run("priority", "spring", "--share", "2", "--json").stdout)
    assert told == {"name": "spring", "priority": "normal", "share": 2}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("priority", "spring"), "what is to change?"),
        (("priority", "spring", "soon"), "'urgent', 'high', 'normal', 'low'"),
        (("priority", "spring", "--share", "0"), "--share"),
        (("priority", "autumn", "high"), "no campaign named 'autumn'"),
    ],
    ids=["nothing", "no such priority", "no share", "no such campaign"],
)
def test_what_cannot_be_is_told_with_what_can(run: Run, words: tuple[str, ...], said: str) -> None:
    done = run(*words)
    assert done.exit_code == 2
    assert said in done.stderr


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--canary", "0"), "write how many go first"),
        (("--pause-if", "pending>1"), "pending is not final"),
        (("--priority", "soon"), "'urgent', 'high', 'normal', 'low'"),
        (("--test", "12"), "--test '12'"),
    ],
    ids=["canary", "pause-if", "priority", "test"],
)
def test_a_launch_that_cannot_be_is_refused_before_anything_starts(
    run: Run, bench: Bench, tmp_path: Path, flags: tuple[str, ...], said: str
) -> None:
    bench.do(
        add_gateway, 1, name="a", url="http://127.0.0.1:9", username="u", secret="s", token="t",
        settings={},
    )  # fmt: skip
    (tmp_path / "list.csv").write_text("phone\n+999000000001\n")
    done = run("launch", str(tmp_path / "list.csv"), "--message", "Hi", "--yes", *flags)
    assert done.exit_code == 2
    assert said in done.stderr


@pytest.mark.parametrize(
    "old", [{"window": ""}, {"pause_if": ("failed>150%",)}, {"canary": "0"}], ids=str
)
def test_an_option_that_would_be_refused_today_is_in_no_change_s_way(
    run: Run, bench: Bench, old: dict[str, Any]
) -> None:
    row = bench.do(get_campaign, "spring")
    bench.do(set_options, row.id, msgspec.structs.replace(row.options, **old))
    assert run("priority", "spring", "high").exit_code == 0
    assert run("rate", "spring", "10/s").exit_code == 0
