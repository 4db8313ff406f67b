"""The device's queue as a load leaves it: how deep it is, and taking back what still waits in it.

Tasks are named by their ids, page by page, and never all of them: a gateway has other users.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import trio

from campaign.errors import GatewayError, ProtocolError
from campaign.gateway.answers import Sweep, TidsReading
from campaign.load.account import Account
from campaign.protocol.codes import TaskCode

_PAGE: Final = 500
_LOOK_EVERY: Final = 0.5


class Queue(Protocol):
    """A device (`gateway.client.Device`), as far as this file needs it."""

    async def waiting_count(self, port: int) -> int: ...

    async def waiting_tasks(self, ports: Sequence[int]) -> Sweep: ...

    async def remove(self, tids: Sequence[int]) -> TidsReading: ...


async def depth(device: Queue) -> int | None:
    """How many tasks wait in the device; None when it does not say."""
    try:
        return await device.waiting_count(1)
    except (GatewayError, ProtocolError):
        return None


async def until_empty(device: Queue, within: float) -> bool:
    """Wait until nothing waits in the device, for at most so many seconds; whether it is so. One
    that does not say is not waited for."""
    with trio.move_on_after(within):
        while left := await depth(device):  # noqa: ASYNC110 - a device has no event to wait for
            await trio.sleep(_LOOK_EVERY)
        return left == 0
    return False


async def take_back(device: Queue, account: Account) -> int | None:
    """Remove every task of this load that may still wait. What the device does not confirm is
    looked for in its own list, once, and removed from there.

    How many are still there for all we know; None when the device does not say.
    """
    await _remove(device, account, list(account.outstanding()))
    waiting = await depth(device)
    if not waiting:
        return waiting
    try:
        sweep = await device.waiting_tasks([1])
    except (GatewayError, ProtocolError):
        return None
    ours = [one.tid for one in sweep.tasks if account.owns(one.tid, one.to)]
    return len(ours) - await _remove(device, account, ours)


async def _remove(device: Queue, account: Account, tids: Sequence[int]) -> int:
    """How many the device says it has removed."""
    removed = 0
    for first in range(0, len(tids), _PAGE):
        try:
            codes = (await device.remove(tids[first : first + _PAGE])).codes()
        except (GatewayError, ProtocolError):
            continue  # what it kept is found in its list, or stays unreported
        gone = [tid for tid, code in codes.items() if code == TaskCode.OK]
        account.remove(gone)
        removed += len(gone)
    return removed
