"""Which message a delivery receipt is for: it names a number and a port, and no task.

The oldest message to that number and from that port that may have gone out and has no receipt gets
it. Where several fit, that is a guess, and counted as one (`ambiguous`); of a test range every
message has a number of its own, and nothing is guessed.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from typing import Final, Protocol

from campaign.load.naming import Recipients
from campaign.protocol.messages import ReceivedSms

_REMEMBERED: Final = 65_536
_MOST_STEPS: Final = 4096
"""Messages of one number that are looked at for one receipt."""


class Waiting(Protocol):
    """The account, as far as receipts ask it."""

    @property
    def messages(self) -> int: ...

    def unsettled(self, message: int) -> bool | None: ...

    def failed(self, message: int) -> bool: ...

    def receipted(self, message: int) -> bool: ...

    def port(self, message: int) -> int: ...

    def settle(self, message: int, at: float) -> None: ...


class Receipts:
    """Receipts on their way to their messages. `counts` are the figures of `books.Books`."""

    def __init__(self, to: Recipients, account: Waiting) -> None:
        self._to, self._account = to, account
        # the first message of each number that may still want one; of a range each has one message
        self._oldest = array("Q", bytes(8 * len(to.numbers)))
        self._at, self._place, self._port = array("d"), array("Q"), array("H")
        self._seen: OrderedDict[int, None] = OrderedDict()
        self.counts = dict.fromkeys(
            (
                "receipts",
                "matched",
                "receipts_again",
                "unmatched",
                "receipts_foreign",
                "ambiguous",
            ),
            0,
        )

    def add(self, message: ReceivedSms, port: int, at: float) -> None:
        """One has come; the same one again is told by all it says."""
        self.counts["receipts"] += 1
        place = self._to.place(message.recipient_digits)
        if place is None:
            self.counts["receipts_foreign"] += 1
        elif self._is_repeated(message):
            self.counts["receipts_again"] += 1
        else:
            self.counts["unmatched"] += 1
            self._keep(at, place, port)

    def match(self, *, last: bool = False) -> None:
        """Give all that wait to their messages; those that find none wait on, unless it is the
        last time."""
        waiting = list(zip(self._at, self._place, self._port, strict=True))
        for kept in (self._at, self._place, self._port):
            del kept[:]
        for at, place, port in waiting:
            if self._find(at, place, port):
                self.counts["unmatched"] -= 1
            elif not last:
                self._keep(at, place, port)

    def _keep(self, at: float, place: int, port: int) -> None:
        self._at.append(at)
        self._place.append(place)
        self._port.append(port)

    def _is_repeated(self, message: ReceivedSms) -> bool:
        mark = hash((message.recipient_digits, message.port, message.at, message.raw))
        if mark in self._seen:
            return True
        self._seen[mark] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return False

    def _find(self, at: float, place: int, port: int) -> bool:
        """Whether it found a place."""
        account = self._account
        fitting = self._fitting(place, port)
        if fitting:
            account.settle(fitting[0], at)
            self.counts["matched"] += 1
            self.counts["ambiguous"] += len(fitting) > 1
            return True
        before = self._before(place)
        if before is None or not self._fits(before, port):
            return False
        if account.failed(before):
            account.settle(before, at)
            self.counts["matched"] += 1
            return True
        if account.receipted(before):
            self.counts["receipts_again"] += 1
            return True
        return False

    def _fitting(self, place: int, port: int) -> list[int]:
        """The oldest message that it may be for, and a second one if there is any."""
        account, step = self._account, len(self._to)
        found: list[int] = []
        for message in range(self._advance(place), account.messages, step)[:_MOST_STEPS]:
            if account.unsettled(message) and self._fits(message, port):
                found.append(message)
                if len(found) == 2:
                    break
        return found

    def _advance(self, place: int) -> int:
        """The first message of this number whose receipt may still come."""
        account, step = self._account, len(self._to)
        message = place + (self._oldest[place] * step if self._to.numbers else 0)
        end = account.messages
        while message < end and account.unsettled(message) is False:
            message += step
        if self._to.numbers:
            self._oldest[place] = (message - place) // step
        return message

    def _before(self, place: int) -> int | None:
        """The latest message of this number before those whose receipt may still come."""
        before = self._advance(place) - len(self._to)
        return before if before >= 0 else None

    def _fits(self, message: int, port: int) -> bool:
        known = self._account.port(message)
        return not known or not port or known == port
