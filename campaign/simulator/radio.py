"""Ports at work: one message on air per port, all ports side by side, on an absolute schedule.

A port takes the first task of its queue that may go, sends one message for its air time, and takes
the next. A task without ports stands in the queue of every port, so the first free one takes it.
"""

from __future__ import annotations

import math
import random
from functools import partial
from typing import Protocol

from campaign.protocol.codes import USABLE_PORT_CODES, PortCode
from campaign.protocol.ports import Port
from campaign.simulator.agenda import Agenda, Entry
from campaign.simulator.faults import UNREGISTERED, Fate, Fates
from campaign.simulator.settings import SimulatorSettings
from campaign.simulator.stats import SimStats
from campaign.simulator.taskqueue import DeviceTask, Message


class Flight:
    """One message on air."""

    __slots__ = ("entry", "fate", "message")

    def __init__(self, message: Message, fate: Fate, entry: Entry) -> None:
        self.message = message
        self.fate = fate
        self.entry = entry


class SimPort:
    """One port: its state, its queue and what is on air. `dead` refuses each message at once."""

    def __init__(self, number: int, settings: SimulatorSettings) -> None:
        slots = settings.slots
        self.number = number
        self.slot = 1
        self.pool = settings.sim_pool if settings.dialect == "2.4" else ""
        self.code: int = PortCode.REGISTERED
        if settings.never_registers(number, 1):
            self.code = PortCode.REGISTRATION_FAILED
        self.locked: set[int] = set()
        self.balances = [settings.balance] * slots
        self.dead = False
        self.seq = 0
        self.queue: dict[int, DeviceTask] = {}
        self.flight: Flight | None = None
        self.stuck: tuple[Message, Fate] | None = None
        self.retry: Entry | None = None
        self.registration: Entry | None = None
        self.started = 0
        self.stats = [SimStats() for _ in range(slots)]

    @property
    def name(self) -> Port:
        return self.name_of(self.slot)

    def name_of(self, slot: int) -> Port:
        """A SIM of this port, as the device calls it."""
        return Port(self.number, slot, self.pool or None)

    @property
    def balance(self) -> float:
        """Money on the SIM in use."""
        return self.balances[self.slot - 1]

    @property
    def usable(self) -> bool:
        return self.code in USABLE_PORT_CODES

    def forget_stats(self) -> None:
        self.stats = [SimStats() for _ in self.stats]

    def next_task(self, now: float) -> tuple[DeviceTask | None, float]:
        """The first task that may send now, or when one may; done ones leave the queue."""
        opens, chosen = math.inf, None
        finished: list[int] = []
        for tid, task in self.queue.items():
            if not task.waits_for(self.number):
                finished.append(tid)
            elif task.paused:
                continue
            elif task.not_before > now:
                opens = min(opens, task.not_before)
            else:
                chosen = task
                break
        for tid in finished:
            del self.queue[tid]
        return chosen, opens


class Listener(Protocol):
    """Whom the radio tells what happens."""

    def started(self, task: DeviceTask, now: float) -> None:
        """The task's first message goes on air."""

    def on_air(self, port: SimPort, begun: float, ends: float) -> None:
        """A port began to send a message."""

    def landed(self, message: Message, port: SimPort, fate: Fate, now: float) -> None:
        """A message met its fate."""


class Radio:
    """All ports of the device. `powered` is False while it restarts."""

    def __init__(
        self,
        settings: SimulatorSettings,
        agenda: Agenda,
        fates: Fates,
        rng: random.Random,
        listener: Listener,
    ) -> None:
        self._settings = settings
        self._agenda = agenda
        self._fates = fates
        self._rng = rng
        self._listener = listener
        self.powered = True
        self.ports = [SimPort(number, settings) for number in range(1, settings.ports + 1)]

    def port(self, number: int) -> SimPort:
        return self.ports[number - 1]

    def chosen(self, task_ports: tuple[int, ...]) -> list[SimPort]:
        """The ports a task may use; none named are all."""
        return [self.port(number) for number in task_ports] if task_ports else self.ports

    def enqueue(self, task: DeviceTask) -> None:
        for port in self.chosen(task.order.ports):
            port.queue[task.tid] = task

    def forget(self, task: DeviceTask) -> None:
        """A task that is done stands in no queue."""
        for port in self.chosen(task.order.ports):
            if port.queue.get(task.tid) is task:
                del port.queue[task.tid]

    def kick_all(self, now: float) -> None:
        for port in self.ports:
            self.kick(port, now)

    def kick(self, port: SimPort, now: float) -> None:
        """Let an idle port look for work."""
        if port.flight is not None or port.stuck is not None or not self.powered:
            return
        if port.dead:
            self._refuse_named(port, now)
            return
        if not port.usable or not port.queue:
            return
        task, opens = port.next_task(now)
        if task is not None:
            self._start(task, port, now)
        elif opens < math.inf:
            if port.retry is not None:
                port.retry.cancel()
            port.retry = self._agenda.at(opens, partial(self.kick, port))

    def interrupt(self, port: SimPort) -> Flight | None:
        """Take what is on air off the air; what became of it is the caller's to say."""
        flight, port.flight = port.flight, None
        if flight is not None:
            flight.entry.cancel()
        return flight

    def _start(self, task: DeviceTask, port: SimPort, now: float) -> None:
        message = self._take(task, port, now)
        if message is None:
            return
        self._space(task, now)
        fate = self._fates.draw(message.number)
        ends = now + self._settings.sms_seconds * fate.air_times
        port.flight = Flight(message, fate, self._agenda.at(ends, partial(self._land, port)))
        port.started += 1
        self._listener.on_air(port, now, ends)

    def _take(self, task: DeviceTask, port: SimPort, now: float) -> Message | None:
        message = task.take(port.number)
        if message is not None:
            task.in_air += 1
            if task.first_started is None:
                task.first_started = now
                self._listener.started(task, now)
        return message

    def _land(self, port: SimPort, now: float) -> None:
        flight = self.interrupt(port)
        if flight is None:
            return
        self._space(flight.message.task, now)
        self._listener.landed(flight.message, port, flight.fate, now)
        self.kick(port, now)

    def _space(self, task: DeviceTask, now: float) -> None:
        if task.order.spacing[1]:
            task.not_before = max(task.not_before, now + self._rng.uniform(*task.order.spacing))

    def _refuse_named(self, port: SimPort, now: float) -> None:
        """A dead port fails what only dead ports may send; what another may send, it leaves."""
        for tid, task in list(port.queue.items()):
            if task.paused:
                continue
            only_here = task.order.ports and all(
                other.dead for other in self.chosen(task.order.ports)
            )
            while task.waits_for(port.number) and (only_here or task.bound_to(port.number)):
                message = self._take(task, port, now)
                if message is None:
                    break
                self._listener.landed(message, port, UNREGISTERED, now)
            if not task.waits_for(port.number):
                port.queue.pop(tid, None)
