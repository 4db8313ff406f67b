"""Requests: what may be asked over the control socket, and the shape of each verb's parameters.

What has another shape is refused before anything is done. Whatever fails after that is a mistake of
ours, and must not be taken for one of whoever asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from campaign.engine.intake import LaunchRequest
from campaign.errors import EngineError, UsageError
from campaign.planner.rulings import Ruling
from campaign.protocol.messages import CallStat, DevStatus, SmsStat
from campaign.protocol.session import AuthOrder, Crypt
from campaign.store.gateways import Subscription

_LARGEST = 2**63 - 1  # the ledger's integers


class Wake(msgspec.Struct, frozen=True, tag="wake", tag_field="cmd"):
    """The inbox grew."""


class Status(msgspec.Struct, frozen=True, tag="status", tag_field="cmd"):
    """Campaigns (or the one of this name) and gateways."""

    name: str | None = None


class Do(msgspec.Struct, frozen=True, tag="do", tag_field="cmd"):
    """A verb of `engine.verbs`; `parameters` have the verb's shape."""

    verb: str
    parameters: dict[str, Any]


class Fetch(msgspec.Struct, frozen=True, tag="fetch", tag_field="cmd"):
    """Read the inboxes of these devices, None for all."""

    names: list[str] | None = None
    delete: bool = False


class Launch(msgspec.Struct, frozen=True, tag="launch", tag_field="cmd"):
    """Import a list and send to it."""

    request: LaunchRequest


Request = Wake | Status | Do | Fetch | Launch


class _Nothing(msgspec.Struct):
    pass


class _Named(msgspec.Struct):
    name: str
    by: str = ""


class _GatewayAdd(msgspec.Struct):
    name: str
    url: str
    username: str
    secret: str
    token: str
    crypt: Crypt | None = None
    auth_order: AuthOrder = "spec"
    ca_file: str | None = None
    settings: dict[str, str] = {}
    simulated: str | None = None


class _Columns(msgspec.Struct, forbid_unknown_fields=True):
    """They name columns of the ledger."""

    url: str = ""
    username: str = ""
    secret: str = ""
    crypt: Crypt | None = None
    auth_order: AuthOrder = "spec"
    ca_file: str | None = None


class _GatewaySet(_Named, kw_only=True):
    settings: dict[str, str] = {}
    columns: _Columns = msgspec.field(default_factory=_Columns)


class _Told(msgspec.Struct):
    boot: str | None
    url: str | None


class _GatewaySubscribe(_Named, kw_only=True):
    subscription: Subscription | None
    told: _Told | None = None


class _SmsSamples(_Named, kw_only=True, tag="sms", tag_field="kind"):
    period: Annotated[int, msgspec.Meta(ge=0, le=3)]
    stats: list[SmsStat]


class _CallSamples(_Named, kw_only=True, tag="call", tag_field="kind"):
    period: Annotated[int, msgspec.Meta(ge=0, le=3)]
    stats: list[CallStat]


class _GatewayStates(_Named, kw_only=True):
    status: DevStatus


class _GatewayLearned(_Named, kw_only=True):
    auth_order: AuthOrder


class _GatewayEvict(_Named, kw_only=True):
    tids: list[int] | None = None


class _Priority(_Named, kw_only=True):
    priority: str | None = None
    share: int | None = None


class _Limits(msgspec.Struct):
    rate: str | None = None
    segment_rate: str | None = None
    per_port: str | None = None
    interval: str | None = None
    daily_per_sim: int | None = None


class _Rate(_Named, kw_only=True):
    changes: _Limits


class _Decision(msgspec.Struct, kw_only=True):
    name: str
    by: str | None = None
    why: str | None = None
    yes: bool = False
    dry_run: bool = False


class _Resolve(_Decision, kw_only=True):
    causes: list[str]
    ruling: Ruling = msgspec.field(name="as")


class _Retry(_Decision, kw_only=True):
    codes: list[int] = []


class _BlocklistAdd(msgspec.Struct):
    numbers: list[str]
    blocklist: str = msgspec.field(name="list")


class _BlocklistRemove(msgspec.Struct):
    blocklist: str = msgspec.field(name="list")
    numbers: list[str] | None = None


PARAMETERS: Mapping[str, Any] = {
    "gateway-add": _GatewayAdd,
    "gateway-set": _GatewaySet,
    "gateway-remove": _Named,
    "gateway-lift": _Named,
    "gateway-subscribe": _GatewaySubscribe,
    "gateway-samples": _SmsSamples | _CallSamples,
    "gateway-states": _GatewayStates,
    "gateway-learned": _GatewayLearned,
    "gateway-evict": _GatewayEvict,
    "pause": _Named,
    "continue": _Named,
    "cancel": _Named,
    "priority": _Priority,
    "rate": _Rate,
    "resolve": _Resolve,
    "retry": _Retry,
    "lift-all": _Nothing,
    "optouts-changed": _Nothing,
    "blocklist-add": _BlocklistAdd,
    "blocklist-remove": _BlocklistRemove,
}
"""The shape of each verb's parameters."""


def read_request(line: bytes) -> Request:
    """One line of the control socket. Raises `EngineError` that says what is wrong with it, and
    `UsageError` for a verb that there is not."""
    try:
        raw = msgspec.json.decode(line)
        _refuse_beyond(raw)
        request: Request = msgspec.convert(raw, Request)
        if isinstance(request, Do):
            return Do(request.verb, _known(request))
        if isinstance(request, Launch):
            _refuse_nul(request.request)
    except (ValueError, RecursionError) as error:  # all that decoding raises, msgspec's included
        raise EngineError(f"malformed command: {error}") from error
    return request


def _known(request: Do) -> dict[str, Any]:
    """The parameters that its verb knows, as they came."""
    if request.verb not in PARAMETERS:
        raise UsageError(f"unknown command {request.verb!r}")
    asked = msgspec.convert(request.parameters, PARAMETERS[request.verb])
    names = {field.encode_name for field in msgspec.structs.fields(asked)}
    names.add(asked.__struct_config__.tag_field)
    return {name: value for name, value in request.parameters.items() if name in names}


def _refuse_beyond(raw: object) -> None:
    match raw:
        case dict():
            for value in raw.values():
                _refuse_beyond(value)
        case list():
            for value in raw:
                _refuse_beyond(value)
        case int() if not -_LARGEST <= raw <= _LARGEST:
            raise ValueError("a number is beyond the ledger's")


def _refuse_nul(request: LaunchRequest) -> None:
    if any("\0" in path for path in (request.path, request.rejects, *request.mms)):
        raise ValueError("a path with a NUL in it")
