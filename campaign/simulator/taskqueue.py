"""The device's queue: tasks in the order of their submission, and the tids it remembers.

A task waits until its first message starts; only then is it no longer listed. Its messages leave
in the order of its recipients. What happens to a message on air is not this file's business.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterable, Iterator

from campaign.protocol.messages import FailedRow, SentRow
from campaign.simulator.agenda import Entry
from campaign.simulator.orders import Order
from campaign.simulator.settings import SimulatorSettings

_TIDS_REMEMBERED = 1_000_000
_LOWEST_TID = -(2**31) - 1


class Message:
    """One SMS of a task. `port` is set when it must leave by that very port."""

    __slots__ = ("index", "number", "port", "task")

    def __init__(self, task: DeviceTask, index: int, number: str, port: int | None) -> None:
        self.task = task
        self.index = index
        self.number = number
        self.port = port


class DeviceTask:
    """A task the device has taken. Counters are cumulative; `removed` never went anywhere."""

    __slots__ = (
        "failed",
        "failed_rows",
        "first_started",
        "in_air",
        "not_before",
        "order",
        "paused",
        "removed",
        "report_timer",
        "sent",
        "sent_rows",
        "size",
        "sr_url",
        "unreported",
        "waiting",
    )

    def __init__(self, order: Order, sr_url: str | None) -> None:
        self.order = order
        self.sr_url = sr_url
        self.waiting = deque(self._messages())
        self.size = len(self.waiting)
        self.in_air = self.sent = self.failed = self.removed = 0
        self.first_started: float | None = None
        self.paused = False
        self.not_before = -math.inf
        self.sent_rows: list[SentRow] = []
        self.failed_rows: list[FailedRow] = []
        self.unreported = 0
        self.report_timer: Entry | None = None

    def _messages(self) -> Iterator[Message]:
        numbers, ports = self.order.numbers, self.order.ports
        if len(numbers) == 1 and len(ports) > 1:
            # Spec §6.3.1 note 2: one recipient goes out once from every port named.
            return (Message(self, 0, numbers[0], port) for port in ports)
        return (Message(self, index, number, None) for index, number in enumerate(numbers))

    @property
    def tid(self) -> int:
        return self.order.tid

    @property
    def started(self) -> bool:
        return self.first_started is not None

    @property
    def complete(self) -> bool:
        return not self.waiting and not self.in_air

    def take(self, port: int) -> Message | None:
        """The next message that may leave by this port, no longer waiting."""
        for position, message in enumerate(self.waiting):
            if message.port is None or message.port == port:
                del self.waiting[position]
                return message
        return None

    def waits_for(self, port: int) -> bool:
        """Whether a message waits that this port may send."""
        return any(message.port is None or message.port == port for message in self.waiting)

    def bound_to(self, port: int) -> bool:
        """Whether a message waits that only this port may send."""
        return any(message.port == port for message in self.waiting)

    def may_use(self, port: int) -> bool:
        return not self.order.ports or port in self.order.ports


class TaskQueue:
    """Live tasks by tid, in order of submission, and tids of done ones until they are forgotten."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self._settings = settings
        self._live: dict[int, DeviceTask] = {}
        self._forget_at: dict[int, float] = {}
        self._nameless = itertools.count(1)

    def nameless_tid(self) -> int:
        """A key for a message of the old interface: below every tid the wire can carry."""
        return -(2**32) - next(self._nameless)

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[DeviceTask]:
        return iter(self._live.values())

    def get(self, tid: int) -> DeviceTask | None:
        return self._live.get(tid)

    @property
    def full(self) -> bool:
        limit = self._settings.tasks_held
        return bool(limit) and len(self._live) >= limit

    def remembers(self, tid: int, now: float) -> bool:
        """Whether a task of this tid is here, or was until a short while ago."""
        self._forget(now)
        return tid in self._live or tid in self._forget_at

    def add(self, task: DeviceTask) -> None:
        self._live[task.tid] = task

    def retire(self, task: DeviceTask, now: float) -> None:
        """A task with nothing left to do leaves the queue; its tid is remembered for a while."""
        if self._live.get(task.tid) is not task:
            return
        del self._live[task.tid]
        if self._settings.tid_memory > 0:
            self._forget_at[task.tid] = now + self._settings.tid_memory
            if len(self._forget_at) > _TIDS_REMEMBERED:
                del self._forget_at[next(iter(self._forget_at))]

    def clear(self) -> None:
        self._live.clear()
        self._forget_at.clear()

    def select(self, tids: Iterable[int] | None) -> list[tuple[int, DeviceTask | None]]:
        """The tasks named, or every task; None stands for a tid that is not in the queue."""
        if tids is None:
            return list(self._live.items())
        return [(tid, self._live.get(tid)) for tid in tids]

    def waiting(self, port: int | None) -> list[DeviceTask]:
        """Tasks of which nothing was started; those without a port count for every port."""
        return [
            task
            for task in self._live.values()
            if not task.started and (port is None or task.may_use(port)) and task.tid > _LOWEST_TID
        ]

    def _forget(self, now: float) -> None:
        # Every tid is remembered equally long, so the dict is in the order of forgetting.
        while self._forget_at:
            tid, due = next(iter(self._forget_at.items()))
            if due > now:
                return
            del self._forget_at[tid]
