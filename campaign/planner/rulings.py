"""What may be decided about recipients whose outcome nobody knows, and what that risks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from campaign.errors import UsageError
from campaign.planner.states import UnknownCause

C = UnknownCause


class Ruling(StrEnum):
    """What an unknown recipient is taken for: sent, failed, or one to be sent to once more."""

    SENT = "sent"
    FAILED = "failed"
    RESEND = "resend"


class Decision(StrEnum):
    """Kinds of stored decisions about one recipient; the last two permit one more attempt each."""

    RESOLVED_SENT = "resolved_sent"
    RESOLVED_FAILED = "resolved_failed"
    RESEND = "resend"
    RETRY_FAILED = "retry_failed"


KIND: Final[Mapping[Ruling, Decision]] = {
    Ruling.SENT: Decision.RESOLVED_SENT,
    Ruling.FAILED: Decision.RESOLVED_FAILED,
    Ruling.RESEND: Decision.RESEND,
}
AGAIN: Final = (Decision.RESEND, Decision.RETRY_FAILED)

MAY_BE_QUEUED: Final = frozenset({C.UNREACHABLE, C.SILENCE, C.NO_ANSWER, C.COLLISION, C.RESTORED})
"""Nothing proves that the gateway's queue is rid of it: it may still go out by itself. (A timeout
is the device's last word on its place, counters that add up leave no queue, and neither does a
restart that was fenced.) To send again takes consent there: nobody could stop the first one."""


def parse_causes(words: Iterable[str]) -> tuple[UnknownCause, ...]:
    """Causes by name, or `all`; in the order of the table. Raises `UsageError`."""
    named = {word.strip().lower().replace("-", "_") for word in words}
    unknown = sorted(named - set(C) - {"all"})
    if unknown:
        raise UsageError(f"unknown cause {unknown[0]!r}: known are {', '.join(C)}, or all")
    return tuple(cause for cause in C if cause in named or "all" in named)


@dataclass(frozen=True)
class Risk:
    """What sending again risks, in numbers.

    `by_cause`: recipients of whose last attempt nobody knows whether it went out, of every cause.
    `queued`: those of causes that leave a queue behind whose gateway never confirmed that it took
    them back, by its name.
    """

    by_cause: Mapping[str, int]
    queued: Mapping[str, int]

    @property
    def recipients(self) -> int:
        return sum(self.by_cause.values())

    @property
    def needs_consent(self) -> bool:
        """Whether some of them may still go out by themselves, not only have gone out."""
        return not MAY_BE_QUEUED.isdisjoint(self.by_cause)

    def sentence(self) -> str:
        """The risk in words; empty without one."""
        if not self.recipients:
            return ""
        words = (
            f"{self.recipients} of them may have gone out unreported ({spelt(self.by_cause)}): "
            f"up to {self.recipients} people get the message twice"
        )
        if self.queued:
            words += (
                f"; {sum(self.queued.values())} may still stand in a gateway's queue, which never "
                f"confirmed that it dropped them ({spelt(self.queued)})"
            )
        return words


def spelt(counts: Mapping[str, int]) -> str:
    """`silence 3, timeout 1`."""
    return ", ".join(f"{name} {n}" for name, n in counts.items())


class Policy(StrEnum):
    """What is decided by itself when a task is closed as unknown, or a timeout is reported."""

    HOLD = "hold"
    ASSUME_SENT = "assume-sent"
    RESEND = "resend"


NEVER_BY_ITSELF: Final = frozenset({C.UNREACHABLE, C.COLLISION})
"""The gateway was never made to drop these: sent again, they go out twice when it comes back."""

_DECIDABLE: Final = tuple(cause for cause in C if cause is not C.RESTORED)
"""What a policy may name. Whoever a restored copy still has waiting is no task's end: nothing is
known of them, not even whether they were sent to."""


def parse_policy(text: str) -> dict[UnknownCause, Policy]:
    """`timeout:assume-sent,silence:hold`, or `hold`; causes not named are held, and `all` names
    those that a policy may decide. Raises `UsageError`."""
    policy: dict[UnknownCause, Policy] = {}
    for item in filter(None, (part.strip() for part in text.lower().split(","))):
        word, colon, what = item.partition(":")
        if item == Policy.HOLD:
            continue
        if not colon or what not in set(Policy):
            raise UsageError(f"{item!r}: write CAUSE:{' or CAUSE:'.join(Policy)}")
        for cause in _decidable(word):
            if what == Policy.RESEND and cause in NEVER_BY_ITSELF:
                raise UsageError(
                    f"{cause}:resend is refused: its gateway's queue may still hold the message;"
                    " decide when you know more, with campaign resolve"
                )
            policy[cause] = Policy(what)
    return policy


def _decidable(word: str) -> tuple[UnknownCause, ...]:
    causes = parse_causes([word])
    if causes == (C.RESTORED,):
        raise UsageError(
            "restored is refused: nothing is known of whoever waited in a restored copy, so no"
            " policy decides about them; see what reports still come, then campaign resolve"
        )
    return tuple(cause for cause in causes if cause in _DECIDABLE)


def policy_for(
    policy: Mapping[UnknownCause, Policy], cause: UnknownCause, *, taken_back: bool
) -> Policy:
    """What holds for one recipient: where a queue may be left, a resend takes its gateway's word
    that it dropped the task."""
    chosen = policy.get(cause, Policy.HOLD)
    if chosen is Policy.RESEND and cause in MAY_BE_QUEUED and not taken_back:
        return Policy.HOLD
    return chosen
