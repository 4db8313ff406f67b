"""Telling a service manager (systemd) that we are ready, and that we are alive.

The protocol is one datagram to the socket it names in the environment: sd_notify(3). Without that,
nothing is told.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping

import trio

from campaign.engine.runtime import Run
from campaign.store.journal import check_epoch


def ready(environment: Mapping[str, str] = os.environ) -> None:
    """The ledger is recovered and campaigns are being sent."""
    _tell("READY=1", environment)


async def keep_alive(run: Run, environment: Mapping[str, str] = os.environ) -> None:
    """Say that we live, as often as was asked, for as long as the ledger answers."""
    period = _watchdog_seconds(environment)
    if period is None:
        await trio.sleep_forever()
    while True:
        await run.store.read(check_epoch, run.epoch)
        _tell("WATCHDOG=1", environment)
        await trio.sleep(period / 3)


def _watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    text, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not text.isdigit() or int(text) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(text) / 1_000_000


def _tell(line: str, environment: Mapping[str, str]) -> None:
    address = environment.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    # a manager that does not listen is no reason to stop sending
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(line.encode(), address)
