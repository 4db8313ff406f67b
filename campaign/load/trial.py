"""One load from its beginning to its end: ask the target, send, listen, wait, take back, account.

Order of death: workers stop sending first (whatever they still had on the wire is told as in
doubt), then what waits in the device is taken back, and only then do we stop listening.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

import trio

from campaign.env import Env
from campaign.errors import CampaignError, UsageError, first_of
from campaign.gateway.client import Device
from campaign.load.account import Account
from campaign.load.books import Books
from campaign.load.ears import Ears
from campaign.load.inbound import inbound_url, point_back
from campaign.load.outcome import Moment, Outcome, errors_of
from campaign.load.plan import Plan
from campaign.load.takeback import depth, take_back
from campaign.load.tally import Second, Tally, bottlenecks
from campaign.load.workers import Workers
from campaign.protocol.simulated import is_simulated

_NAME: Final = "target"
_PROBE_EVERY: Final = 0.05
_MOST_DEVICE_SECONDS: Final = 5.0


class Serves(Protocol):
    """What serves an ASGI application until cancelled; it starts with the address it is at."""

    async def __call__(
        self, app: Any, host: str, port: int, *, task_status: trio.TaskStatus[tuple[str, int]]
    ) -> None: ...


@dataclass(frozen=True)
class Pulse:
    """How a load stands after another second; `depth` is the device's queue, if it says."""

    moment: Moment
    depth: int | None
    accepted: int
    heard: int


async def trial(
    plan: Plan,
    env: Env,
    *,
    serve: Serves,
    on_second: Callable[[Pulse], None] = lambda _: None,
    ending: trio.CancelScope | None = None,
    device: Device | None = None,
) -> Outcome:
    """Run the plan. Cancel `ending` to end early: what is known by then is the outcome.

    UsageError when the target may not be loaded, GatewayError when it cannot be asked. Cancelled
    from outside it cleans up as well, and has no outcome.
    """
    address = plan.address
    login = address.login
    if device is None:
        device = Device(
            _NAME,
            address.url,
            login.username,
            login.password,
            env=env,
            timeout=_MOST_DEVICE_SECONDS,
            ca_file=plan.ca_file,
            crypt=plan.crypt,
            auth_order=plan.auth_order,
        )
    failure: CampaignError | None = None
    try:
        version = (await device.status()).ver
        plan = plan.fitting(version, device.auth_order)
        return await _Trial(plan, env, device, on_second).run(version, serve, ending)
    except* CampaignError as group:
        failure = first_of(group)
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
            await device.aclose()
    raise failure


class _Trial:
    """One run, and what it has gathered so far."""

    def __init__(
        self, plan: Plan, env: Env, device: Device, on_second: Callable[[Pulse], None]
    ) -> None:
        self._plan, self._env, self._device, self._on_second = plan, env, device, on_second
        self._started_ms = env.wall_ms()
        self._depth: int | None = None
        self._left: int | None = None  # tasks of ours in the device at the end; None: unknown
        self._queue: list[tuple[int, int]] = []
        self._series: list[Moment] = []
        self._own = Tally()  # of this process: how late it woke while it listened
        self._pushed = trio.Event()
        self._inbound: str | None = None  # where inbound messages went before, if we move them
        self._pointed_back: bool | None = None

    async def run(self, version: str, serve: Serves, ending: trio.CancelScope | None) -> Outcome:
        plan, env = self._plan, self._env
        # Refused before a port is opened: with an address that has not got its number yet.
        draft = plan.workload(env, plan.public_url or "http://localhost")
        plan.task(draft, version)
        await self._look_at_inbound(version)
        self._account = Account(draft.names)
        self._ears = Ears(
            self._account, env=env, since_start=self._since_start, on_push=self._note_push
        )
        async with trio.open_nursery() as faces:
            host, port = await faces.start(partial(serve, self._ears.app, *plan.listen))
            public = plan.public_url or f"http://{f'[{host}]' if ':' in host else host}:{port}"
            workload = draft.reporting_to(public.rstrip("/") + self._ears.path)
            self._workers = Workers(
                plan.task(workload, version),
                plan.workers,
                env=env,
                on_second=self._second,
                on_parcel=self._account.take,
            )
            faces.start_soon(self._watch_queue)
            faces.start_soon(self._probe)
            try:
                with trio.CancelScope() if ending is None else ending:
                    await self._workers.run()
                    await self._settle()
            finally:
                until = trio.current_time() + plan.clearing
                with trio.CancelScope(shield=True, deadline=until):
                    ours = workload.cadence.url
                    if self._inbound is not None and ours is not None:
                        console, before = self._device.console, self._inbound
                        self._pointed_back = await point_back(console, before, ours)
                    self._left = await take_back(self._device, self._account)
            faces.cancel_scope.cancel()
        return self._outcome()

    async def _look_at_inbound(self, version: str) -> None:
        """Remember what asking for receipts will change; UsageError where it is not told."""
        if not self._plan.cadence.receipts:
            return
        self._inbound = await inbound_url(self._device.console)
        if self._inbound is None and not is_simulated(version):
            raise UsageError(
                "receipts point all inbound messages of the device at this load, and it does not"
                " tell where they go now, so they could not be pointed back: --no-receipts"
            )

    # -- while it runs

    def _since_start(self) -> float:
        start = self._workers.start_ns
        return 0.0 if start is None else (self._env.machine_ns() - start) / 1e9

    def _note_push(self) -> None:
        self._pushed.set()

    def _second(self, second: Second) -> None:
        """All workers have told of another second."""
        self._account.match_receipts()
        self._tell(Moment.of(second, self._account.lap()))

    def _tell(self, moment: Moment) -> None:
        self._series.append(moment)
        account = self._account
        self._on_second(Pulse(moment, self._depth, account.accepted, account.heard))

    async def _watch_queue(self) -> None:
        """Ask once a second how deep the device's queue is."""
        while True:
            self._depth = await depth(self._device)
            if self._depth is not None and self._workers.start_ns is not None:
                self._queue.append((max(0, int(self._since_start())), self._depth))
            await trio.sleep(1.0)

    async def _probe(self) -> None:
        """How late this process wakes is how late its stamps may be."""
        while True:
            asked = self._env.monotonic() + _PROBE_EVERY
            await trio.sleep_until(asked)
            self._own.lag.record(max(0, round((self._env.monotonic() - asked) * 1e6)))

    async def _settle(self) -> None:
        """Wait for what is still to be heard, second by second, as long as the plan allows."""
        receipts = self._plan.cadence.receipts
        with trio.move_on_after(self._plan.settle):
            while not self._account.complete(receipts=receipts):
                with trio.move_on_after(1.0):
                    while not self._account.complete(receipts=receipts):
                        self._pushed = trio.Event()
                        await self._pushed.wait()
                        self._account.match_receipts()
                self._account.match_receipts()
                if lap := self._account.lap():
                    self._tell(Moment.of(Second(len(self._series), Tally()), lap))

    # -- the end

    def _outcome(self) -> Outcome:
        result = self._workers.result
        books = self._account.close()
        return Outcome(
            facts=self._plan.facts(self._started_ms),
            seconds=result.seconds,
            tally=result.tally,
            errors=errors_of(result.tally),
            delays={clock: found for clock, found in self._account.delays.items() if found.count},
            account=self._figures(books),
            queue=tuple(self._queue),
            series=tuple(self._series),
            invalid=(*result.invalid, *self._own_faults(books)),
        )

    def _figures(self, books: Books) -> dict[str, int]:
        ears = self._ears
        heard = {"pushes": ears.pushes, "odd_pushes": ears.odd, "other_pushes": ears.others}
        left = {} if self._left is None else {"left_in_queue": self._left}
        lost = {"inbound_not_pointed_back": 1} if self._pointed_back is False else {}
        return {**books.figures(), **heard, **left, **lost}

    def _own_faults(self, books: Books) -> list[str]:
        """Why the figures of this process cannot be relied on."""
        faults = [f"listening: {why}" for why in bottlenecks(self._own, 0.0)]
        return faults + [f"the account does not close: {law}" for law in books.broken_laws()]
