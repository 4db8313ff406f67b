"""What a command led to, told by port states: read from the device, and pushed by it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass

import trio

from campaign.errors import GatewayError, RemoteProtocolError
from campaign.gateway.client import Device
from campaign.planner.routing import active_slots
from campaign.protocol.codec import decode_push
from campaign.protocol.codes import USABLE_PORT_CODES, PortCode, port_meaning
from campaign.protocol.commands import Op
from campaign.protocol.messages import DevStatus, PortState, PortStatus
from campaign.protocol.ports import Port
from campaign.service.site import Site
from campaign.store.gateways import GatewayRow
from campaign.store.inbox import InboxReader

LOOK_SECONDS = 1.0
_LOCKED = frozenset({PortCode.LOCKED_BY_USER, PortCode.LOCKED_BY_DEVICE})
_ENDS_BADLY = frozenset(
    {
        PortCode.REGISTRATION_FAILED,
        PortCode.NO_SIM,
        PortCode.SIM_READ_ERROR,
        PortCode.BLOCKED_BY_OPERATOR,
    }
)


@dataclass
class PortResult:
    """What became of one port: `reached` None: nothing to wait for, or not waited for."""

    port: Port
    op: Op
    reached: bool | None = None
    state: PortState | None = None

    @property
    def words(self) -> str:
        """Its last state: code and meaning."""
        if self.state is None:
            return "not told"
        code = self.state.code
        return self.state.text or "not told" if code is None else f"{code} {port_meaning(code)}"


class Watcher:
    """Port states after a moment: pushed to us, or asked for."""

    def __init__(self, site: Site, row: GatewayRow, device: Device) -> None:
        self._site = site
        self._row = row
        self._device = device
        self._seen = self._last_id()

    async def states(self) -> list[PortState]:
        """What is known now; nothing while the device does not answer."""
        pushed = self._pushed()
        try:
            status = await self._device.console.snapshot(all_sims=False)
        except (GatewayError, RemoteProtocolError):
            return pushed
        return [*pushed, *active_slots(status.ports)]

    def _last_id(self) -> int:
        if not self._site.paths.inbox.exists():
            return 0
        with closing(InboxReader.open(self._site.paths.inbox)) as inbox:
            return inbox.last_id()

    def _pushed(self) -> list[PortState]:
        if self._row.subscription is None or not self._site.paths.inbox.exists():
            return []
        found: list[PortState] = []
        with closing(InboxReader.open(self._site.paths.inbox)) as inbox:
            for arrived in inbox.rows_after(self._seen, 1000):
                self._seen = arrived.id
                if arrived.gateway_id != self._row.id:
                    continue
                try:
                    push = decode_push(arrived.body, arrived.content_type, arrived.query)
                except RemoteProtocolError:
                    continue
                if isinstance(push, PortStatus):
                    found.append(push.state)
        return found


async def follow(
    watcher: Watcher, results: list[PortResult], before: DevStatus, wait: float
) -> None:
    old = {state.port.number: state for state in active_slots(before.ports)}
    left: set[int] = set()
    with trio.move_on_after(wait):
        while True:
            for state in await watcher.states():
                if state.port.number in old and state.code != old[state.port.number].code:
                    left.add(state.port.number)
                _note(results, state, old, left)
            if all(result.reached is not None for result in results):
                return
            await trio.sleep(LOOK_SECONDS)  # a device tells no sooner
    for result in results:
        result.reached = bool(result.reached)


def _note(
    results: Iterable[PortResult],
    state: PortState,
    old: dict[int, PortState],
    left: set[int],
) -> None:
    for result in results:
        if result.port.number != state.port.number or result.reached is not None:
            continue
        result.state = state
        result.reached = _verdict(result, state, old.get(state.port.number), left)


def _verdict(
    result: PortResult, state: PortState, before: PortState | None, left: set[int]
) -> bool | None:
    """Whether a state is the operation's result: yes, no for good, or not yet."""
    usable = state.code in USABLE_PORT_CODES
    slot = result.port.slot
    elsewhere = slot is not None and state.port.slot is not None and slot != state.port.slot
    match result.op:
        case Op.LOCK:
            # the lock of a SIM that is not in use shows nowhere until it is
            return True if state.code in _LOCKED or elsewhere else None
        case Op.UNLOCK:
            done = True if usable or elsewhere else None
        case Op.SWITCH:
            done = True if usable and not elsewhere else None
            if elsewhere:
                return None
        case _:
            moved = result.port.number in left or (
                before is not None and state.seq is not None and state.seq != before.seq
            )
            done = True if usable and moved else None
            if not moved:
                return None
    return False if done is None and state.code in _ENDS_BADLY else done
