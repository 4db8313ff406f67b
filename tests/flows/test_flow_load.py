"""A load from the command line against a simulator's own process: kept, shown, judged, ended."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from campaign.cli import main

if TYPE_CHECKING:
    from tests.flows.conftest import Flow

pytestmark = [pytest.mark.process, pytest.mark.slow]


def simulated(flow: Flow, *words: str) -> str:
    """Start a simulator; gives it as a load's target."""
    device = flow.start("simulate", *words)
    flow.until(lambda: "\n" in device.out, "the simulator listens", device)
    host_port = device.out.split("http://")[1].split()[0]
    return f"http://root:root@{host_port}"


def shown(*words: str | Path) -> str:
    """What campaign load prints of runs that were kept."""
    result = CliRunner().invoke(main, ["load", *map(str, words)])
    assert result.exit_code == 0, result.stderr
    return result.stdout


def register(flow: Flow, name: str, url: str) -> None:
    """Register a gateway with the simulator's password."""
    words = ["gateway", "add", name, url, "--username", "root", "--password-stdin"]
    site = ["--db", str(flow.db), "--optouts", str(flow.optouts)]
    result = CliRunner().invoke(main, [*site, *words], input="root")
    assert result.exit_code == 0, result.stderr


def attempts(ledger: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines()]


def test_a_load_is_kept_shown_and_judged_and_every_message_has_its_place(flow: Flow) -> None:
    truth = flow.folder / "truth.jsonl"
    target = simulated(
        flow, "--ports", "16", "--sms-seconds", "0.05", "--ledger", str(truth),
        "--set", "receipts-seconds=0.1-0.2",
    )  # fmt: skip
    words = (
        "load", "run", target, "--rate", "20/s", "--duration", "2s", "--tasks-per-request", "2",
        "--workers", "1", "--connections", "4", "--settle", "20s", "--out", "a.load", "--json",
        "--fail-if", "accept_p50<1h", "--fail-if", "unreported>0",
    )  # fmt: skip
    done = flow.run(*words, code=3)
    found = done.json()
    assert "threshold broken: accept_p50<1h" in done.err
    assert [one["broken"] for one in found["thresholds"]] == [True, False]
    assert found["requests"] == found["planned"] == 40
    account = found["account"]
    sent = [attempt["number"] for attempt in attempts(truth)]
    assert len(sent) == len(set(sent)) == account["accepted"] == account["reported"] == 80
    assert account["receipts"] == 80
    assert set(found["latency_ms"]) >= {"accept", "accept_uncorrected", "report", "receipt"}
    assert json.loads(shown("report", flow.folder / "a.load", "--json")) == found
    shown("report", flow.folder / "a.load", "-o", flow.folder / "a.html")
    page = (flow.folder / "a.html").read_text(encoding="utf-8")
    assert "accept_p50&lt;1h" in page
    assert target.split("@")[1] in page
    assert "root:root" not in page
    assert "B against A" in shown("compare", flow.folder / "a.load", flow.folder / "a.load")


def test_an_interrupted_load_takes_back_what_it_queued_and_shows_what_it_measured(
    flow: Flow,
) -> None:
    truth = flow.folder / "truth.jsonl"
    target = simulated(flow, "--ports", "2", "--sms-seconds", "60", "--ledger", str(truth))
    register(flow, "boxed", f"http://{target.split('@')[1]}")
    command = flow.start(
        "load", "run", "boxed", "--rate", "50/s", "--duration", "10m", "--workers", "2",
        "--connections", "4", "--out", "a.load", "--json",
    )  # fmt: skip
    flow.until(lambda: " of " in command.err, "a second of the load is told", command)
    command.signal(signal.SIGINT)
    done = command.wait(within=20)
    assert done.code == 130, done.err
    account = done.json()["account"]
    # the two that are on the air when it ends cannot be taken back any more
    assert account["removed"] >= account["accepted"] - 2 > 0
    assert account["left_in_queue"] == 0
    assert account["offered"] < 600 * 50
    assert (flow.folder / "a.load").exists()


def test_a_flooded_receiver_has_every_push_it_acknowledged(flow: Flow) -> None:
    found = flow.run(
        "load", "receiver", "--rate", "40/s", "--duration", "1s", "--devices", "3", "--rows", "5",
        "--workers", "1", "--json",
    ).json()  # fmt: skip
    account = found["account"]
    assert account["pushes"] == account["committed"] == 40
    assert account["rows"] == 200
    assert account["lost"] == 0
