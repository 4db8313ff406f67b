"""Switching: the next SIM in turn that is there and has room."""

from __future__ import annotations

from campaign.planner.switching import SlotSim, next_sim


def sim(slot: int, *, code: int = 1, used_up: bool = False) -> SlotSim:
    return SlotSim(slot, "", f"sim{slot}", f"89{slot}", code, used_up)


def chosen(*sims: SlotSim, in_use: int = 2, tried: tuple[int, ...] = ()) -> int | None:
    found = next_sim(sims, in_use, tried)
    return None if found is None else found.slot


def test_the_slot_behind_the_one_in_use_is_next_and_the_first_comes_after_the_last() -> None:
    assert chosen(sim(1), sim(2, code=3), sim(3), sim(4)) == 3
    assert chosen(sim(1), sim(2, code=3)) == 1


def test_a_slot_without_a_sim_or_room_or_that_was_tried_in_vain_is_left_out() -> None:
    sims = [sim(1), sim(2, code=3), sim(3, code=0), sim(4, used_up=True), sim(5, code=12)]
    assert chosen(*sims) == 1
    assert chosen(*sims, tried=(1,)) is None


def test_a_place_whose_slot_is_not_told_cannot_be_switched_to() -> None:
    assert chosen(sim(0), sim(2, code=3)) is None
