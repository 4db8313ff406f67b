"""Blocklists and frequency caps, held against what truly went on air."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from campaign.engine.control import answer_stream
from campaign.engine.conversation import Conversation
from campaign.engine.engine import run_engine
from campaign.engine.intake import LaunchRequest, intake
from campaign.engine.runtime import Run
from campaign.planner.frequency import Cap
from campaign.planner.options import CampaignOptions
from campaign.receiver.app import receiver_app
from campaign.receiver.sink import InboxSink
from campaign.store.gateways import receiver_tokens
from tests.engine.conftest import World

Numbers = Callable[[int], list[str]]

PEOPLE = [f"9990000{i:06d}" for i in range(8)]


async def do(world: Any, verb: str, **parameters: Any) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery, ours:
        nursery.start_soon(answer_stream, world.runs[-1], theirs)
        await Conversation(ours).ask({"cmd": "do", "verb": verb, "parameters": parameters})


async def test_a_number_blocked_meanwhile_is_taken_back_from_the_device(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    only_one = {"task-size": "1"}
    async with make_world(settings=only_one, sim1={"ports": 1, "sms_seconds": 10}) as world:
        last = numbers(7)[-1]

        async def block() -> None:
            await trio.sleep(45)
            assert world.states()["assigned"], "it is queued on the device by now"
            await do(world, "blocklist-add", list="rivals", numbers=[last])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(block)
            await world.launch(numbers(7))
        assert world.sql("SELECT state, reason FROM recipients WHERE number = ?", last) == [
            ("skipped", "blocklist rivals")
        ]
        assert not world.on_air()[last]
        world.check()


async def test_two_campaigns_at_once_together_keep_the_cap(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 3}, sim2={"ports": 3}) as world:
        wanted = [_Wanted(0, frozenset(range(8)), "1/day")] * 2
        await _send(world, wanted)
        assert world.on_air() == Counter(PEOPLE)
        skipped = world.states("c0").get("skipped", 0) + world.states("c1").get("skipped", 0)
        assert skipped == len(PEOPLE)
        assert world.sql("SELECT DISTINCT reason FROM recipients WHERE state = 'skipped'") == [
            ("frequency cap: 1 in 1 day",)
        ]
        world.check()


class _Wanted:
    """One drawn campaign: minutes after the one before it, to whom, and its cap."""

    def __init__(self, after: int, people: frozenset[int], at_most: str | None) -> None:
        self.after, self.people, self.at_most = after, people, at_most

    def __repr__(self) -> str:
        return f"_Wanted({self.after}, {set(self.people)}, {self.at_most!r})"


_CAMPAIGNS = st.lists(
    st.builds(
        _Wanted,
        st.sampled_from([0, 0, 1, 4, 9]),
        st.frozensets(st.integers(0, len(PEOPLE) - 1), min_size=1),
        st.sampled_from([None, "1/5m", "1/10m", "2/10m", "2/30m", "3/20m"]),
    ),
    min_size=2,
    max_size=5,
)


@pytest.mark.slow
@settings(max_examples=5)
@given(wanted=_CAMPAIGNS, profile=st.sampled_from(["clean", "lossy"]), seed=st.integers(0, 99))
def test_whatever_campaigns_come_nobody_gets_more_than_their_cap(
    wanted: list[_Wanted], profile: str, seed: int
) -> None:
    async def play() -> None:
        with tempfile.TemporaryDirectory() as folder:
            world = World(Path(folder), seed)
            async with trio.open_nursery() as nursery:
                sink = InboxSink(world.inbox_writer, on_commit=world.wake_engine, inline=True)
                nursery.start_soon(sink.run)
                app = receiver_app(lambda: receiver_tokens(world.conn), sink, env=world.env)
                world.board.apps["receiver"] = httpx.ASGITransport(app)
                for name in ("sim1", "sim2"):
                    world.add_simulator(name, nursery, ports=2, profile=profile, fail_rate=0.2)
                    world.register(name)
                await _send(world, wanted)
                nursery.cancel_scope.cancel()
            world.check()
            _nobody_got_too_many(world, wanted)
            world.conn.close()
            world.inbox_reader.close()
            world.inbox_writer.close()

    trio.run(play, clock=trio.testing.MockClock(autojump_threshold=0))


async def _send(world: Any, wanted: list[_Wanted]) -> None:
    """One engine, and campaigns that come while it sends."""

    async def job(run: Run) -> None:
        for i, one in enumerate(wanted):
            await trio.sleep(60 * one.after)
            path = world.write_list([PEOPLE[n] for n in sorted(one.people)], f"list{i}.csv")
            request = LaunchRequest(
                name=f"c{i}", path=str(path), list_name=path.name, message=f"m{i}",
                rejects=str(path) + ".rejects.csv", options=CampaignOptions(at_most=one.at_most),
            )  # fmt: skip
            await intake(run, request, lambda _rows, _refused: None)

    await _within_a_day(lambda: run_engine(world.run(), job))


async def _within_a_day(what: Callable[[], Awaitable[object]]) -> None:
    with trio.fail_after(86_400):
        await what()


def _nobody_got_too_many(world: World, wanted: list[_Wanted]) -> None:
    for message in (attempt for attempt in world.attempts if attempt.ok):
        at_most = wanted[int(message.text[1:])].at_most
        if at_most is None:
            continue
        cap = Cap.parse(at_most)
        before = [
            other
            for other in world.attempts
            if other.ok and other.number == message.number
            and message.t - cap.seconds < other.t < message.t
        ]  # fmt: skip
        assert len(before) < cap.most, (message, before)
