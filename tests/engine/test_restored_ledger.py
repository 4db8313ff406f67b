"""A ledger restored from a copy, and an older copy put in place by hand: nobody is sent twice."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from campaign.errors import OldLedger
from campaign.service.backups import back_up
from campaign.service.restoring import restore
from campaign.service.site import Site
from campaign.store.inbox import InboxReader, InboxWriter
from campaign.store.journal import read_meta
from campaign.store.opening import open_ledger
from campaign.store.paths import LedgerPaths

Numbers = Callable[[int], list[str]]
REPLY = b'{"type":"recv-sms","sms_num":1,"sms":[[0,"1A",1700000000,"9990000000001","5","eWVz"]]}'
SENT = ("sent", "delivered", "undelivered", "no_receipt")


def site_of(world: Any) -> Site:
    return Site(LedgerPaths.beside(world.folder / "campaign.db"), world.optouts, world.env)


def plain_copy(world: Any, name: str) -> Path:
    """What `cp` makes of a ledger that nobody writes at the moment."""
    place: Path = world.folder / name
    with contextlib.closing(sqlite3.connect(place)) as copy:
        world.conn.backup(copy)
    return place


def put_back(world: Any, copy: Path) -> None:
    """An operator copies an old ledger over the present one."""
    world.conn.close()
    for path in world.folder.glob("campaign.db*"):
        path.unlink()
    shutil.copy(copy, world.folder / "campaign.db")
    world.conn = open_ledger(world.folder / "campaign.db", world.optouts)


def restored(world: Any, source: Path) -> Any:
    world.conn.close()
    done = restore(site_of(world), source)
    world.conn = open_ledger(world.folder / "campaign.db", world.optouts)
    return done


async def copy_in_the_middle(world: Any, after: float, copy: Callable[[], Path]) -> Path:
    await trio.sleep(after)
    return copy()


async def run_with_a_copy(
    world: Any, numbers: list[str], after: float, copy: Callable[[], Path], **options: Any
) -> Path:
    """Run a campaign to its end; a copy is made on the way."""
    made: list[Path] = []

    async def copying() -> None:
        made.append(await copy_in_the_middle(world, after, copy))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(copying)
        await world.launch(numbers, **options)
    return made[0]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("profile", ["clean", "hostile"])
async def test_restored_from_the_middle_and_resumed_nobody_is_sent_twice(
    autojump_clock: object,
    make_world: Callable[..., Any],
    numbers: Numbers,
    seed: int,
    profile: str,
) -> None:
    device = {"ports": 3, "profile": profile}
    async with make_world(
        seed, {"task-size": str(1 + seed % 5)}, sim1=device, sim2={**device, "seed": seed + 99}
    ) as world:
        folder = await run_with_a_copy(
            world, numbers(60), 4 + 3 * seed, lambda: back_up(site_of(world), None).folder
        )
        before = world.on_air()
        done = restored(world, folder)
        (then,) = [done.incarnation.unknown.get("c", 0)]
        assert then, "the copy was made in the middle"
        await world.resume()
        assert world.on_air() == before, "nothing more went out"
        assert world.sql("SELECT state FROM campaigns") == [("finished",)]
        assert set(world.states()) <= {*SENT, "unknown", "failed"}
        causes = world.sql("SELECT DISTINCT cause FROM recipients WHERE cause = 'restored'")
        raised = then - sum(
            n for (n,) in world.sql("SELECT count(*) FROM recipients WHERE cause = 'restored'")
        )
        assert causes or raised
        world.check()


@pytest.mark.slow
async def test_whoever_was_in_flight_is_raised_by_the_reports_in_the_kept_inbox(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings={"task-size": "5"}, sim1={"ports": 2}) as world:
        folder = await run_with_a_copy(
            world, numbers(40), 5, lambda: back_up(site_of(world), None).folder
        )
        restored(world, folder)
        known = world.sql("SELECT count(DISTINCT recipient_id) FROM attempts")[0][0]
        assert world.states()["unknown"] > 40 - known > 0
        await world.resume()
        # nobody can tell of those whom only the lost ledger gave a task
        assert world.states() == {"delivered": known, "unknown": 40 - known}
        assert world.on_air().most_common(1)[0][1] == 1
        world.check()


async def test_a_restored_campaign_that_had_sent_nothing_ends_at_once(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1}) as world:
        path = world.write_list(numbers(5))
        hours = {"window": "09:00-09:30", "timezone": "UTC"}
        with trio.move_on_after(60):
            await world.launch([], path=path, **hours)
        folder = back_up(site_of(world), None).folder
        restored(world, folder)
        with trio.fail_after(5):
            await world.resume()
        assert world.states() == {"unknown": 5}
        assert world.sql("SELECT state FROM campaigns") == [("finished",)]


async def test_a_restored_ledger_sends_the_next_campaign_as_ever(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 2}) as world:
        folder = await run_with_a_copy(
            world, numbers(20), 5, lambda: back_up(site_of(world), None).folder
        )
        restored(world, folder)
        later = [f"9991111{i:06d}" for i in range(10)]
        await world.launch(later, name="later")
        assert world.states("later") == {"delivered": 10}
        world.check()


@pytest.mark.slow
async def test_an_older_copy_put_in_place_by_hand_sends_nothing_until_it_is_restored(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 2}) as world:
        copy = await run_with_a_copy(world, numbers(30), 6, lambda: plain_copy(world, "old.db"))
        before = world.on_air()
        put_back(world, copy)
        waiting = world.states()["pending"]
        assert waiting
        for _ in range(2):  # it is remembered: the reports are folded by then
            with pytest.raises(OldLedger, match="db restore") as refused:
                await world.resume()
            assert refused.value.exit_code == 6
        assert world.on_air() == before
        assert world.states()["pending"] == waiting
        restored(world, world.folder / "campaign.db")
        await world.resume()
        assert world.on_air() == before
        assert world.states()["unknown"] >= waiting
        world.check()


async def test_a_draft_in_an_older_copy_is_not_dropped_as_unsent(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 2}) as world:
        copy = await run_with_a_copy(world, numbers(30), 6, lambda: plain_copy(world, "old.db"))
        put_back(world, copy)
        world.conn.execute("UPDATE campaigns SET state = 'importing'")
        with pytest.raises(OldLedger):
            await world.resume()
        assert world.sql("SELECT state FROM campaigns") == [("importing",)]


async def test_an_orphan_of_our_future_that_comes_while_it_sends_ends_the_run(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(settings={"task-size": "1"}, sim1={"ports": 1}) as world:

        async def late() -> None:
            await trio.sleep(8)
            tid = int(read_meta(world.conn, "next_tid") or 0) + 700
            world.push(b'{"type":"status-report","rpt_num":1,"rpts":[{"tid":%d}]}' % tid)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(late)
            with pytest.raises(OldLedger, match="700 after the next one"):
                await world.launch(numbers(60))
        tasks = world.sql("SELECT count(*) FROM tasks")
        with pytest.raises(OldLedger):
            await world.resume()
        assert world.sql("SELECT count(*) FROM tasks") == tasks
        assert 0 < len(world.attempts) < 60


async def test_reports_of_strangers_and_of_our_past_stop_nothing(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 2}) as world:
        await world.launch(numbers(10), name="first")
        past = int(read_meta(world.conn, "next_tid") or 0) - 5_000
        for tid in (max(1, past), (past + 1_000_000_000) % (2**31 - 1) + 1):
            world.push(b'{"type":"status-report","rpt_num":1,"rpts":[{"tid":%d}]}' % tid)
        await world.launch([f"9992222{i:06d}" for i in range(10)], name="second")
        assert world.states("second") == {"delivered": 10}
        assert world.sql("SELECT count(*) FROM incidents WHERE kind = 'orphan'") == [(2,)]


async def test_pushes_of_a_gateway_that_only_the_lost_ledger_knew_are_kept_and_stop_nothing(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 2}) as world:
        state = b'{"port":"1A","seq":1,"st":3}'
        for body in (
            b'{"type":"dev-status","seq":1,"expires":60,"mac":"m","status":[%b]}' % state,
            b'{"type":"port-status","seq":1,"port":"1A","st":3}',
            b'{"type":"status-report","rpt_num":1,"rpts":[{"tid":77,"sending":0,"sent":1}]}',
            REPLY,
        ):
            world.push(body, gateway_id=9)
        await world.launch(numbers(4))
        assert world.states() == {"delivered": 4}
        assert world.sql("SELECT text FROM inbound WHERE gateway_id = 9") == [("yes",)]
        orphans = "SELECT count(*) FROM incidents WHERE kind = 'orphan' AND gateway_id = 9"
        assert world.sql(orphans) == [(3,)]


def told_of(world: Any) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that folding the inbox brings about."""
    return {
        table: world.sql(f"SELECT {columns} FROM {table} ORDER BY 1, 2")
        for table, columns in {
            "recipients": "id, state, evidence, code, attempts, failures, sent_at, delivered_at",
            "attempts": "task_id, idx, outcome, evidence, live, receipts, receipt",
            "receipts": "id, number, code, ordinal, task_id",
            "inbound": "id, sender, text",
            "tallies": "campaign_id, state, n",
            "incidents": "id, kind, detail",
            "decisions": "id, kind, why",
        }.items()
    }


def replace_inbox(world: Any, copy: Path) -> None:
    """An operator copies an old inbox over the present one."""
    world.inbox_writer.close()
    world.inbox_reader.close()
    place = world.folder / "campaign.inbox.db"
    for path in world.folder.glob("campaign.inbox.db*"):
        path.unlink()
    shutil.copy(copy, place)
    world.inbox_writer = InboxWriter.open(place, world.env.nonce)
    world.inbox_reader = InboxReader.open(place)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2, 4])
@pytest.mark.parametrize("grown", [False, True], ids=["shorter-than-folded", "past-the-cursor"])
async def test_an_older_inbox_put_in_place_by_hand_loses_nothing_and_doubles_nothing(
    autojump_clock: object,
    make_world: Callable[..., Any],
    numbers: Numbers,
    seed: int,
    grown: bool,
) -> None:
    device = {"ports": 3, "profile": "hostile" if seed else "clean"}
    async with make_world(seed, sim1=device) as world:
        world.push(b'{"type":"status-report","rpt_num":1,"rpts":[{"tid":1}]}')
        folder = await run_with_a_copy(
            world, numbers(30), 12, lambda: back_up(site_of(world), None).folder
        )
        before = told_of(world)
        replace_inbox(world, folder / "campaign.inbox.db")
        world.push(REPLY)
        cursor = int(read_meta(world.conn, "inbox_cursor") or 0)
        assert world.inbox_reader.last_id() < cursor
        while grown and world.inbox_reader.last_id() <= cursor:
            world.push(b'{"type":"status-report","rpt_num":0,"rpts":[]}')
        world.conn.execute("UPDATE campaigns SET state = 'running'")
        await world.resume()
        after = told_of(world)
        assert [text for _, _, text in after.pop("inbound")][-1:] == ["yes"]
        before.pop("inbound")
        decided = after.pop("decisions")
        assert [d for d in decided if d[1] not in ("finished", "no_receipt")] == [
            d for d in before.pop("decisions") if d[1] not in ("finished", "no_receipt")
        ]
        assert after == before
        assert read_meta(world.conn, "inbox_cursor") == str(world.inbox_reader.last_id())
