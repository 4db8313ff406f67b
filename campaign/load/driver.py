"""One worker: sends what is due on the connections it has, and measures.

The keeper sleeps until the next intended time and wakes a free lane with it; a lane is one
connection and its task. When no lane is free, the request waits, its time running, and the next
lane that gets free takes it at once. Trio's waits end up to a millisecond late (epoll counts in
whole ones), so at a high rate the keeper finds several due and hands them all out: nothing spins.

A deadline counts from when a lane takes the request. After the last intended time there is a grace
for what still waits; what is not taken by then is dropped. What was sent is awaited until its
deadline.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import trio

from campaign.env import Env
from campaign.load.arrivals import Arrivals, ClosedArrivals, OpenArrivals, Schedule
from campaign.load.tally import Samples, Second, Tally
from campaign.load.wire import ErrorKind, Failure, Outcome, Reply, Request

_LATE = 0.010  # seconds after the intended time that count as late
_PROBE_EVERY = 0.05
_BATCH = 256  # latencies recorded at once: half a millisecond's work for all of them


class Line(Protocol):
    """One connection, as a driver knows it (`wire.Connection`)."""

    async def open(self, deadline: float) -> Failure | None:
        """Connect ahead of the first exchange."""

    async def exchange(self, request: Request, deadline: float) -> Outcome:
        """Send and read the answer, all before `deadline`."""

    def close(self) -> None:
        """Close at once."""


class Network(Protocol):
    """Where lines come from (`wire.Wire`)."""

    opened: int

    def connection(self) -> Line:
        """Another line to the target."""

    async def watch(self) -> None:
        """Keep the deadlines of all lines, until cancelled."""


@dataclass(frozen=True)
class Job:
    """What one worker does. Without a schedule it is the closed model, for `seconds`.

    `schedule` gives intended seconds from the start; `seconds` is its planned duration, `grace`
    how long after it waiting requests may still be sent, `timeout` what a request may take.
    """

    seconds: float
    schedule: Schedule | None = None
    connections: int = 32
    timeout: float = 30.0
    grace: float = 5.0
    most: int | None = None


class Ended(NamedTuple):
    """One request that has ended: the how-manieth of this worker, and when it was intended."""

    nth: int
    intended: float
    outcome: Outcome
    done: float


class _Lane:
    """A line and its task; while it is free, `given` is where the keeper puts the next time.

    `nth` and `at` are of the request that is on the line, if there is one.
    """

    __slots__ = ("at", "given", "line", "nth", "task")

    def __init__(self, line: Line) -> None:
        self.line = line
        self.task: trio.lowlevel.Task | None = None
        self.given: float | None = None
        self.nth: int | None = None
        self.at = 0.0


class Driver:
    """Runs a job once. `tally` is whole when `run` has ended, also when it was cancelled.

    `start` is when the schedule began on the monotonic clock, `seconds` how long it all took.
    `source` makes the n-th request of this worker; `on_second` gets every second as it ends (a
    megabyte: keep it packed), `on_ended` every request that was begun, those cut off too. They must
    not take long: the clock runs on.
    """

    def __init__(
        self,
        job: Job,
        network: Network,
        source: Callable[[int], Request],
        *,
        env: Env,
        on_second: Callable[[Second], None] | None = None,
        on_ended: Callable[[Ended], None] | None = None,
    ) -> None:
        self._job, self._network, self._source = job, network, source
        self._env, self._clock = env, env.monotonic
        self._on_second, self._on_ended = on_second, on_ended
        self._lanes = [_Lane(network.connection()) for _ in range(job.connections)]
        self._free: deque[_Lane] = deque()
        self._keeper: trio.lowlevel.Task | None = None
        self.tally = Tally()
        self.start = self.seconds = 0.0
        self._part = Tally()
        self._samples = Samples()
        self._parts = self._begun = self._ended = 0
        self._due = self._taken = self._opened = 0  # as of the end of the last second
        self._cpu = 0.0

    async def connect(self) -> None:
        """Open all connections ahead of the start; one that fails is tried again when needed."""
        until = self._clock() + self._job.timeout
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._network.watch)
            async with trio.open_nursery() as opening:
                for lane in self._lanes:
                    opening.start_soon(lane.line.open, until)
            nursery.cancel_scope.cancel()

    async def run(self, start: float | None = None) -> Tally:
        """Do the job from `start` (monotonic; now, if None) to its end."""
        self.start = self._clock() if start is None else start
        self._arrivals = self._arrive()
        self._cpu = self._env.cpu_seconds()
        try:
            async with trio.open_nursery() as duties:
                duties.start_soon(self._network.watch)
                duties.start_soon(self._probe)
                duties.start_soon(self._split)
                await trio.sleep_until(self.start)
                async with trio.open_nursery() as sending:
                    for lane in self._lanes:
                        sending.start_soon(self._send, lane)
                    if isinstance(self._arrivals, OpenArrivals):
                        sending.start_soon(self._keep_time, self._arrivals)
                duties.cancel_scope.cancel()
        finally:
            self._close()
        return self.tally

    def _arrive(self) -> Arrivals:
        job, end = self._job, self.start + self._job.seconds
        if job.schedule is None:
            return ClosedArrivals(end, job.most)
        return OpenArrivals(job.schedule, self.start, end + job.grace)

    def _close(self) -> None:
        """Account for everything that has not ended: nothing may be lost, whoever ended the run."""
        now = self._clock()
        for lane in self._lanes:
            lane.line.close()
            if lane.nth is not None and self._on_ended is not None:
                cut = Failure(ErrorKind.CUT, now)  # for all we know, the target has it
                self._on_ended(Ended(lane.nth, lane.at, cut, now))
        self._arrivals.pass_to(now)
        self._part.dropped = self._arrivals.due - self._begun
        if self._begun > self._ended:
            self._part.errors[ErrorKind.CUT] += self._begun - self._ended
        self.seconds = max(0.0, now - self.start)
        self._end_second()

    # -- when

    async def _keep_time(self, arrivals: OpenArrivals) -> None:
        """Hand each intended time to a free lane, when it has come."""
        with trio.CancelScope(deadline=arrivals.until):
            while (at := arrivals.next_at()) is not None:
                now = self._clock()
                if at > now:
                    await trio.sleep_until(at)
                elif self._free:
                    lane = self._free.popleft()
                    lane.given = arrivals.take(now)
                    self._wake(lane)
                else:
                    await self._wait_for_a_lane()
        while self._free:
            self._wake(self._free.popleft())

    def _wake(self, lane: _Lane) -> None:
        if lane.task is not None:
            trio.lowlevel.reschedule(lane.task)

    async def _wait_for_a_lane(self) -> None:
        def abort(_: object) -> trio.lowlevel.Abort:
            self._keeper = None
            return trio.lowlevel.Abort.SUCCEEDED

        self._keeper = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(abort)

    def _call_keeper(self) -> None:
        if self._keeper is not None:
            trio.lowlevel.reschedule(self._keeper)
            self._keeper = None

    async def _until_given(self, lane: _Lane) -> float | None:
        """Be free until the keeper has something; None when there is nothing any more."""

        def abort(_: object) -> trio.lowlevel.Abort:
            self._free.remove(lane)
            return trio.lowlevel.Abort.SUCCEEDED

        lane.task, lane.given = trio.lowlevel.current_task(), None
        self._free.append(lane)
        self._call_keeper()
        await trio.lowlevel.wait_task_rescheduled(abort)
        return lane.given

    # -- sending

    async def _send(self, lane: _Lane) -> None:
        """One request after the other on one connection."""
        clock, arrivals, line, timeout = self._clock, self._arrivals, lane.line, self._job.timeout
        now = clock()
        while True:
            at = arrivals.take(now)
            if at is None:
                if arrivals.over(now) or (at := await self._until_given(lane)) is None:
                    break
                now = clock()
                if now - at > _LATE:
                    self._part.slow += 1  # it was free before that time came
            nth = self._begun
            request = self._source(nth)
            self._begun += 1
            lane.nth, lane.at = nth, at
            outcome = await line.exchange(request, now + timeout)
            begun, now = now, clock()
            lane.nth = None
            self._ended += 1
            self._settle(at, begun, outcome, now, len(request.data))
            if self._on_ended is not None:
                self._on_ended(Ended(nth, at, outcome, now))
        self._call_keeper()

    def _settle(self, at: float, begun: float, outcome: Outcome, done: float, size: int) -> None:
        part = self._part
        sent = outcome.sent
        if type(outcome) is Reply:
            part.answered += 1
            part.statuses[outcome.status] += 1
            part.bytes_in += outcome.size
            part.repeated += outcome.repeated
            self._samples.accept.append(_us(done - at))
            self._samples.service.append(_us(done - outcome.sent))
        elif type(outcome) is Failure:
            part.errors[outcome.kind] += 1
        if sent is not None:
            part.bytes_out += size
        late = (begun if sent is None else sent) - at
        if late > _LATE:
            part.late += 1
        lateness = self._samples.lateness
        lateness.append(_us(late))
        if len(lateness) == _BATCH:
            self._samples.move_to(part, self.tally)

    # -- measuring ourselves

    async def _probe(self) -> None:
        """Ask to be woken again and again, and write down how late that was."""
        while True:
            asked = self._clock() + _PROBE_EVERY
            await trio.sleep_until(asked)
            now = self._clock()
            self._samples.lag.append(_us(now - asked))
            self._arrivals.pass_to(now)

    async def _split(self) -> None:
        """End a second when it has passed."""
        while True:
            await trio.sleep_until(self.start + self._parts + 1)
            self._arrivals.pass_to(self._clock())
            self._end_second()

    def _end_second(self) -> None:
        self._samples.move_to(self._part, self.tally)
        part, self._part = self._part, Tally()
        due, taken = self._arrivals.due, self._begun
        part.due, part.taken = due - self._due, taken - self._taken
        self._due, self._taken = due, taken
        cpu = self._env.cpu_seconds()
        part.cpu_seconds, self._cpu = cpu - self._cpu, cpu
        part.opened, self._opened = self._network.opened - self._opened, self._network.opened
        waiting = max(0, due - taken - part.dropped)
        second = Second(self._parts, part, self._begun - self._ended, waiting)
        self._parts += 1
        self.tally.count(part)
        if self._on_second is not None:
            self._on_second(second)


def _us(seconds: float) -> int:
    """Whole microseconds, rounded; never below 0."""
    return int(seconds * 1e6 + 0.5) if seconds > 0 else 0
