"""Detached processes: started once, adopted afterwards, ended in good order."""

from __future__ import annotations

import os
import signal
import socket
import stat
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
import trio

from campaign.errors import CampaignError, UsageError
from campaign.service.locks import FileLock, is_held
from campaign.service.processes import (
    ReceiverAddress,
    ensure_receiver,
    listen_command,
    spawn_detached,
    spawn_simulator,
    stop_receiver,
    wait_until_ready,
)
from campaign.service.sources import parse_sources
from campaign.store.inbox import InboxReader
from campaign.store.paths import LedgerPaths

Ask = Callable[[str, int, bytes], Awaitable[bytes]]
Command = Callable[..., list[str]]


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


def test_the_command_of_an_automatic_receiver(paths: LedgerPaths) -> None:
    start = [sys.executable, "-m", "campaign", "--db", str(paths.db), "listen", "--automatic"]
    assert listen_command(paths, None, None) == start
    assert listen_command(paths, ("::1", 80), "http://a") == [
        *start,
        "--listen",
        "[::1]:80",
        "--public-url",
        "http://a",
    ]


@pytest.mark.parametrize(
    ("address", "url"),
    [
        (ReceiverAddress("127.0.0.1", 80, None, started=True), "http://127.0.0.1:80"),
        (ReceiverAddress("::1", 80, None, started=True), "http://[::1]:80"),
        (ReceiverAddress("::1", 80, "https://a/b/", started=True), "https://a/b"),
    ],
)
def test_devices_are_told_the_public_url_else_the_address(
    address: ReceiverAddress, url: str
) -> None:
    assert address.base_url == url


@pytest.mark.process
async def test_a_detached_process_has_nothing_of_ours(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("earlier\n", encoding="utf-8")
    with closing(socket.socket()) as inheritable:
        inheritable.set_inheritable(True)
        process = spawn_detached(
            python(
                "import os, sys;"
                "print(os.getsid(0) == os.getpid(), os.getcwd(), repr(sys.stdin.read()),"
                " sorted(os.listdir('/proc/self/fd')), flush=True);"
                "print('unfinished', end='', file=sys.stderr)"
            ),
            log,
        )
        with trio.fail_after(10):
            while process.exit_code() is None:  # noqa: ASYNC110 - a process has no event here
                await trio.sleep(0.01)
    # The fourth descriptor is the listing's own.
    assert process.lines() == ["True / '' ['0', '1', '2', '3']"]


@pytest.mark.process
async def test_its_log_is_private(tmp_path: Path) -> None:
    process = spawn_detached(python("print(1)"), tmp_path / "x.log")
    assert stat.S_IMODE((tmp_path / "x.log").stat().st_mode) == 0o600
    process.process.wait(10)


def test_a_program_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="cannot start /no/such/program"):
        spawn_detached(["/no/such/program"], tmp_path / "x.log")


async def never() -> None:
    """A probe that is never content."""


@pytest.mark.process
@pytest.mark.parametrize(
    ("script", "kind", "message"),
    [
        ("print('why'); print(); raise SystemExit(1)", CampaignError, r"exit code 1\): why"),
        ("print('Error: no port'); raise SystemExit(2)", UsageError, "^no port$"),
        ("raise SystemExit(3)", CampaignError, "it wrote nothing"),
    ],
)
async def test_one_that_ends_at_once_is_an_error_with_its_last_line(
    tmp_path: Path, script: str, kind: type[CampaignError], message: str
) -> None:
    process = spawn_detached(python(script), tmp_path / "x.log")
    with pytest.raises(kind, match=message):
        await wait_until_ready(never, process, 10)


@pytest.mark.process
async def test_one_that_is_never_ready_is_an_error(tmp_path: Path) -> None:
    process = spawn_detached(python("__import__('time').sleep(60)"), tmp_path / "l")
    with pytest.raises(CampaignError, match=r"not ready after 0\.1 s"):
        await wait_until_ready(never, process, 0.1)
    assert process.process.wait(10) == -signal.SIGTERM


@pytest.mark.process
async def test_a_cancelled_start_leaves_no_process_behind(tmp_path: Path) -> None:
    process = spawn_detached(python("__import__('time').sleep(60)"), tmp_path / "l")
    with trio.move_on_after(0.05):
        await wait_until_ready(never, process, 60)
    assert process.process.wait(10) == -signal.SIGTERM


@pytest.mark.process
async def test_a_simulator_is_ready_when_it_says_where(tmp_path: Path) -> None:
    log = tmp_path / "sim1.log"
    log.write_text("listening on http://127.0.0.1:1\n", encoding="utf-8")
    spawned = await spawn_simulator(
        python("import time; print('listening on http://127.0.0.1:4711'); time.sleep(60)"), log
    )
    assert spawned.url == "http://127.0.0.1:4711"
    os.kill(spawned.pid, signal.SIGKILL)


@pytest.mark.process
@pytest.mark.slow
async def test_a_receiver_is_started_once_adopted_and_stopped(
    paths: LedgerPaths, receiver_command: Command, ask: Ask
) -> None:
    command = receiver_command()
    first = await ensure_receiver(paths, command=command)
    assert first.started
    second = await ensure_receiver(paths, command=command)
    assert second == ReceiverAddress(first.host, first.port, None, started=False)
    push = b"POST /p/secret HTTP/1.0\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
    assert b" 200 " in await ask(first.host, first.port, push)
    assert await stop_receiver(paths)
    assert not is_held(paths.inbox_lock)
    assert not await stop_receiver(paths)
    assert paths.receiver_log.read_text(encoding="utf-8") == "ended: signal\n"
    third = await ensure_receiver(paths, command=command)
    assert third == first
    await stop_receiver(paths)


@pytest.mark.process
@pytest.mark.slow
async def test_of_many_that_want_a_receiver_one_starts_it(
    paths: LedgerPaths, receiver_command: Command
) -> None:
    found: list[ReceiverAddress] = []

    async def want() -> None:
        found.append(await ensure_receiver(paths, command=receiver_command()))

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(want)
    assert len({address.port for address in found}) == 1
    assert [address.started for address in found].count(True) == 1
    await stop_receiver(paths)


@pytest.mark.process
@pytest.mark.slow
async def test_a_running_receiver_elsewhere_than_asked_is_refused(
    paths: LedgerPaths, receiver_command: Command
) -> None:
    ensure = partial(ensure_receiver, paths, command=receiver_command())
    address = await ensure()
    with pytest.raises(UsageError, match="fixed at"):
        await ensure(("127.0.0.1", address.port - 1))
    with pytest.raises(UsageError, match=r"announces its own address, not http://sms\.example"):
        await ensure(public_url="http://sms.example")
    assert (await ensure((address.host, address.port))).started is False
    await stop_receiver(paths)


@pytest.mark.process
@pytest.mark.slow
async def test_a_receiver_killed_outright_comes_back_on_its_port(
    paths: LedgerPaths, receiver_command: Command
) -> None:
    first = await ensure_receiver(paths, command=receiver_command())
    pid = FileLock(paths.inbox_lock).holder()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    with trio.fail_after(10):
        while is_held(paths.inbox_lock):  # noqa: ASYNC110 - another process's lock
            await trio.sleep(0.01)
    assert FileLock(paths.inbox_lock).holder() is None
    again = await ensure_receiver(paths, command=receiver_command())
    assert again == first
    await stop_receiver(paths)


@pytest.mark.process
@pytest.mark.slow
async def test_a_stored_port_in_strange_hands_is_a_clear_error(
    paths: LedgerPaths, receiver_command: Command
) -> None:
    first = await ensure_receiver(paths, command=receiver_command())
    await stop_receiver(paths)
    with closing(socket.socket()) as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind((first.host, first.port))
        stranger.listen()
        with pytest.raises(UsageError, match=f"port {first.port} .* held by somebody else"):
            await ensure_receiver(paths, command=receiver_command())
    with InboxReader.open(paths.inbox) as inbox:
        binding = inbox.binding()
    assert binding is not None
    assert binding.port == first.port


@pytest.mark.process
@pytest.mark.slow
async def test_an_automatic_receiver_ends_by_itself(
    paths: LedgerPaths, receiver_command: Command
) -> None:
    await ensure_receiver(paths, command=receiver_command("finished"))
    with trio.fail_after(10):
        while is_held(paths.inbox_lock):  # noqa: ASYNC110 - another process's lock
            await trio.sleep(0.05)
    assert "ended: finished" in paths.receiver_log.read_text(encoding="utf-8")


async def test_a_lock_that_is_held_but_never_answers_is_an_error(paths: LedgerPaths) -> None:
    lock = FileLock(paths.inbox_lock)
    lock.acquire()
    with pytest.raises(CampaignError, match="did not answer within"):
        await ensure_receiver(paths, deadline=0.1, command=["/no/such/program"])
    lock.release()


async def test_a_pid_without_a_lock_is_never_signalled(paths: LedgerPaths) -> None:
    paths.inbox_lock.write_text(f"{os.getpid()}\n", encoding="ascii")
    assert not await stop_receiver(paths)


async def test_a_running_receiver_that_hears_others_than_asked_is_said_so(
    paths: LedgerPaths, receiver_command: Command
) -> None:
    await ensure_receiver(paths, command=receiver_command())
    only = parse_sources(["192.0.2.0/24"])
    with pytest.raises(UsageError, match=r"hears any, not 192\.0\.2\.0/24; end it first"):
        await ensure_receiver(paths, allow=only)
    await ensure_receiver(paths, allow=())


def test_whom_to_hear_is_handed_to_the_receiver_that_is_started(paths: LedgerPaths) -> None:
    networks = parse_sources(["192.0.2.0/24", "2001:db8::/32"])
    words = listen_command(paths, None, None, networks)
    assert words[-2:] == ["--allow", "192.0.2.0/24 2001:db8::/32"]
    assert listen_command(paths, None, None, ())[-2:] == ["--allow", "any"]
    assert "--allow" not in listen_command(paths, None, None)
