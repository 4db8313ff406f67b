"""Loads as operators run them: on a registered gateway or an address, ended by a signal in good
order, seen by Prometheus meanwhile.

The first SIGINT or SIGTERM ends the load at hand: workers stop, what still waits in the device is
taken back, and what was measured is the outcome. The second one leaves at once.
"""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar, cast
from urllib.parse import urlsplit

import trio

from campaign import __version__
from campaign.errors import UsageError
from campaign.load.metrics import Metrics
from campaign.load.outcome import Outcome
from campaign.load.plan import Plan
from campaign.load.target import Address
from campaign.load.trial import Pulse, trial
from campaign.planner.settings import Settings, with_overrides
from campaign.protocol.session import AuthOrder, Crypt, Login
from campaign.service.gateways import registered
from campaign.service.outcome import beside
from campaign.service.secrets import find_password
from campaign.service.serving import serve
from campaign.service.site import Site, is_loopback, shown

T = TypeVar("T")


@dataclass(frozen=True)
class Ran(Generic[T]):
    """How it ended. `result` is None when it was interrupted before anything was sent."""

    result: T | None
    interrupted: bool


@dataclass(frozen=True)
class Whom:
    """A load's target: where it is, the authorities to trust for it instead of the system's, and
    the cipher of its secure sessions, if it signs in by them."""

    address: Address
    ca_file: str | None = None
    crypt: Crypt | None = None
    auth_order: AuthOrder = "spec"


def whom(site: Site, target: str) -> Whom:
    """The registered gateway of this name, or the address. UsageError for one no load can speak
    to."""
    if "://" in target:
        return Whom(Address.parse(target))
    row = registered(site, target)
    if with_overrides(Settings(), dict(row.settings)).api_version == "1.0":
        raise UsageError(
            f"{target} speaks the old interface (api-version 1.0), which has neither task ids nor"
            " reports: a load cannot account for what it sends"
        )
    parts = urlsplit(row.url)
    tls = parts.scheme == "https"
    login = Login(row.username, find_password(site.paths.secrets, row.name, row.secret))
    address = Address(
        parts.hostname or "", parts.port or (443 if tls else 80), login, tls, parts.path.rstrip("/")
    )
    crypt = None if row.crypt is None else Crypt(row.crypt)
    return Whom(address, row.ca_file, crypt, cast(AuthOrder, row.auth_order))


def check_return_path(plan: Plan) -> None:
    """A device elsewhere cannot push to this machine's loopback: `UsageError`."""
    told = plan.public_url or f"http://{shown(*plan.listen)}"
    if is_loopback(plan.address.url):
        return
    if is_loopback(told) or urlsplit(told).hostname in ("0.0.0.0", "::"):  # noqa: S104 - compared
        raise UsageError(
            f"{plan.address.host} cannot reach a receiver on {urlsplit(told).hostname}: "
            "add --listen 0.0.0.0:PORT --public-url http://THIS-MACHINE:PORT"
        )


class Interrupt:
    """What a signal ends: the scope at hand, once there is something to end in good order."""

    def __init__(self) -> None:
        self.came = False
        self._begun = False
        self._scope = trio.CancelScope()

    def scope(self) -> trio.CancelScope:
        """A new scope that the first signal cancels, also one that has come already."""
        self._scope, self._begun = trio.CancelScope(), False
        if self.came:
            self._scope.cancel()
        return self._scope

    def begin(self) -> None:
        """From now on there is something to end in good order."""
        self._begun = True

    async def heed(
        self, everything: trio.CancelScope, *, task_status: trio.TaskStatus[None]
    ) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for _ in signals:
                if self.came or not self._begun:
                    everything.cancel()
                self.came = True
                self._scope.cancel()

    async def serve(
        self, app: Any, host: str, port: int, *, task_status: trio.TaskStatus[tuple[str, int]]
    ) -> None:
        """What a load serves its return path with: by then it has begun."""
        self.begin()
        await serve(app, host, port, task_status=task_status)


@asynccontextmanager
async def interruptible() -> AsyncIterator[Interrupt]:
    """Heed signals inside; a body that was cancelled by one just ends."""
    interrupt = Interrupt()
    async with beside() as nursery:
        await nursery.start(partial(interrupt.heed, nursery.cancel_scope))
        yield interrupt


async def run_load(
    site: Site,
    plan: Plan,
    *,
    on_second: Callable[[Pulse], None],
    metrics: tuple[str, int] | None = None,
    say: Callable[[str], None],
) -> Ran[Outcome]:
    """One load, from its plan to its outcome. UsageError, GatewayError as `trial` raises them."""
    check_return_path(plan)
    outcome: Outcome | None = None
    async with (
        interruptible() as interrupt,
        watched(plan.address.url, on_second, metrics, say) as second,
    ):
        outcome = await trial(
            plan, site.env, serve=interrupt.serve, on_second=second, ending=interrupt.scope()
        )
    return Ran(outcome, interrupt.came)


@asynccontextmanager
async def watched(
    target: str,
    on_second: Callable[[Pulse], None],
    metrics: tuple[str, int] | None,
    say: Callable[[str], None],
) -> AsyncIterator[Callable[[Pulse], None]]:
    """Gives what a load calls every second. With an address for `metrics`, Prometheus finds the
    same there."""
    if metrics is None:
        yield on_second
        return
    shown_there = Metrics(target, __version__)

    def second(pulse: Pulse) -> None:
        shown_there.see(pulse)
        on_second(pulse)

    async with beside() as nursery:
        host, port = await nursery.start(partial(serve, shown_there.app, *metrics))
        say(f"metrics at http://{shown(host, port)}/metrics")
        yield second
