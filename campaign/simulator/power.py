"""Restarts, port deaths, locks, registrations: everything that changes a port's state.

A restart loses what the `reboot_…` settings say it loses. A message that is on air when its port or
the device stops is cut off: the seed decides whether the network had taken it, the truth says so,
and no report ever knows better than `6 Timeout`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from campaign.env import Env
from campaign.protocol.codes import PortCode
from campaign.simulator.agenda import Agenda
from campaign.simulator.faults import Fate, Fates
from campaign.simulator.inbox import Inbox
from campaign.simulator.network import Network
from campaign.simulator.radio import Radio, SimPort
from campaign.simulator.reporting import Reporter
from campaign.simulator.sessions import Sessions
from campaign.simulator.settings import SimulatorSettings
from campaign.simulator.status import StatusBoard, Subscription
from campaign.simulator.taskqueue import Message, TaskQueue


class Parts(Protocol):
    """What a device is made of, as far as power concerns it."""

    settings: SimulatorSettings
    agenda: Agenda
    queue: TaskQueue
    radio: Radio
    reporter: Reporter
    inbox: Inbox
    board: StatusBoard
    network: Network
    sessions: Sessions

    def settle(self, message: Message, port: SimPort, fate: Fate, now: float) -> None:
        """The message's result, as the device sees it."""


class Power:
    """`boot` is the id of this run (`ssrc`), `config` what lasts only until a restart or `save`."""

    def __init__(
        self, parts: Parts, *, env: Env, fates: Fates, forget_pushes: Callable[[], None]
    ) -> None:
        self._parts = parts
        self._env = env
        self._fates = fates
        self._forget_pushes = forget_pushes
        self._saved_config: dict[str, str] = {}
        self._saved_subscription: Subscription | None = None
        self.config: dict[str, str] = {}
        self.auto_switch = True
        self.boot = env.nonce(8)
        self.boots = 1

    def lock(self, port: SimPort, slot: int | None = None) -> None:
        """Lock one SIM, or without a slot all of the port's; only the one in use stops it."""
        slots = range(1, self._parts.settings.slots + 1) if slot is None else (slot,)
        port.locked.update(slots)
        if port.slot in port.locked:
            self._set_code(port, PortCode.LOCKED_BY_USER)

    def unlock(self, port: SimPort, slot: int | None, now: float) -> None:
        """The opposite; a port that was stopped by it signs on again."""
        port.locked.difference_update({slot} if slot is not None else set(port.locked))
        if port.slot not in port.locked and not port.dead:
            self.register(port, now)

    def run_dry(self, port: SimPort) -> None:
        """The SIM's money is gone."""
        self._set_code(port, PortCode.NO_BALANCE)

    def register(self, port: SimPort, now: float) -> None:
        """The port's SIM signs on again; it can send after `register_seconds`."""
        if port.slot in port.locked:
            self._set_code(port, PortCode.LOCKED_BY_USER)
            return
        self._set_code(port, PortCode.REGISTERING)
        port.registration = self._parts.agenda.at(
            now + self._parts.settings.register_seconds, partial(self._registered, port)
        )

    def switch(self, port: SimPort, slot: int, now: float) -> None:
        """Another SIM is put to work; it answers for nothing the former one did."""
        self._cut_off(port, now, report=True)
        port.slot = slot
        port.dead = False
        self.register(port, now)

    def reset(self, port: SimPort, now: float) -> None:
        """The module restarts; one that hangs comes back, a dead SIM does not."""
        self._cut_off(port, now, report=True)
        if not port.dead:
            self.register(port, now)

    def save(self) -> None:
        self._saved_config = dict(self.config)
        self._saved_subscription = self._parts.board.subscription

    def die(self, port: SimPort, now: float, *, hangs: bool) -> None:
        """The port stops for good: it stands still, or fails every message named to it."""
        flight = self._parts.radio.interrupt(port)
        port.dead = not hangs
        self._set_code(port, self._hanging_code() if hangs else PortCode.REGISTRATION_FAILED)
        if flight is not None:
            fate = self._fates.draw_interrupted(flight.fate)
            self._parts.network.record(flight.message, port, fate, self.boot, now)
            if hangs:
                port.stuck = (flight.message, fate)
                gives_up = now + flight.message.task.order.timeout
                self._parts.agenda.at(gives_up, partial(self._give_up, port, flight.message))
            else:
                self._parts.settle(flight.message, port, fate, now)
        self._parts.radio.kick(port, now)

    def reboot(self, now: float) -> None:
        """Everything stops, and starts again after `reboot_seconds` under a new boot id."""
        parts = self._parts
        if not parts.radio.powered:
            return
        parts.radio.powered = False
        lost = parts.settings.reboot_queue == "lost"
        for port in parts.radio.ports:
            self._cut_off(port, now, report=not lost)
            if port.registration is not None:
                port.registration.cancel()
                port.registration = None
            if lost:
                port.queue.clear()
        if lost:
            for task in parts.queue:
                parts.reporter.forget_task(task)
            parts.queue.clear()
            parts.reporter.forget()
            self._forget_pushes()
        parts.inbox.forget()
        parts.sessions.forget()
        parts.board.fall_silent()
        up_again = now + parts.settings.reboot_seconds
        parts.agenda.at(up_again, self._start)
        parts.network.down_until = up_again

    def _start(self, now: float) -> None:
        parts = self._parts
        self.boot = self._env.nonce(8)
        self.boots += 1
        parts.radio.powered = True
        subscription = parts.board.subscription
        if parts.settings.reboot_config == "lost":
            self.config = dict(self._saved_config)
            subscription = self._saved_subscription
        for port in parts.radio.ports:
            port.seq = 0
            if parts.settings.reboot_stats == "lost":
                port.forget_stats()
            if not port.dead and port.code != PortCode.LOCKED_BY_USER:
                self.register(port, now)
        parts.board.restart(subscription, now)

    def _registered(self, port: SimPort, now: float) -> None:
        port.registration = None
        settings = self._parts.settings
        if settings.never_registers(port.number, port.slot):
            self._set_code(port, PortCode.REGISTRATION_FAILED)
            following = port.slot % settings.slots + 1
            # one turn over all slots, then it stays where it is
            if self.auto_switch and following != 1:
                self.switch(port, following, now)
            return
        self._set_code(port, PortCode.REGISTERED)
        self._parts.radio.kick(port, now)

    def _set_code(self, port: SimPort, code: PortCode) -> None:
        if port.registration is not None:
            port.registration.cancel()
            port.registration = None
        if port.code != code:
            port.code = code
            self._parts.board.changed(port)

    def _give_up(self, port: SimPort, message: Message, now: float) -> None:
        """The time allowed for a result is over: what hangs is reported as a timeout."""
        if port.stuck is not None and port.stuck[0] is message:
            _, fate = port.stuck
            port.stuck = None
            self._parts.settle(message, port, fate, now)

    def _cut_off(self, port: SimPort, now: float, *, report: bool) -> None:
        flight = self._parts.radio.interrupt(port)
        stuck, port.stuck = port.stuck, None
        if flight is not None:
            fate = self._fates.draw_interrupted(flight.fate)
            self._parts.network.record(flight.message, port, fate, self.boot, now)
            stuck = (flight.message, fate)
        if stuck is not None and report:
            self._parts.settle(stuck[0], port, stuck[1], now)

    def _hanging_code(self) -> PortCode:
        """16 came with later firmware; before, a hanging module seemed to register for ever."""
        if self._parts.settings.dialect == "2.4":
            return PortCode.NOT_RESPONDING
        return PortCode.REGISTERING
