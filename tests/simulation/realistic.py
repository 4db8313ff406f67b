"""An ordinary day: what becomes unknown where the faults are those of a real network.

22 virtual hours; 1 % of the answers are lost, 0.5 % of the reports are lost, 1 % come twice or
late; each device restarts once; the engine is killed three times.
"""

from __future__ import annotations

from dataclasses import replace

from tests.simulation.scenario import Act, CampaignPlan, Crash, DevicePlan, Scenario

HOURS = 22
RECIPIENTS = 7920
"""One every ten seconds."""

_DEVICES = 3
_SECONDS = HOURS * 3600.0


def ordinary_day(seed: int, *, recipients: int = RECIPIENTS, faults: bool = True) -> Scenario:
    """The day of a seed; without `faults` nothing at all goes wrong."""
    rate = f"{recipients / _SECONDS * 60:.4f}/min"
    devices = tuple(
        DevicePlan(
            f"sim{nth + 1}",
            {
                "ports": 4, "seed": seed * 10 + nth, "sms_seconds": 6.0, "fail_rate": 0.01,
                "tid_memory": 10**6, "reboot_seconds": 30.0, "receipts_seconds": (2.0, 20.0),
            },
            {"status-period": "2m"},
            faults={"answer-lost": 0.01, "push-lost": 0.005, "push-twice": 0.005,
                    "push-late": 0.005} if faults else {},
        )
        for nth in range(_DEVICES)
    )  # fmt: skip
    numbers = tuple(f"99931{nth:05d}{5000 + nth % 4000:04d}" for nth in range(recipients))
    plan = CampaignPlan("day", numbers, "Hello", {"retries": 2, "receipts": True, "rate": rate})
    scenario = Scenario(seed, devices, (plan,), calm=_SECONDS, inbox_every=60.0)
    if not faults:
        return scenario
    return replace(
        scenario,
        acts=tuple(
            Act(_SECONDS * (nth + 1) / (_DEVICES + 1) + seed % 600, "reboot", device=nth)
            for nth in range(_DEVICES)
        ),
        crashes=tuple(
            Crash(_SECONDS / 5 + seed % 100, 17 * nth, downtime=120.0) for nth in range(3)
        ),
    )


def by_the_batch(seed: int, *, faults: bool) -> Scenario:
    """The same people without a rate: tasks of several recipients."""
    day = ordinary_day(seed, recipients=2000, faults=faults)
    (plan,) = day.campaigns
    options = {name: value for name, value in plan.options.items() if name != "rate"}
    return replace(
        day,
        campaigns=(replace(plan, options=options),),
        calm=1800.0,
        acts=tuple(replace(act, at=100.0 + 300 * nth) for nth, act in enumerate(day.acts)),
        crashes=tuple(replace(crash, after=200.0) for crash in day.crashes),
    )
