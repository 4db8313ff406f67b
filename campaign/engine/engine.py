"""The engine: reading `run_engine` from top to bottom is reading what runs while it runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from campaign.engine.control import serve_control
from campaign.engine.device import Gateway
from campaign.engine.dispatch import dispatch
from campaign.engine.doubt import resolve_doubt
from campaign.engine.fencing import fence
from campaign.engine.forecasting import keep_forecasts
from campaign.engine.hours import keep_hours
from campaign.engine.lifecycle import Ended, follow
from campaign.engine.recover import doubt_unanswered, recover
from campaign.engine.repacing import read_changes, recall_gateway
from campaign.engine.runtime import Run
from campaign.engine.sampling import sample_at_the_end
from campaign.engine.settle import settle
from campaign.engine.watch import watch
from campaign.errors import CampaignError, UsageError, first_of
from campaign.planner.settings import LIMITS, Settings, with_overrides
from campaign.store.gateways import GatewayRow, list_gateways

_GRACE = 8.0
"""Seconds for posts under way when a run is stopped; what is unanswered then is doubt, and safe."""

Job = Callable[[Run], Awaitable[None]]
"""What this run was started for: imports a list, or chooses what to resume."""


async def run_engine(run: Run, job: Job, *, control: Path | None = None) -> Ended:
    """Recover the ledger, do the job, and send until every target campaign has ended.

    Raises the job's own `CampaignError`, `StaleEpoch` when the ledger was taken over, and
    `StoreError` when it can no longer be written; nothing is sent after either.
    """
    ended = Ended()
    await recover(run)
    failure: CampaignError | None = None
    try:
        async with trio.open_nursery() as nursery:
            crew = _Crew(run, nursery)
            run.reload = crew.reload
            if control is not None:
                await nursery.start(serve_control, run, control)
            nursery.start_soon(settle, run)
            nursery.start_soon(keep_forecasts, run)
            await crew.reload()
            try:
                await job(run)
                await crew.reload()
                await follow(run, ended)
                await sample_at_the_end(run)
            except CampaignError as error:
                failure = error
            nursery.cancel_scope.cancel()
    except* CampaignError as group:
        failure = first_of(group)
    finally:
        run.stopping = True
        with trio.CancelScope(shield=True):
            for gateway in run.gateways.values():
                await gateway.device.aclose()
    if failure is not None:
        raise failure
    return ended


class _Crew:
    """The tasks of each gateway: one duty, one task."""

    def __init__(self, run: Run, nursery: trio.Nursery) -> None:
        self._run = run
        self._nursery = nursery
        self._shifts: dict[int, tuple[trio.CancelScope, trio.Event]] = {}
        self._reloading = trio.Lock()

    async def reload(self) -> None:
        """Bring what runs in line with the registry: new, changed and removed gateways."""
        run = self._run
        async with self._reloading:
            rows = {row.id: row for row in await run.store.read(list_gateways)}
            for gateway_id in set(run.gateways) - set(rows):
                await self._dismiss(gateway_id)
                del run.gateways[gateway_id]
            run.settings_cache.clear()
            run.limits_cache.clear()
            for row in rows.values():
                known = run.gateways.get(row.id)
                if known is None:
                    self._employ(row)
                elif _differs(known.row, row):
                    await self._dismiss(row.id)
                    self._employ(row)
                else:
                    # its subscription may be another one: the watcher asks the device for it
                    known.look = known.look or known.row.subscription != row.subscription
                    known.row = row
                    known.settings = with_overrides(Settings(), dict(row.settings))
            await read_changes(run)
        run.ring()

    async def _dismiss(self, gateway_id: int) -> None:
        """End a gateway's tasks and wait until they have ended: what is being written is written,
        and nothing more is posted by them."""
        scope, ended = self._shifts.pop(gateway_id)
        scope.cancel()
        await ended.wait()
        await self._run.gateways[gateway_id].device.aclose()

    def _employ(self, row: GatewayRow) -> None:
        run = self._run
        settings = with_overrides(Settings(), dict(row.settings))
        try:
            device = run.connect(row, settings)
        except UsageError as error:  # its password is not there: the others can still send
            if run.unusable.get(row.name) != str(error):
                run.notice(str(error))
            run.unusable[row.name] = str(error)
            run.gateways.pop(row.id, None)
            return
        run.unusable.pop(row.name, None)
        gateway = Gateway(row=row, settings=settings, device=device, push_url=run.push_url(row))
        run.gateways[row.id] = gateway
        shift = self._shifts[row.id] = trio.CancelScope(), trio.Event()
        self._nursery.start_soon(_work, run, gateway, *shift)


def _differs(known: GatewayRow, row: GatewayRow) -> bool:
    """Whether an operator changed it (what the engine itself writes down is no reason)."""
    fields = ("url", "username", "secret", "crypt", "auth_order", "ca_file", "token")
    changed = any(getattr(known, name) != getattr(row, name) for name in fields)
    # limits alone are no reason to sign in again: they hold from the next message on
    changed = changed or _but_limits(known) != _but_limits(row)
    return changed or (known.stopped is not None and row.stopped is None)


def _but_limits(row: GatewayRow) -> dict[str, str]:
    return {name: value for name, value in row.settings.items() if name not in LIMITS}


async def _work(run: Run, gateway: Gateway, scope: trio.CancelScope, ended: trio.Event) -> None:
    try:
        with scope:
            why = "its gateway was changed between its intent and the answer"
            await run.write(doubt_unanswered, run.now_ms(), gateway.id, why)
            await recall_gateway(run, gateway)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(resolve_doubt, run, gateway)
                nursery.start_soon(fence, run, gateway)
                nursery.start_soon(watch, run, gateway)
                nursery.start_soon(keep_hours, run, gateway)
                nursery.start_soon(dispatch, run, gateway)
    finally:
        ended.set()


async def stop_gracefully(run: Run, scope: trio.CancelScope) -> None:
    """Claim nothing more, give what is on the wire a moment, then end the run."""
    run.stopping = True
    run.ring()
    with trio.move_on_after(_GRACE):
        while run.posting:
            mark = run.changed.mark()
            if run.posting:
                await run.changed.wait(mark)
    scope.cancel()
