"""Commands that change the ledger, by name.

A running engine carries them out for other processes (they arrive over the control socket); with
no engine running, whoever asks takes the lock and does the same through the same functions.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from campaign.errors import UsageError
from campaign.planner.settings import Settings, with_overrides
from campaign.planner.states import CampaignState, RecipientState
from campaign.store.alarms import lift_alarms
from campaign.store.campaigns import (
    cancel_waiting,
    counts,
    get_campaign,
    list_campaigns,
    set_campaign_state,
)
from campaign.store.gateways import (
    add_gateway,
    get_gateway,
    remove_gateway,
    set_gateway_settings,
    update_gateway,
)

Parameters = Mapping[str, Any]
Verb = Callable[[sqlite3.Connection, int, Parameters], dict[str, Any]]

_OVER = (CampaignState.FINISHED, CampaignState.CANCELLED, CampaignState.IMPORTING)


def _gateway_add(conn: sqlite3.Connection, now_ms: int, parameters: Parameters) -> dict[str, Any]:
    _check_settings(conn, parameters["name"], parameters.get("settings", {}))
    return {"id": add_gateway(conn, now_ms, **parameters)}


def _gateway_set(conn: sqlite3.Connection, _now_ms: int, parameters: Parameters) -> dict[str, Any]:
    """`settings`: names to values (an empty value returns to the default); `columns`: url,
    username, secret, crypt, auth_order, ca_file."""
    gateway = get_gateway(conn, parameters["name"])
    settings = {**gateway.settings, **parameters.get("settings", {})}
    settings = {name: value for name, value in settings.items() if value != ""}
    _check_settings(conn, gateway.name, settings)
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
    if campaign.state is not CampaignState.RUNNING:
        by = parameters.get("by", "operator")
        set_campaign_state(conn, now_ms, campaign.id, CampaignState.RUNNING, "asked to", by=by)
    return {"state": "running"}


def _cancel(conn: sqlite3.Connection, now_ms: int, parameters: Parameters) -> dict[str, Any]:
    campaign = get_campaign(conn, parameters["name"])
    if campaign.state is CampaignState.FINISHED:
        raise UsageError(f"campaign {campaign.name!r} is finished: nothing to cancel")
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


VERBS: Mapping[str, Verb] = {
    "gateway-add": _gateway_add,
    "gateway-set": _gateway_set,
    "gateway-remove": _gateway_remove,
    "gateway-lift": _gateway_lift,
    "pause": _pause,
    "continue": _continue,
    "cancel": _cancel,
    "lift-all": _lift_all,
    "optouts-changed": _optouts_changed,
}

STEERS: Mapping[str, CampaignState] = {
    "pause": CampaignState.PAUSED,
    "continue": CampaignState.RUNNING,
    "cancel": CampaignState.CANCELLED,
}
"""Verbs that also act on devices, with the state they carry out."""


def perform(
    conn: sqlite3.Connection, now_ms: int, verb: str, parameters: Parameters
) -> dict[str, Any]:
    """Carry out a verb inside the caller's transaction. Raises `UsageError` for an unknown one."""
    if verb not in VERBS:
        raise UsageError(f"unknown command {verb!r}")
    return VERBS[verb](conn, now_ms, parameters)
