"""rate and gateway quotas: limits shown and changed from the command line."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from campaign.cli import main
from campaign.planner.options import CampaignOptions
from campaign.store.campaigns import get_campaign
from campaign.store.journal import begin_epoch, write_meta
from campaign.store.opening import open_ledger
from campaign.store.usage import SimLimits
from tests.store.conftest import Bench

Run = Callable[..., Result]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A campaign at 1/s, four of whose recipients were just given to one SIM."""
    optouts = tmp_path / "optouts.db"
    with closing(open_ledger(tmp_path / "c.db", optouts)) as conn:
        bench = Bench(conn, tmp_path / "c.db", optouts, 1)
        bench.do(begin_epoch)
        bench.do(write_meta, {"next_tid": "1000"})
        (now,) = conn.execute("SELECT unixepoch() * 1000").fetchone()
        bench.now = now
        campaign = bench.campaign(10, options=CampaignOptions(rate="1/s"))
        bench.claim(campaign, count=4, sims={1: SimLimits(f"89{1:018}")})
        yield bench


@pytest.fixture
def run(bench: Bench) -> Run:
    def call(*words: str) -> Result:
        site = ["--db", str(bench.path), "--optouts", str(bench.optouts)]
        return CliRunner().invoke(main, [*site, *words])

    return call


def test_a_rate_is_shown_changed_and_lifted(bench: Bench, run: Run) -> None:
    assert run("rate", "spring").stdout == "campaign spring: rate 1/s\n"
    told = run("rate", "spring", "10/s", "--per-port", "6/min", "--daily-per-sim", "50")
    assert told.stdout == (
        "campaign spring: rate 10/s, per-port 6/min, daily-per-sim 50, once it is resumed\n"
    )
    lifted = json.loads(run("rate", "spring", "off", "--per-port", "none", "--json").stdout)
    assert lifted["limits"] == {
        "rate": None, "segment_rate": None, "per_port": None, "interval": None,
        "daily_per_sim": 50,
    }  # fmt: skip
    assert get_campaign(bench.conn, "spring").options.daily_per_sim == 50
    decisions = bench.conn.execute("SELECT by FROM decisions WHERE kind = 'limits'").fetchall()
    assert [row["by"] for row in decisions] == [f"operator {getpass.getuser()}"] * 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nobody", "1/s"), "no campaign named 'nobody'"),
        (("spring", "fast"), "not a rate"),
        (("spring", "--interval", "9s-3s"), "before its start"),
        (("spring", "--daily-per-sim", "many"), "whole number, or off"),
    ],
)
def test_what_cannot_be_is_refused_in_words(run: Run, words: tuple[str, ...], told: str) -> None:
    result = run("rate", *words)
    assert result.exit_code == 2
    assert told in result.stderr


def test_quotas_tell_what_each_sim_has_sent_and_what_is_left(run: Run) -> None:
    assert run("gateway", "set", "gw", "sim-day=4", "sim-month=90").exit_code == 0
    shown = run("gateway", "quotas", "gw").stdout.splitlines()
    assert any("4 of 4" in line and "until" in line for line in shown)
    ports = json.loads(run("gateway", "quotas", "gw", "--json").stdout)["ports"]
    first, second = ports[0], ports[1]
    assert first["segments"]["day"] == {"used": 4, "cap": 4}
    assert first["left"]["segments"] == 0
    assert first["waiting_for"] == "SIM used up: 4 of 4 segments today"
    assert first["until"].endswith("T00:00:00Z")
    assert (second["left"]["segments"], second["until"]) == (4, None)


def test_a_campaign_cannot_set_whose_calendar_counts(run: Run, tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("phone\n+99900000001\n")
    result = run(
        "plan", str(tmp_path / "l.csv"), "--message", "x", "--set", "limits-timezone=Asia/Tokyo"
    )
    assert result.exit_code == 2
    assert "gateway set NAME limits-timezone" in result.stderr
