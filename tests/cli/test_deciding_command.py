"""resolve and retry: what is decided, what is refused, and what to type next."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from campaign.cli import main
from campaign.planner.states import UnknownCause
from campaign.store.campaigns import cancel_waiting
from campaign.store.journal import begin_epoch, write_meta
from campaign.store.opening import open_ledger
from campaign.store.outcomes import close_unknown
from tests.store.conftest import Bench

Run = Callable[..., Result]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Two recipients unknown by silence, one by timeout, one failed with code 38."""
    optouts = tmp_path / "optouts.db"
    with closing(open_ledger(tmp_path / "c.db", optouts)) as conn:
        bench = Bench(conn, tmp_path / "c.db", optouts, 1)
        bench.do(begin_epoch)
        bench.do(write_meta, {"next_tid": "1000"})
        campaign = bench.campaign(4)
        silent, other = bench.claim(campaign, ports=(1, 2), count=2, task_size=2)
        bench.do(close_unknown, bench.now, silent.id, UnknownCause.SILENCE, "no report")
        bench.report(other, failed=[(1, 6, None), (2, 7, 38)], budget=1)
        yield bench


@pytest.fixture
def run(tmp_path: Path, bench: Bench) -> Run:
    def call(*words: str) -> Result:
        site = ["--db", str(bench.path), "--optouts", str(bench.optouts)]
        return CliRunner().invoke(main, [*site, *words])

    return call


def states(bench: Bench) -> list[str]:
    return sorted(bench.states(1))


def test_taking_unknown_ones_for_sent_names_them_by_cause(run: Run, bench: Bench) -> None:
    done = run("resolve", "spring", "--cause", "silence", "--as", "sent", "--why", "they called")
    assert (done.exit_code, done.stdout) == (
        0, "campaign spring: 2 recipients are taken for sent (silence 2)\n",
    )  # fmt: skip
    assert states(bench) == ["failed", "sent", "sent", "unknown"]
    (row,) = bench.conn.execute(
        "SELECT DISTINCT by, why FROM decisions WHERE kind = 'resolved_sent'"
    )
    assert tuple(row) == (f"operator {getpass.getuser()}", "silence: they called")


def test_a_risky_resend_without_a_terminal_is_refused_in_numbers(run: Run, bench: Bench) -> None:
    done = run("resolve", "spring", "--cause", "all", "--as", "resend")
    assert done.exit_code == 2
    assert "3 recipients would be sent to again; 3 of them may have gone out" in done.stderr
    assert "up to 3 people get the message twice; 2 may still stand in a" in done.stderr
    assert "--yes" in done.stderr
    assert states(bench) == ["failed", "unknown", "unknown", "unknown"]


def test_an_accepted_resend_tells_the_next_command(run: Run, bench: Bench) -> None:
    done = run("resolve", "spring", "--cause", "all", "--as", "resend", "--yes")
    assert done.exit_code == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == (
        "campaign spring: 3 recipients are to be sent to once more (silence 2, timeout 1)"
    )
    assert second.startswith("  to send: campaign --db ")
    assert second.endswith("resume spring")
    assert states(bench) == ["failed", "pending", "pending", "pending"]


def test_a_resend_that_no_queue_can_double_needs_no_consent_but_tells_its_risk(
    run: Run, bench: Bench
) -> None:
    risk = (
        "1 of them may have gone out unreported (timeout 1): up to 1 people get the message twice"
    )
    dry = run("resolve", "spring", "--cause", "timeout", "--as", "resend", "--dry-run")
    assert dry.stdout.splitlines()[1:] == [f"  {risk}"]
    done = run("resolve", "spring", "--cause", "timeout", "--as", "resend")
    assert (done.exit_code, done.stderr) == (0, f"note: {risk}\n")
    assert states(bench) == ["failed", "pending", "unknown", "unknown"]


def test_a_dry_run_says_what_would_happen(run: Run, bench: Bench) -> None:
    done = run("resolve", "spring", "--cause", "silence", "--as", "resend", "--dry-run")
    assert done.exit_code == 0
    first, second = done.stdout.splitlines()
    assert first == "campaign spring: 2 recipients would be sent to once more (silence 2)"
    assert "up to 2 people get the message twice" in second
    assert second.endswith(": it takes --yes")
    assert states(bench) == ["failed", "unknown", "unknown", "unknown"]


def test_the_numbers_are_there_as_json(run: Run) -> None:
    done = run("resolve", "spring", "--cause", "silence", "--as", "resend", "--dry-run", "--json")
    told = json.loads(done.stdout)
    assert (told["name"], told["as"], told["recipients"]) == ("spring", "resend", 2)
    assert told["risk"] == {"by_cause": {"silence": 2}, "queued": {"gw": 2}}
    assert told["dry_run"] is True


def test_nothing_to_do_says_what_there_is(run: Run) -> None:
    done = run("resolve", "spring", "--cause", "reboot", "--as", "sent")
    assert done.exit_code == 4
    assert "nobody is unknown by reboot; unknown there: silence 2, timeout 1" in done.stderr
    done = run("retry", "spring", "--failed", "--code", "7")
    assert done.exit_code == 4
    assert "failed there: code 38 1" in done.stderr


def test_a_retry_of_what_failed_names_the_codes(run: Run, bench: Bench) -> None:
    done = run("retry", "spring", "--failed", "--code", "38")
    assert done.exit_code == 0, done.stderr
    assert "1 recipients are to be sent to once more (code 38 1)" in done.stdout
    assert states(bench) == ["pending", "unknown", "unknown", "unknown"]
    assert run("retry", "spring").exit_code == 2


def test_a_cancelled_campaign_is_refused_with_the_way_out(run: Run, bench: Bench) -> None:
    bench.do(cancel_waiting, bench.now, 1, "enough", by="somebody")
    done = run("retry", "spring", "--failed")
    assert done.exit_code == 2
    assert "was cancelled" in done.stderr
    assert "next.csv" in done.stderr


@pytest.mark.parametrize("left", ["nothing", "an empty file"])
def test_where_nobody_ever_opted_out_there_may_be_no_store_yet(
    run: Run, bench: Bench, left: str
) -> None:
    bench.conn.execute("DETACH DATABASE optouts")
    bench.optouts.unlink()
    if left != "nothing":
        bench.optouts.touch()
    done = run("resolve", "spring", "--cause", "timeout", "--as", "sent", "--dry-run")
    assert (done.exit_code, done.stderr) == (0, "")
    done = run("retry", "spring", "--failed")
    assert (done.exit_code, done.stderr) == (0, "")
    assert states(bench) == ["pending", "unknown", "unknown", "unknown"]


def test_a_ledger_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    db = tmp_path / "none.db"
    words = ["--db", str(db), "--optouts", str(tmp_path / "o.db"), "retry", "c", "--failed"]
    assert CliRunner().invoke(main, words).exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_a_campaign_that_is_not_there_is_named(run: Run) -> None:
    done = run("resolve", "autumn", "--cause", "all", "--as", "sent")
    assert done.exit_code == 2
    assert "no campaign named 'autumn'" in done.stderr
