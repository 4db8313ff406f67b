"""Processes that outlive the one that starts them: the receiver and the simulated gateways.

A detached process leads its own session, has no terminal, and inherits neither locks nor sockets:
Ctrl-C and a SIGKILL of the engine pass it by, and a pipe the engine writes to ends with the engine.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio

import campaign
from campaign.errors import CampaignError, StoreError, UsageError
from campaign.service.addresses import chosen_address
from campaign.service.locks import FileLock, is_held
from campaign.service.site import shown
from campaign.service.sources import EVERYBODY, Network, sources_text
from campaign.store.inbox import InboxReader, ReceiverBinding
from campaign.store.paths import LedgerPaths

T = TypeVar("T")

READY_SECONDS = 15.0
STOP_SECONDS = 10.0
_POLL_SECONDS = 0.02
_ANSWER_SECONDS = 1.0
_GREETING = "listening on "
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - looked for, not bound

# Kept so that a child that ended is reaped by the next start, and dropping one that lives on is
# not taken for an oversight.
_children: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class Detached:
    """A process started by `spawn_detached`; its output is `log` from byte `log_start` on."""

    process: subprocess.Popen[bytes]
    log: Path
    log_start: int

    @property
    def pid(self) -> int:
        return self.process.pid

    def exit_code(self) -> int | None:
        """None while it runs."""
        return self.process.poll()

    def end(self) -> None:
        """SIGTERM, unless it has ended; never a stranger's process, since a child keeps its pid."""
        self.process.terminate()

    def lines(self) -> list[str]:
        """The complete lines it has written so far."""
        with self.log.open("rb") as log:
            log.seek(self.log_start)
            written = log.read().decode("utf-8", "replace")
        return [line.rstrip("\n") for line in written.splitlines(keepends=True) if line[-1] == "\n"]


@dataclass(frozen=True)
class ReceiverAddress:
    """Where the running receiver listens; `started` tells whether this call brought it up."""

    host: str
    port: int
    public_url: str | None
    started: bool

    @property
    def base_url(self) -> str:
        """What devices are told, without a path: the public URL, else the address itself."""
        return (self.public_url or f"http://{shown(self.host, self.port)}").rstrip("/")


@dataclass(frozen=True)
class SpawnedSimulator:
    """A simulated gateway on its own; `url` is its base URL."""

    pid: int
    url: str


def spawn_detached(argv: Sequence[str], log: Path) -> Detached:
    """Start `argv` in its own session with output appended to `log` (0600) and no input."""
    _children[:] = [child for child in _children if child.poll() is None]
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        start = os.fstat(output).st_size
        process = subprocess.Popen(  # noqa: S603 - our own command line, no shell
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            close_fds=True,
            start_new_session=True,
            cwd="/",
            env=_environment(),
        )
    except OSError as error:
        raise CampaignError(f"cannot start {argv[0]}: {error}") from error
    finally:
        os.close(output)
    _children.append(process)
    return Detached(process, log, start)


async def wait_until_ready(
    probe: Callable[[], Awaitable[T | None]], process: Detached, deadline: float
) -> T:
    """What `probe` gives as soon as it is not None.

    If `process` ends first: UsageError where it ended with a usage error's exit code, else
    CampaignError, with the last line it wrote. CampaignError too after `deadline` seconds. Whoever
    gives up waiting, or is cancelled, leaves no process behind.
    """
    code: int | None = None
    ready = False
    try:
        with trio.move_on_after(deadline):
            while True:
                code = process.exit_code()
                if (found := await probe()) is not None:
                    ready = True
                    return found
                if code is not None:
                    break
                await trio.sleep(_POLL_SECONDS)
    finally:
        if not ready:
            process.end()
    raise _never_ready(process, code, deadline)


def _never_ready(process: Detached, code: int | None, deadline: float) -> CampaignError:
    last = next((line for line in reversed(process.lines()) if line.strip()), "it wrote nothing")
    if code is None:
        return CampaignError(f"process {process.pid} is not ready after {deadline:g} s: {last}")
    if code == UsageError.exit_code:
        return UsageError(last.removeprefix("Error: "))
    return CampaignError(f"process {process.pid} ended at once (exit code {code}): {last}")


def listen_command(
    paths: LedgerPaths,
    listen: tuple[str, int] | None,
    public_url: str | None,
    allow: Sequence[Network] | None = None,
) -> list[str]:
    """The command line of an automatic receiver."""
    command = [sys.executable, "-m", "campaign", "--db", str(paths.db), "listen", "--automatic"]
    if listen is not None:
        command += ["--listen", shown(*listen)]
    if public_url is not None:
        command += ["--public-url", public_url]
    if allow is not None:
        command += ["--allow", sources_text(allow)]
    return command


async def ensure_receiver(
    paths: LedgerPaths,
    listen: tuple[str, int] | None = None,
    public_url: str | None = None,
    *,
    allow: Sequence[Network] | None = None,
    deadline: float = READY_SECONDS,
    command: Sequence[str] | None = None,
) -> ReceiverAddress:
    """Adopt the running receiver of this inbox, or start one; returns once it answers.

    Take the engine's lock first: an automatic receiver that sees neither engine nor live task may
    be about to end. UsageError if the running one listens elsewhere than asked, or to others.
    """
    binding = await _adopt(paths, deadline)
    started = binding is None
    if binding is None:
        spawned = spawn_detached(
            command or listen_command(paths, listen, public_url, allow), paths.receiver_log
        )
        try:
            binding = await wait_until_ready(partial(_answering, paths), spawned, deadline)
        except UsageError:
            # Somebody else's receiver was faster: ours found the lock taken, and theirs will do.
            binding = await _adopt(paths, deadline)
            if binding is None:
                raise
        started = binding.pid == spawned.pid
        if not started:  # still on its way to find the lock taken; it must not find it free later
            spawned.end()
    chosen_address(binding, listen)
    if public_url is not None and public_url != binding.public_url:
        raise UsageError(
            f"the running receiver announces {binding.public_url or 'its own address'}, not"
            f" {public_url}; end it first: campaign listen --stop"
        )
    heard = binding.allow or EVERYBODY
    if allow is not None and sources_text(allow) != heard:
        raise UsageError(
            f"the running receiver hears {heard}, not {sources_text(allow)}; end it first:"
            " campaign listen --stop"
        )
    return ReceiverAddress(binding.host, binding.port, binding.public_url, started)


async def stop_receiver(paths: LedgerPaths, *, deadline: float = STOP_SECONDS) -> bool:
    """End the running receiver in good order; False if there is none."""
    lock = FileLock(paths.inbox_lock)
    pid = lock.holder()
    if pid is not None:
        _terminate(pid, lock)
    elif not is_held(paths.inbox_lock):
        return False
    with trio.move_on_after(deadline):
        # A lock of another process has no event to wait for.
        while is_held(paths.inbox_lock) and lock.holder() in (pid, None):  # noqa: ASYNC110 - see above
            await trio.sleep(_POLL_SECONDS)
        return True
    raise CampaignError(f"the receiver (process {pid}) did not end within {deadline:g} s")


async def spawn_simulator(
    argv: Sequence[str], log: Path, *, deadline: float = READY_SECONDS
) -> SpawnedSimulator:
    """Start a simulated gateway; returns once it has written `listening on http://HOST:PORT`."""
    spawned = spawn_detached(argv, log)

    async def greeting() -> str | None:
        lines = (line for line in spawned.lines() if line.startswith(_GREETING))
        return next((line.removeprefix(_GREETING).strip() for line in lines), None)

    return SpawnedSimulator(spawned.pid, await wait_until_ready(greeting, spawned, deadline))


async def _adopt(paths: LedgerPaths, deadline: float) -> ReceiverBinding | None:
    """The running receiver, which may still be starting; None if there is none (any more)."""
    with trio.move_on_after(deadline):
        while is_held(paths.inbox_lock):
            if (binding := await _answering(paths)) is not None:
                return binding
            await trio.sleep(_POLL_SECONDS)
        return None
    raise CampaignError(f"the running receiver did not answer within {deadline:g} s")


async def _answering(paths: LedgerPaths) -> ReceiverBinding | None:
    """The binding of the receiver that holds the lock now, once its port answers.

    The inbox also remembers bindings of earlier runs, whose port may be somebody else's today: only
    one written by the lock's holder counts.
    """
    holder = FileLock(paths.inbox_lock).holder()
    if holder is None or not paths.inbox.exists():
        return None
    try:
        with InboxReader.open(paths.inbox) as inbox:
            binding = inbox.binding()
    except StoreError:  # taken away this instant; the next look will tell
        return None
    if binding is None or binding.pid != holder:
        return None
    return binding if await _is_healthy(binding.host, binding.port) else None


async def _is_healthy(host: str, port: int) -> bool:
    request = b"GET /healthz HTTP/1.1\r\nHost: receiver\r\nConnection: close\r\n\r\n"
    answer = b""
    with trio.move_on_after(_ANSWER_SECONDS):
        try:
            async with await trio.open_tcp_stream(_WILDCARDS.get(host, host), port) as stream:
                await stream.send_all(request)
                async for chunk in stream:
                    answer += chunk
        except (OSError, trio.BrokenResourceError):
            return False
    return answer.startswith(b"HTTP/1.1 200 ")


def _terminate(pid: int, lock: FileLock) -> None:
    """SIGTERM, but only to the lock's holder: its pid may be somebody else's a moment later."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if lock.holder() == pid:
            signal.pidfd_send_signal(process, signal.SIGTERM)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise CampaignError(f"the receiver (process {pid}) belongs to another user") from error
    finally:
        os.close(process)


def _environment() -> dict[str, str]:
    """Ours, so that the child finds this very package from its other folder, and hides no line."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    home = str(Path(campaign.__file__).resolve().parent.parent)
    if home not in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        inherited = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = f"{home}{os.pathsep}{inherited}" if inherited else home
    return environment
