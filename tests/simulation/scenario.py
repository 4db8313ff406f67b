"""What a seed stands for: lists, devices, faults, crashes and what operators do, drawn at once.

Each seed draws its own subset of the faults (swarm): with all of them on, some would hide others.
Two things are never drawn together, because no client of this protocol could be safe under both:
a device that forgets a tid before `tid-memory`, and reports that may be lost (the promise needs one
of the two); and a request that is carried out late after a restart of its device.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

REQUEST_FAULTS = (
    "refuse",
    "request-lost",
    "answer-lost",
    "post-answer-lost",
    "slow",
    "error-page",
    "busy-503",
    "truncated",
    "wrong-charset",
    "reordered",
    "left-out",
    "storm-16",
    "stranger-13",
)
PUSH_FAULTS = (
    "push-lost",
    "push-twice",
    "push-late",
    "push-unanswered",
    "coalesced",
    "split",
    "rewritten",
    "counters-reset",
    "strange-receipts",
    "foreign-row",
    "orphans",
)

ActKind = Literal[
    "pause",
    "continue",
    "cancel",
    "opt-out",
    "stop-reply",
    "inbound-storm",
    "reboot",
    "switch",
    "lock",
    "unlock",
    "port-dies",
    "port-hangs",
    "receiver-down",
    "receiver-killed",
    "ledger-full",
    "inbox-full",
    "clock-step",
    "unreachable",
    "unplugged",
    "resend",
    "retry-failed",
]


ACTS: tuple[ActKind, ...] = get_args(ActKind)
_OFTEN: Mapping[ActKind, float] = {"pause": 0.25, "cancel": 0.2, "opt-out": 0.25, "lock": 0.25}
"""What takes tasks back in the middle: the rest of the acts happen in one world of eight."""

DECISIONS = frozenset({"resend", "retry-failed"})

_COSTS_REPORTS = frozenset(
    {"receiver-down", "receiver-killed", "inbox-full", "clock-step", "unplugged"}
)
"""Reports may get lost by it, or (a clock set back between two runs) a tid look young."""


@dataclass(frozen=True)
class DevicePlan:
    """One gateway: how it is built (`simulator`), registered (`settings`) and reached (`faults`:
    share of requests or pushes by name)."""

    name: str
    simulator: Mapping[str, Any]
    settings: Mapping[str, str] = field(default_factory=dict)
    crypt: str | None = None
    faults: Mapping[str, float] = field(default_factory=dict)
    script: tuple[str, ...] = ()
    """Faults of the first send requests, one each; `answer-lost@2` is silent for two seconds."""
    pushes: tuple[str, ...] = ()
    """Faults of the first pushes, one each."""
    nth_request: tuple[int, str] | None = None
    """The one request (counted from 0) that meets this fault."""
    clock_1970: bool = False
    latency: float = 0.05
    slowest: float = 20.0
    """How late a slow request is carried out at most."""

    @property
    def forgets(self) -> bool:
        """Whether it forgets tids while we still rely on its memory."""
        return self.settings.get("tid-memory") != "0" and self.simulator["tid_memory"] < 10**6


@dataclass(frozen=True)
class CampaignPlan:
    """One list; `start` is when it is handed to the engine, in seconds."""

    name: str
    numbers: tuple[str, ...]
    message: str
    options: Mapping[str, Any] = field(default_factory=dict)
    start: float = 0.0


@dataclass(frozen=True)
class Act:
    """Something that happens at `at` seconds, for `seconds` where it lasts."""

    at: float
    kind: ActKind
    device: int = 0
    port: int = 1
    campaign: int = 0
    number: str = ""
    seconds: float = 0.0
    count: int = 1


@dataclass(frozen=True)
class Crash:
    """The engine dies `after` seconds and some scheduler steps of its life, and is started again
    `downtime` seconds later. With `power` the machine goes down, and the receiver with it."""

    after: float
    steps: int
    downtime: float
    power: bool = False


@dataclass(frozen=True)
class Scenario:
    """Everything one seed draws. Faults end at `calm`; from then on all must become final."""

    seed: int
    devices: tuple[DevicePlan, ...]
    campaigns: tuple[CampaignPlan, ...]
    acts: tuple[Act, ...] = ()
    crashes: tuple[Crash, ...] = ()
    calm: float = 300.0
    slow_disk: float = 0.0
    nth_operation: int | None = None
    """The one operation of the ledger (counted from 0) that its disk refuses."""
    nth_push: int | None = None
    """The one push (counted from 0) that the inbox's disk refuses."""
    inbox_every: float = 5.0
    """How often the engine looks at the inbox should a wake-up be lost."""


def draw(seed: int) -> Scenario:
    """The scenario of a seed; the same on every machine."""
    rng = random.Random(f"scenario {seed}")
    hostile = rng.random() < 0.85
    devices = tuple(_device(rng, nth, hostile=hostile) for nth in range(rng.choice((1, 2, 2, 3))))
    campaigns = _campaigns(rng)
    calm = rng.choice((60.0, 180.0, 400.0))
    busy = _busy_seconds(devices, campaigns)
    acts = _acts(rng, devices, campaigns, min(busy, calm)) if hostile else ()
    restarting = {act.device for act in acts if act.kind == "reboot"}
    return Scenario(
        seed=seed,
        # a request may be carried out late, but not so late that its device restarted meanwhile
        devices=tuple(
            replace(device, slowest=2.0) if nth in restarting else device
            for nth, device in enumerate(devices)
        ),
        campaigns=campaigns,
        acts=acts,
        crashes=_crashes(rng, busy, power=not any(device.forgets for device in devices)),
        calm=calm,
        slow_disk=rng.choice((0.0, 0.0, 0.02, 0.5)) if hostile else 0.0,
        inbox_every=rng.choice((0.2, 1.0, 1.0, 5.0, 5.0, 5.0)),
    )


def _busy_seconds(devices: tuple[DevicePlan, ...], campaigns: tuple[CampaignPlan, ...]) -> float:
    """About how long all of it takes: what happens is to happen in the middle, not afterwards."""
    messages = sum(len(campaign.numbers) for campaign in campaigns)
    pace = sum(plan.simulator["ports"] / plan.simulator["sms_seconds"] for plan in devices)
    return 30.0 + float(messages / pace) + max(campaign.start for campaign in campaigns)


def _device(rng: random.Random, nth: int, *, hostile: bool) -> DevicePlan:
    dialect = rng.choice(("2.0", "2.4"))
    forgets = hostile and rng.random() < 0.2
    faults = _faults(rng, forgets=forgets) if hostile else {}
    simulator: dict[str, Any] = {
        "ports": rng.choice((2, 3, 4)),
        "slots": rng.choice((1, 2)),
        "dialect": dialect,
        "seed": rng.randrange(10**6),
        "sms_seconds": rng.choice((0.3, 1.0, 3.0, 6.0, 20.0)),
        "fail_rate": rng.choice((0.0, 0.05, 0.3)),
        "magic": rng.random() < 0.5,
        "receipts_seconds": rng.choice(((1.0, 3.0), (0.0, 0.1), (1.0, 40.0))),
        "index_base": rng.choice((0, 1)),
        "profile": rng.choice(("clean", "clean", "quirky")),
        "queue_limit": rng.choice((None, None, 4, 16)),
        "idle_reports": rng.random() < 0.3,
        "reboot_queue": rng.choice(("lost", "kept")),
        "reboot_stats": rng.choice(("lost", "kept")),
        "reboot_config": rng.choice(("lost", "kept")),
        "reboot_seconds": rng.choice((8.0, 30.0)),
        "removed_reports": rng.random() < 0.7,
        "removed_unsent": rng.random() < 0.7,
        "remove_started": rng.random() < 0.7,
        "pause_started": rng.random() < 0.7,
        "unknown_tid": rng.choice((11, 4, 0)),
        "tid_memory": rng.choice((0.0, 0.0, 2.0, 20.0)) if forgets else 10**6,
        "auth_order": rng.choice(("spec", "seq-first")),
        "session_seconds": rng.choice((30, 180)),
    }
    settings = {
        "task-size": rng.choice(("1", "2", "5", "20")),
        "post-tasks": rng.choice(("1", "3", "100")),
        "tid-memory": rng.choice(("0", "10m", "10m", "10m")),
        "status-period": rng.choice(("10s", "30s", "30s", "90s", "90s")),
        "task-report-count": rng.choice(("1", "10")),
        "report-count": rng.choice(("1", "100")),
        "keep-plus": rng.choice(("no", "yes")),
        "delete-fetched": rng.choice(("no", "yes")),
        "push-silence": rng.choice(("90s", "90s", "60s")),
    }
    if forgets:  # many short tasks, and reports that take their time
        simulator["sms_seconds"] = rng.choice((0.3, 1.0))
        settings |= {"post-tasks": "1", "task-size": rng.choice(("1", "2")), "report-count": "100"}
    return DevicePlan(
        name=f"sim{nth + 1}",
        simulator=simulator,
        settings=settings,
        crypt=rng.choice((None, None, None, "none", "rc4")),
        faults=faults,
        clock_1970=hostile and rng.random() < 0.1,
        latency=rng.choice((0.01, 0.05, 0.3)),
    )


THEMES: tuple[Mapping[str, float], ...] = (
    {},
    {},
    {"answer-lost": 0.4, "push-lost": 0.4},
    {"answer-lost": 0.3, "push-late": 0.5},
    {"counters-reset": 0.3, "push-lost": 0.4},
    {"slow": 0.4, "push-lost": 0.2},
    {"left-out": 0.3, "push-twice": 0.3},
)
"""Faults that hurt most together."""


def _faults(rng: random.Random, *, forgets: bool) -> dict[str, float]:
    # with a device that forgets, its answers to posts are what hurts
    chosen = [name for name in REQUEST_FAULTS if rng.random() < (0.1 if forgets else 0.3)]
    if not forgets:
        chosen += [name for name in PUSH_FAULTS if rng.random() < 0.25]
    shares = {name: rng.choice((0.03, 0.1, 0.3)) for name in chosen}
    if "stranger-13" in shares:
        shares["stranger-13"] = 0.05
    return {**shares, **({"post-answer-lost": 0.6} if forgets else rng.choice(THEMES))}


def _campaigns(rng: random.Random) -> tuple[CampaignPlan, ...]:
    plans = []
    common = rng.random() < 0.3  # several campaigns to the same people
    for nth in range(rng.choice((1, 1, 2, 3))):
        count = rng.choice((1, 4, 12, 25))
        first = 0 if common else nth * 1000
        numbers = tuple(_number(rng, first + i) for i in range(count))
        options: dict[str, Any] = {
            "retries": rng.choice((0, 1, 2)),
            "receipts": rng.random() < 0.7,
        }
        if rng.random() < 0.15:
            options["rate"] = rng.choice(("1/s", "20/min"))
        if rng.random() < 0.15:
            options["per_port"] = rng.choice(("30/min", "6/min"))
        if rng.random() < 0.1:
            options["interval"] = "1s-3s"
        if rng.random() < 0.1:  # the world begins at ten: closed for a minute or two
            options["window"] = rng.choice(("10:02-10:01", "10:03-10:00"))
            options["timezone"] = "UTC"
        settings = {"receipt-wait": rng.choice(("10m", "2m", "2m"))}
        if rng.random() < 0.1:
            policy = rng.choice(("timeout:assume-sent", "timeout:resend", "reboot:resend"))
            settings["on-unknown"] = policy
        options["settings"] = settings
        plans.append(
            CampaignPlan(
                name=f"c{nth + 1}",
                numbers=numbers,
                message=rng.choice(("Hello", "Bonjour à tous", "x" * 200)) + f" {nth}",
                options=options,
                start=0.0 if nth == 0 else rng.uniform(0, 120),
            )
        )
    return tuple(plans)


def _number(rng: random.Random, nth: int) -> str:
    """Numbers nobody has; some end as the simulator's magic ones do."""
    ending = rng.choice((f"{5000 + nth % 4000:04d}",) * 3 + (f"{rng.randrange(1, 16):04d}",))
    return f"99930{nth:05d}{ending}"


def _acts(
    rng: random.Random,
    devices: tuple[DevicePlan, ...],
    campaigns: tuple[CampaignPlan, ...],
    busy: float,
) -> tuple[Act, ...]:
    chosen = [kind for kind in ACTS if rng.random() < _OFTEN.get(kind, 0.12)]
    acts: list[Act] = []
    for kind in [kind for kind in chosen for _ in range(rng.choice((1, 1, 2, 4)))]:
        campaign = rng.randrange(len(campaigns))
        device = rng.randrange(len(devices))
        if kind in _COSTS_REPORTS and any(plan.forgets for plan in devices):
            continue  # with such a device the reports are what is relied on
        # decisions come when something has become of the first attempts
        at = rng.uniform(busy / 2, busy * 3) if kind in DECISIONS else rng.uniform(0, busy)
        acts.append(
            Act(
                at,
                kind,
                device=device,
                port=rng.randrange(1, devices[device].simulator["ports"] + 1),
                campaign=campaign,
                number=rng.choice(campaigns[campaign].numbers),
                # a device without its cable stays away beyond every deadline
                seconds=1500.0 if kind == "unplugged" else rng.choice((2.0, 15.0, 60.0)),
                count=rng.randrange(1, 41),
            )
        )
        if kind == "pause":
            acts.append(Act(at + rng.uniform(1, 120), "continue", campaign=campaign))
        if kind == "reboot":
            acts += [replace(acts[-1], at=rng.uniform(0, busy)) for _ in range(rng.choice((0, 2)))]
        if kind == "lock":
            acts.append(Act(at + rng.uniform(1, 120), "unlock", device, acts[-1].port))
    return tuple(sorted(acts, key=lambda act: act.at))


def _crashes(rng: random.Random, busy: float, *, power: bool) -> tuple[Crash, ...]:
    return tuple(
        Crash(
            after=rng.choice((rng.uniform(0, 3), rng.uniform(0, 20), rng.uniform(0, busy))),
            steps=rng.randrange(200),
            downtime=rng.choice((0.0, 5.0, 45.0, 400.0)),
            power=rng.random() < 0.3 and power,
        )
        for _ in range(rng.choice((0, 1, 1, 2, 3, 4)))
    )
