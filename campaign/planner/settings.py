"""The named times and limits of a gateway and a campaign, with defaults and bounds.

A campaign's `--set` beats the gateway's `set`, which beats the default. Only known names are taken;
what contradicts itself is refused when it is set, not when it bites.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Final

from campaign.errors import UsageError
from campaign.planner.durations import Interval, Rate, format_duration, parse_duration
from campaign.planner.quotas import parse_balance, parse_ramp, parse_zone
from campaign.planner.rulings import parse_policy


@dataclass(frozen=True)
class Settings:
    """Times are seconds. Field names are the setting's name with underscores."""

    client_timeout: float = 10.0
    task_report_count: int = 10
    task_report_period: float = 10.0
    report_count: int = 100
    report_period: float = 5.0
    report_horizon: float = 30.0
    tid_memory: float = 600.0
    doubt_deadline: float = 900.0
    push_silence: float = 90.0
    port_window: float = 60.0
    receipt_wait: float = 600.0
    task_size: int = 20
    post_tasks: int = 100
    queue_limit: int = 1000
    max_chars: int = 300
    keep_plus: bool = False
    return_path: str = "probe"
    send_timeout: int = 30
    status_period: float = 30.0
    retry_wait: float = 10.0
    port_failures: int = 3
    port_rest: float = 60.0
    api_version: str = "1.1"
    legacy_ports: int = 1
    legacy_gap: float = 6.0
    chs: str = "utf8"
    coding: str = "auto"
    smsc: str = ""
    session_seconds: int = 180
    subscription_period: int = 60
    sample_period: float = 600.0
    delete_fetched: bool = False
    on_unknown: str = "hold"
    sticky_wait: float = 600.0
    auto_switch: bool = False
    rate: str = ""
    segment_rate: str = ""
    port_rate: str = ""
    port_segment_rate: str = ""
    interval: str = ""
    sim_hour: int = 0
    sim_day: int = 0
    sim_month: int = 0
    sim_hour_recipients: int = 0
    sim_day_recipients: int = 0
    sim_month_recipients: int = 0
    warm_up: str = ""
    balance_floor: str = ""
    limits_timezone: str = "UTC"

    @property
    def doubt_wait(self) -> float:
        """How long to wait before asking about a doubtful task: a device that took it had time
        to report it by then."""
        return max(self.client_timeout + 2.0, self.report_horizon)


MEANINGS: Mapping[str, str] = {
    "client-timeout": "one request to a device",
    "task-report-count": "a task reports after this many results",
    "task-report-period": "a task reports after this long at the latest",
    "report-count": "the device's report buffer: flushed at this many reports",
    "report-period": "the device's report buffer: flushed after this long",
    "report-horizon": "how long after the device's last act a report may still arrive",
    "tid-memory": "how long the device is trusted to remember a tid; 0: never offer again",
    "doubt-deadline": "how long doubt or a fence may last before unknown",
    "push-silence": "no news of a live task for this long starts the watchdog",
    "port-window": "how much sending may be queued on one port, by its measured pace",
    "receipt-wait": "after the last sent, how long a run waits for missing receipts",
    "task-size": "most recipients in one task",
    "post-tasks": "most tasks in one POST",
    "queue-limit": "most messages queued on one port",
    "max-chars": "longest text the device takes, in characters",
    "keep-plus": "send numbers with a leading +",
    "return-path": "probe: wait for a first report before sending on; assume: do not",
    "send-timeout": "how long the device may wait for the network's answer (tmo)",
    "status-period": "how often the device's ports and boot id are read",
    "retry-wait": "first wait before a failed recipient is tried again; doubles",
    "port-failures": "a port that fails this many in a row rests",
    "port-rest": "how long such a port rests; then one probe message decides",
    "api-version": "1.1; 1.0 for old firmware: one GET a message, no reports, sent means accepted",
    "legacy-ports": "how many ports an api-version 1.0 device has, where it cannot tell",
    "legacy-gap": "least time between two messages of such a port, which tells nothing",
    "chs": "how a text travels to the device: utf8 or base64",
    "coding": "auto: we choose the alphabet of a message; device: it chooses",
    "smsc": "service centre number for every message; empty: the SIM's own",
    "session-seconds": "how long a secure session is asked to live",
    "subscription-period": "how often a subscribed device tells its status unasked, at least 60 s",
    "sample-period": "how often the device's own statistics are stored during a run",
    "delete-fetched": "delete received messages on the device once they are stored here",
    "on-unknown": "what is decided by itself when a task is closed as unknown or a timeout is "
    "reported, by cause, as timeout:assume-sent,reboot:resend; causes not named are held, and so "
    "is whoever becomes unknown in another way",
    "sticky-wait": "how long a recipient waits for the SIM that wrote to them before, where it "
    "cannot send; 0: not at all",
    "auto-switch": "switch a port whose SIM has used up a limit to another SIM of it with room",
    "rate": "most messages through the whole gateway, as 10/s; all campaigns together",
    "segment-rate": "most SMS segments through the whole gateway, as 20/s",
    "port-rate": "most messages through each port, as 6/min",
    "port-segment-rate": "most SMS segments through each port, as 12/min",
    "interval": "random gap between two messages of a port, as 3s-6s",
    "sim-hour": "most SMS segments of one SIM in a calendar hour; 0: no cap",
    "sim-day": "… in a calendar day",
    "sim-month": "… in a calendar month",
    "sim-hour-recipients": "most distinct recipients of one SIM in a calendar hour; 0: no cap",
    "sim-day-recipients": "… in a calendar day",
    "sim-month-recipients": "… in a calendar month",
    "warm-up": "segments of a SIM on its first, second … day of use, as 20,40,80",
    "balance-floor": "a SIM whose told balance is below this sends nothing",
    "limits-timezone": "whose calendar the hours, days and months of SIMs are, as Asia/Shanghai",
}

LIMITS: Final = frozenset(MEANINGS) & {
    "rate", "segment-rate", "port-rate", "port-segment-rate", "interval", "sim-hour", "sim-day",
    "sim-month", "sim-hour-recipients", "sim-day-recipients", "sim-month-recipients", "warm-up",
    "balance-floor", "limits-timezone",
}  # fmt: skip
"""Settings that bound how much is sent. A campaign can only tighten a gateway's: both hold."""

_CHOICES = {
    "return_path": ("probe", "assume"),
    "api_version": ("1.1", "1.0"),
    "chs": ("utf8", "base64"),
    "coding": ("auto", "device"),
}
_SMSC = re.compile(r"\+?[0-9]{3,20}|")

_CAPS = frozenset(
    f"sim_{period}{what}" for period in ("hour", "day", "month") for what in ("", "_recipients")
)
_MAY_BE_ZERO = _CAPS | {"tid_memory", "retry_wait", "receipt_wait", "legacy_gap", "sticky_wait"}


def _parse_floor(text: str) -> object:
    if (floor := parse_balance(text)) is None or floor < 0:
        raise UsageError("write an amount of money, as 5 or 2.50")
    return floor


_PARSERS: Mapping[str, Callable[[str], object]] = {
    "on_unknown": parse_policy,
    "rate": Rate.parse,
    "segment_rate": Rate.parse,
    "port_rate": Rate.parse,
    "port_segment_rate": Rate.parse,
    "interval": Interval.parse,
    "warm_up": parse_ramp,
    "balance_floor": _parse_floor,
    "limits_timezone": parse_zone,
}
"""How texts are read where they are used; here it is only seen that they can be."""


def with_overrides(settings: Settings, overrides: Mapping[str, str]) -> Settings:
    """Settings with `overrides` (names with dashes) applied. Raises `UsageError`."""
    changes = dict(_read(name, text) for name, text in overrides.items())
    result = replace(settings, **changes)  # type: ignore[arg-type]  # each parsed to its field's type
    _check(result)
    return result


def parse_pairs(pairs: tuple[str, ...] | list[str]) -> dict[str, str]:
    """`KEY=VALUE` options as a mapping, each value checked. Raises `UsageError`.

    Whether they fit together is told by `with_overrides`, which knows what they are put over.
    """
    overrides: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"{pair!r}: write KEY=VALUE")
        overrides[name.strip().lower()] = value.strip()
    for name, value in overrides.items():
        _read(name, value)
    return overrides


def describe(settings: Settings) -> dict[str, str]:
    """Every setting as an operator would write it."""
    shown: dict[str, str] = {}
    for field in fields(settings):
        value = getattr(settings, field.name)
        shown[field.name.replace("_", "-")] = (
            format_duration(value)
            if isinstance(value, float)
            else str(value).lower()
            if isinstance(value, bool)
            else str(value)
        )
    return shown


def _read(name: str, text: str) -> tuple[str, object]:
    """One override as the field's name and its value."""
    key = name.strip().lower().replace("-", "_")
    default = getattr(Settings, key, None)
    if name.strip().lower() not in MEANINGS or default is None:
        raise UsageError(f"unknown setting {name!r}: known are {', '.join(MEANINGS)}")
    return key, _parse(name, key, text, default)


def _parse(name: str, key: str, text: str, default: object) -> object:
    parsers: dict[type, Callable[[str], object]] = {
        bool: _parse_bool,
        int: _parse_count,
        float: parse_duration,
        str: str,
    }
    try:
        value = parsers[type(default)](text)
    except (ValueError, UsageError) as error:
        raise UsageError(f"{name}={text}: {error}") from error
    if key in _CHOICES and value not in _CHOICES[key]:
        raise UsageError(f"{name}={text}: write {' or '.join(_CHOICES[key])}")
    if key in _PARSERS and (text or key == "on_unknown"):
        try:
            _PARSERS[key](text)
        except UsageError as error:
            raise UsageError(f"{name}={text}: {error}") from error
    if key == "smsc" and not _SMSC.fullmatch(text):
        raise UsageError(f"{name}={text}: write a number, with or without +")
    if type(value) in (int, float) and value == 0 and key not in _MAY_BE_ZERO:
        raise UsageError(f"{name}={text}: must be above zero")
    return value


def _parse_bool(text: str) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.lower() not in words:
        raise UsageError("write yes or no")
    return words[text.lower()]


def _parse_count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise UsageError("write a whole number")
    return int(text)


def _check(settings: Settings) -> None:
    slowest = max(settings.task_report_period, settings.report_period)
    if settings.report_horizon <= slowest:
        raise UsageError(
            f"report-horizon={format_duration(settings.report_horizon)} must be above both report "
            f"periods (task-report-period, report-period: {format_duration(slowest)}), "
            "or reports would count as lost before they are due"
        )
    for name in ("task_report_period", "report_period"):
        if getattr(settings, name) < 1:
            raise UsageError(f"{name.replace('_', '-')}: devices take whole seconds, at least 1s")
    if settings.subscription_period < 60:
        raise UsageError("subscription-period: devices take 60 s at least")
