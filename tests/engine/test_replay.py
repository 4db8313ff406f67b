"""The replay from empty: it ends at what is stored, in any order, and tells of each breach."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, contextmanager
from typing import Any

import httpx
import pytest
import trio

from campaign.planner.replay import Item, Reported
from campaign.protocol.device_codec import decode_send_sms
from campaign.store.audit import Finding
from campaign.store.credited import ALONE, CAME
from campaign.store.inbox import Arrived, InboxWriter
from campaign.store.journal import write_meta
from campaign.store.optouts import OptOut, add_optouts
from campaign.store.replayed import (
    ACCEPTED,
    COUNTERS,
    LAWS,
    OUTCOMES,
    RELEASED,
    SUPPORT,
    replayed,
)

Numbers = Callable[[int], list[str]]
Make = Callable[..., AbstractAsyncContextManager[Any]]
POST = "/goip_post_sms.html"


def replay(world: Any, order: Any = None) -> list[Finding]:
    return replayed(world.conn, world.inbox_reader, 1, order)


def broken(world: Any, order: Any = None) -> set[str]:
    return {finding.law for finding in replay(world, order) if finding.verdict == "broken"}


@contextmanager
def harmed(world: Any, *harms: str) -> Iterator[None]:
    """What tampering did, taken back at the end; the triggers would not let it through."""
    world.conn.execute("BEGIN")
    for table in ("recipients", "tasks"):
        world.conn.execute(f"DROP TRIGGER {table}_moves")
    try:
        for harm in harms:
            assert world.conn.execute(harm).rowcount, harm
        yield
    finally:
        world.conn.execute("ROLLBACK")


@asynccontextmanager
async def eventful(make_world: Make, numbers: Numbers) -> AsyncIterator[Any]:
    """A campaign over dying ports: retries, timeouts, receipts without details, unknowns."""
    device = {"ports": 4, "sms_seconds": 1.0, "fail_rate": 0.2, "magic": True}
    async with make_world(
        settings={"task-size": "5"}, sim1=device, sim2={**device, "profile": "hostile"}
    ) as world:
        magic = [f"99900007700{n:02}" for n in range(1, 10)]
        await world.launch([*numbers(50), *magic])
        yield world


async def test_in_any_order_the_replay_ends_at_what_is_stored(
    autojump_clock: object, make_world: Make, numbers: Numbers
) -> None:
    async with eventful(make_world, numbers) as world:
        assert len(set(world.states())) > 3
        found = replay(world)
        assert "broken" not in {finding.verdict for finding in found}
        for seed in range(10):

            def shuffled(items: list[Item], seed: int = seed) -> Iterable[Item]:
                assert len(items) > 50
                random.Random(seed).shuffle(items)
                # and everything a second time, the other way round
                return [*items, *reversed(items)]

            assert replay(world, shuffled) == found


ONLY_BY_RECEIPT = "evidence = 'receipt' AND told = 0"
RIVAL = f"""
    INSERT INTO attempts (task_id, idx, recipient_id, live, outcome, evidence, told)
    SELECT t.id, t.size + row_number() OVER (PARTITION BY t.id), a.recipient_id, 0, NULL, 'none', 0
    FROM attempts AS a JOIN tasks AS t ON t.id = a.task_id WHERE a.{ONLY_BY_RECEIPT}
"""
HARMS = [
    (CAME, "UPDATE attempts SET receipts = receipts + 1 WHERE receipts > 0"),
    (CAME, "UPDATE attempts SET receipts = 1 WHERE receipts = 0 AND outcome = 'failed'"),
    (
        ALONE,
        f"""UPDATE tasks SET created_ms = created_ms + 86400000
        WHERE id IN (SELECT task_id FROM attempts WHERE {ONLY_BY_RECEIPT})""",
    ),
    (ALONE, RIVAL),
    (OUTCOMES, "UPDATE attempts SET outcome = 'failed', told = 2 WHERE outcome = 'sent'"),
    (OUTCOMES, "UPDATE attempts SET outcome = 'sent', told = 4 WHERE outcome = 'failed'"),
    (OUTCOMES, "UPDATE attempts SET outcome = NULL, evidence = 'none' WHERE outcome = 'timeout'"),
    (OUTCOMES, "UPDATE attempts SET outcome = 'sent', evidence = 'report' WHERE outcome IS NULL"),
    (OUTCOMES, "UPDATE attempts SET evidence = 'inferred' WHERE evidence = 'report'"),
    (OUTCOMES, "UPDATE attempts SET receipts = 1 WHERE receipts = 0 AND outcome = 'failed'"),
    (COUNTERS, "UPDATE tasks SET c_sent = c_sent - 1, c_unsent = 1 WHERE c_sent > 0"),
    (COUNTERS, "UPDATE tasks SET c_sent = NULL WHERE c_sent IS NOT NULL"),
    (SUPPORT, "UPDATE recipients SET state = 'sent' WHERE state = 'unknown'"),
    (SUPPORT, "UPDATE recipients SET state = 'no_receipt' WHERE state = 'failed'"),
    (SUPPORT, "UPDATE recipients SET state = 'delivered' WHERE state = 'failed'"),
    (SUPPORT, "UPDATE recipients SET state = 'undelivered' WHERE state = 'delivered'"),
    (SUPPORT, "UPDATE recipients SET state = 'failed' WHERE state = 'delivered'"),
    (SUPPORT, "UPDATE recipients SET state = 'unknown', cause = 'silence' WHERE state = 'failed'"),
    (SUPPORT, "UPDATE recipients SET state = 'pending' WHERE state = 'delivered'"),
    (SUPPORT, "UPDATE recipients SET state = 'assigned' WHERE state = 'delivered'"),
    (SUPPORT, "UPDATE recipients SET evidence = 'operator' WHERE state = 'failed'"),
    (RELEASED, "UPDATE recipients SET state = 'pending' WHERE state = 'unknown'"),
    (RELEASED, "UPDATE recipients SET state = 'cancelled' WHERE state = 'unknown'"),
    (RELEASED, "UPDATE tasks SET verdict = 'released: refused: 16 Too Many Task' WHERE id = 1"),
    (RELEASED, "UPDATE tasks SET verdict = 'released: never on the wire', posts = 0 WHERE id = 1"),
    (
        RELEASED,
        "UPDATE tasks SET verdict = 'released: paused, listed as waiting, removed' WHERE id = 1",
    ),
    (
        RELEASED,
        "UPDATE tasks SET verdict = 'released: the device''s own counters' WHERE id = 1",
    ),
    (RELEASED, "UPDATE tasks SET verdict = 'released: time went by' WHERE id = 1"),
]


async def test_each_law_of_the_replay_tells_of_its_breach(
    autojump_clock: object, make_world: Make, numbers: Numbers
) -> None:
    async with eventful(make_world, numbers) as world:
        assert broken(world) == set()
        for law, harm in HARMS:
            with harmed(world, harm):
                assert law in broken(world), harm
                assert law in broken(world, lambda items: items[::-1]), harm
        assert broken(world) == set()


async def test_a_push_that_vanished_from_the_inbox_is_missed(
    autojump_clock: object, make_world: Make, numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1}) as world:
        await world.launch(numbers(10))
        with closing(sqlite3.connect(world.inbox_writer.path)) as inbox, inbox:
            gone = inbox.execute(
                "DELETE FROM inbox WHERE id = (SELECT max(id) FROM inbox"
                " WHERE instr(CAST(body AS TEXT), '\"rpts\"'))"
            )
            assert gone.rowcount == 1
        assert {OUTCOMES, COUNTERS} <= broken(world)


async def test_an_accepted_task_without_any_word_of_its_device_is_told(
    autojump_clock: object, make_world: Make, numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 2, "profile": "deaf"}) as world:
        await world.launch(numbers(10))
        assert broken(world) == set()
        with harmed(world, "DELETE FROM evidence WHERE kind = 'post'"):
            assert ACCEPTED not in broken(world)  # its reports say so

            def unreported(items: list[Item]) -> Iterable[Item]:
                return [item for item in items if not isinstance(item, Reported)]

            assert ACCEPTED in broken(world, unreported)


async def test_a_refused_task_is_given_back_by_the_answer_that_refuses_it(
    autojump_clock: object, make_world: Make, numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1}) as world:
        refused: list[int] = []

        async def full_once(request: httpx.Request, forward: Any) -> httpx.Response:
            if request.url.path == POST and not refused:
                refused.extend(task.tid for task in decode_send_sms(request.content).tasks)
                status = [{"tid": tid, "status": "16 Too Many Task"} for tid in refused]
                return httpx.Response(200, json={"code": 200, "reason": "OK", "status": status})
            answer = await forward(request)
            assert isinstance(answer, httpx.Response)
            return answer

        world.put_between("sim1", full_once)
        await world.launch(numbers(3))
        assert refused
        assert broken(world) == set()
        (found,) = [finding for finding in replay(world) if finding.law == RELEASED]
        assert found.verdict == "holds"
        with harmed(world, "DELETE FROM evidence WHERE id = (SELECT min(id) FROM evidence"
                    " WHERE kind = 'post')"):  # fmt: skip
            assert broken(world) == {RELEASED}


@pytest.mark.parametrize("kind", ["pause", "tasks", "remove"])
async def test_what_waited_and_was_removed_is_given_back_by_all_three_answers(
    autojump_clock: object, make_world: Make, numbers: Numbers, kind: str
) -> None:
    settings = {"task-size": "1"}
    async with make_world(settings=settings, sim1={"ports": 1, "sms_seconds": 10}) as world:
        last = numbers(7)[-1]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.launch, numbers(7))
            await trio.sleep(45)
            add_optouts(world.optouts, [OptOut(last, world.env.wall_ms(), "operator")])
            for gateway in world.runs[-1].gateways.values():
                gateway.duties.ring()
        assert world.states()["skipped"] == 1
        assert broken(world) == set()
        with harmed(world, f"DELETE FROM evidence WHERE kind = '{kind}'"):
            assert RELEASED in broken(world)


async def test_what_somebody_decided_supports_a_state(
    autojump_clock: object, make_world: Make, numbers: Numbers
) -> None:
    async with eventful(make_world, numbers) as world:
        word = (
            "INSERT INTO decisions (at_ms, kind, campaign_id, recipient_id, why, by)"
            " SELECT 1, 'resolved_sent', 1, id, 'asked them', 'ann' FROM recipients"
            " WHERE state = 'unknown'"
        )
        taken = (
            "UPDATE recipients SET state = 'sent', evidence = 'operator' WHERE state = 'unknown'"
        )
        with harmed(world, word, taken):
            assert broken(world) == set()
        again = (
            "INSERT INTO decisions (at_ms, kind, campaign_id, task_id, recipient_id, why, by)"
            " SELECT 1, 'resend', 1, a.task_id, r.id, 'asked them', 'ann' FROM recipients AS r"
            " JOIN attempts AS a ON a.recipient_id = r.id WHERE r.state = 'unknown'"
        )
        waits = "UPDATE recipients SET state = 'pending', cause = NULL WHERE state = 'unknown'"
        with harmed(world, again, waits):
            assert broken(world) == set()


# what cannot be told


def _purge(world: Any) -> None:
    writer: InboxWriter = world.inbox_writer
    writer.purge(writer.last_id())


def _another_file(world: Any) -> None:
    write_meta(world.conn, {"inbox_file": "another"})


def _behind(world: Any) -> None:
    write_meta(world.conn, {"inbox_cursor": str(world.inbox_reader.last_id() + 1)})


@pytest.mark.parametrize(
    ("change", "why"),
    [(_purge, "purged"), (_another_file, "another file"), (_behind, "older than the ledger")],
    ids=["purged", "another-file", "behind"],
)
async def test_without_the_inbox_it_was_folded_from_nothing_is_claimed(
    autojump_clock: object,
    make_world: Make,
    numbers: Numbers,
    change: Callable[[Any], None],
    why: str,
) -> None:
    async with make_world(sim1={"ports": 1}) as world:
        await world.launch(numbers(3))
        change(world)
        found = replay(world)
        assert [(finding.law, finding.verdict) for finding in found] == [
            (law, "cannot be told") for law in LAWS
        ]
        assert all(why in finding.detail for finding in found)


async def test_no_inbox_at_all_is_said(
    autojump_clock: object, make_world: Make, numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1}) as world:
        await world.launch(numbers(3))
        assert {finding.verdict for finding in replayed(world.conn, None, 1)} == {"cannot be told"}


async def test_a_purge_of_what_came_before_a_campaign_takes_nothing_from_it(
    autojump_clock: object, make_world: Make, numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1}) as world:
        await world.launch(numbers(3))
        first = world.inbox_reader.last_id()
        await trio.sleep(60)
        quiet = Arrived(
            gateway_id=1, received_ms=world.env.wall_ms(), remote="", content_type="", query="",
            body=b'{"type":"dev-status","seq":1,"status":[]}',
        )  # fmt: skip
        world.inbox_writer.append_many([quiet])
        await world.launch(numbers(3), name="two", message="Again")
        world.inbox_writer.purge(first + 1)
        ((two,),) = world.sql("SELECT id FROM campaigns WHERE name = 'two'")
        assert {f.verdict for f in replayed(world.conn, world.inbox_reader, two)} == {"holds"}
        assert {f.verdict for f in replay(world)} == {"cannot be told"}


async def test_while_tasks_are_under_way_the_replay_holds_as_well(
    autojump_clock: object, make_world: Make, numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 2, "fail_rate": 0.2}) as world:
        seen = set()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.launch, numbers(40))
            for _ in range(60):
                await trio.sleep(1.5)
                assert broken(world) == set() if world.sql("SELECT 1 FROM campaigns") else True
                seen |= {state for (state,) in world.sql("SELECT DISTINCT state FROM tasks")}
        assert {"accepted", "closed"} <= seen
