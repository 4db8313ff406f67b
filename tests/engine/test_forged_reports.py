"""Who knows the token may lie, but causes no send beyond the retry budget.

He stops no engine either, but by naming tids of its near future (a test of its own).

The attacker knows everything: tokens, tids, numbers, what devices really report. He pushes through
the receiver like a device, over and over while the campaign runs and after it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import httpx
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from campaign.errors import OldLedger
from tests.engine.test_steering import ask, do

Numbers = Callable[[int], list[str]]
Forger = Callable[[Any], Iterator[bytes]]

SIMS = {"sim1": {"ports": 2, "sms_seconds": 2}, "sim2": {"ports": 1}}
RETRIES = 1


def report(tid: object, **fields: object) -> bytes:
    return json.dumps({"type": "status-report", "rpts": [{"tid": tid, **fields}]}).encode()


def tasks(world: Any) -> list[tuple[int, list[str]]]:
    """Every tid with its numbers, closed ones too."""
    found = world.sql(
        "SELECT t.tid, group_concat(r.number) FROM tasks AS t"
        " JOIN attempts AS a ON a.task_id = t.id"
        " JOIN recipients AS r ON r.id = a.recipient_id GROUP BY t.id ORDER BY t.id"
    )
    return [(tid, numbers.split(",")) for tid, numbers in found]


def failures(numbers: list[str], program: str = "7 Send failed", network: str = "") -> list[Any]:
    return [[i, number, "1A", 0, program, network] for i, number in enumerate(numbers)]


def all_failed(world: Any) -> Iterator[bytes]:
    for tid, numbers in tasks(world):
        yield report(tid, sending=0, sent=0, failed=len(numbers), unsent=0, fdr=failures(numbers))


def never_on_air(world: Any) -> Iterator[bytes]:
    for tid, numbers in tasks(world):
        yield report(tid, fdr=failures(numbers, "10 Port busy"))


def failed_and_sent(world: Any) -> Iterator[bytes]:
    for tid, numbers in tasks(world):
        rows = [[i, number, "1A", 0] for i, number in enumerate(numbers)]
        yield report(tid, sdr=rows, fdr=failures(numbers))
        yield report(tid, fdr=failures(numbers))


def counters_alone(world: Any) -> Iterator[bytes]:
    odd: tuple[object, ...] = (
        0,
        -1,
        1,
        7,
        2**31,
        2**62,
        2**63,
        10**40,
        1e308,
        0.5,
        "9",
        "many",
        None,
        [],
        {},
        True,
    )
    for tid, numbers in tasks(world)[-3:]:
        for value in odd:
            yield report(tid, sending=value, sent=value, failed=value, unsent=value)
            yield report(tid, sent=0, failed=len(numbers), sending=value, unsent=value)


def not_a_number(world: Any) -> Iterator[bytes]:
    for tid, numbers in tasks(world)[-3:]:
        for word in (b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-0", b"0x7", b"07"):
            yield report(tid, failed=12345, fdr=failures(numbers)).replace(b"12345", word)


def other_tids(world: Any) -> Iterator[bytes]:
    known = [tid for tid, _ in tasks(world)]
    numbers = [number for _, some in tasks(world) for number in some]
    # nearer ones are another matter: they tell of a ledger that was copied (see below)
    later = max(known, default=1) + 2_000_000
    tids: list[object] = [0, -1, 2**31, 2**64, 10**30, 1.5, "x", "7", None, [], True, later]
    for tid in tids:
        yield report(tid, failed=1, fdr=failures(numbers[:3]))


def numbers_elsewhere(world: Any) -> Iterator[bytes]:
    everybody = [row[0] for row in world.sql("SELECT number FROM recipients")]
    for tid, _ in tasks(world)[-2:]:
        yield report(tid, fdr=failures(everybody))
        yield report(tid, fdr=failures([number[-7:] for number in everybody]))
        yield report(tid, fdr=failures(["0" * 400, "", "+", "٣٤٥", "999", "1" * 100]))


def ten_thousand_rows(world: Any) -> Iterator[bytes]:
    for tid, numbers in tasks(world)[-1:]:
        strangers = [f"9998{i:09d}" for i in range(10_000)]
        yield report(tid, fdr=failures(strangers + numbers * 3))


def shapes_of_rows(world: Any) -> Iterator[bytes]:
    for tid, (number, *_) in tasks(world)[-3:]:
        shapes: tuple[Any, ...] = (
            None, 1, "x", {}, [None], [[]], [[0]], [[0, number]], [[{}, number, [], {}, {}, {}]],
            [[2**70, number, "1A", 2**70, "7", "7"]], [[0, number, "9" * 99, -1, "7" * 99, None]],
            [[0, [number], "1A", 0, "7 x"]], [[0, number, "1A", 0, ["7"], {"7": 7}] + [0] * 50],
            [[0, number, "\x00\x1b[2J", 0, "7 \x00", "\x00" * 10]],
        )  # fmt: skip
        for rows in shapes:
            yield report(tid, fdr=rows, sdr=rows if rows != [[0, number]] else None)


def replays(world: Any) -> Iterator[bytes]:
    stored = [row.body for row in world.inbox_reader.rows_after(0, 40)]
    yield from reversed(stored)


def receipts(world: Any) -> Iterator[bytes]:
    rows = [
        [1, "1A", 0, "10086", number, code]
        for (number,) in world.sql("SELECT number FROM recipients")
        for code in ("0 Received", "64 Failed", "32 Trying", "-1", "99999999999", "")
    ]
    yield json.dumps({"type": "recv-sms", "sms_num": len(rows), "sms": rows}).encode()


def ports_gone_and_back(world: Any) -> Iterator[bytes]:
    words: tuple[object, ...] = ("3 Register OK", "0 No SIM", "99999 x", -1, None, "3")
    for state in words:
        states = [{"port": f"{n}A", "st": state, "sn": "x", "bal": {}} for n in range(1, 40)]
        status = {"type": "dev-status", "seq": 1, "expires": -1, "status": states}
        yield json.dumps(status).encode()


def unsent_after_all(world: Any) -> Iterator[bytes]:
    """Ports that go make the engine take tasks back; counters tell it that nothing went out."""
    for tid, numbers in tasks(world):
        yield report(tid, sending=0, sent=0, failed=0, unsent=len(numbers))
    yield from ports_gone_and_back(world)


def sent_for_each_other(world: Any) -> Iterator[bytes]:
    """As before, with totals that agree with the port's statistics."""
    for turn, (tid, numbers) in enumerate(tasks(world)):
        sent = len(numbers) if turn % 2 else 0
        yield report(tid, sending=0, sent=sent, failed=0, unsent=len(numbers) - sent)
    yield from ports_gone_and_back(world)


def not_pushes(world: Any) -> Iterator[bytes]:
    yield from (
        b"\x00", b"{", b"[]", b"null", b'"status-report"', b"\xff\xfe{}", b"{}" * 1000,
        b'{"type":' + b"[" * 5000 + b"]" * 5000 + b"}", b"<xml/>", b"--x\r\n\r\n--x--",
        b'{"type":"status-report"}', b'{"type":"status-report","rpts":7}',
        b'{"type":"status-report","rpts":[1,null,[],"x",{}]}', b'{"type":"\\ud800"}',
        b'{"type":"recv-sms","sms":[[0,"1A",1,"\\ud800","x","U1RPUA=="]]}',
        b'{"type":"recv-sms","sms":[[0,"1A",1,"\\u0000","\\u0000","////"]]}',
        b'{"type":"command","op":"reboot"}', b"recvsms=%ff%00&port=%ff", b"=" * 10_000,
    )  # fmt: skip


ATTACKS: dict[str, Forger] = {
    forger.__name__: forger
    for forger in (
        all_failed, never_on_air, failed_and_sent, counters_alone, not_a_number, other_tids,
        numbers_elsewhere, ten_thousand_rows, shapes_of_rows, replays, receipts,
        ports_gone_and_back, unsent_after_all, sent_for_each_other, not_pushes,
    )
}  # fmt: skip


async def attack(
    world: Any,
    forger: Forger,
    *,
    times: int,
    every: float,
    token: str | None = None,
    expected: int = 200,
) -> None:
    """Push what `forger` makes of the ledger's present, again and again; it is answered so."""
    token = token_of(world) if token is None else token
    async with httpx.AsyncClient(transport=world.board) as client:
        for _ in range(times):
            await trio.sleep(every)
            for body in forger(world):
                answer = await client.post(f"http://receiver/p/{token}", content=body)
                assert answer.status_code == expected


def assert_within_budget(world: Any) -> None:
    """Nobody was sent to more often than the budget allows, and nothing without an intent."""
    air = world.on_air()
    assert max(air.values(), default=0) <= 1 + RETRIES
    failed = world.sql(
        "SELECT count(*) FROM attempts WHERE outcome = 'failed' GROUP BY recipient_id"
    )
    assert max((n for (n,) in failed), default=0) <= 1 + RETRIES
    intents = {tid for (tid,) in world.sql("SELECT tid FROM tasks WHERE intent_ms IS NOT NULL")}
    assert {attempt.tid for attempt in world.attempts} <= intents
    sums = world.sql("SELECT campaign_id, state, count(*) FROM recipients GROUP BY 1, 2")
    tallies = world.sql("SELECT campaign_id, state, n FROM tallies WHERE n > 0")
    assert sorted(sums) == sorted(tallies)


def token_of(world: Any, name: str = "sim1") -> str:
    found: str = world.sql("SELECT token FROM gateways WHERE name = ?", name)[0][0]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
async def test_no_forged_push_causes_a_send_beyond_the_budget(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, name: str
) -> None:
    async with make_world(**SIMS) as world, trio.open_nursery() as nursery:
        nursery.start_soon(partial(attack, world, ATTACKS[name], times=6, every=4.3))
        with trio.fail_after(4 * 3600):
            await world.launch(numbers(30), retries=RETRIES, settings={"retry-wait": "2s"})
        nursery.cancel_scope.cancel()
        assert_within_budget(world)
        assert not {"pending", "held", "assigned"} & set(world.states())
        assert world.sql("SELECT state FROM campaigns") == [("finished",)]

        # and when all is over, it moves nobody
        sent = len(world.attempts)
        await attack(world, ATTACKS[name], times=1, every=1)
        await world.resume()
        await trio.sleep(600)
        assert len(world.attempts) == sent
        assert_within_budget(world)


async def test_a_forged_report_of_our_next_tids_ends_the_engine_and_sends_nothing(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    """It looks as if this ledger were an older copy of another: the safe side is to stop."""
    async with make_world(sim1={"ports": 1}) as world:
        await world.launch(numbers(3))
        (following,) = world.sql("SELECT value FROM meta WHERE key = 'next_tid'")[0]
        world.push(report(int(following) + 7, failed=1, fdr=failures(numbers(1))))
        with pytest.raises(OldLedger, match="db restore") as refused:
            await world.launch(numbers(5), name="d", again=True)
        assert refused.value.exit_code == 6
        assert len(world.attempts) == 3


async def test_what_is_no_push_is_kept_raw_with_an_incident(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1}) as world:
        bodies = [b"\x00", b"{", b"[]", b'{"type":"never-heard-of"}']
        for body in bodies:
            world.push(body)
        await world.launch(numbers(1))
        assert [row.body for row in world.inbox_reader.rows_after(0, 4)] == bodies
        raw = world.sql("SELECT detail FROM incidents WHERE detail LIKE 'push kept raw%'")
        assert len(raw) == 4
        assert world.states() == {"delivered": 1}


@pytest.mark.parametrize("token", ["wrong", "", "%00", "sim2"])
async def test_without_its_token_nothing_of_a_gateway_moves(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, token: str
) -> None:
    async with make_world(sim1={"ports": 2, "sms_seconds": 3}, sim2={"ports": 1}) as world:
        with world.conn:
            world.conn.execute("UPDATE gateways SET stopped = 'not now' WHERE name = 'sim2'")
        used = token_of(world, "sim2") if token == "sim2" else token
        async with trio.open_nursery() as nursery:
            status = 200 if token == "sim2" else 404
            nursery.start_soon(
                partial(attack, world, all_failed, times=20, every=2, token=used, expected=status)
            )
            await world.launch(numbers(20), gateways=("sim1",), retries=RETRIES)
        assert world.states() == {"delivered": 20}
        world.check()
        foreign = world.sql("SELECT count(*) FROM incidents WHERE detail LIKE '%another gateway'")
        assert bool(foreign[0][0]) == (token == "sim2")


@pytest.mark.slow
async def test_a_forged_failure_beyond_the_budget_ends_failed(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    mute = {"ports": 1, "sms_seconds": 600}
    async with make_world(settings={"return-path": "assume"}, sim1=mute) as world:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(attack, world, all_failed, times=60, every=10))
            await world.launch(numbers(3), retries=RETRIES, settings={"retry-wait": "2s"})
            nursery.cancel_scope.cancel()
        assert world.states() == {"failed": 3}
        assert world.sql("SELECT DISTINCT failures FROM recipients") == [(1 + RETRIES,)]
        assert_within_budget(world)


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["pause", "cancel"])
async def test_a_campaign_that_does_not_send_cannot_be_made_to(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, verb: str
) -> None:
    async with make_world(sim1={"ports": 2, "sms_seconds": 3}) as world:
        quiet: list[int] = []

        async def work() -> None:
            await trio.sleep(20)
            await do(world, verb, name="c")
            await attack(world, all_failed, times=1, every=0)
            await trio.sleep(60)  # what was on the wire is over
            quiet.append(len(world.attempts))
            for forger in (all_failed, never_on_air, ports_gone_and_back, replays):
                await attack(world, forger, times=2, every=30)
            quiet.append(len(world.attempts))
            if verb == "pause":
                await do(world, "cancel", name="c")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(work)
            with trio.fail_after(3600):
                await world.launch(numbers(60), retries=RETRIES, settings={"retry-wait": "2s"})
            await trio.sleep(600)
        assert quiet[0] == quiet[1] == len(world.attempts) < 60
        assert not {"pending", "held", "assigned"} & set(world.states())
        assert_within_budget(world)


async def test_a_forged_stop_only_ever_silences(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    def stops(world: Any) -> Iterator[bytes]:
        rows = [
            [0, "1A", 0, sender, "", "U1RPUA=="]
            for sender in (
                "+" + numbers(20)[-1],
                "0" + numbers(20)[-2][3:],
                "1",
                "bank",
                "",
                "%",
                "_",
            )
        ]
        yield json.dumps({"type": "recv-sms", "sms_num": len(rows), "sms": rows}).encode()

    async with make_world(sim1={"ports": 1, "sms_seconds": 5}) as world:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(attack, world, stops, times=5, every=2))
            await world.launch(numbers(20), retries=RETRIES)
        states = world.states()
        assert states["skipped"] in (1, 2), "the named ones, however they are written; nobody else"
        assert sum(states.values()) == 20
        world.check()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8)
    | st.sampled_from(["7 x", "1A", "9990000000001", "tid", "0 Received", "STOP"]),
    lambda inner: st.lists(inner, max_size=5)
    | st.dictionaries(
        st.sampled_from(["tid", "sdr", "fdr", "sent", "failed", "unsent", "port", "st", "x"]),
        inner, max_size=5,
    ),
    max_leaves=12,
)  # fmt: skip
_KINDS = {"status-report": "rpts", "recv-sms": "sms", "dev-status": "status", "port-status": "port"}


@st.composite
def _pushes(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from(sorted(_KINDS)))
    body = {"type": kind, _KINDS[kind]: draw(_JSON), "seq": draw(_JSON), "sms_num": draw(_JSON)}
    return json.dumps(body).encode()


def _drawn(count: int) -> list[bytes]:
    """So many hostile pushes, the same on every machine."""
    found: list[bytes] = []

    @given(_pushes())
    def collect(body: bytes) -> None:
        found.append(body)

    while len(found) < count:
        collect()
    return found


@pytest.mark.slow
async def test_no_shape_of_a_push_ends_the_engine(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 2, "sms_seconds": 1}) as world:
        bodies = _drawn(100)
        rng = random.Random(7)

        def shapes(_world: Any) -> Iterator[bytes]:
            for body in bodies:
                yield body
                cut = bytearray(body)
                cut[rng.randrange(len(cut))] = rng.randrange(256)
                yield bytes(cut)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(attack, world, shapes, times=2, every=3))
            await world.launch(numbers(40), retries=RETRIES)
        assert world.states() == {"delivered": 40}
        world.check()


async def test_a_rotated_token_is_heard_beside_the_new_one(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    """The device goes on pushing to the address of its last task."""
    async with make_world(sim1={"ports": 1, "sms_seconds": 20}) as world:

        async def rotate() -> None:
            await trio.sleep(30)
            with world.conn:
                world.conn.execute("UPDATE gateways SET old_token = token, token = 'fresh-one'")
            await ask(world, {"cmd": "do", "verb": "optouts-changed", "parameters": {}})

        async with trio.open_nursery() as nursery:
            nursery.start_soon(rotate)
            await world.launch(numbers(4), retries=RETRIES)
        assert world.states() == {"delivered": 4}
        world.check()
