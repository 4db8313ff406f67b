"""Worker processes over all cores: each a driver with its part of the schedule.

Processes are spawned, not forked: what a fork copies of a running trio is of no use to it. Each
gets a `Task` by pickle, opens its connections and says that it is ready; then all are told one
moment of the machine's clock to start at. Every second of each comes back packed, in order, and the
last word is how long it took. Where a witness watches the requests, what it has seen comes ahead of
the second it was seen in. None, or the end of the pipe, is the order to stop: a worker whose
parent has died stops as well. An interrupt from the terminal is the parent's to deal with.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection as Pipe
from multiprocessing.process import BaseProcess
from typing import Final

import trio

from campaign.env import Env, seeded
from campaign.load.driver import Driver, Ended, Job, Network
from campaign.load.schedule import Shape, planned, seconds_of, times
from campaign.load.series import Series
from campaign.load.signing import SignedNetwork, Signing
from campaign.load.tally import Second, Tally, bottlenecks
from campaign.load.wire import Request, Target, Wire
from campaign.load.witness import Parcel, Witness

_LEAD: Final = 0.05  # seconds between the word to start and the start
_READY_WITHIN: Final = 60.0
_LAST_WORD_WITHIN: Final = 0.6  # the two together: an interrupt ends a run within a second
_GONE_WITHIN: Final = 0.3

Source = Callable[[int], Request]
SourceMaker = Callable[[int, int], Source]
WitnessMaker = Callable[[int, int], Witness]


@dataclass(frozen=True)
class Task:
    """What all workers do together. It travels by pickle, and so must `make_source`.

    `make_source(worker, workers)` is called in each worker and makes its n-th request. Without a
    shape it is the closed model for `seconds`. `connections` are of each worker. `tls` is None, or
    the file of the authorities to trust ("" means those of the machine). `most` requests are made
    in the closed model. `make_witness` travels like `make_source`. With `signing` every connection
    opens a secure session, and the requests must be unsigned.
    """

    host: str
    port: int
    make_source: SourceMaker
    shape: Shape | None = None
    seconds: float = 0.0
    seed: int = 0
    connections: int = 32
    timeout: float = 30.0
    grace: float = 5.0
    tls: str | None = None
    most: int | None = None
    make_witness: WitnessMaker | None = None
    signing: Signing | None = None

    def target(self) -> Target:
        """Where to, with a TLS context of this process."""
        if self.tls is None:
            return Target(self.host, self.port)
        return Target(self.host, self.port, ssl.create_default_context(cafile=self.tls or None))

    def job(self, worker: int, workers: int) -> Job:
        """The part of one of them: every so-manieth time of the schedule."""
        most = None if self.most is None else len(range(worker, self.most, workers))
        job = Job(self.seconds, None, self.connections, self.timeout, self.grace, most)
        if (shape := self.shape) is None:
            return job
        return replace(
            job,
            seconds=seconds_of(shape),
            schedule=lambda: times(shape, seeded(self.seed), worker, workers),
        )

    @property
    def planned(self) -> int | None:
        """How many requests there will be; nobody knows in the closed model."""
        return None if self.shape is None else planned(self.shape)


@dataclass
class Worker:
    """One of them as its parent sees it. `lost` says how it ended if not well."""

    nth: int
    tally: Tally = field(default_factory=Tally)
    seconds: float = 0.0
    lost: str | None = None


@dataclass
class Result:
    """What a run came to, also one that was ended early: the sum, and each worker's part."""

    tally: Tally
    workers: list[Worker]

    @property
    def seconds(self) -> float:
        """How long the longest of them took."""
        return max((one.seconds for one in self.workers), default=0.0)

    @property
    def invalid(self) -> list[str]:
        """Why it says more about the generator than about the target; empty if it does not."""
        return [
            f"worker {one.nth}: {why}"
            for one in self.workers
            for why in ([one.lost] if one.lost else bottlenecks(one.tally, one.seconds))
        ]


def cores() -> int:
    """How many workers make use of the whole machine."""
    return max(1, len(os.sched_getaffinity(0)))


class Workers:
    """Runs a task once over several processes.

    `on_second` gets each second once all of them have told of it. `result` is what is known by now;
    a run that was cancelled has told everything, too. `on_parcel` gets what witnesses saw.
    `start_ns` is when it began, on the machine's clock; None before.
    """

    def __init__(
        self,
        task: Task,
        workers: int,
        *,
        env: Env,
        on_second: Callable[[Second], None] = lambda _: None,
        on_parcel: Callable[[Parcel], None] = lambda _: None,
    ) -> None:
        self._task, self._env = task, env
        self._on_parcel = on_parcel
        self.start_ns: int | None = None
        self._workers = [Worker(nth) for nth in range(workers)]
        self._series = Series(workers, on_second)
        self._waited_for = set(range(workers))
        self._ready = trio.Event()

    @property
    def result(self) -> Result:
        """As far as it is known by now."""
        total = Tally()
        for worker in self._workers:
            total.add(worker.tally)
        return Result(total, self._workers)

    async def run(self) -> Result:
        """Start them, let them work, and gather what they say; cancel it to end them early.

        An interrupt from the terminal must come as a cancellation (`trio.open_signal_receiver`): a
        KeyboardInterrupt may strike whoever is just adding something up.
        """
        pipes: list[Pipe] = []
        processes: list[BaseProcess] = []
        try:
            for worker in self._workers:
                mine, theirs = multiprocessing.Pipe()
                pipes.append(mine)
                processes.append(self._spawn(theirs, worker.nth))
                theirs.close()
            await self._gather(pipes, processes)
        finally:
            for pipe in pipes:
                pipe.close()
            for process in processes:
                await _see_off(process)
        return self.result

    def _spawn(self, pipe: Pipe, nth: int) -> BaseProcess:
        args = (pipe, self._task, nth, len(self._workers))
        process = multiprocessing.get_context("spawn").Process(target=work, args=args, daemon=True)
        with _deaf_to_interrupts():
            process.start()
        return process

    async def _gather(self, pipes: list[Pipe], processes: list[BaseProcess]) -> None:
        async with trio.open_nursery() as nursery:
            for worker, pipe, process in zip(self._workers, pipes, processes, strict=True):
                nursery.start_soon(self._listen, worker, pipe, process)
            with trio.move_on_after(_READY_WITHIN):
                await self._ready.wait()
            self.start_ns = start = self._env.machine_ns() + round(_LEAD * 1e9)
            for pipe in pipes:
                _say(pipe, start)

    async def _listen(self, worker: Worker, pipe: Pipe, process: BaseProcess) -> None:
        """Hear a worker out. When we are ended, it is told to end, and heard out all the same."""
        try:
            try:
                await self._hear(worker, pipe)
            except trio.Cancelled:
                await self._hear_last_word(worker, pipe)
                raise
        except (EOFError, OSError):
            process.join(0)
            worker.lost = f"it ended without a last word (exit code {process.exitcode})"
        finally:
            self._one_more_is_ready(worker)
            self._series.end(worker.nth)

    async def _hear_last_word(self, worker: Worker, pipe: Pipe) -> None:
        _say(pipe, None)
        until = trio.current_time() + _LAST_WORD_WITHIN
        with trio.CancelScope(shield=True, deadline=until) as patience:
            await self._hear(worker, pipe)
        if patience.cancelled_caught:
            worker.lost = "it did not end when it was told to"

    async def _hear(self, worker: Worker, pipe: Pipe) -> None:
        while True:
            await trio.lowlevel.wait_readable(pipe.fileno())
            match pipe.recv():
                case "ready":
                    self._one_more_is_ready(worker)
                case (int(nth), dict(tally), int(in_flight), int(waiting)):
                    second = Second(nth, Tally.unpacked(tally), in_flight, waiting)
                    worker.tally.add(second.tally)
                    worker.seconds = nth + 1
                    self._series.add(worker.nth, second)
                case Parcel() as parcel:
                    self._on_parcel(parcel)
                case float(seconds):
                    worker.seconds = seconds
                    return

    def _one_more_is_ready(self, worker: Worker) -> None:
        """Ready, or gone before it was: nobody waits for it any more."""
        self._waited_for.discard(worker.nth)
        if not self._waited_for:
            self._ready.set()


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """A process started meanwhile never gets an interrupt; this one gets it afterwards."""
    resource_tracker.ensure_running()  # it comes with the first spawn, and would lift the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


async def _see_off(process: BaseProcess) -> None:
    """Wait a moment for a process to be gone, then make it."""
    with trio.CancelScope(shield=True, deadline=trio.current_time() + _GONE_WITHIN):
        await trio.lowlevel.wait_readable(process.sentinel)
    process.kill()
    process.join()


def _say(pipe: Pipe, word: int | None) -> None:
    with suppress(OSError):  # it is gone; whoever listens to it finds out
        pipe.send(word)


def work(pipe: Pipe, task: Task, nth: int, workers: int) -> None:
    """What a worker process does."""
    trio.run(_work, pipe, task, nth, workers)


async def _work(pipe: Pipe, task: Task, nth: int, workers: int) -> None:
    env = Env()

    witness = None if task.make_witness is None else task.make_witness(nth, workers)

    def see(ended: Ended) -> None:
        if witness is not None:
            witness.see(ended, driver.start)

    def tell(second: Second) -> None:
        if witness is not None and len(parcel := witness.take()):
            pipe.send(parcel)
        pipe.send((second.nth, second.tally.packed(), second.in_flight, second.waiting))

    wire: Network = Wire(task.target(), env.monotonic)
    if task.signing is not None:
        wire = SignedNetwork(wire, task.signing, clock=env.monotonic, nonce=env.nonce)
    source = task.make_source(nth, workers)
    driver = Driver(
        task.job(nth, workers),
        wire,
        source,
        env=env,
        on_second=tell,
        on_ended=None if witness is None else see,
    )
    orders, order = trio.open_memory_channel[int](1)
    with suppress(OSError):  # the parent is gone, and nobody wants to know
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_obey, pipe, orders, nursery.cancel_scope)
            await driver.connect()
            gc.collect()
            gc.freeze()  # what stays to the end need not be looked through again and again
            pipe.send("ready")
            start = await order.receive()
            await driver.run(env.monotonic() + (start - env.machine_ns()) / 1e9)
            nursery.cancel_scope.cancel()
        pipe.send(driver.seconds)


async def _obey(pipe: Pipe, orders: trio.MemorySendChannel[int], work: trio.CancelScope) -> None:
    """Pass on when to start, and end the work when told to, or when nobody is there any more."""
    with suppress(EOFError, OSError):
        while True:
            await trio.lowlevel.wait_readable(pipe.fileno())
            if (word := pipe.recv()) is None:
                break
            await orders.send(word)
    work.cancel()
