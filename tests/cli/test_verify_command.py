"""verify: exit code 0 only if every law holds, else the law and the place."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from campaign.cli import main
from campaign.planner.options import CampaignOptions
from campaign.service.site import Site
from campaign.store.campaigns import NewRecipient, add_recipients, complete_import, create_campaign
from campaign.store.door import transaction
from campaign.store.inbox import InboxWriter
from campaign.store.journal import write_meta
from campaign.store.opening import open_ledger
from campaign.store.replayed import LAWS

Verify = Callable[..., Result]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A ledger with a campaign of three that has not begun, and an empty inbox."""
    site = Site.at(str(tmp_path / "c.db"), str(tmp_path / "o.db"))
    with closing(open_ledger(site.paths.db, site.optouts)) as conn, transaction(conn):
        campaign_id = create_campaign(
            conn, 1, name="spring", list_name="l.csv", message="hi", columns=(),
            options=CampaignOptions(),
        )  # fmt: skip
        rows = [NewRecipient(i, f"9990000000{i}", None, None, 1) for i in range(1, 4)]
        add_recipients(conn, campaign_id, rows, [])
        complete_import(conn, 2, campaign_id, "fingerprint")
    with InboxWriter.open(site.paths.inbox, lambda n: "a" * 2 * n):
        yield site


@pytest.fixture
def verify(site: Site) -> Verify:
    def call(*words: str) -> Result:
        where = ["--db", str(site.paths.db), "--optouts", str(site.optouts)]
        return CliRunner().invoke(main, [*where, "verify", *words])

    return call


def change(site: Site, statement: str) -> None:
    with closing(open_ledger(site.paths.db, site.optouts)) as conn, transaction(conn):
        conn.execute(statement)


def test_a_ledger_that_holds_ends_with_0(verify: Verify) -> None:
    result = verify("spring")
    assert result.exit_code == 0, result.output
    assert "broken" not in result.output
    assert all(law in result.output for law in LAWS)


def test_a_broken_law_is_named_with_its_place_and_ends_with_1(site: Site, verify: Verify) -> None:
    change(site, "UPDATE recipients SET attempts = 5 WHERE id = 2")
    result = verify("spring")
    assert result.exit_code == 1
    assert "nobody has more attempts than there is budget for" in result.output
    assert "spring row 2" in result.output
    assert "1 of 23 laws are broken in spring" in result.output


def test_json_lists_every_finding(site: Site, verify: Verify) -> None:
    change(site, "UPDATE tallies SET n = 2")
    result = verify("spring", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert (found["name"], found["all_hold"], found["unasked"]) == ("spring", False, [])
    assert {frozenset(item) for item in found["findings"]} == {
        frozenset(("law", "verdict", "detail"))
    }
    (broken,) = [item for item in found["findings"] if item["verdict"] == "broken"]
    assert broken["law"] == "every recipient has one state"


def test_what_cannot_be_told_is_listed_and_passes(site: Site, verify: Verify) -> None:
    with closing(open_ledger(site.paths.db, site.optouts)) as conn, transaction(conn):
        write_meta(conn, {"inbox_cursor": "9", "inbox_file": "another"})
    result = verify("spring")
    assert result.exit_code == 0
    assert result.output.count("cannot be told") == len(LAWS)
    assert "another file" in result.output


def test_without_an_inbox_file_it_says_so(site: Site, verify: Verify) -> None:
    with closing(open_ledger(site.paths.db, site.optouts)) as conn, transaction(conn):
        write_meta(conn, {"inbox_cursor": "9", "inbox_file": "a"})
    for path in site.paths.inbox.parent.glob("c.inbox.db*"):
        path.unlink()
    result = verify("spring")
    assert result.exit_code == 0
    assert "there is no inbox beside the ledger" in result.output


def test_an_unknown_campaign_is_a_wrong_call(verify: Verify) -> None:
    assert verify("autumn").exit_code == 2
