"""Which message is which: task ids and recipients are computed, never looked up.

Every send request of a load has the same number of tasks, and every task the same number of
recipients. Tasks are counted from 0 over all workers, and messages likewise, so a report's task id
and number say which message it is about without anything having been kept of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import Final

from campaign.errors import UsageError
from campaign.protocol.submission import MAX_TID

_RANGE: Final = 10**9
_PREFIX: Final = "999"  # a country code that is assigned to nobody
_LOWEST_START: Final = 10**9
MOST_TASKS: Final = 1000
MOST_RECIPIENTS: Final = 1000


@dataclass(frozen=True)
class Recipients:
    """Whom messages go to: these numbers (digits, each once) in turn; without any, a test range.

    The test range belongs to nobody, and holds more numbers than any load has messages.
    """

    numbers: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.numbers) or _RANGE

    def of(self, message: int) -> str:
        """The number a message goes to."""
        if self.numbers:
            return self.numbers[message % len(self.numbers)]
        return f"{_PREFIX}{message % _RANGE:09d}"

    def place(self, digits: str) -> int | None:
        """The first message that goes there, every `len`-th after it being another; None: none."""
        if self.numbers:
            return self._places.get(digits)
        rest = digits.removeprefix(_PREFIX)
        return int(rest) if len(rest) == 9 and len(digits) == 12 and digits.isascii() else None

    @cached_property
    def _places(self) -> dict[str, int]:
        return {number: place for place, number in enumerate(self.numbers)}


@dataclass(frozen=True)
class Names:
    """The task ids and recipients of a load. `start` is the id of its first task (`draw_start`).

    UsageError for sizes that no request can have, or for fewer numbers than a task has recipients.
    """

    start: int
    tasks: int = 1
    recipients: int = 1
    to: Recipients = field(default_factory=Recipients)

    def __post_init__(self) -> None:
        if not 1 <= self.tasks <= MOST_TASKS:
            raise UsageError(f"{self.tasks} tasks per request: give 1 to {MOST_TASKS}")
        if not 1 <= self.recipients <= MOST_RECIPIENTS:
            raise UsageError(f"{self.recipients} recipients per task: give 1 to {MOST_RECIPIENTS}")
        if self.recipients > len(self.to):
            raise UsageError(
                f"{self.recipients} recipients per task need as many different numbers:"
                f" there are {len(self.to)}"
            )

    @property
    def messages(self) -> int:
        """Messages of one request."""
        return self.tasks * self.recipients

    def tid(self, task: int) -> int:
        """The id of a task on the wire; after the highest comes the lowest."""
        return (self.start - 1 + task) % MAX_TID + 1

    def task(self, tid: int) -> int:
        """Which task has this id. One that is none of ours gives a number beyond all tasks."""
        return (tid - self.start) % MAX_TID

    def numbers(self, task: int) -> Iterator[str]:
        """Whom a task goes to, in its order."""
        first = task * self.recipients
        return map(self.to.of, range(first, first + self.recipients))

    def message(self, task: int, digits: str) -> int | None:
        """The message of a task to a number; None when it has none to it."""
        place = self.to.place(digits)
        if place is None:
            return None
        nth = (place - task * self.recipients) % len(self.to)
        return task * self.recipients + nth if nth < self.recipients else None


def draw_start(rng: Random) -> int:
    """The id of a first task, at random: two loads on a device hardly ever meet, and all ids have
    ten digits unless they wrap."""
    return rng.randrange(_LOWEST_START, MAX_TID + 1)
