"""Simulated gateways of a ledger: revived, adopted, and plain about a port they cannot have."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from campaign.env import Env
from campaign.errors import UsageError
from campaign.service.simulated import Simulated, revive
from campaign.service.simulating import run_simulator
from campaign.simulator import SimulatorSettings
from campaign.store.gateways import GatewayRow

_NOBODY = 2**22 + 1
"""Above every pid there can be."""


@pytest.fixture
def row(tmp_path: Path) -> GatewayRow:
    """A registered simulated gateway whose process is gone."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ("--set", "name=sim1", "--ledger", str(tmp_path / "truth.jsonl"))
    simulated = Simulated(arguments, str(tmp_path / "sim1.log"), _NOBODY)
    return GatewayRow(
        id=1, name="sim1", url=f"http://127.0.0.1:{port}", username="root", secret="stored",
        crypt=None, auth_order="spec", ca_file=None, token="t", old_token=None, boot_id=None,
        stopped=None,
        simulated=simulated.encode(),
    )  # fmt: skip


@pytest.fixture
def started() -> Iterator[list[int]]:
    """Pids to end after the test."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.process
@pytest.mark.slow
async def test_a_gateway_revived_by_an_engine_that_died_before_it_wrote_so_is_adopted(
    row: GatewayRow, started: list[int]
) -> None:
    first = await revive(row)
    assert first is not None
    started.append(Simulated.decode(first).pid)
    assert await revive(row) == first, "the ledger has still the old pid"


async def test_a_port_that_is_taken_is_told_in_words() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} on 127.0.0.1 is held by somebody else"):
            await run_simulator(SimulatorSettings(), "127.0.0.1", port, Env(), lambda _line: None)
