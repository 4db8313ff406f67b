"""Tasks between intent and closing: every verb checks the state it starts from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from campaign.planner.states import FenceReason, TaskState, UnknownCause
from campaign.store.claims import close, reclaim_planned
from campaign.store.tasks import (
    adopt_boot,
    any_live_task,
    get_tasks,
    last_closed,
    live_tasks,
    mark_accepted,
    mark_collided_ours,
    mark_doubt,
    mark_fenced,
    mark_news,
    mark_paused,
    mark_planned,
    mark_reposted,
    mark_resumed,
    mark_shown_waiting,
    outstanding,
    overtaken_tasks,
    reject,
    start_fence,
    task_objects,
    tasks_of_unwanted,
)

STATES = [str(state) for state in TaskState]


def bring(ledger: Any, state: str, size: int = 2) -> Any:
    """A task of a fresh campaign, brought to `state` by the verbs themselves."""
    task = ledger.claim_one(ledger.campaign(size))
    ids, now = [task.id], ledger.now
    if state == "planned":
        ledger.do(mark_planned, ids)
    if state == "doubt":
        ledger.do(mark_doubt, ids, now, UnknownCause.NO_ANSWER)
    if state in ("accepted", "paused", "fencing", "fenced"):
        ledger.do(mark_accepted, ids, now)
    if state == "paused":
        ledger.do(mark_paused, ids)
    if state in ("fencing", "fenced"):
        ledger.do(start_fence, ids, now, FenceReason.SILENCE, "a test")
    if state == "fenced":
        ledger.do(mark_fenced, ids, now)
    if state == "closed":
        ledger.report(task, sent=range(1, size + 1))
    assert ledger.task(task.id)["state"] == state
    return task


Verb = Callable[[Any, int], None]

VERBS: dict[str, tuple[Verb, dict[str, str]]] = {
    "mark_accepted": (
        lambda ledger, i: ledger.do(mark_accepted, [i], 5),
        {"intent": "accepted", "doubt": "accepted"},
    ),
    "mark_doubt": (
        lambda ledger, i: ledger.do(mark_doubt, [i], 5, UnknownCause.NO_ANSWER),
        {"intent": "doubt"},
    ),
    "mark_planned": (lambda ledger, i: ledger.do(mark_planned, [i]), {"intent": "planned"}),
    "mark_paused": (lambda ledger, i: ledger.do(mark_paused, [i]), {"accepted": "paused"}),
    "mark_resumed": (lambda ledger, i: ledger.do(mark_resumed, [i], 5), {"paused": "accepted"}),
    "start_fence": (
        lambda ledger, i: ledger.do(start_fence, [i], 5, FenceReason.CANCEL, "a test"),
        {"accepted": "fencing", "paused": "fencing", "doubt": "fencing"},
    ),
    "mark_fenced": (lambda ledger, i: ledger.do(mark_fenced, [i], 5), {"fencing": "fenced"}),
    "reject": (
        lambda ledger, i: ledger.do(reject, i, 5, 16, "too many", fail=False),
        {"intent": "closed"},
    ),
    "reject for its content": (
        lambda ledger, i: ledger.do(reject, i, 5, 8, "no text", fail=True),
        {"intent": "closed"},
    ),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("state", STATES)
def test_a_verb_moves_only_the_states_it_is_for(ledger: Any, verb: str, state: str) -> None:
    task = bring(ledger, state)
    act, moves = VERBS[verb]
    act(ledger, task.id)
    assert ledger.task(task.id)["state"] == moves.get(state, state)


def test_a_refusal_after_a_report_is_on_record_and_no_step_back(ledger: Any) -> None:
    task = bring(ledger, "intent")
    ledger.report(task, sent=[1])
    ledger.do(reject, task.id, ledger.now, 16, "too many", fail=False)
    assert ledger.states(task.campaign_id) == ["sent", "assigned"]
    assert ledger.task(task.id)["state"] == "accepted"
    assert ledger.incidents() == {"anomaly": 1}


def test_a_refused_task_gives_its_recipients_back(ledger: Any) -> None:
    task = bring(ledger, "intent")
    ledger.do(reject, task.id, ledger.now, 16, "16 too many tasks", fail=False)
    assert ledger.states(task.campaign_id) == ["pending", "pending"]
    assert ledger.task(task.id)["verdict"] == "released: refused: 16 too many tasks"


def test_refused_content_fails_its_recipients(ledger: Any) -> None:
    task = bring(ledger, "intent")
    ledger.do(reject, task.id, ledger.now, 8, "8 SMS expected", fail=True)
    assert ledger.states(task.campaign_id) == ["failed", "failed"]
    recipient = ledger.recipient(1)
    assert (recipient["code"], recipient["reason"]) == (8, "8 SMS expected")
    assert ledger.attempt(task.id)["live"] == 0


def test_planned_again_is_only_what_was_posted_once(ledger: Any) -> None:
    task = bring(ledger, "doubt")
    ledger.do(mark_reposted, [task.id], ledger.now + 7, "same boot")
    row = ledger.task(task.id)
    assert (row["posts"], row["doubt_ms"], row["state"]) == (2, ledger.now + 7, "doubt")
    assert ledger.decisions("repost") == ["same boot"]


def test_the_stored_bytes_are_posted_again(ledger: Any) -> None:
    campaign_id = ledger.campaign(4)
    tasks = ledger.claim(campaign_id, task_size=1)
    ids = [task.id for task in tasks]
    objects = ledger.do(task_objects, list(reversed(ids)))
    assert [body for _, body in objects] == [task.body for task in tasks]


@pytest.mark.parametrize("act", [mark_accepted, mark_doubt], ids=lambda act: act.__name__)
def test_a_collided_task_stays_in_doubt_whatever_seems_to_confirm_it(
    ledger: Any, act: Callable[..., None]
) -> None:
    task = bring(ledger, "intent")
    ledger.do(mark_doubt, [task.id], ledger.now, UnknownCause.COLLISION)
    more = (UnknownCause.NO_ANSWER,) if act is mark_doubt else ()
    ledger.do(act, [task.id], ledger.now, *more)
    row = ledger.task(task.id)
    assert (row["state"], row["doubt"]) == ("doubt", "collision")


def test_a_collided_tid_is_never_taken_back_for_it_is_somebody_elses(ledger: Any) -> None:
    task = bring(ledger, "intent")
    ledger.do(mark_doubt, [task.id], ledger.now, UnknownCause.COLLISION)
    ledger.do(start_fence, [task.id], ledger.now, FenceReason.CANCEL, "a test")
    assert ledger.task(task.id)["state"] == "doubt"


@pytest.mark.parametrize(
    ("extra", "sms", "ours"),
    [
        pytest.param("", "hello", True, id="ours"),
        pytest.param("+", "hello", True, id="with-plus"),
        pytest.param("", "other", False, id="another-text"),
        pytest.param("", None, False, id="no-text-shown"),
        pytest.param("1", "hello", False, id="another-number"),
    ],
)
def test_a_collision_is_lifted_only_by_our_very_recipients_and_text(
    ledger: Any, extra: str, sms: str | None, ours: bool
) -> None:
    task = bring(ledger, "intent")
    ledger.do(mark_doubt, [task.id], ledger.now, UnknownCause.COLLISION)
    to = [extra + number for number in ledger.numbers_of(task.id)]
    assert ledger.do(mark_collided_ours, task.id, ledger.now, to, sms) is ours
    row = ledger.task(task.id)
    assert (row["state"], row["doubt"]) == (
        ("accepted", None) if ours else ("doubt", "collision")
    )  # fmt: skip


def test_what_lives_on_a_device_is_listed_oldest_first_and_by_state(ledger: Any) -> None:
    campaign_id = ledger.campaign(6)
    first, second, third = ledger.claim(campaign_id, task_size=2)
    ledger.do(mark_accepted, [second.id], ledger.now)
    ledger.report(third, sent=[1, 2])
    gateway_id = ledger.gateway()
    assert [task.id for task in ledger.do(live_tasks, gateway_id)] == [first.id, second.id]
    (only,) = ledger.do(live_tasks, gateway_id, (TaskState.ACCEPTED,))
    assert (only.id, only.open, only.size) == (second.id, 2, 2)
    assert ledger.do(live_tasks, gateway_id + 1) == []


def test_outstanding_counts_messages_in_flight_by_port(ledger: Any) -> None:
    campaign_id = ledger.campaign(5)
    first, _ = ledger.claim(campaign_id, ports=(1, 2), count=3)
    ledger.report(first, sent=[1])
    assert ledger.do(outstanding, ledger.gateway()) == {1: 2, 2: 2}


def test_a_ledger_without_live_tasks_says_so(ledger: Any) -> None:
    assert not ledger.do(any_live_task)
    task = bring(ledger, "accepted")
    assert ledger.do(any_live_task)
    ledger.report(task, sent=[1, 2])
    assert not ledger.do(any_live_task)


def test_news_of_a_closed_task_is_not_kept(ledger: Any) -> None:
    task = bring(ledger, "closed")
    before = ledger.task(task.id)["news_ms"]
    ledger.do(mark_news, [task.id], ledger.now + 1)
    assert ledger.task(task.id)["news_ms"] == before


def test_a_fence_is_a_stored_decision_with_its_reason(ledger: Any) -> None:
    task = bring(ledger, "accepted")
    ledger.do(start_fence, [task.id], ledger.now, FenceReason.REROUTE, "port 1 is gone")
    ledger.do(start_fence, [task.id], ledger.now + 9, FenceReason.CANCEL, "again")
    row = ledger.task(task.id)
    assert (row["fence"], row["fence_ms"]) == ("reroute", ledger.now)
    assert ledger.decisions("fence") == ["port 1 is gone"]


def test_facts_about_a_task_come_back_as_values(ledger: Any) -> None:
    task = bring(ledger, "fencing")
    ledger.do(mark_shown_waiting, [task.id])
    ledger.do(adopt_boot, [task.id], "boot-2")
    (row,) = ledger.do(get_tasks, [task.id])
    assert (row.state, row.fence, row.doubt) == (TaskState.FENCING, FenceReason.SILENCE, None)
    assert (row.shown_waiting, row.boot_id, row.tid) == (1, "boot-2", task.tid)


def test_a_task_closes_once(ledger: Any) -> None:
    task = bring(ledger, "closed")
    ledger.do(close, task.id, ledger.now + 5, "again")
    row = ledger.task(task.id)
    assert (row["closed_ms"], row["verdict"]) == (ledger.now, "every attempt final")


@pytest.mark.parametrize(
    ("state", "found"),
    [("intent", False), ("accepted", True), ("paused", True), ("fencing", False)],
)
def test_tasks_on_a_device_that_hold_an_opted_out_number_are_found(
    ledger: Any, state: str, found: bool
) -> None:
    task = bring(ledger, state)
    assert ledger.do(tasks_of_unwanted, ledger.gateway()) == []
    ledger.opt_out(ledger.number(2))
    assert ledger.do(tasks_of_unwanted, ledger.gateway()) == ([task.id] if found else [])


def test_an_opted_out_number_that_is_settled_already_fences_nothing(ledger: Any) -> None:
    task = bring(ledger, "accepted")
    ledger.report(task, sent=[2])
    ledger.opt_out(ledger.number(2))
    assert ledger.do(tasks_of_unwanted, ledger.gateway()) == []


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda conn: reclaim_planned(conn, 1, 1, None, 0), id="reclaim_planned"),
        pytest.param(lambda conn: tasks_of_unwanted(conn, 1), id="tasks_of_unwanted"),
        pytest.param(lambda conn: overtaken_tasks(conn, 1), id="overtaken_tasks"),
        pytest.param(lambda conn: live_tasks(conn, 1), id="live_tasks"),
        pytest.param(lambda conn: outstanding(conn, 1), id="outstanding"),
        pytest.param(lambda conn: last_closed(conn, 1), id="last_closed"),
    ],
)
def test_what_is_asked_every_turn_never_walks_through_closed_tasks(
    ledger: Any, ask: Callable[[Any], object]
) -> None:
    asked: list[str] = []
    ledger.conn.set_trace_callback(asked.append)
    ask(ledger.conn)
    ledger.conn.set_trace_callback(None)
    plans = [
        row["detail"]
        for sql in asked
        for row in ledger.conn.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
    ]
    of_tasks = [plan for plan in plans if plan.startswith(("SEARCH t ", "SCAN t ", "SEARCH tasks"))]
    assert of_tasks
    assert all("INDEX tasks_live" in plan or "INDEX tasks_closed" in plan for plan in of_tasks)


def test_a_task_that_left_doubt_meanwhile_is_not_offered_again(ledger: Any) -> None:
    campaign_id = ledger.campaign(3)
    tasks = ledger.claim(campaign_id, task_size=1)
    ids = [task.id for task in tasks]
    ledger.do(mark_doubt, ids, ledger.now, UnknownCause.NO_ANSWER)
    ledger.report(tasks[0], sent=[1])
    ledger.opt_out(ledger.number(2))
    assert ledger.do(mark_reposted, ids, ledger.now + 7, "same boot") == [ids[2]]
    assert [ledger.task(id_)["posts"] for id_ in ids] == [1, 1, 2]
    assert len(ledger.decisions("repost")) == 1


def test_a_fence_meant_for_doubt_leaves_a_task_alone_that_was_accepted_meanwhile(
    ledger: Any,
) -> None:
    task = ledger.claim_one(ledger.campaign(1))
    ledger.do(mark_accepted, [task.id], ledger.now)
    ledger.do(
        start_fence, [task.id], ledger.now, FenceReason.DOUBT, "late", only=(TaskState.DOUBT,)
    )
    assert ledger.task(task.id)["state"] == "accepted"
