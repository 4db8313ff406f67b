"""Verdicts: whether a campaign went well so far, on its first recipients or all along."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from campaign.errors import UsageError
from campaign.planner.states import FINAL_RECIPIENT_STATES, RecipientState
from campaign.planner.thresholds import Threshold

Counts = Mapping[RecipientState, int]

CANARY_THRESHOLD = "failed+unknown>10%"
"""What a canary without --pause-if is judged by."""

LEAST = 20
"""Final recipients below which nothing is judged: one failure among the first three says little."""

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*")
_BY_RECEIPT = {RecipientState.DELIVERED, RecipientState.UNDELIVERED, RecipientState.NO_RECEIPT}


@dataclass(frozen=True)
class SampleSize:
    """How many recipients go first: a number, or a percentage of the list."""

    number: float
    percent: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises `UsageError` that shows the form."""
        match = _SIZE.fullmatch(text)
        number, percent = (float(match[1]), bool(match[2])) if match else (0.0, False)
        whole = percent or number == int(number)
        if number <= 0 or not whole or (percent and number > 100):
            raise UsageError(f"--canary {text!r}: write how many go first, as 50, or as 1%")
        return cls(number, percent)

    def of(self, total: int) -> int:
        """That many of `total`, rounded up, at least one."""
        wanted = math.ceil(total * self.number / 100) if self.percent else int(self.number)
        return max(1, min(total, wanted))


def parse_pause_if(texts: Sequence[str]) -> tuple[Threshold, ...]:
    """The thresholds of --pause-if. Raises `UsageError`, also for a state that is not final."""
    thresholds = tuple(Threshold.parse(text, option="--pause-if") for text in texts)
    for threshold in thresholds:
        for state in threshold.states:
            if state not in FINAL_RECIPIENT_STATES:
                known = ", ".join(s for s in RecipientState if s in FINAL_RECIPIENT_STATES)
                raise UsageError(
                    f"--pause-if {threshold.text!r}: {state} is not final; these are: {known}"
                )
    return thresholds


def check_pause_if(thresholds: Sequence[Threshold]) -> None:
    """Raise `UsageError` for a newly written one that can never be true, or always is."""
    for threshold in thresholds:
        threshold.check("--pause-if")
        if threshold.is_always:
            raise UsageError(
                f"--pause-if {threshold.text!r}: that is true whatever happens, so that nothing"
                " would go on"
            )


def waits_for_receipts(thresholds: Sequence[Threshold]) -> bool:
    """Whether only receipts tell what these ask."""
    return any(_BY_RECEIPT & set(threshold.states) for threshold in thresholds)


def since(counts: Counts, before: Mapping[str, int]) -> dict[RecipientState, int]:
    """Final recipients by state that were not final yet when `before` was counted."""
    return {state: max(0, counts[state] - before.get(state, 0)) for state in FINAL_RECIPIENT_STATES}


def broken(
    thresholds: Sequence[Threshold], finals: Counts, *, receipts: bool, least: int = LEAST
) -> str | None:
    """Why sending should not go on, in words; None while it may.

    `finals` are those to be judged, by state. With `receipts`, one that is sent is not settled yet
    for a threshold that asks for receipts.
    """
    for threshold in thresholds:
        open_yet = receipts and _BY_RECEIPT & set(threshold.states)
        counted = {
            state: n
            for state, n in finals.items()
            if not (open_yet and state is RecipientState.SENT)
        }
        total = sum(counted.values())
        if total < max(1, least):
            continue
        all_counts = {state: counted.get(state, 0) for state in RecipientState}
        if threshold.broken_by({"counts": all_counts, "recipients": total}):
            met = sum(all_counts[state] for state in threshold.states)
            return f"{threshold.text.strip()}: {met} of {total} ({100 * met / total:.3g} %)"
    return None
