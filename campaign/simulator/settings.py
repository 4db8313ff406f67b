"""What a simulated gateway is made of, and how it answers where the specification is silent.

Every key can be given on a command line as `KEY=VALUE` (`SimulatorSettings.with_overrides`). The
fields marked "nobody knows" are questions to which no document gives an answer; a client has to be
safe under every value of them.
"""

# ruff: noqa: RUF009 - `_key` is dataclasses.field with our metadata, not a computed default.

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, cast

from campaign.errors import LocalProtocolError, UsageError
from campaign.protocol.ports import Port, parse_selection
from campaign.simulator import values
from campaign.simulator.values import Span

Dialect = Literal["2.0", "2.4"]
KeptOrLost = Literal["kept", "lost"]

_KEPT_OR_LOST = values.choice("kept", "lost")


def _key(default: Any, parse: Callable[[str], Any], about: str) -> Any:
    return field(default=default, metadata={"parse": parse, "about": about})


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What goes wrong beyond single messages. The defaults are a device without faults."""

    push_loss: float = _key(0.0, values.probability, "share of pushes that vanish unnoticed")
    push_duplicate: float = _key(0.0, values.probability, "share of pushes that arrive twice")
    push_delay: float = _key(0.0, values.probability, "share of pushes that arrive late")
    push_delay_seconds: Span = _key((0.5, 10.0), values.span, "how late those arrive")
    deaf: float = _key(0.0, values.probability, "share of posts taken but never answered")
    deaf_seconds: float = _key(15.0, values.duration, "how long such a connection hangs")
    reboots: int = _key(0, values.integer, "how often the device restarts by itself")
    reboot_after: Span = _key((5.0, 40.0), values.span, "messages from one restart to the next")
    dead_ports: float = _key(0.0, values.probability, "share of ports that die")
    dead_after: Span = _key((1.0, 5.0), values.span, "message of the port during which it dies")


PROFILES: dict[str, Faults] = {
    "clean": Faults(),
    "lossy": Faults(push_loss=0.05, push_duplicate=0.1, push_delay=0.1),
    "deaf": Faults(deaf=0.1),
    "full": Faults(),
    "reboot": Faults(reboots=2),
    "deadports": Faults(dead_ports=0.25),
    "quirky": Faults(),
    "hostile": Faults(
        push_loss=0.05, push_duplicate=0.1, push_delay=0.1, deaf=0.05, reboots=1, dead_ports=0.25
    ),
}
"""Named sets of faults; single faults can still be set beside them. `full` is a short queue,
`quirky` a set of habits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How this firmware spells what it says. The defaults are the specification's own spelling."""

    number_strings: bool = _key(False, values.switch, "tids, counts and times as strings")
    plus_numbers: bool = _key(False, values.switch, "numbers in reports begin with +")
    bare_numbers: bool = _key(False, values.switch, "numbers in reports are unquoted integers")
    other_words: bool = _key(False, values.switch, "other words behind a code: 2 Port Unavailable")
    lone_report: bool = _key(False, values.switch, "a single report is an object, not a list")
    sparse_counters: bool = _key(False, values.switch, "counters of zero are left out")
    capital_type: bool = _key(False, values.switch, "the status calls itself dev-Status")
    sim_rows: bool = _key(False, values.switch, "inbound rows name ICCID, IMSI and IMEI too")


QUIRKY = Habits(
    number_strings=True,
    plus_numbers=True,
    other_words=True,
    lone_report=True,
    sparse_counters=True,
    capital_type=True,
    sim_rows=True,
)
"""What the profile `quirky` does, beside an index base of 1 and header blocks in inbound texts."""

_QUEUE_LIMIT = 10_000
_FULL_QUEUE_LIMIT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSettings:
    """One simulated gateway, valid from birth (UsageError otherwise). Times are in seconds."""

    name: str = _key("simulator", str, "`device` in the ground truth")
    ports: int = _key(8, values.integer, "number of ports")
    slots: int = _key(1, values.integer, "SIM slots per port")
    username: str = _key("root", str, "user the device knows")
    password: str = _key("root", str, "password of that user")
    dialect: Dialect = _key("2.0", values.choice("2.0", "2.4"), "2.0: ports 1A; 2.4: ports 1.01")
    profile: str = _key("clean", values.choice(*PROFILES), "named set of faults")
    seed: int | None = _key(None, values.optional_integer, "none: another one each time")
    ledger: Path | None = _key(None, values.path, "ground truth, one JSON object a line")
    magic: bool = _key(False, values.switch, "obey magic numbers")

    sms_seconds: float = _key(2.0, values.duration, "air time of one message on one port")
    fail_rate: float = _key(0.0, values.probability, "share refused by the network (7, cause 38)")
    receipts_seconds: Span = _key((1.0, 3.0), values.span, "from sent to delivery receipt")
    receipt_per_part: bool = _key(True, values.switch, "a long SMS gets one receipt per part")
    reply_seconds: Span = _key((1.0, 3.0), values.span, "from sent to a reply (magic numbers)")
    register_seconds: float = _key(3.0, values.duration, "a SIM's registration after a change")
    smsc: str = _key("447700900999", str, "SMSC number, sender of the receipts")

    inbound_text: str = _key(
        "",
        values.choice("", "plain", "nul", "headers"),
        "inbound SMS: bare, NULs behind, headers; none: plain (headers if quirky)",
    )
    inbound_push: str = _key(
        "json", values.choice("json", "legacy"), "inbound SMS: JSON, or a text each (before 1.1)"
    )
    api: str = _key("1.1", values.choice("1.1", "1.0"), "1.0: only the old interface is there")
    balance: float = _key(100.0, values.number, "money on each SIM")
    sms_price: float = _key(0.0, values.number, "what a message costs; below it a SIM shows 5")
    bad_sims: str = _key("", str, "SIMs that never register, as 1.02,3.01")
    sim_pool: str = _key("", str, "ports as 12.POOL.101 (dialect 2.4)")
    calls: int = _key(0, values.integer, "calls in the statistics of each SIM")

    require_session: bool = _key(False, values.switch, "take no password in a URL")
    auth_order: str = _key(
        "spec", values.choice("spec", "seq-first", "both"), "how a request's auth is hashed"
    )
    session_seconds: int = _key(180, values.integer, "longest life of a secure session")
    session_limit: int = _key(8, values.integer, "sessions at a time, oldest go (nobody knows)")
    session_prolongs: bool = _key(True, values.switch, "expires prolongs one (nobody knows)")
    session_activity: bool = _key(False, values.switch, "any use prolongs one (nobody knows)")
    session_refusal: int = _key(1, values.integer, "code of a refused session (nobody knows)")

    queue_limit: int | None = _key(
        None,
        values.optional_integer,
        f"tasks held before `16`; none: {_QUEUE_LIMIT} ({_FULL_QUEUE_LIMIT} if full)",
    )
    inbox_limit: int = _key(10_000, values.integer, "messages kept for goip_get_sms")
    index_base: int | None = _key(
        None,
        values.optional_integer,
        "index of a task's first recipient in reports; none: 0 (1 if quirky)",
    )
    idle_reports: bool = _key(False, values.switch, "report each period without news, too")

    subscribe_push: bool = _key(True, values.switch, "first dev-status at once (nobody knows)")
    tid_memory: float = _key(600.0, values.duration, "a done task's tid answers 13 (nobody knows)")
    push_retry: tuple[float, ...] = _key(
        (1.0, 5.0), values.durations, "waits before a failed push is tried again (nobody knows)"
    )
    unknown_tid: int = _key(11, values.integer, "pause, resume, remove: unknown tid (nobody knows)")
    remove_started: bool = _key(True, values.switch, "remove takes the rest (nobody knows)")
    removed_reports: bool = _key(True, values.switch, "removed: a last report (nobody knows)")
    removed_unsent: bool = _key(True, values.switch, "removed count as unsent (nobody knows)")
    pause_started: bool = _key(True, values.switch, "pause stops the rest (nobody knows)")
    reboot_seconds: float = _key(1.0, values.duration, "restart: HTTP 503 for so long")
    reboot_queue: KeptOrLost = _key("lost", _KEPT_OR_LOST, "restart: queue and tids (nobody knows)")
    reboot_stats: KeptOrLost = _key("kept", _KEPT_OR_LOST, "restart: SMS totals (nobody knows)")
    reboot_config: KeptOrLost = _key("lost", _KEPT_OR_LOST, "restart: unsaved URLs (nobody knows)")

    faults: Faults | None = None
    """None: those of the profile."""
    habits: Habits | None = None
    """None: those of the profile."""

    def __post_init__(self) -> None:
        if not 1 <= self.ports <= 512:
            raise UsageError(f"ports={self.ports}: a gateway has 1 to 512 ports")
        if not 1 <= self.slots <= 26:
            raise UsageError(f"slots={self.slots}: a port has 1 to 26 SIM slots")
        if self.profile not in PROFILES:
            raise UsageError(f"profile {self.profile!r} is none of: {', '.join(PROFILES)}")
        if self.dialect not in ("2.0", "2.4"):
            raise UsageError(f"dialect {self.dialect!r} is neither 2.0 nor 2.4")
        if self.index_base not in (None, 0, 1):
            raise UsageError(f"index-base={self.index_base} is neither 0 nor 1")
        if self.sms_seconds < 0:
            raise UsageError(f"sms-seconds={self.sms_seconds} is no duration")
        self.never_registers(1, 1)
        if self.session_seconds < 1 or self.session_limit < 1:
            raise UsageError("session-seconds and session-limit begin at 1")
        if min(self.balance, self.sms_price, self.calls) < 0:
            raise UsageError("balance, sms-price and calls are not below zero")
        if self.sim_pool and self.dialect != "2.4":
            raise UsageError("sim-pool needs dialect=2.4")
        if not 0 <= self.fail_rate <= 1:
            raise UsageError(f"fail-rate={self.fail_rate} is no share between 0 and 1")

    @property
    def fault_plan(self) -> Faults:
        return PROFILES[self.profile] if self.faults is None else self.faults

    @property
    def spelling(self) -> Habits:
        if self.habits is not None:
            return self.habits
        return QUIRKY if self.profile == "quirky" else Habits()

    @property
    def first_index(self) -> Literal[0, 1]:
        """The index of a task's first recipient in reports."""
        if self.index_base is None:
            return 1 if self.profile == "quirky" else 0
        return 1 if self.index_base else 0

    @property
    def inbound_style(self) -> str:
        """How inbound texts are wrapped."""
        return self.inbound_text or ("headers" if self.profile == "quirky" else "plain")

    def never_registers(self, port: int, slot: int) -> bool:
        """Whether this SIM is one of `bad_sims`."""
        if not self.bad_sims:
            return False
        try:
            named = parse_selection(self.bad_sims)
        except LocalProtocolError as error:
            raise UsageError(f"bad-sims={self.bad_sims}: {error}") from error
        return isinstance(named, tuple) and Port(port, slot) in named

    @property
    def tasks_held(self) -> int:
        """The queue limit in force."""
        if self.queue_limit is not None:
            return self.queue_limit
        return _FULL_QUEUE_LIMIT if self.profile == "full" else _QUEUE_LIMIT

    def with_overrides(self, assignments: Iterable[str]) -> SimulatorSettings:
        """These settings with `KEY=VALUE` applied; UsageError names the keys there are.

        A profile is applied first, so that single faults can be set beside it in any order.
        """
        own: dict[str, Any] = {}
        faulty: dict[str, Any] = {}
        habitual: dict[str, Any] = {}
        for assignment in assignments:
            key, equals, text = assignment.partition("=")
            name = key.strip().replace("-", "_").lower()
            chosen, table = (own, _OWN_KEYS) if name in _OWN_KEYS else (faulty, _FAULT_KEYS)
            if name in _HABIT_KEYS:
                chosen, table = habitual, _HABIT_KEYS
            if not equals or name not in table:
                raise UsageError(
                    f"{assignment!r} is not KEY=VALUE with one of the keys: {', '.join(all_keys())}"
                )
            try:
                chosen[name] = table[name].metadata["parse"](text)
            except UsageError as error:
                raise UsageError(f"{key.strip()}: {error}") from error
        plan = PROFILES[own["profile"]] if "profile" in own else self.fault_plan
        if faulty or "profile" in own:
            own["faults"] = replace(plan, **faulty)
        if habitual:
            profile = own.get("profile", self.profile)
            own["habits"] = replace(replace(self, profile=profile).spelling, **habitual)
        return replace(self, **own)


def _parsed_fields(cls: Any) -> dict[str, Field[Any]]:
    return {item.name: item for item in fields(cls) if "parse" in item.metadata}


_OWN_KEYS = _parsed_fields(SimulatorSettings)
_FAULT_KEYS = _parsed_fields(Faults)
_HABIT_KEYS = _parsed_fields(Habits)


def all_keys() -> list[str]:
    return [name.replace("_", "-") for name in (*_OWN_KEYS, *_FAULT_KEYS, *_HABIT_KEYS)]


def settings_help() -> list[tuple[str, str, str]]:
    """Every key with its default and its meaning, for a command's help."""
    return [
        (
            name.replace("_", "-"),
            values.show(item.default, item.metadata["parse"]),
            cast(str, item.metadata["about"]),
        )
        for name, item in (*_OWN_KEYS.items(), *_FAULT_KEYS.items(), *_HABIT_KEYS.items())
    ]
