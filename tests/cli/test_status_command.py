"""status: what a campaign waits for, in words and for programs; watch: until it is over."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from campaign.cli import main
from campaign.cli.waits import wait_lines
from campaign.planner.options import CampaignOptions
from campaign.planner.states import CampaignState
from campaign.store.campaigns import (
    NewRecipient,
    add_recipients,
    complete_import,
    create_campaign,
    set_campaign_state,
)
from campaign.store.door import transaction
from campaign.store.opening import open_ledger

Run = Callable[..., Result]
NOON = "2026-03-02T12:00:00Z"


def wait(gateway: str | None, port: str | None, why: str, until: str | None = None) -> Any:
    return {"gateway": gateway, "port": port, "why": why, "until": until}


@pytest.mark.parametrize(
    ("waits", "lines"),
    [
        ([], []),
        ([wait(None, None, "paused")], ["paused"]),
        (
            [wait("sim1", str(n), "pacing", NOON) for n in (1, 2, 3, 4, 7)],
            ["sim1 ports 1-4, 7: pacing, until 2026-03-02 12:00:00 UTC"],
        ),
        (
            [
                wait("sim1", "2", "pacing", "2026-03-02T12:00:09Z"),
                wait("sim1", "1", "pacing", NOON),
            ],
            ["sim1 ports 1-2: pacing, the first until 2026-03-02 12:00:00 UTC"],
        ),
        (
            [wait("sim1", "3", "busy"), wait("sim2", "3", "busy")],
            ["sim1 port 3: busy", "sim2 port 3: busy"],
        ),
        (
            [wait("sim1", None, "the window", NOON), wait("sim2", None, "the window", NOON)],
            ["sim1, sim2: the window, until 2026-03-02 12:00:00 UTC"],
        ),
        ([wait("sim1", None, "stopped: \x1b[31mred")], ["sim1: stopped: \\x1b[31mred"]),
    ],
    ids=["none", "campaign", "ports", "times", "gateways", "one window", "escapes"],
)
def test_equal_waits_are_told_once(waits: list[Any], lines: list[str]) -> None:
    assert wait_lines(waits) == lines


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """`run("status")` on a ledger with one paused campaign, `one`, and one that is over, `two`."""
    db, optouts = tmp_path / "c.db", tmp_path / "o.db"
    with closing(open_ledger(db, optouts)) as conn, transaction(conn):
        for name, state in (("one", CampaignState.PAUSED), ("two", CampaignState.FINISHED)):
            id_ = create_campaign(
                conn, 1, name=name, list_name="l.csv", message="m", columns=(),
                options=CampaignOptions(),
            )  # fmt: skip
            add_recipients(conn, id_, [NewRecipient(2, "99912345678", None, None, 1)], [])
            complete_import(conn, 1, id_, name)
            set_campaign_state(conn, 2, id_, state, "so it is")

    def call(*words: str) -> Result:
        return CliRunner().invoke(main, ["--db", str(db), "--optouts", str(optouts), *words])

    return call


def test_without_an_engine_the_ledger_says_why_and_what_to_do(run: Run) -> None:
    campaign = json.loads(run("status", "one", "--json").stdout)["campaigns"][0]
    assert campaign["waits"] == [
        wait(None, None, "paused"),
        wait(None, None, "no engine runs: campaign resume"),
    ]
    assert campaign["waiting_for"] == "no engine runs: campaign resume"
    shown = run("status").stdout.splitlines()
    assert shown[0].startswith("paused     one: 0/1 final")
    assert shown[1:3] == [
        "           waits: paused",
        "           waits: no engine runs: campaign resume",
    ]
    assert shown[3].startswith("finished   two:")


def test_a_view_of_a_campaign_that_is_over_ends_at_once(run: Run) -> None:
    assert run("watch", "two").stdout.startswith("finished   two:")
    assert json.loads(run("watch", "two", "--json").stdout)["campaigns"][0]["name"] == "two"
    assert run("watch", "nobody").exit_code == 2
