"""One small campaign that is broken off everywhere: at each step, operation, request and push."""

from __future__ import annotations

from dataclasses import replace

from tests.simulation.scenario import CampaignPlan, Crash, DevicePlan, Scenario

SMALL = Scenario(
    seed=1,
    devices=(
        DevicePlan(
            "sim1",
            {"ports": 2, "seed": 3, "sms_seconds": 1.0, "magic": True, "tid_memory": 10**6},
            {"task-size": "2", "return-path": "assume"},
            latency=0.01,
        ),
    ),
    campaigns=(
        CampaignPlan(
            "c1",
            # sent, refused for good, refused once, timed out, and two more
            ("99930000005000", "99930000010001", "99930000020003", "99930000030006",
             "99930000045004", "99930000055005"),
            "Hello",
            {"retries": 1, "receipts": True},
        ),
    ),
    calm=1.0,
)  # fmt: skip
"""Six recipients who meet every kind of end."""

REQUEST_KINDS = (
    "refuse",
    "request-lost",
    "answer-lost@0.5",
    "answer-lost@20",
    "busy-503",
    "error-page",
    "truncated",
    "wrong-charset",
)


def crashed_at(step: int, *then: int) -> Scenario:
    """Killed at this scheduler step of its first life, and at these of the next ones."""
    return replace(SMALL, crashes=tuple(Crash(0.0, each, 1.0) for each in (step, *then)))


def disk_fails_at(operation: int) -> Scenario:
    return replace(SMALL, nth_operation=operation)


def push_refused(push: int) -> Scenario:
    return replace(SMALL, nth_push=push)


def request_fails(nth: int, kind: str) -> Scenario:
    (device,) = SMALL.devices
    return replace(SMALL, devices=(replace(device, nth_request=(nth, kind)),))
