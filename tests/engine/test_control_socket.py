"""The control socket takes what anybody of this user writes to it, and the engine lives on."""

from __future__ import annotations

import itertools
import json
import socket
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from campaign.engine.control import serve_control
from campaign.engine.conversation import converse
from campaign.engine.requests import PARAMETERS
from campaign.engine.verbs import VERBS
from campaign.service.serving import capped_descriptors
from campaign.store.door import InlineStore
from campaign.store.paths import socket_address

PROC = Path("/proc/self/fd")
MakeWorld = Callable[..., Any]


@asynccontextmanager
async def engine(make_world: MakeWorld, place: Path) -> AsyncIterator[Path]:
    """The control socket of an engine that has nothing to do."""
    path = place / "c.db.sock"
    async with make_world() as world, trio.open_nursery() as nursery:
        world.register("office")
        run = world.run()
        await run.reload()
        await nursery.start(serve_control, run, path)
        with trio.fail_after(20):
            yield path
        nursery.cancel_scope.cancel()


async def is_alive(path: Path) -> bool:
    async with converse(path) as conversation:
        answer = await conversation.ask({"cmd": "status"}, seconds=5)
    return bool(answer == {"campaigns": [], "gateways": []})


async def connect(path: Path) -> trio.SocketStream:
    with socket_address(path) as address:
        return await trio.open_unix_socket(address)


async def answer_to(path: Path, line: bytes) -> bytes:
    """Write a line and no more; what comes back."""
    answer = b""
    async with await connect(path) as stream:
        with suppress(trio.BrokenResourceError):
            await stream.send_all(line + b"\n")
            await stream.send_eof()
            async for chunk in stream:
                answer += chunk
    return answer


def command(cmd: str, **fields: object) -> bytes:
    return json.dumps({"cmd": cmd, **fields}).encode()


GARBAGE = {
    "nothing": b"",
    "a word": b"status",
    "bytes": bytes(range(1, 10)) + b"\xff\xfe",
    "NULs": bytes(1000),
    "a list": b"[1, 2]",
    "a number": b"7",
    "null": b"null",
    "an HTTP request": b"GET / HTTP/1.1",
    "no command": b"{}",
    "another command": command("reboot"),
    "a command that is no word": b'{"cmd": {"cmd": "status"}}',
    "nested deeply": b"[" * 200_000,
    "nested deeply in a command": b'{"cmd":' + b'{"a":' * 100_000,
    "a name that is a list": command("status", name=["c"]),
    "a name that is a number": command("status", name=2**80),
    "a name beyond Unicode": b'{"cmd": "status", "name": "\\ud800"}',
    "no verb": command("do"),
    "another verb": command("do", verb="drop", parameters={}),
    "a verb that is a list": command("do", verb=["pause"], parameters={}),
    "parameters that are none": command("do", verb="pause", parameters=7),
    "a parameter missing": command("do", verb="pause", parameters={}),
    "a parameter that is an object": command("do", verb="pause", parameters={"name": {}}),
    "a parameter that is huge": command("do", verb="pause", parameters={"name": 2**80}),
    "a rate that is none": command("do", verb="rate", parameters={"name": "c", "rate": [1]}),
    "a launch of nothing": command("launch", request={}),
    "a launch of a list": command("launch", request=[1]),
    "a launch without a request": command("launch"),
    "a launch of a NUL": command(
        "launch",
        request={
            "name": "x", "path": "\0", "list_name": "x", "message": "x", "rejects": "\0",
            "options": {},
        },
    ),
}  # fmt: skip


async def test_only_its_own_user_may_talk_to_an_engine(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    async with engine(make_world, tmp_path) as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", GARBAGE)
async def test_garbage_is_answered_as_an_error(
    make_world: MakeWorld, tmp_path: Path, name: str
) -> None:
    async with engine(make_world, tmp_path) as path:
        answer = await answer_to(path, GARBAGE[name])
        told = json.loads(answer)
        assert set(told) == {"error", "kind", "exit_code"}
        assert await is_alive(path)


@pytest.mark.parametrize(
    "value",
    [None, [], {}, 2**80, -1, 1.5, True, "\ud800", "\0", "x" * 10_000, [[["x"]]], {"a": {"b": []}}],
    ids=lambda value: ascii(value)[:12],
)
async def test_no_value_of_a_parameter_ends_the_engine(
    make_world: MakeWorld, tmp_path: Path, value: object
) -> None:
    names = (
        "name", "rate", "settings", "subscription", "told", "columns", "values", "url", "username",
        "secret", "token", "pairs", "stopped", "gateway", "why",
    )  # fmt: skip
    async with engine(make_world, tmp_path) as path:
        for verb, usual in itertools.product((*VERBS, "no-such-verb"), ("office", value)):
            parameters = {**dict.fromkeys(names, value), "name": usual}
            assert await answer_to(path, command("do", verb=verb, parameters=parameters))
        assert await is_alive(path)


def test_every_verb_has_a_shape() -> None:
    assert PARAMETERS.keys() == VERBS.keys()


@pytest.mark.parametrize(
    ("verb", "parameters", "told"),
    [
        ("pause", {}, "missing required field `name`"),
        ("pause", {"name": 7}, "Expected `str`, got `int` - at `$.name`"),
        ("rate", {"name": "c", "changes": {"rate": 3}}, "at `$.changes.rate`"),
        ("gateway-set", {"name": "office", "columns": {"boot_id": "7"}}, "unknown field `boot_id`"),
        ("gateway-samples", {"name": "office", "kind": "mms"}, "Invalid value 'mms'"),
        ("resolve", {"name": "c", "causes": ["all"], "as": "lost"}, "at `$.as`"),
        ("blocklist-add", {"list": "a", "numbers": [2**70]}, "beyond the ledger's"),
        ("dance", {}, "unknown command 'dance'"),
    ],
)
async def test_what_is_wrong_with_a_command_is_told(
    make_world: MakeWorld, tmp_path: Path, verb: str, parameters: dict[str, object], told: str
) -> None:
    async with engine(make_world, tmp_path) as path:
        answer = await answer_to(path, command("do", verb=verb, parameters=parameters))
        assert told in json.loads(answer)["error"]


async def test_what_a_verb_does_not_know_is_left_aside(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    async with engine(make_world, tmp_path) as path:
        parameters = {
            "name": "x", "url": "http://192.0.2.1", "username": "u", "secret": "env:X",
            "token": "t" * 16, "of a later version": 1,
        }  # fmt: skip
        answer = await answer_to(path, command("do", verb="gateway-add", parameters=parameters))
        assert json.loads(answer) == {"result": {"id": 2}}


class MistakenStore(InlineStore):
    """One of whose verbs is written wrong."""

    async def write(self, *_args: object, **_kwargs: object) -> Any:
        await trio.lowlevel.checkpoint()
        raise KeyError("ours")


async def test_a_mistake_of_ours_is_no_malformed_command_and_ends_nothing(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    async with make_world() as world, trio.open_nursery() as nursery:
        run, path = world.run(), tmp_path / "c.db.sock"
        run.store = MistakenStore(world.conn)
        await nursery.start(serve_control, run, path)
        with trio.fail_after(20):
            answer = await answer_to(path, command("do", verb="pause", parameters={"name": "c"}))
            told = json.loads(answer)
            assert told["error"].startswith("a mistake of the engine, not of the command")
            assert (told["kind"], told["exit_code"]) == ("EngineError", 1)
            assert "KeyError in write" in told["error"]
            assert "KeyError in write" in world.notices[-1]
            answer = await answer_to(path, command("status"))
            assert json.loads(answer) == {"campaigns": [], "gateways": []}
        nursery.cancel_scope.cancel()


async def test_a_line_without_end_ends_its_own_conversation(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    async with engine(make_world, tmp_path) as path:
        assert await answer_to(path, b"x" * (3 << 20)) == b""
        assert await is_alive(path)


async def test_who_writes_slowly_or_reads_nothing_holds_up_nobody(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    async with engine(make_world, tmp_path) as path:
        async with await connect(path) as slow, await connect(path) as silent:
            await slow.send_all(b'{"cmd": "sta')
            with trio.move_on_after(0.5):
                while True:
                    await silent.send_all(command("status") + b"\n")
            assert await is_alive(path)
            await slow.send_all(b'tus"}\n')
            assert json.loads(await slow.receive_some())["campaigns"] == []
        assert await is_alive(path)


async def test_thousands_of_connections_leave_room_for_one_more(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    async with engine(make_world, tmp_path) as path:
        streams = [await connect(path) for _ in range(300)]
        for _ in range(2_000):
            await (await connect(path)).aclose()
        for stream in streams:
            await stream.aclose()
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert await is_alive(path)


async def test_an_engine_out_of_descriptors_waits_for_one(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    async with engine(make_world, tmp_path) as path:
        clients = [socket.socket(socket.AF_UNIX) for _ in range(5)]
        with socket_address(path) as address:
            in_use = sum(1 for _ in PROC.iterdir())  # noqa: ASYNC240 - no disk behind it
            with capped_descriptors(in_use - 1):
                for client in clients:
                    client.connect(address)
                await trio.sleep(0.25)
        for client in clients:
            client.sendall(command("status") + b"\n")
            assert await trio.to_thread.run_sync(client.recv, 100)
            client.close()
        assert await is_alive(path)
