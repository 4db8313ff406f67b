"""The control socket from the other end: one connection to the running engine of a ledger.

Apart from the engine's end, so that asking it costs no more than a socket and JSON.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import trio

from campaign.errors import CampaignError, EngineError
from campaign.store.paths import socket_address

_LONGEST_LINE = 1 << 20
_LONGEST_ANSWER = 1 << 26
"""An engine's own: the waits of thousands of ports are more than a command."""
_ANSWER_SECONDS = 30.0


class Lines:
    """A stream, line by line; a line above the limit ends it."""

    def __init__(self, stream: trio.abc.ReceiveStream, longest: int = _LONGEST_LINE) -> None:
        self._stream = stream
        self._longest = longest
        self._pending = bytearray()

    async def next(self) -> bytes | None:
        """The next line without its end, None when there is none any more."""
        looked = 0
        while (end := self._pending.find(b"\n", looked)) < 0:
            looked = len(self._pending)
            chunk = await self._stream.receive_some(65536)
            if not chunk or len(self._pending) > self._longest:
                return None
            self._pending += chunk
        line = bytes(self._pending[:end])
        del self._pending[: end + 1]
        return line


class Conversation:
    """The other end: one connection to a running engine."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._lines = Lines(stream, _LONGEST_ANSWER)

    async def ask(
        self, request: Mapping[str, Any], *, seconds: float = _ANSWER_SECONDS
    ) -> dict[str, Any]:
        """Send a command and wait for its answer. Raises what the engine raised, by kind, or
        `EngineError` when it does not answer."""
        try:
            with trio.fail_after(seconds):
                await self._stream.send_all(json.dumps(request).encode() + b"\n")
                line = await self._lines.next()
        except (trio.TooSlowError, trio.BrokenResourceError) as error:
            raise EngineError("the running engine does not answer") from error
        if line is None:
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
