"""Worlds that once broke an invariant: what a seed had found, cut down to what it takes.

The seeds themselves change their meaning whenever the drawing of scenarios does; these do not.
"""

from __future__ import annotations

from typing import Any

from tests.simulation.scenario import Act, CampaignPlan, Crash, DevicePlan, Scenario

_ONE = ("99930000015001",)
_FEW = tuple(f"99930{nth:05d}5{nth:03d}" for nth in range(1, 13))
_MANY = tuple(f"99930{nth:05d}5{nth:03d}" for nth in range(1, 61))


def _device(settings: dict[str, str], **plan: Any) -> DevicePlan:
    simulator = {"ports": 1, "sms_seconds": 1.0, "seed": 7, "tid_memory": 10**6}
    simulator.update(plan.pop("simulator", {}))
    chosen = {"task-size": "5", "tid-memory": "10m", "return-path": "assume", **settings}
    return DevicePlan("sim1", simulator, chosen, **{"latency": 0.01, **plan})


REGRESSIONS: dict[str, Scenario] = {
    # its post never arrived; the receipt is that of the second campaign's message, not yet reported
    "a receipt of another campaign's message proves nothing": Scenario(
        1,
        (
            _device(
                {"report-period": "20s", "tid-memory": "0"},
                simulator={"receipts_seconds": (0.0, 0.1)},
                script=("request-lost@20",),
            ),
        ),
        (
            CampaignPlan("c1", _ONE, "Hello", {"retries": 0}),
            CampaignPlan("c2", _ONE, "Hello again", {"retries": 0}, start=200.0),
        ),
        calm=100.0,
    ),
    # … nor does one where this campaign asked for none
    "a receipt is nobody's who asked for none": Scenario(
        2,
        (
            _device(
                {"report-period": "20s", "tid-memory": "0"},
                simulator={"receipts_seconds": (0.0, 0.1)},
                script=("request-lost@20",),
            ),
        ),
        (
            CampaignPlan("c1", _ONE, "Hello", {"retries": 0, "receipts": False}),
            CampaignPlan("c2", _ONE, "Hello again", {"retries": 0}, start=200.0),
        ),
        calm=100.0,
    ),
    # the list went on after the cancel, and who was imported then waited for ever
    "a cancel during the import leaves nobody waiting": Scenario(
        3,
        (_device({}),),
        (CampaignPlan("c1", _FEW, "Hello", {}),),
        (Act(0.0, "cancel"), Act(0.1, "cancel"), Act(0.3, "cancel")),
        calm=1.0,
        slow_disk=0.5,
    ),
    # a resume that was killed in the middle of a pause's answer
    "a pause survives the death of its engine": Scenario(
        4,
        (_device({}, simulator={"sms_seconds": 6.0}),),
        (CampaignPlan("c1", _FEW, "Hello", {}),),
        (Act(8.0, "pause"), Act(90.0, "continue")),
        (Crash(8.0, 12, 5.0), Crash(3.0, 40, 5.0)),
        calm=1.0,
    ),
    # the device reports it every period without a change, and the ledger knew of no pause to end
    "a pause whose answer was lost with its engine is ended by the continue": Scenario(
        5,
        (_device({}, simulator={"sms_seconds": 6.0, "idle_reports": True}, latency=0.3),),
        (CampaignPlan("c1", _FEW, "Hello", {}),),
        (Act(8.0, "pause"), Act(10.5, "continue")),
        (Crash(8.0, 16, 5.0),),
        calm=1.0,
    ),
    # an operator who asks again for a pause the engine died under continues only then
    "a pause is not asked for again after its continue": Scenario(
        6,
        (_device({}, simulator={"sms_seconds": 6.0}),),
        (CampaignPlan("c1", _FEW, "Hello", {}),),
        (Act(8.0, "pause"), Act(9.0, "continue")),
        (Crash(8.0, 12, 5.0),),
        calm=1.0,
    ),
    # nothing is sent through it any more, so nothing can be reported: somebody has to look
    "a gateway whose probes were all lost goes on once somebody says so": Scenario(
        7,
        (_device({"return-path": "probe"}, pushes=("push-lost",) * 6),),
        (CampaignPlan("c1", _FEW, "Hello", {"receipts": False, "retries": 0}),),
        calm=1.0,
    ),
    # what went out before was charged to an hour that civil time was set back from
    "what is given back is taken from no hour that it was not charged to": Scenario(
        8,
        (_device({}, simulator={"sms_seconds": 6.0}),),
        (CampaignPlan("c1", _MANY, "Hello", {"receipts": False}),),
        (Act(5.0, "clock-step", seconds=60.0, count=2), Act(128.0, "cancel")),
        (Crash(6.0, 3, 1.0),),
        calm=1.0,
    ),
}
