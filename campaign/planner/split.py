"""Splitting recipients into tasks: equal texts share a task, and a task names one port."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from campaign.planner.places import shuns
from campaign.planner.reconcile import TAIL


class Claimable(NamedTuple):
    """One waiting recipient. `text` None is the campaign's constant message; `avoid` are the
    places of its proved failures (`planner.places`); `parts` is how many SMS its text makes."""

    id: int
    number: str
    text: str | None
    avoid: str | None = None
    lane: int = 0
    parts: int = 1


@dataclass(frozen=True)
class Grant:
    """Room for `count` messages on `port`; `place` is how `Claimable.avoid` would name it."""

    port: int
    count: int
    place: str
    lanes: frozenset[int] | None = None
    """The lanes whose recipients may go there; None: all."""

    def takes(self, lane: int) -> bool:
        return self.lanes is None or lane in self.lanes


class PlannedTask(NamedTuple):
    """Recipients of one text on exactly one port (one recipient and several ports would put one
    SMS per port on air, spec §6.3.1 note 2)."""

    port: int
    text: str | None
    recipients: tuple[Claimable, ...]

    @property
    def lane(self) -> int:
        """That of all its recipients: what may go out at the same times."""
        return self.recipients[0].lane

    @property
    def parts(self) -> int:
        """SMS parts on air, of all recipients together."""
        return sum(recipient.parts for recipient in self.recipients)


def split(
    recipients: Sequence[Claimable],
    grants: Sequence[Grant],
    task_size: int,
    *,
    only_place: bool = False,
    reach: Mapping[int, Collection[str]] | None = None,
) -> list[PlannedTask]:
    """Deal recipients, in order, over the granted ports.

    A recipient is never dealt to a place it failed at while another could serve it, unless that
    is the `only_place` there is; `reach` are the places that could serve each lane now. Whoever
    does not fit stays waiting. Ports are filled in turn, so that a few recipients spread over many
    SIMs; where they may share tasks, a port keeps its turn for as many of one lane as it would
    get in all, up to a task: so tasks are full, and hold neighbours of the list, whose rows lie
    together in the ledger.
    """
    room = {grant.port: grant.count for grant in grants}
    dealt: dict[int, list[Claimable]] = {grant.port: [] for grant in grants}
    left = sum(room.values())
    block = 1
    if grants and _share_tasks(recipients):
        block = max(1, min(task_size, len(recipients) // len(grants)))
    at = turn = of_turn = 0
    lane = recipients[0].lane if recipients else 0
    while at < len(recipients) and left > 0:
        recipient = recipients[at]
        if of_turn and (of_turn == block or recipient.lane != lane):
            turn, of_turn = turn + 1, 0
        lane = recipient.lane
        for step in range(len(grants)):
            grant = grants[(turn + step) % len(grants)]
            if room[grant.port] == 0 or not grant.takes(lane):
                continue
            places = reach.get(lane) if reach is not None else None
            if not only_place and shuns(recipient.avoid, grant.place, places):
                continue
            turn, of_turn = turn + step, of_turn if step == 0 else 0
            others = min(room[grant.port], block - of_turn) - 1
            taken = 1 + _company(recipients, at + 1, others, lane)
            dealt[grant.port] += recipients[at : at + taken]
            room[grant.port] -= taken
            left -= taken
            of_turn += taken
            at += taken
            break
        else:
            at += 1
    return [task for grant in grants for task in _tasks(grant.port, dealt[grant.port], task_size)]


def _share_tasks(recipients: Sequence[Claimable]) -> bool:
    """Whether tasks of several can come of them: texts of their own, all of one lane, cannot."""
    if len({recipient.text for recipient in recipients}) < len(recipients):
        return True
    return len({recipient.lane for recipient in recipients}) > 1


def _company(recipients: Sequence[Claimable], at: int, most: int, lane: int) -> int:
    """How many from there on may go wherever somebody of their lane goes."""
    for count, other in enumerate(recipients[at : at + most]):
        if other.lane != lane or other.avoid is not None:
            return count
    return min(most, len(recipients) - at)


def _tasks(port: int, recipients: list[Claimable], task_size: int) -> list[PlannedTask]:
    alike: dict[tuple[int, str | None], list[Claimable]] = {}
    for recipient in recipients:
        alike.setdefault((recipient.lane, recipient.text), []).append(recipient)
    return [
        PlannedTask(port, text, tuple(task))
        for (_, text), group in alike.items()
        for task in _told_apart(group, task_size)
    ]


def _told_apart(group: Sequence[Claimable], task_size: int) -> list[Sequence[Claimable]]:
    """Cut a group into tasks, in order, never two numbers alike in their last seven digits in one:
    a device that rewrites numbers could not tell them apart. The second goes into the next task."""
    if len({recipient.number[-TAIL:] for recipient in group}) == len(group):
        return [group[first : first + task_size] for first in range(0, len(group), task_size)]
    tasks: list[list[Claimable]] = []
    filling = 0  # those before it are full
    taken: dict[str, int] = {}  # the last task that holds these seven digits
    for recipient in group:
        tail = recipient.number[-TAIL:]
        place = max(filling, taken.get(tail, -1) + 1)
        while place < len(tasks) and len(tasks[place]) == task_size:
            place += 1
        if place == len(tasks):
            tasks.append([])
        tasks[place].append(recipient)
        taken[tail] = place
        while filling < len(tasks) and len(tasks[filling]) == task_size:
            filling += 1
    return list(tasks)
