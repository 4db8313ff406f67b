"""Simulated gateways of a ledger: detached processes, registered, adopted after a crash."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import trio

from campaign.engine.verbs import Parameters
from campaign.service.processes import spawn_simulator
from campaign.service.secrets import STORED, store_password
from campaign.service.site import Site
from campaign.store.gateways import GatewayRow

_PASSWORD = "root"  # noqa: S105 - a simulated device's, not a secret


@dataclass(frozen=True)
class Simulated:
    """How to start one simulated gateway again, as the ledger keeps it."""

    arguments: tuple[str, ...]
    log: str
    pid: int

    def encode(self) -> str:
        return json.dumps({"arguments": self.arguments, "log": self.log, "pid": self.pid})

    @classmethod
    def decode(cls, text: str) -> Simulated:
        values: dict[str, Any] = json.loads(text)
        return cls(tuple(values["arguments"]), values["log"], values["pid"])


async def start_simulated(
    site: Site, name: str, arguments: Sequence[str], settings: dict[str, str]
) -> Parameters:
    """Start a simulated gateway; returns what `gateway-add` needs to register it.

    Its ground truth is written beside the ledger as `<ledger>.<name>.truth.jsonl`.
    """
    stem = site.paths.db.with_suffix("").name
    folder = site.paths.db.parent
    folder.mkdir(parents=True, exist_ok=True)
    truth, log = folder / f"{stem}.{name}.truth.jsonl", folder / f"{stem}.{name}.log"
    full = ("--set", f"name={name}", "--ledger", str(truth), *arguments)
    spawned = await spawn_simulator(_command("127.0.0.1:0", full), log)
    store_password(site.paths.secrets, name, _PASSWORD)
    return {
        "name": name,
        "url": spawned.url,
        "username": "root",
        "secret": STORED,
        "token": site.env.nonce(16),
        "settings": settings,
        "simulated": Simulated(full, str(log), spawned.pid).encode(),
    }


async def revive(row: GatewayRow) -> str | None:
    """Start a registered simulated gateway again unless it runs; its new `simulated` value."""
    if row.simulated is None:
        return None
    simulated = Simulated.decode(row.simulated)
    if is_simulator(simulated.pid):
        return None
    address = urlsplit(row.url)
    command = _command(f"{address.hostname}:{address.port}", simulated.arguments)
    spawned = await spawn_simulator(command, Path(simulated.log))
    return Simulated(simulated.arguments, simulated.log, spawned.pid).encode()


async def end_simulated(rows: Sequence[GatewayRow]) -> None:
    """End the simulated gateways among these, and wait until they are gone."""
    pids = [Simulated.decode(row.simulated).pid for row in rows if row.simulated is not None]
    for pid in pids:
        if is_simulator(pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
    with trio.move_on_after(5):
        while any(is_simulator(pid) for pid in pids):  # noqa: ASYNC110 - processes have no event
            await trio.sleep(0.05)


def is_simulator(pid: int) -> bool:
    """Whether this pid is a simulated gateway of ours (pids are used again)."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"simulate" in words and b"campaign" in words


def _command(listen: str, arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "campaign", "simulate", "--listen", listen, *arguments]
