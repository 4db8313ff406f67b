"""The state machines of a recipient, a task and a campaign, each as one table.

Theory of operation. A recipient waits (`pending`, or `held` with a due time), is `assigned` to
exactly one live attempt inside one task, and leaves it by evidence only: a detail row of a report,
a delivery receipt, elimination over the task's counters, or proof that it never went on air. What
cannot be known ends as `unknown` with its cause and rises only on late evidence or by a stored
decision. A task is written down (`intent`) before its first byte is on the wire; an answer makes it
`accepted`, anything short of an answer makes it `doubt`, and taking it back goes through `fencing`
and `fenced`. These tables are the one source: the SQL CHECKs, the trigger that refuses any other
move, and the README's diagrams are rendered from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class RecipientState(StrEnum):
    PENDING = "pending"
    HELD = "held"
    ASSIGNED = "assigned"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    NO_RECEIPT = "no_receipt"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class TaskState(StrEnum):
    PLANNED = "planned"
    INTENT = "intent"
    DOUBT = "doubt"
    ACCEPTED = "accepted"
    PAUSED = "paused"
    FENCING = "fencing"
    FENCED = "fenced"
    CLOSED = "closed"


class CampaignState(StrEnum):
    IMPORTING = "importing"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSED = "paused"
    WAITING = "waiting"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class Evidence(StrEnum):
    """What a recipient's state rests on, weakest first."""

    NONE = "none"
    OPERATOR = "operator"
    ACCEPTED = "accepted"
    INFERRED = "inferred"
    RECEIPT = "receipt"
    REPORT = "report"


class UnknownCause(StrEnum):
    SILENCE = "silence"
    REBOOT = "reboot"
    NO_ANSWER = "no_answer"
    TIMEOUT = "timeout"
    COLLISION = "collision"
    UNREACHABLE = "unreachable"
    AMBIGUOUS = "ambiguous"
    RESTORED = "restored"


class Outcome(StrEnum):
    """What is known of one attempt; evidence only rises in this order."""

    TIMEOUT = "timeout"
    FAILED = "failed"
    SENT = "sent"


class FenceReason(StrEnum):
    """Why a task is taken back from its device."""

    SILENCE = "silence"
    REBOOT = "reboot"
    DOUBT = "doubt"
    CANCEL = "cancel"
    REROUTE = "reroute"
    OPT_OUT = "opt_out"
    AMBIGUOUS = "ambiguous"


R = RecipientState
T = TaskState

FINAL_RECIPIENT_STATES: Final = frozenset(R) - {R.PENDING, R.HELD, R.ASSIGNED}
WAITING_RECIPIENT_STATES: Final = frozenset({R.PENDING, R.HELD})
LIVE_TASK_STATES: Final = frozenset(T) - {T.CLOSED}
"""A task in one of these may still put something on air."""

RECIPIENT_MOVES: Final[dict[tuple[RecipientState, RecipientState], str]] = {
    (R.PENDING, R.ASSIGNED): "claimed into a task",
    (R.PENDING, R.HELD): "quota or back-off",
    (R.HELD, R.PENDING): "due",
    (R.PENDING, R.SKIPPED): "opted out or suppressed",
    (R.HELD, R.SKIPPED): "opted out or suppressed",
    (R.PENDING, R.CANCELLED): "campaign cancelled",
    (R.HELD, R.CANCELLED): "campaign cancelled",
    (R.PENDING, R.EXPIRED): "deadline",
    (R.HELD, R.EXPIRED): "deadline",
    (R.ASSIGNED, R.SENT): "reported sent",
    (R.ASSIGNED, R.DELIVERED): "receipt proves it",
    (R.ASSIGNED, R.UNDELIVERED): "receipt proves it",
    (R.ASSIGNED, R.FAILED): "proved failure, final",
    (R.ASSIGNED, R.PENDING): "proved unsent",
    (R.ASSIGNED, R.HELD): "proved failure, budget left",
    (R.ASSIGNED, R.UNKNOWN): "cannot be known",
    (R.ASSIGNED, R.CANCELLED): "fenced, proved unsent",
    (R.ASSIGNED, R.EXPIRED): "fenced, proved unsent",
    (R.ASSIGNED, R.SKIPPED): "fenced, proved unsent",
    (R.PENDING, R.UNKNOWN): "restored from a copy: it may have been sent since",
    (R.HELD, R.UNKNOWN): "restored from a copy: it may have been sent since",
    (R.SENT, R.DELIVERED): "receipt",
    (R.SENT, R.UNDELIVERED): "receipt",
    (R.SENT, R.NO_RECEIPT): "receipt-wait over",
    (R.NO_RECEIPT, R.DELIVERED): "late receipt",
    (R.NO_RECEIPT, R.UNDELIVERED): "late receipt",
    (R.UNKNOWN, R.SENT): "late evidence",
    (R.UNKNOWN, R.DELIVERED): "late receipt",
    (R.UNKNOWN, R.UNDELIVERED): "late receipt",
    (R.UNKNOWN, R.FAILED): "late evidence",
    (R.UNKNOWN, R.PENDING): "stored decision",
    (R.UNKNOWN, R.HELD): "late proof of failure, stored decision",
    (R.FAILED, R.SENT): "late evidence",
    (R.FAILED, R.DELIVERED): "late receipt",
    (R.FAILED, R.UNDELIVERED): "late receipt",
    (R.FAILED, R.PENDING): "stored decision",
    (R.PENDING, R.SENT): "late evidence",
    (R.HELD, R.SENT): "late evidence",
    (R.CANCELLED, R.SENT): "late evidence, anomaly",
    (R.SKIPPED, R.SENT): "late evidence, anomaly",
    (R.EXPIRED, R.SENT): "late evidence, anomaly",
}

TASK_MOVES: Final[dict[tuple[TaskState, TaskState], str]] = {
    (T.PLANNED, T.INTENT): "written down, then posted",
    (T.PLANNED, T.CLOSED): "released, never on the wire",
    (T.INTENT, T.PLANNED): "not sent: no connection",
    (T.INTENT, T.ACCEPTED): "answered 0, or reported",
    (T.INTENT, T.DOUBT): "no answer, or 13 at once",
    (T.INTENT, T.CLOSED): "refused by code",
    (T.DOUBT, T.ACCEPTED): "reported, listed, or re-post 0/13",
    (T.DOUBT, T.FENCING): "cannot be re-posted",
    (T.DOUBT, T.CLOSED): "every attempt final, or deadline",
    (T.ACCEPTED, T.PAUSED): "paused on the device",
    (T.PAUSED, T.ACCEPTED): "resumed on the device",
    (T.PAUSED, T.FENCING): "cancel, opt-out, reroute",
    (T.PAUSED, T.CLOSED): "every attempt final",
    (T.ACCEPTED, T.FENCING): "silence, cancel, reroute, opt-out",
    (T.ACCEPTED, T.CLOSED): "every attempt final",
    (T.FENCING, T.FENCED): "remove answered",
    (T.FENCING, T.CLOSED): "proved unsent, final, or deadline",
    (T.FENCED, T.CLOSED): "horizon over",
}


def mermaid(
    moves: Mapping[tuple[RecipientState, RecipientState], str]
    | Mapping[tuple[TaskState, TaskState], str],
) -> str:
    """Render a table of moves as a Mermaid state diagram (for the README)."""
    lines = ["stateDiagram-v2"]
    lines += [f"    {old} --> {new}: {why}" for (old, new), why in moves.items()]
    return "\n".join(lines)
