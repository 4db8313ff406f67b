"""For each mutant one small world that must catch it, and that the real code must survive."""

from __future__ import annotations

from typing import Any

from tests.simulation.scenario import Act, CampaignPlan, Crash, DevicePlan, Scenario

_NUMBERS = tuple(f"99930{nth:05d}5{nth:03d}" for nth in range(1, 40))


def _device(settings: dict[str, str] | None = None, **plan: Any) -> DevicePlan:
    simulator = {"ports": 1, "sms_seconds": 1.0, "seed": 7, "tid_memory": 10**6}
    simulator.update(plan.pop("simulator", {}))
    return DevicePlan(
        name="sim1",
        simulator=simulator,
        settings={
            "task-size": "1",
            "tid-memory": "10m",
            "return-path": "assume",
            **(settings or {}),
        },
        latency=0.01,
        **plan,
    )


def _campaign(count: int = 1, **options: Any) -> CampaignPlan:
    plan = {"retries": 2, "receipts": False, **options}
    return CampaignPlan("c1", _NUMBERS[:count], "Hello", plan)


def _magic(*endings: str) -> CampaignPlan:
    numbers = tuple(f"99930{nth:05d}{ending}" for nth, ending in enumerate(endings))
    return CampaignPlan("c1", numbers, "Hello", {"retries": 2, "receipts": False})


DIRECTED: dict[str, Scenario] = {
    "intent after the wire": Scenario(1, (_device(),), (_campaign(),), calm=1.0),
    # the device took it, its answer is lost, and so is its report
    "timeout is failure": Scenario(
        2,
        (_device(script=("answer-lost@20",), faults={"push-lost": 1.0}),),
        (_campaign(),),
        calm=30.0,
    ),
    "new tid on retry": Scenario(
        3,
        (_device(script=("answer-lost@20",), faults={"push-lost": 1.0}),),
        (_campaign(),),
        calm=30.0,
    ),
    # … and it restarts before it is asked
    "repost without boot check": Scenario(
        4,
        (
            _device(
                script=("answer-lost@20",),
                faults={"push-lost": 1.0},
                simulator={"reboot_seconds": 8.0, "register_seconds": 0.5},
            ),
        ),
        (_campaign(),),
        (Act(31.0, "reboot"),),
        calm=60.0,
    ),
    # the report is still in the device's buffer when the answer is given up, its tid forgotten
    "repost before the horizon": Scenario(
        5,
        (
            _device(
                script=("answer-lost@2",),
                simulator={"tid_memory": 0.0, "sms_seconds": 0.3},
                settings={"task-report-count": "1"},
            ),
        ),
        (_campaign(),),
        calm=1.0,
    ),
    "ambiguous closed at once": Scenario(
        6,
        (_device({"task-size": "5"}, simulator={"sms_seconds": 6.0}),),
        (_campaign(10),),
        (Act(12.0, "cancel"),),
        calm=1.0,
    ),
    # two failures whose rows are lost, then the device counts anew
    "counters across epochs": Scenario(
        7,
        (
            _device(
                {"task-size": "4", "task-report-count": "1", "report-count": "1"},
                simulator={"magic": True, "sms_seconds": 2.0},
                pushes=("push-lost", "push-lost", "counters-reset"),
            ),
        ),
        (_magic("5000", "0001", "5001", "5002"),),
        calm=100.0,
    ),
    "several ports": Scenario(8, (_device(simulator={"ports": 2}),), (_campaign(),), calm=1.0),
    "answered before the commit": Scenario(
        9, (_device(settings={"report-count": "1"}),), (_campaign(3),), calm=1.0
    ),
    "timeout row retried": Scenario(
        10, (_device(simulator={"magic": True}),), (_magic("0006"),), calm=1.0
    ),
    # one of several is on air when the rest is removed
    "removed is unsent": Scenario(
        11,
        (_device({"task-size": "5"}, simulator={"sms_seconds": 6.0}),),
        (_campaign(10),),
        (Act(14.0, "cancel"),),
        calm=1.0,
    ),
    "released on first counters": Scenario(
        12,
        (_device({"task-size": "5"}, simulator={"sms_seconds": 6.0}),),
        (_campaign(10),),
        (Act(14.0, "cancel"),),
        calm=1.0,
    ),
    "ledger not synced": Scenario(
        13,
        (_device(simulator={"sms_seconds": 2.0, "ports": 2}),),
        (_campaign(30),),
        (),
        tuple(Crash(1.0 + nth * 0.7, nth * 7, 1.0, power=True) for nth in range(8)),
        calm=1.0,
    ),
}
