"""The state tables themselves: whole, without dead ends, and evidence only rises."""

from __future__ import annotations

import pytest

from campaign.planner.states import (
    FINAL_RECIPIENT_STATES,
    LIVE_TASK_STATES,
    RECIPIENT_MOVES,
    TASK_MOVES,
    WAITING_RECIPIENT_STATES,
    RecipientState,
    TaskState,
    mermaid,
)

R, T = RecipientState, TaskState


def test_every_recipient_can_reach_a_final_state() -> None:
    for state in set(R) - FINAL_RECIPIENT_STATES:
        assert any(old is state and new in FINAL_RECIPIENT_STATES for old, new in RECIPIENT_MOVES)


def test_every_task_but_the_closed_can_be_closed_and_none_is_reopened() -> None:
    for state in LIVE_TASK_STATES:
        reached, front = {state}, {state}
        while front:
            front = {new for old, new in TASK_MOVES if old in front} - reached
            reached |= front
        assert T.CLOSED in reached
    assert not [move for move in TASK_MOVES if move[0] is T.CLOSED]


def test_only_waiting_recipients_are_claimed_and_only_by_way_of_pending() -> None:
    assert [old for old, new in RECIPIENT_MOVES if new is R.ASSIGNED] == [R.PENDING]
    assert {R.PENDING, R.HELD} == WAITING_RECIPIENT_STATES


@pytest.mark.parametrize("state", [R.SENT, R.DELIVERED, R.UNDELIVERED, R.NO_RECEIPT])
def test_what_was_sent_is_never_waiting_again(state: RecipientState) -> None:
    reached, front = {state}, {state}
    while front:
        front = {new for old, new in RECIPIENT_MOVES if old in front} - reached
        reached |= front
    assert reached <= {R.SENT, R.DELIVERED, R.UNDELIVERED, R.NO_RECEIPT}


def test_a_refused_or_unanswered_task_never_steps_back_from_accepted() -> None:
    back = {T.PLANNED, T.INTENT, T.DOUBT}
    for state in (T.ACCEPTED, T.PAUSED, T.FENCING, T.FENCED):
        assert not [new for old, new in TASK_MOVES if old is state and new in back]


def test_no_move_stands_still_and_each_has_its_reason() -> None:
    moves = [*RECIPIENT_MOVES.items(), *TASK_MOVES.items()]
    assert all(old != new and why for (old, new), why in moves)


def test_the_table_is_drawn_line_by_line() -> None:
    drawn = mermaid(TASK_MOVES).splitlines()
    assert drawn[0] == "stateDiagram-v2"
    assert len(drawn) == 1 + len(TASK_MOVES)
    assert "    planned --> intent: written down, then posted" in drawn
