"""A receiver process of its own for the tests, and a way to talk plain HTTP to a port."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trio

from campaign.service.locks import FileLock
from campaign.store.paths import LedgerPaths

# argv: DB HOST:PORT|- finished|busy. Its tokens and its ledger are pretence, all else is real.
_RECEIVER = """
import sys
from functools import partial

import trio

from campaign.env import Env
from campaign.errors import CampaignError
from campaign.service.listening import listen
from campaign.store.paths import LedgerPaths

db, where, state = sys.argv[1:]
host, _, port = where.rpartition(":")
try:
    ended = trio.run(
        partial(
            listen,
            LedgerPaths.beside(db),
            env=Env(),
            tokens=lambda: {"secret": 1},
            finished=lambda: state == "finished",
            address=(host, int(port)) if host else None,
            automatic=True,
            linger=0.1,
        )
    )
except CampaignError as error:
    print(f"Error: {error}", file=sys.stderr)
    sys.exit(error.exit_code)
print(f"ended: {ended.value}")
"""

Ask = Callable[[str, int, bytes], Awaitable[bytes]]
Command = Callable[..., list[str]]


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[LedgerPaths]:
    """A ledger's places; whatever receiver a test leaves there is ended."""
    places = LedgerPaths.beside(tmp_path / "campaign.db")
    yield places
    if (pid := FileLock(places.inbox_lock).holder()) not in (None, os.getpid()):
        with suppress(ProcessLookupError):
            os.kill(pid or 0, signal.SIGKILL)


@pytest.fixture
def receiver_command(tmp_path: Path, paths: LedgerPaths) -> Command:
    """The command line of a receiver: `receiver_command(state="busy", listen="-")`."""
    script = tmp_path / "receiver.py"
    script.write_text(_RECEIVER, encoding="utf-8")

    def command(state: str = "busy", listen: str = "-") -> list[str]:
        return [sys.executable, str(script), str(paths.db), listen, state]

    return command


@pytest.fixture
def ask() -> Ask:
    """Send raw bytes to a port and give back all that comes until the end."""

    async def exchange(host: str, port: int, request: bytes) -> bytes:
        with trio.fail_after(10):
            stream = await trio.open_tcp_stream(host, port)
            async with stream:
                await stream.send_all(request)
                return b"".join([chunk async for chunk in stream])

    return exchange
