"""Commands that change the ledger, by name.

A running engine carries them out for other processes (they arrive over the control socket); with
no engine running, whoever asks takes the lock and does the same through the same functions.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from campaign.engine.deciding import resolve, retry
from campaign.engine.limiting import rate
from campaign.engine.reordering import reorder
from campaign.errors import UsageError
from campaign.planner.settings import Settings, with_overrides
from campaign.planner.states import CampaignState, FenceReason, RecipientState, TaskState
from campaign.protocol.messages import CallStat, DevStatus, SmsStat
from campaign.store.alarms import lift_alarms
from campaign.store.campaigns import (
    cancel_waiting,
    counts,
    get_campaign,
    list_campaigns,
    set_campaign_state,
)
from campaign.store.gateways import (
    Subscription,
    add_gateway,
    get_gateway,
    keep_device,
    remove_gateway,
    set_gateway_settings,
    set_subscription,
    update_gateway,
)
from campaign.store.limiting import record_gateway_limits
from campaign.store.samples import Kind, keep_samples
from campaign.store.sims import store_states
from campaign.store.suppression import block, unblock
from campaign.store.tasks import live_tasks, start_fence
from campaign.store.verdicts import judge_anew

Parameters = Mapping[str, Any]
Verb = Callable[[sqlite3.Connection, int, Parameters], dict[str, Any]]

_OVER = (CampaignState.FINISHED, CampaignState.CANCELLED, CampaignState.IMPORTING)


def _gateway_add(conn: sqlite3.Connection, now_ms: int, parameters: Parameters) -> dict[str, Any]:
    _check_settings(conn, parameters["name"], parameters.get("settings", {}))
    return {"id": add_gateway(conn, now_ms, **parameters)}


def _gateway_set(conn: sqlite3.Connection, now_ms: int, parameters: Parameters) -> dict[str, Any]:
    """`settings`: names to values (an empty value returns to the default); `columns`: url,
    username, secret, crypt, auth_order, ca_file."""
    gateway = get_gateway(conn, parameters["name"])
    settings = {**gateway.settings, **parameters.get("settings", {})}
    settings = {name: value for name, value in settings.items() if value != ""}
    _check_settings(conn, gateway.name, settings)
    record_gateway_limits(conn, now_ms, gateway, settings, parameters.get("by", "operator"))
    set_gateway_settings(conn, gateway.id, settings)
    columns = parameters.get("columns", {})
    if columns:
        # whatever was wrong with the address or the password has been looked at now
        update_gateway(conn, gateway.id, **columns, stopped=None)
    return {"settings": settings}


def _check_settings(conn: sqlite3.Connection, name: str, settings: Mapping[str, str]) -> None:
    """Refuse what contradicts itself, or the settings of a campaign that is to go on there: it
    would end the run as soon as it bites."""
    with_overrides(Settings(), settings)
    for campaign in list_campaigns(conn):
        chosen = campaign.options.gateways
        if campaign.state in _OVER or (chosen and name not in chosen):
            continue
        try:
            with_overrides(Settings(), {**settings, **campaign.options.settings})
        except UsageError as error:
            raise UsageError(f"with the settings of campaign {campaign.name}: {error}") from error


def _gateway_remove(
    conn: sqlite3.Connection, now_ms: int, parameters: Parameters
) -> dict[str, Any]:
    gateway = get_gateway(conn, parameters["name"])
    remove_gateway(conn, now_ms, gateway)
    return {"id": gateway.id, "simulated": gateway.simulated}


def _gateway_lift(conn: sqlite3.Connection, _now_ms: int, parameters: Parameters) -> dict[str, Any]:
    """Somebody tested it: an alarm no longer stops it."""
    gateway = get_gateway(conn, parameters["name"])
    update_gateway(conn, gateway.id, stopped=None)
    return {"lifted": gateway.stopped}


def _gateway_subscribe(
    conn: sqlite3.Connection, _now_ms: int, parameters: Parameters
) -> dict[str, Any]:
    """`subscription`: what to subscribe the device to, None for nothing any more. A running engine
    tells the device; `told` ({boot, url}) says that somebody just did."""
    gateway = get_gateway(conn, parameters["name"])
    wanted = parameters["subscription"]
    set_subscription(
        conn, gateway.id, None if wanted is None else msgspec.convert(wanted, Subscription)
    )
    told = parameters.get("told")
    if told:
        update_gateway(conn, gateway.id, subscribed_boot=told["boot"], subscribed_url=told["url"])
    return {"id": gateway.id}


def _gateway_samples(
    conn: sqlite3.Connection, now_ms: int, parameters: Parameters
) -> dict[str, Any]:
    """Statistics that somebody asked a device for: `kind` sms or call, `period` 0 to 3."""
    gateway = get_gateway(conn, parameters["name"])
    kind: Kind = "call" if parameters["kind"] == "call" else "sms"
    row_type = CallStat if kind == "call" else SmsStat
    stats = msgspec.convert(parameters["stats"], list[row_type])  # type: ignore[valid-type]  # one of two
    keep_samples(conn, now_ms, gateway.id, gateway.boot_id, parameters["period"], stats, kind)
    return {"stored": len(stats)}


def _gateway_states(
    conn: sqlite3.Connection, now_ms: int, parameters: Parameters
) -> dict[str, Any]:
    """Port states that somebody asked a device for."""
    gateway = get_gateway(conn, parameters["name"])
    status = msgspec.convert(parameters["status"], DevStatus)
    keep_device(conn, gateway.id, status)
    store_states(conn, now_ms, gateway.id, gateway.boot_id, status.ports, "poll")
    return {"stored": len(status.ports)}


def _gateway_learned(
    conn: sqlite3.Connection, _now_ms: int, parameters: Parameters
) -> dict[str, Any]:
    """How a device hashes the requests of a session was found out."""
    gateway = get_gateway(conn, parameters["name"])
    update_gateway(conn, gateway.id, auth_order=parameters["auth_order"])
    return {}


def _gateway_evict(conn: sqlite3.Connection, now_ms: int, parameters: Parameters) -> dict[str, Any]:
    """Take our waiting tasks back from a device (`tids`: these, None for all); the engine fences
    them, so that their recipients wait again only where that is proved."""
    gateway = get_gateway(conn, parameters["name"])
    states = (TaskState.ACCEPTED, TaskState.PAUSED)
    chosen = parameters.get("tids")
    tasks = [
        task
        for task in live_tasks(conn, gateway.id, states)
        if chosen is None or task.tid in chosen
    ]
    why = f"taken back by {parameters.get('by', 'operator')}"
    start_fence(conn, [task.id for task in tasks], now_ms, FenceReason.REROUTE, why)
    return {"tids": [task.tid for task in tasks]}


def _pause(conn: sqlite3.Connection, now_ms: int, parameters: Parameters) -> dict[str, Any]:
    campaign = get_campaign(conn, parameters["name"])
    if campaign.state in _OVER:
        raise UsageError(f"campaign {campaign.name!r} is {campaign.state}: nothing to pause")
    if campaign.state is not CampaignState.PAUSED:
        by = parameters.get("by", "operator")
        set_campaign_state(conn, now_ms, campaign.id, CampaignState.PAUSED, "asked to", by=by)
    return {"state": "paused"}


def _continue(conn: sqlite3.Connection, now_ms: int, parameters: Parameters) -> dict[str, Any]:
    campaign = get_campaign(conn, parameters["name"])
    if campaign.state in _OVER:
        raise UsageError(f"campaign {campaign.name!r} is {campaign.state}: nothing to continue")
    waits = campaign.start_ms is not None and campaign.start_ms > now_ms
    state = CampaignState.SCHEDULED if waits else CampaignState.RUNNING
    if campaign.state is not state:
        judge_anew(conn, campaign.id)
        by = parameters.get("by", "operator")
        set_campaign_state(conn, now_ms, campaign.id, state, "asked to", by=by)
    return {"state": str(state)}


def _cancel(conn: sqlite3.Connection, now_ms: int, parameters: Parameters) -> dict[str, Any]:
    campaign = get_campaign(conn, parameters["name"])
    if campaign.state is CampaignState.FINISHED:
        raise UsageError(f"campaign {campaign.name!r} is finished: nothing to cancel")
    if campaign.state is CampaignState.IMPORTING:  # the rest of its list would be left waiting
        raise UsageError(
            f"campaign {campaign.name!r} is still being imported and nothing of it is sent: end its"
            " launch (Ctrl-C), or cancel it once it runs"
        )
    cancelled = 0
    if campaign.state is not CampaignState.CANCELLED:
        by = parameters.get("by", "operator")
        cancelled = cancel_waiting(conn, now_ms, campaign.id, "campaign cancelled", by=by)
    in_flight = counts(conn, campaign.id)[RecipientState.ASSIGNED]
    return {"state": "cancelled", "cancelled": cancelled, "in_flight": in_flight}


def _lift_all(conn: sqlite3.Connection, _now_ms: int, _parameters: Parameters) -> dict[str, Any]:
    lift_alarms(conn, list_campaigns(conn))
    return {}


def _optouts_changed(
    _conn: sqlite3.Connection, _now_ms: int, _parameters: Parameters
) -> dict[str, Any]:
    """Nothing to change in the ledger: the store of opt-outs is a file of its own. It makes a
    running engine look again."""
    return {}


def _blocklist_add(conn: sqlite3.Connection, now_ms: int, parameters: Parameters) -> dict[str, Any]:
    """`list`: its name; `numbers`: digits with country code."""
    name, numbers = parameters["list"], parameters["numbers"]
    if not isinstance(name, str) or not all(isinstance(n, str) and n.isdecimal() for n in numbers):
        raise UsageError("a blocklist holds numbers as digits with country code")
    return {"new": block(conn, now_ms, name, numbers)}


def _blocklist_remove(
    conn: sqlite3.Connection, _now_ms: int, parameters: Parameters
) -> dict[str, Any]:
    """`numbers`: these of the list; without them the whole list."""
    return {"removed": unblock(conn, parameters["list"], parameters.get("numbers"))}


VERBS: Mapping[str, Verb] = {
    "gateway-add": _gateway_add,
    "gateway-set": _gateway_set,
    "gateway-remove": _gateway_remove,
    "gateway-lift": _gateway_lift,
    "gateway-subscribe": _gateway_subscribe,
    "gateway-samples": _gateway_samples,
    "gateway-states": _gateway_states,
    "gateway-learned": _gateway_learned,
    "gateway-evict": _gateway_evict,
    "pause": _pause,
    "continue": _continue,
    "cancel": _cancel,
    "priority": reorder,
    "rate": rate,
    "resolve": resolve,
    "retry": retry,
    "lift-all": _lift_all,
    "optouts-changed": _optouts_changed,
    "blocklist-add": _blocklist_add,
    "blocklist-remove": _blocklist_remove,
}

STEERS = frozenset({"pause", "continue", "cancel"})
"""Verbs that also act on devices."""


def perform(
    conn: sqlite3.Connection, now_ms: int, verb: str, parameters: Parameters
) -> dict[str, Any]:
    """Carry out a verb inside the caller's transaction. Raises `UsageError` for an unknown one."""
    if verb not in VERBS:
        raise UsageError(f"unknown command {verb!r}")
    return VERBS[verb](conn, now_ms, parameters)
