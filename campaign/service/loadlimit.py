"""The search for a gateway's limit: one load after the other, within what its owner allows for all
of them together.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import trio

from campaign.gateway.client import Device
from campaign.load.knee import Found, Search, Step, Try, curve
from campaign.load.limit import Limit, find_limit
from campaign.load.outcome import Outcome
from campaign.load.plan import Plan
from campaign.load.schedule import Constant
from campaign.load.takeback import until_empty
from campaign.load.trial import Pulse, trial
from campaign.service.loading import Interrupt, Ran, check_return_path, interruptible, watched
from campaign.service.site import Site

_DRAINED_WITHIN = 120.0
_LONGEST_ASK = 5.0


async def search_limit(
    site: Site,
    plan: Plan,
    search: Search,
    *,
    on_second: Callable[[Pulse], None],
    on_step: Callable[[Step, Found | Try], None],
    metrics: tuple[str, int] | None = None,
    say: Callable[[str], None],
) -> Ran[Limit]:
    """The highest rate that stays bounded, each tried by a load of its own. Of the plan, all but
    its shape counts. UsageError, GatewayError as `trial` raises them."""
    check_return_path(plan)
    limit: Limit | None = None
    began = site.env.monotonic()
    async with (
        interruptible() as interrupt,
        watched(plan.address.url, on_second, metrics, say) as second,
        _device(site, plan) as device,
    ):
        allowed = plan.leave.most((await device.status()).ver, plan.parts)
        steps = _Steps(site, plan, device, interrupt, second, allowed)
        tasks = plan.tasks_per_request
        history, found = await find_limit(search, steps.attempt, tasks, on_step=on_step)
        limit = Limit(
            target=plan.address.url,
            workload=plan.workload_in_words(),
            search=search,
            found=found,
            points=curve(history, search.bounds),
            steps=len(history),
            messages=tasks * plan.recipients,
            seconds=site.env.monotonic() - began,
            why=steps.why,
        )
    return Ran(limit, interrupt.came)


@asynccontextmanager
async def _device(site: Site, plan: Plan) -> AsyncIterator[Device]:
    address = plan.address
    device = Device(
        "target",
        address.url,
        address.login.username,
        address.login.password,
        env=site.env,
        timeout=_LONGEST_ASK,
        ca_file=plan.ca_file,
        crypt=plan.crypt,
        auth_order=plan.auth_order,
    )
    try:
        yield device
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
            await device.aclose()


class _Steps:
    """Runs the loads of a search, and knows why there are no more."""

    def __init__(
        self,
        site: Site,
        plan: Plan,
        device: Device,
        interrupt: Interrupt,
        on_second: Callable[[Pulse], None],
        allowed: int | None,
    ) -> None:
        self._site, self._plan, self._device = site, plan, device
        self._interrupt, self._on_second = interrupt, on_second
        self._allowed = allowed
        self.why: str | None = None

    async def attempt(self, wanted: Try) -> Outcome | None:
        """One load at this rate; None when there may be no more."""
        plan = self._plan
        messages = wanted.rate * (wanted.settle + wanted.measure)
        messages *= plan.tasks_per_request * plan.recipients
        if self._allowed is not None and messages > self._allowed:
            self.why = f"the next rate needs {messages:.0f} messages, {self._allowed} are left"
            return None
        if wanted.drain:
            await self._drain()
        outcome = await trial(
            replace(plan, shape=Constant(wanted.rate, wanted.settle + wanted.measure)),
            self._site.env,
            serve=self._interrupt.serve,
            on_second=self._on_second,
            ending=self._interrupt.scope(),
        )
        if self._allowed is not None:
            self._allowed -= outcome.account.get("offered", 0)
        if self._interrupt.came:
            self.why = "interrupted"
            return None
        return outcome

    async def _drain(self) -> None:
        """Wait until the device has sent what the last load left in it."""
        with self._interrupt.scope():
            self._interrupt.begin()
            await until_empty(self._device, _DRAINED_WITHIN)
