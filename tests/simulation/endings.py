"""What must hold of a world: between two lives of its engine, and when everything is over."""

from __future__ import annotations

import hashlib
import random

from campaign.planner.replay import Item
from campaign.store.audit import Finding
from campaign.store.campaigns import list_campaigns
from campaign.store.inbox import InboxReader
from campaign.store.invariants import invariants
from campaign.store.replayed import replayed
from tests.simulation.invariants import Broken, against_truth, on_air
from tests.simulation.world import World

_BY_CIVIL_TIME = frozenset(
    {
        "nobody is written to after opting out",
        "nothing is sent outside the window",
        "the pace that was asked for is kept",
        "a receipt that alone proves a message can be nobody else's",
    }
)
"""Civil times of two programs, or of two runs, are compared: worth nothing where the clock was
stepped. I13 is checked at each intent in any case."""

_EVERYTHING = 10**6


def check_truth(world: World) -> None:
    """I1, I2, I6 and I7: sums, and the ledger against what really went on air."""
    world.checker.at_checkpoint(world.conn)
    against_truth(world.conn, on_air(world.conn, world.ids, world.attempts))


def check_end(world: World) -> None:
    """Everybody final, nothing acknowledged lost, and all of it found again from the evidence."""
    check_truth(world)
    open_left = world.conn.execute(
        "SELECT id, state FROM recipients WHERE state IN ('pending', 'held', 'assigned')"
    ).fetchall()
    if open_left:
        raise Broken("I15", f"not final: {[tuple(row) for row in open_left][:5]}")
    (imported,) = world.conn.execute("SELECT count(*) FROM recipients").fetchone()
    expected = sum(len(plan.numbers) for plan in world.scenario.campaigns)
    if imported != expected:
        raise Broken("I1", f"{imported} recipients of {expected}")
    with InboxReader.open(world.inbox) as reader:
        _check_acknowledged(world, reader)
        _check_replay(world, reader)


def _check_acknowledged(world: World, reader: InboxReader) -> None:
    kept = {hashlib.sha256(row.body).digest() for row in reader.rows_after(0, _EVERYTHING)}
    lost = sum(digest not in kept for digest in world.acknowledged)
    if lost:
        raise Broken("inbox", f"{lost} pushes were answered 200 and are not there")


def _check_replay(world: World, reader: InboxReader) -> None:
    """I14: inbox and evidence, folded from empty and in any order, give what is stored; and the
    laws that an operator can check hold too."""
    order = random.Random(f"{world.scenario.seed} order")

    def shuffled(items: list[Item]) -> list[Item]:
        order.shuffle(items)
        return items

    found = invariants(world.conn)
    for campaign in list_campaigns(world.conn):
        found += replayed(world.conn, reader, campaign.id)
        found += replayed(world.conn, reader, campaign.id, shuffled)
    stepped = any(act.kind == "clock-step" for act in world.scenario.acts)
    broken = [_told(finding) for finding in found if _counts(finding, stepped=stepped)]
    if broken:
        raise Broken("I14", "; ".join(broken))


def _counts(finding: Finding, *, stepped: bool) -> bool:
    return finding.verdict == "broken" and not (stepped and finding.law in _BY_CIVIL_TIME)


def _told(finding: Finding) -> str:
    return f"{finding.law}: {finding.detail}"
