"""The control socket: how every other process talks to the one engine of a ledger.

One JSON object a line, both ways. `wake` says that the inbox grew; `status` asks; `do` carries out
a verb; `fetch` reads devices' inboxes; `launch` hands a list over and answers when it is imported.
Errors come back as `{"error", "kind", "exit_code"}`.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, assert_never

import trio

from campaign.engine.campaign import Campaign
from campaign.engine.conversation import Lines
from campaign.engine.fetching import fetch
from campaign.engine.intake import LaunchRequest, intake
from campaign.engine.lifecycle import snapshot
from campaign.engine.preempting import take_up_order
from campaign.engine.repacing import recall_campaigns
from campaign.engine.requests import Do, Fetch, Launch, Request, Status, Wake, read_request
from campaign.engine.runtime import Run
from campaign.engine.standing import see_lifted
from campaign.engine.steer import carry_out
from campaign.engine.verbs import STEERS, perform
from campaign.errors import (
    CampaignError,
    EngineError,
    GatewayError,
    RemoteProtocolError,
    StoreError,
)
from campaign.planner.rulings import AGAIN
from campaign.planner.states import CampaignState
from campaign.store.campaigns import get_campaign
from campaign.store.paths import socket_address

_MOST_CONVERSATIONS = 64
_OUT_OF = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
_BREATH = 0.1


async def serve_control(
    run: Run,
    path: Path,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Listen on the ledger's socket (0600) for as long as the run lasts; the lock is ours, so a
    socket file that is there already is a dead engine's."""
    own = ControlSocket(path)
    try:
        task_status.started()
        async with trio.open_nursery() as nursery:
            while True:
                stream = await _accept(own.listener)
                if len(nursery.child_tasks) >= _MOST_CONVERSATIONS:
                    await trio.aclose_forcefully(stream)
                    continue
                nursery.start_soon(answer_stream, run, stream)
    finally:
        own.close()


async def _accept(listener: trio.SocketListener) -> trio.SocketStream:
    """The next connection; out of descriptors the engine waits for one, it does not end."""
    while True:
        try:
            return await listener.accept()
        except OSError as error:
            if error.errno not in _OUT_OF:
                raise
            await trio.sleep(_BREATH)


class ControlSocket:
    """The listening socket and its file. Raises `StoreError` where it cannot be made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            raw = _bind(path)
            self._made = _identity(path)
        except OSError as error:
            raise StoreError(
                f"cannot make the control socket {path}: {error.strerror}"
                " (see that its folder is there, and let this user write there)"
            ) from error
        self.listener = trio.SocketListener(trio.socket.from_stdlib_socket(raw))

    def close(self) -> None:
        """Take the file away, too, unless an engine that took over has put its own there."""
        self.listener.socket.close()
        with contextlib.suppress(OSError):
            if _identity(self._path) == self._made:
                self._path.unlink()


def _bind(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        with socket_address(path) as address:
            raw.bind(address)
        raw.listen(64)
    except OSError:
        raw.close()
        raise
    finally:
        os.umask(before)
    return raw


def _identity(path: Path) -> tuple[int, int, int]:
    """Which file this is; a number that is free again may be given again, a time may not."""
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_ctime_ns


async def answer_stream(run: Run, stream: trio.abc.Stream) -> None:
    """Answer one conversation until the other side ends it."""
    # a client that goes away in the middle ends its own conversation, nothing else
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        async with stream:
            lines = Lines(stream)
            while (line := await lines.next()) is not None:
                answer = await _answer(run, line)
                if answer is not None:
                    await stream.send_all(json.dumps(answer).encode() + b"\n")


async def _answer(run: Run, line: bytes) -> dict[str, Any] | None:
    try:
        return await _carry_out(run, read_request(line))
    except CampaignError as error:
        return {"error": str(error), "kind": type(error).__name__, "exit_code": error.exit_code}
    except Exception as error:  # noqa: BLE001 - a mistake of ours is told here; it ends no campaign
        where = traceback.extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__} in {where.name}, line {where.lineno}"
        run.notice(f"a command failed by a mistake of this program, please report it: {what}")
        told = f"a mistake of the engine, not of the command, please report it: {what}"
        return {"error": told, "kind": "EngineError", "exit_code": EngineError.exit_code}


async def _carry_out(run: Run, request: Request) -> dict[str, Any] | None:
    match request:
        case Wake():
            run.inbox_bell.ring()
            return None
        case Status():
            return await snapshot(run, request.name)
        case Do():
            return await _do(run, request.verb, request.parameters)
        case Fetch():
            return await _fetch(run, request.names, request.delete)
        case Launch():
            return await _launch(run, request.request)
        case _:
            assert_never(request)


async def _do(run: Run, verb: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    result = await run.write(perform, run.now_ms(), verb, parameters)
    became = ""
    if verb in STEERS:
        row = await run.store.read(get_campaign, parameters["name"])
        became = str(row.state)
        campaign = run.campaigns.get(row.id)
        if campaign is not None:
            await carry_out(run, campaign, row.state)
    elif verb == "priority":
        await take_up_order(run, parameters["name"])
    else:
        await run.reload()
    if result.get("as") in AGAIN and not result["dry_run"]:
        result["taken_up"] = await _take_up(run, parameters["name"])
    await see_lifted(run)
    for gateway in run.gateways.values():
        gateway.duties.ring()
    run.ring()
    if became:
        by = parameters.get("by", "operator")
        run.notice(f"campaign {parameters['name']} is {became}, by {by}")
    return {"result": result}


async def _take_up(run: Run, name: str) -> bool:
    """Send for a campaign that may go on; False if this run does not (it may be about to end, or
    was started for another job: `resume` goes on then)."""
    row = await run.store.read(get_campaign, name)
    if row.id not in run.campaigns:  # it was let go: its pace goes on from its last message
        fresh = Campaign.from_row(row)
        await recall_campaigns(run, [fresh])
        row = await run.store.read(get_campaign, name)  # it may have been steered meanwhile
    else:
        fresh = run.campaigns[row.id]
    if row.state is not CampaignState.RUNNING or not (run.targets or run.serving):
        return False
    run.settings_cache.clear()
    campaign = run.campaigns.setdefault(row.id, fresh)
    campaign.state = row.state
    run.targets.add(row.id)
    run.planned.ring()
    run.reopened += 1
    return True


async def _fetch(run: Run, names: list[str] | None, delete: bool) -> dict[str, Any]:
    """Fetch what devices received; by name what came, or why it could not be asked."""
    told: dict[str, Any] = {}
    for gateway in list(run.gateways.values()):
        if names and gateway.name not in names:
            continue
        try:
            fetched = await fetch(run, gateway, delete=delete or None)
        except (GatewayError, RemoteProtocolError) as error:
            told[gateway.name] = {"error": str(error)}
            continue
        told[gateway.name] = fetched.counts
    return {"fetched": told}


async def _launch(run: Run, request: LaunchRequest) -> dict[str, Any]:
    await run.reload()
    progress = [(0, 0)]
    campaign = await intake(run, request, lambda rows, refused: progress.append((rows, refused)))
    rows, refused = progress[-1]
    run.notice(f"campaign {campaign.name} runs: {rows} recipients, {refused} rows refused")
    return {"launched": campaign.name, "recipients": rows, "refused": refused}
