"""What a proved failure leads to: final, or another try elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from campaign.protocol.codes import is_permanent, task_meaning
from campaign.protocol.network_causes import MEANINGS

SEND_FAILED = 7
_NEVER_ON_AIR = frozenset({2, 5, 10})


class FailureKind(Enum):
    """What a failure row of a report proves (spec §6.3.2.3)."""

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    PORT = "port"
    UNPROVED = "unproved"


@dataclass(frozen=True)
class Failure:
    """A failure row, judged. `code` is the network's cause when it gave one, else the program's."""

    kind: FailureKind
    code: int | None
    reason: str


@dataclass(frozen=True)
class Retry:
    """Try again after `wait` seconds, elsewhere if there is an elsewhere."""

    wait: float
    why: str


@dataclass(frozen=True)
class Final:
    why: str


def judge_failure(
    program: int | None, program_text: str, network: int | None, network_text: str
) -> Failure:
    """Judge a failure row: 7 is a proved failure, 2, 5 and 10 were never on air, all else (6 above
    all) may have gone out."""
    if program == SEND_FAILED:
        if network is None:
            return Failure(FailureKind.TRANSIENT, program, task_meaning(SEND_FAILED))
        reason = network_text_or_meaning(network, network_text)
        kind = FailureKind.PERMANENT if is_permanent(network) else FailureKind.TRANSIENT
        return Failure(kind, network, reason)
    if program in _NEVER_ON_AIR:
        return Failure(FailureKind.PORT, program, task_meaning(program))
    reason = program_text or "failure without a code"
    return Failure(FailureKind.UNPROVED, program, reason)


def network_text_or_meaning(network: int, text: str) -> str:
    """The network's cause in words: the table's, or the device's own when the table has none."""
    words = text.strip().lstrip("0123456789").strip(" :-")
    return MEANINGS.get(network) or words or f"cause {network}"


def after_failure(failure: Failure, failures: int, budget: int, wait: float) -> Retry | Final:
    """Decide on a proved failure, the recipient's `failures`-th, with `budget` attempts in all.

    Waits double from `wait`: the network that just refused wants time, not insistence.
    """
    if failure.kind is FailureKind.PERMANENT:
        return Final("permanent cause")
    if failures >= budget:
        return Final(f"{failures} of {budget} attempts used")
    pause = 0.0 if failure.kind is FailureKind.PORT else wait * 2 ** (failures - 1)
    return Retry(pause, f"proved failure {failures} of {budget}: {failure.reason}")
