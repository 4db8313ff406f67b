"""The judge of the kills finds what it is there to find, and a seed draws the same kills again."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.flows.judging import Case, doubles, false_facts, lost
from tests.flows.killing import Stage, Victim, draw


def case(*lines: tuple[str, bool], proved: int = 0, **rows: str) -> Case:
    """Attempts as (number, on air) against the ledger's states; numbers begin with n."""
    truth: list[dict[str, Any]] = [{"number": number, "ok": ok} for number, ok in lines]
    return Case(
        wanted=set(rows),
        rows={
            number: {"state": state, "cause": "timeout", "reason": "6"}
            for number, state in rows.items()
        },
        proved=dict.fromkeys(rows, proved),
        truth=truth,
        air=Counter(number for number, ok in lines if ok),
        tried=Counter(number for number, _ in lines),
    )


@pytest.mark.parametrize(
    ("made", "found"),
    [
        (case(("n1", True), n1="delivered"), ""),
        (case(("n1", False), ("n1", True), n1="delivered", proved=1), ""),
        (case(("n1", True), ("n1", True), n1="delivered"), "n1 went on air 2 times"),
        (case(("n1", False), ("n1", True), n1="sent"), "n1 was tried 2 times with 0 proved"),
        (case(("n1", True), ("n2", True), n1="sent"), "n2 was sent to, and is on no list"),
    ],
    ids=["once", "again after a proved failure", "twice", "again without proof", "a stranger"],
)
def test_who_was_sent_twice_is_found(made: Case, found: str) -> None:
    assert ", ".join(doubles(made)).startswith(found)
    assert bool(list(doubles(made))) == bool(found)


@pytest.mark.parametrize(
    ("made", "found"),
    [
        (case(("n1", True), n1="unknown"), []),
        (case(n1="unknown"), []),
        (case(("n1", False), n1="failed"), []),
        (case(("n1", False), n1="sent"), ["n1 is sent and never went on air"]),
        (case(("n1", True), n1="failed"), ["n1 is failed and went on air"]),
    ],
    ids=["unknown, sent", "unknown, unsent", "failed", "falsely sent", "falsely failed"],
)
def test_a_false_fact_is_found(made: Case, found: list[str]) -> None:
    assert list(false_facts(made)) == found


def test_who_was_lost_is_found() -> None:
    assert list(lost(case(n1="sent"), 1)) == []
    assert list(lost(case(n1="assigned"), 1)) == ["n1 is left assigned"]
    assert list(lost(case(n1="sent"), 2)) == ["1 were listed, the ledger has 2 of 1 numbers"]


def test_a_seed_draws_the_same_kills_and_a_dead_gateway_comes_back() -> None:
    kills = draw(7, 25)
    assert draw(7, 25) == kills != draw(8, 25)
    assert len(kills) == 25
    assert {kill.victim for seed in range(9) for kill in draw(seed, 25)} == set(Victim)
    assert {kill.stage for seed in range(9) for kill in draw(seed, 25)} == set(Stage)
    for seed in range(200):
        kills = draw(seed, 5 + seed % 25)
        last = max(i for i, kill in enumerate(kills) if kill.victim is Victim.ENGINE)
        assert last == len(kills) - 1, "the engine's next start brings a killed gateway back"
