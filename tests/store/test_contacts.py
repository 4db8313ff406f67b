"""Contacts: which SIM wrote to a number last."""

from __future__ import annotations

from typing import Any

from campaign.planner.lanes import Lane
from campaign.planner.options import CampaignOptions
from campaign.planner.split import Grant
from campaign.store.campaigns import NewRecipient, add_recipients, create_campaign
from campaign.store.claims import claim_due
from campaign.store.contacts import last_sims
from campaign.store.lanes import waiting_lanes
from campaign.store.picking import ClaimOrder
from campaign.store.usage import SimLimits


def claim(ledger: Any, campaign_id: int, *grants: Grant, **changes: Any) -> list[Any]:
    facts: dict[str, Any] = {
        "epoch": ledger.epoch, "campaign_id": campaign_id, "gateway_id": ledger.gateway(),
        "boot_id": "b", "grants": grants, "task_size": 10, "most_tasks": 10, "only_place": False,
        "now_ms": ledger.now, **changes,
    }  # fmt: skip
    tasks: list[Any] = ledger.do(claim_due, ClaimOrder(**facts), ledger.build).tasks
    return tasks


def test_the_sim_that_wrote_last_in_any_campaign_is_found_for_many_numbers_at_once(
    ledger: Any,
) -> None:
    first, second = ledger.campaign(3), ledger.campaign(3, name="again")
    claim(ledger, first, Grant(1, 3, "1:1"), sims={1: SimLimits("8991")})
    ledger.now += 1
    claim(ledger, second, Grant(1, 2, "1:1"), sims={1: SimLimits("8992")})
    numbers = [ledger.number(n) for n in (1, 2, 3, 4)]
    assert last_sims(ledger.conn, numbers) == dict(
        zip(numbers, ("8992", "8992", "8991"), strict=False)
    )


def test_a_port_whose_sim_is_not_known_has_written_to_nobody(ledger: Any) -> None:
    campaign_id = ledger.campaign(3)
    claim(ledger, campaign_id, Grant(1, 2, "1:1"), Grant(2, 1, "1:2"), sims={1: SimLimits("8999")})
    found = last_sims(ledger.conn, [ledger.number(n) for n in (1, 2, 3)])
    assert found == {ledger.number(1): "8999", ledger.number(3): "8999"}


def test_a_sim_without_a_cap_on_recipients_has_no_contacts_kept(ledger: Any) -> None:
    claim(ledger, ledger.campaign(2), Grant(1, 2, "1:1"), sims={1: SimLimits("8999")})
    assert ledger.conn.execute("SELECT count(*) FROM sim_contacts").fetchone()[0] == 0


def test_whom_their_sim_failed_go_to_the_lane_of_the_same_route_without_one(ledger: Any) -> None:
    campaign_id = ledger.do(
        create_campaign, ledger.now, name="c", list_name="l", message="m", columns=(),
        options=CampaignOptions(),
    )  # fmt: skip
    lanes = [Lane(0), Lane(1, route="gw"), Lane(2, route="gw", sim="8999"), Lane(3, sim="8999")]
    rows = [NewRecipient(n, ledger.number(n), None, None, 1, lane) for n, lane in ((1, 2), (2, 0))]
    ledger.do(add_recipients, campaign_id, rows, [], lanes)
    ledger.conn.execute("UPDATE campaigns SET state = 'running'")
    (task,) = claim(ledger, campaign_id, Grant(1, 5, "1:1"), lanes=(2,))
    ledger.report(task, failed=[(1, 7, None)])
    ledger.now += 60_000
    (other,) = claim(ledger, campaign_id, Grant(2, 5, "1:2"), lanes=(0,))
    ledger.report(other, sent=[1])
    assert waiting_lanes(ledger.conn, campaign_id) == [1]
    assert ledger.recipient(2)["lane"] == 0
