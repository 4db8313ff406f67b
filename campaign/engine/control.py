"""The control socket: how every other process talks to the one engine of a ledger.

One JSON object a line, both ways. `wake` says that the inbox grew; `status` asks; `do` carries out
a verb; `launch` hands a list over and answers with progress lines until it is imported. Errors
come back as `{"error", "kind", "exit_code"}`.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import trio

from campaign.engine.intake import LaunchRequest, intake
from campaign.engine.lifecycle import snapshot
from campaign.engine.runtime import Run
from campaign.engine.steer import carry_out
from campaign.engine.verbs import STEERS, perform
from campaign.errors import CampaignError, EngineError
from campaign.store.campaigns import get_campaign
from campaign.store.paths import socket_address

_LONGEST_LINE = 1 << 20
_ANSWER_SECONDS = 30.0

Reload = Callable[[], Awaitable[None]]
"""Bring the running gateways in line with the registry."""


async def serve_control(
    run: Run,
    path: Path,
    reload: Reload,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Listen on the ledger's socket (0600) for as long as the run lasts; the lock is ours, so a
    socket file that is there already is a dead engine's."""
    listener = _listen(path)
    try:
        task_status.started()
        async with trio.open_nursery() as nursery:
            while True:
                stream = await listener.accept()
                nursery.start_soon(_serve_one, run, stream, reload)
    finally:
        _close(listener, path)


def _close(listener: trio.SocketListener, path: Path) -> None:
    listener.socket.close()
    path.unlink(missing_ok=True)


def _listen(path: Path) -> trio.SocketListener:
    path.unlink(missing_ok=True)
    raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        with socket_address(path) as address:
            raw.bind(address)
    finally:
        os.umask(before)
    raw.listen(64)
    return trio.SocketListener(trio.socket.from_stdlib_socket(raw))


async def _serve_one(run: Run, stream: trio.SocketStream, reload: Reload) -> None:
    # a client that goes away in the middle ends its own conversation, nothing else
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        async with stream:
            async for line in _lines(stream):
                async for answer in _answers(run, line, reload):
                    await stream.send_all(json.dumps(answer).encode() + b"\n")


async def _lines(stream: trio.abc.ReceiveStream) -> AsyncIterator[bytes]:
    pending = b""
    while True:
        chunk = await stream.receive_some(65536)
        if not chunk:
            return
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            yield line
        if len(pending) > _LONGEST_LINE:
            return


async def _answers(run: Run, line: bytes, reload: Reload) -> AsyncIterator[dict[str, Any]]:
    try:
        request = json.loads(line)
        match request.get("cmd"):
            case "wake":
                run.inbox_bell.ring()
            case "status":
                yield await snapshot(run, request.get("name"))
            case "do":
                yield await _do(run, request["verb"], request["parameters"], reload)
            case "launch":
                async for answer in _launch(run, request["request"], reload):
                    yield answer
            case other:
                raise EngineError(f"unknown command {other!r}")
    except CampaignError as error:
        yield {"error": str(error), "kind": type(error).__name__, "exit_code": error.exit_code}
    except (ValueError, KeyError, TypeError, AttributeError, msgspec.ValidationError) as error:
        yield {"error": f"malformed command: {error!r}", "kind": "EngineError", "exit_code": 1}


async def _do(run: Run, verb: str, parameters: Mapping[str, Any], reload: Reload) -> dict[str, Any]:
    result = await run.write(perform, run.now_ms(), verb, parameters)
    if verb in STEERS:
        row = await run.store.read(get_campaign, parameters["name"])
        campaign = run.campaigns.get(row.id)
        if campaign is not None:
            await carry_out(run, campaign, STEERS[verb])
    else:
        await reload()
    for gateway in run.gateways.values():
        gateway.duties.ring()
    run.ring()
    return {"result": result}


async def _launch(run: Run, request: Any, reload: Reload) -> AsyncIterator[dict[str, Any]]:
    await reload()
    launch = msgspec.convert(request, LaunchRequest)
    progress: list[tuple[int, int]] = []
    campaign = await intake(run, launch, lambda rows, refused: progress.append((rows, refused)))
    rows, refused = progress[-1]
    yield {"launched": campaign.name, "recipients": rows, "refused": refused}


class Conversation:
    """The other end: one connection to a running engine."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._lines = _lines(stream)

    async def ask(
        self, request: Mapping[str, Any], *, seconds: float = _ANSWER_SECONDS
    ) -> dict[str, Any]:
        """Send a command and wait for its answer. Raises what the engine raised, by kind, or
        `EngineError` when it does not answer."""
        try:
            with trio.fail_after(seconds):
                await self._stream.send_all(json.dumps(request).encode() + b"\n")
                line = await anext(self._lines, b"")
        except (trio.TooSlowError, trio.BrokenResourceError) as error:
            raise EngineError("the running engine does not answer") from error
        if not line:
            raise EngineError("the running engine ended")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise remote_error(answer)
        return answer


def remote_error(answer: Mapping[str, Any]) -> CampaignError:
    """The engine's error as it was raised there, as far as this side knows its kind."""
    error = EngineError(str(answer["error"]))
    error.exit_code = int(answer.get("exit_code", 1))  # type: ignore[misc]  # the instance carries the remote code
    return error


@contextlib.asynccontextmanager
async def converse(path: Path) -> AsyncIterator[Conversation]:
    """Connect to the engine of a ledger. Raises `EngineError` when none listens."""
    try:
        with socket_address(path) as address:
            stream = await trio.open_unix_socket(address)
    except OSError as error:
        raise EngineError(f"no engine listens on {path.name}") from error
    async with stream:
        yield Conversation(stream)
