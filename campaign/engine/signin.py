"""Signing in: credentials, ports and boot id are read before anything is sent."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import trio

from campaign.engine.answers import CREDENTIALS_REFUSED
from campaign.engine.device import Gateway, Port
from campaign.engine.fetching import fetch_if_there
from campaign.engine.runtime import Run
from campaign.engine.sampling import ALL_TIME
from campaign.engine.subscribing import subscribe_if_due
from campaign.engine.watch import after_restart, keep_look
from campaign.errors import CredentialsRefused, GatewayError, InDoubt, NotSent, RemoteProtocolError
from campaign.gateway.answers import PageReading, StatsReading
from campaign.planner.routing import Waiting
from campaign.planner.states import TaskState
from campaign.protocol.messages import DevStatus, PortState
from campaign.store.claims import release
from campaign.store.gateways import update_gateway
from campaign.store.journal import decide, keep_evidence
from campaign.store.samples import keep_samples
from campaign.store.statistics import keep_baseline
from campaign.store.tasks import live_tasks

_FIRST_WAIT = 1.0
_LONGEST_WAIT = 30.0


async def sign_in(run: Run, gateway: Gateway) -> bool:
    """Read the device until it answers; False when it refuses us or the run ends.

    While it cannot be reached, what was never on the wire is released for other gateways.
    """
    wait = _FIRST_WAIT
    while not run.stopping:
        try:
            await read_device(run, gateway)
        except CredentialsRefused as error:
            await _refuse(run, gateway, error)
            return False
        except (GatewayError, RemoteProtocolError) as error:
            await run.write(_release_planned, run.now_ms(), gateway.id)
            trouble = error.message if isinstance(error, GatewayError) else str(error)
            if gateway.trouble != trouble:
                gateway.trouble = trouble
                run.notice(f"{gateway.name} cannot be reached ({trouble}): waiting for it")
            for campaign in run.campaigns.values():
                if campaign.takes(gateway):
                    campaign.why[gateway.name] = Waiting(f"cannot be reached: {trouble}")
            run.stands_otherwise(gateway)
            await trio.sleep(wait)
            wait = min(_LONGEST_WAIT, wait * 2)
            continue
        if gateway.trouble is not None:
            run.notice(f"{gateway.name} answers")
        gateway.trouble = None
        for campaign in run.campaigns.values():
            campaign.why.pop(gateway.name, None)
        gateway.ready = True
        run.stands_otherwise(gateway)
        return True
    return False


async def read_device(run: Run, gateway: Gateway) -> None:
    """Ports, boot id and the statistics that later proofs count from; and what it received
    meanwhile, receipts of an earlier run among it."""
    if gateway.is_old:
        await _read_old_device(run, gateway)
        return
    status = await gateway.device.status()
    fetched = await fetch_if_there(run, gateway)
    stats = await _stats(gateway)
    boot = fetched.boot or None if fetched is not None else None
    last = None if fetched is None else fetched.last
    states = await run.write(_keep, run.now_ms(), gateway.id, status, last, stats)
    if not gateway.ports:
        run.learn_ports(gateway, states)
    gateway.boot_id = boot
    await _keep_auth_order(run, gateway)
    if boot is not None:
        await after_restart(run, gateway, boot)
    await subscribe_if_due(run, gateway)
    if stats is not None:
        gateway.sampled = run.env.monotonic()


async def _read_old_device(run: Run, gateway: Gateway) -> None:
    """A device of the old interface has no boot id and no statistics, and perhaps no status: then
    its ports are as many as `legacy-ports` says, all taken to be well."""
    gateway.boot_id = None
    try:
        status = await gateway.device.status()
    except NotSent:
        raise
    except (InDoubt, RemoteProtocolError):
        if not gateway.ports:
            run.notice(
                f"{gateway.name} speaks the old interface: what it takes counts as sent, and no"
                " report or receipt will come"
            )
            for number in range(1, gateway.settings.legacy_ports + 1):
                gateway.ports[number] = Port(number)
        return
    states = await run.write(keep_look, run.now_ms(), gateway.id, status, None)
    run.learn_ports(gateway, states)


async def _keep_auth_order(run: Run, gateway: Gateway) -> None:
    """How this device hashes requests was found out: remembered, so that nobody has to again."""
    order = gateway.device.auth_order
    if gateway.row.crypt is not None and order != gateway.row.auth_order:
        await run.write(update_gateway, gateway.id, auth_order=order)
        gateway.row = replace(gateway.row, auth_order=order)


async def _stats(gateway: Gateway) -> StatsReading | None:
    """The device's own counters, where it has them: without, proofs are fewer, not wrong."""
    try:
        return await gateway.device.sms_stats()
    except CredentialsRefused:
        raise
    except (GatewayError, RemoteProtocolError):
        return None


def _keep(
    conn: sqlite3.Connection,
    now_ms: int,
    gateway_id: int,
    status: DevStatus,
    boot: PageReading | None,
    stats: StatsReading | None,
) -> list[PortState]:
    ssrc = boot.page.ssrc if boot is not None else ""
    states = keep_look(conn, now_ms, gateway_id, status, ssrc or None)
    if boot is not None:
        keep_evidence(conn, now_ms, gateway_id, "boot", "", boot.raw)
    if stats is not None:
        keep_evidence(conn, now_ms, gateway_id, "stat", "baseline", stats.raw)
        keep_samples(conn, now_ms, gateway_id, ssrc, ALL_TIME, stats.stats.stats, "sms")
        if ssrc:
            keep_baseline(conn, gateway_id, ssrc, stats.stats.stats)
    return states


async def _refuse(run: Run, gateway: Gateway, error: CredentialsRefused) -> None:
    why = f"{CREDENTIALS_REFUSED}: {error.message}"
    gateway.trouble = why
    gateway.row = gateway.row.with_stop(why)
    await run.write(_store_refusal, run.now_ms(), gateway.id, why)
    name = gateway.name
    run.notice(f"{name}: {why}; correct it: campaign gateway set {name} --password-stdin")
    run.ring()


def _store_refusal(conn: sqlite3.Connection, now_ms: int, gateway_id: int, why: str) -> None:
    _release_planned(conn, now_ms, gateway_id)
    update_gateway(conn, gateway_id, stopped=why)
    decide(conn, now_ms, "alarm", why, gateway_id=gateway_id)


def _release_planned(conn: sqlite3.Connection, now_ms: int, gateway_id: int) -> None:
    for task in live_tasks(conn, gateway_id, (TaskState.PLANNED,)):
        release(conn, task.id, now_ms, "never on the wire, its gateway cannot be reached")
