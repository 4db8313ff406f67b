"""Replaying a campaign from empty: everything devices said of it, in any order, and what it proves.

Nothing stored is believed here but what was written before a task's first byte: its id on the wire,
its port, its numbers. Every item only adds to sets, maxima and joins, so that no order of items can
change the result. Memory is bounded by the campaign: what names other tasks is dropped at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias, assert_never

from campaign.planner.crediting import Arrivals, Sameness
from campaign.planner.reconcile import Conclusion, Places, TaskEvidence, conclude, read_report
from campaign.planner.states import Outcome
from campaign.protocol.codes import CodeClass, classify_first_post
from campaign.protocol.messages import TaskReport

DELIVERED: Final = 1
UNDELIVERED: Final = 2
_TAKEN, _TAKEN_BEFORE = 0, 13


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """One task as it was written down before it was sent; `numbers` in the order of `to`.

    `foreign`: of another campaign, here only because it has the tid of one of this campaign's.
    """

    id: int
    gateway_id: int
    tid: int
    port: int | None
    intent_ms: int
    numbers: tuple[str, ...] = ()
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class Reported:
    """A device's report of one task."""

    gateway_id: int
    at_ms: int
    report: TaskReport


@dataclass(frozen=True, slots=True)
class Receipted:
    """A delivery receipt, pushed or polled; `number` may be empty, `port` untold. `same` tells it
    from others: one that comes twice is one."""

    gateway_id: int
    at_ms: int
    port: int | None
    number: str
    delivered: bool
    same: Sameness = (None, 0, 1)


@dataclass(frozen=True, slots=True)
class Judged:
    """The answer to a post: the verdict code by tid; `again`: to a re-post."""

    gateway_id: int
    at_ms: int
    codes: Mapping[int, int]
    again: bool = False


@dataclass(frozen=True, slots=True)
class Listed:
    """Tasks a device listed as waiting: whether paused, by tid. `asked` ties the answers together
    that were given to one fence."""

    gateway_id: int
    at_ms: int
    asked: str
    paused: Mapping[int, bool]


@dataclass(frozen=True, slots=True)
class Steered:
    """Tids for which a device answered a pause, or a remove, with 0."""

    gateway_id: int
    at_ms: int
    asked: str
    removed: bool
    tids: frozenset[int]


@dataclass(frozen=True, slots=True)
class Counted:
    """The device's own statistics were read to close this task."""

    gateway_id: int
    at_ms: int
    task_id: int


Item: TypeAlias = Reported | Receipted | Judged | Listed | Steered | Counted


@dataclass(slots=True)
class TaskReplay:
    """All that was said of one task."""

    facts: TaskFacts
    evidence: TaskEvidence
    receipts: bytearray
    """By place: `DELIVERED` and `UNDELIVERED` bits of receipts that name its number and port."""
    refused: set[int] = field(default_factory=set)
    """Codes other than 0 and 13 on a first post."""
    taken: bool = False
    """Its post was answered 0, or a re-post 0 or 13."""
    listed: bool = False
    reported: bool = False
    collided: bool = False
    """A first post was answered 13: somebody else uses its tid."""
    removed: bool = False
    waited: bool = False
    """Paused, listed as waiting and paused, then removed: what had not started never will."""
    counted: bool = False
    """The device's statistics were read to close it."""

    @property
    def on_device(self) -> bool:
        """Whether anything proves that the device had it."""
        return self.taken or self.listed or self.reported

    @property
    def bad_content(self) -> bool:
        """Refused for what it says: it fails, it was not sent."""
        return any(classify_first_post(code) is CodeClass.BAD_CONTENT for code in self.refused)

    def conclude(self) -> Conclusion:
        return conclude(self.evidence)


@dataclass(slots=True)
class _Fence:
    """What was answered to one fence."""

    paused: set[int] = field(default_factory=set)
    waiting: set[int] = field(default_factory=set)
    removed: set[int] = field(default_factory=set)


class Replay:
    """Takes items in any order; `tasks` is then what they add up to."""

    def __init__(self, tasks: Iterable[TaskFacts]) -> None:
        self.tasks: dict[int, TaskReplay] = {}
        self._owners: dict[tuple[int, int], list[TaskFacts]] = {}
        self._by_number: dict[str, list[tuple[int, int]]] = {}
        self._fences: dict[tuple[int, int, str], _Fence] = {}
        self.arrivals = Arrivals(self._by_number)
        for facts in tasks:
            self._owners.setdefault((facts.gateway_id, facts.tid), []).append(facts)
            if facts.foreign:
                continue
            size = len(facts.numbers)
            self.tasks[facts.id] = TaskReplay(facts, TaskEvidence.blank(size), bytearray(size))
            for idx, number in enumerate(facts.numbers, 1):
                self._by_number.setdefault(number, []).append((facts.id, idx))

    def take(self, item: Item) -> None:
        """Add what one item tells."""
        match item:
            case Reported():
                self._take_report(item)
            case Receipted():
                self._take_receipt(item)
            case Judged():
                self._take_verdicts(item)
            case Listed():
                self._take_listing(item)
            case Steered():
                self._take_steering(item)
            case Counted():
                task = self.tasks.get(item.task_id)
                if task is not None:
                    task.counted = True
            case _:
                assert_never(item)

    def has_nameless(self, task: TaskReplay) -> bool:
        """Whether a receipt without a number came from a task's device and port."""
        return self.arrivals.has_nameless(task.facts.gateway_id, task.facts.port)

    def _owner(self, item: Item, tid: int) -> TaskReplay | None:
        """The task a tid names. Should one have come round again: the newest written by then."""
        owners = self._owners.get((item.gateway_id, tid), [])
        if len(owners) > 1:
            by_then = [facts for facts in owners if facts.intent_ms <= item.at_ms] or owners[:1]
            owners = [max(by_then, key=lambda facts: facts.id)]
        return self.tasks.get(owners[0].id) if owners else None

    def _take_report(self, item: Reported) -> None:
        task = self._owner(item, item.report.tid)
        if task is None:
            return
        task.reported = True
        reading = read_report(Places(task.facts.numbers), item.report)
        task.evidence = task.evidence.join(reading.evidence)

    def _take_receipt(self, item: Receipted) -> None:
        bit = DELIVERED if item.delivered else UNDELIVERED
        self.arrivals.take(item.gateway_id, item.at_ms, item.port, item.number, item.same)
        for task_id, idx in self._by_number.get(item.number, ()):
            task = self.tasks[task_id]
            here = item.port is None or item.port == task.facts.port
            if here and task.facts.gateway_id == item.gateway_id:
                task.receipts[idx - 1] |= bit

    def _take_verdicts(self, item: Judged) -> None:
        for tid, code in item.codes.items():
            task = self._owner(item, tid)
            if task is None:
                continue
            if code == _TAKEN or (item.again and code == _TAKEN_BEFORE):
                task.taken = True
            elif code == _TAKEN_BEFORE:
                task.collided = True
            elif not item.again:
                task.refused.add(code)

    def _take_listing(self, item: Listed) -> None:
        for tid, paused in item.paused.items():
            task = self._owner(item, tid)
            if task is None:
                continue
            task.listed = True
            if paused:
                self._fence(item).waiting.add(task.facts.id)
                self._judge_fence(item, task)

    def _take_steering(self, item: Steered) -> None:
        for tid in item.tids:
            task = self._owner(item, tid)
            if task is None:
                continue
            fence = self._fence(item)
            (fence.removed if item.removed else fence.paused).add(task.facts.id)
            task.removed = task.removed or item.removed
            self._judge_fence(item, task)

    def _fence(self, item: Listed | Steered) -> _Fence:
        return self._fences.setdefault((item.gateway_id, item.at_ms, item.asked), _Fence())

    def _judge_fence(self, item: Listed | Steered, task: TaskReplay) -> None:
        fence, own = self._fence(item), task.facts.id
        if own in fence.paused and own in fence.waiting and own in fence.removed:
            task.waited = True


def proved_by(
    conclusion: Conclusion, idx: int, *, receipt: bool, bad_content: bool
) -> tuple[Outcome | None, str]:
    """The outcome and evidence a place has by rights: a detail is better than a receipt, a receipt
    better than an inference; a refusal for its content is what is left."""
    outcome = conclusion.outcomes[idx - 1]
    if outcome is Outcome.SENT and idx not in conclusion.inferred:
        return outcome, "report"
    if receipt:
        return Outcome.SENT, "receipt"
    if outcome is not None:
        return outcome, "inferred" if outcome is Outcome.SENT else "report"
    return (Outcome.FAILED, "accepted") if bad_content else (None, "none")
