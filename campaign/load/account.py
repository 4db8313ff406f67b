"""The account of a load: one fate for every message, whatever arrives in whatever order.

Theory of operation. A task id and a number say which message a report is about (`naming`), so a
message is a place in a few arrays: some thirty bytes, and no object. Three sources write into it.
Workers tell once a second how their requests ended; reports come when they come, perhaps before
their request's end has been told; receipts name no task, only a number and a port. A delay is
recorded once both of its ends are known. Receipts wait until the workers have told of the seconds
before them, so that they look for their message among all that had gone out by then.

All times are seconds from the start of the schedule. Delays count from the intended time of the
request, so that a device that was slow to accept cannot look quick to report; `*_uncorrected` ones
count from its acceptance.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

from campaign.load.books import Books
from campaign.load.histogram import Histogram
from campaign.load.naming import Names
from campaign.load.receipts import Receipts
from campaign.load.witness import ACCEPTED, IN_DOUBT, UNSENT, Parcel
from campaign.protocol.messages import FailedRow, ReceivedSms, SentRow, StatusReport, TaskReport
from campaign.protocol.ports import Port

_UNTOLD, _TAKEN, _REFUSED, _DOUBT, _UNSENT = range(5)
_STATES: Final = {ACCEPTED: _TAKEN, IN_DOUBT: _DOUBT, UNSENT: _UNSENT}
_SENT, _FAILED, _RECEIPTED = 1, 2, 4
_CLOCKS: Final = ("report", "report_uncorrected", "receipt", "receipt_uncorrected")
_NAMED: Final = _SENT | _FAILED
_MOST_PORT: Final = 2**16 - 1
_AHEAD: Final = 2**18
"""Sends that may be reported before any worker has told of them. A task id beyond is not ours, or
one stranger's report could ask for gigabytes."""
_GROWTH: Final = 64

A = TypeVar("A", int, float)


class Account:
    """See the module. `books()` may be asked at any time; it is final after `close`.

    `accepted` and `heard` count messages as they come; `awaited` are those that the device may have
    and no report has named. `delays` are all until the last `lap`.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self._told = 0  # sends, up to the highest that was told of
        self._intended, self._done = array("d"), array("d")  # of a send
        self._state, self._removed = array("B"), array("B")  # of a task
        self._sent, self._failed = array("H"), array("H")  # of a task, by its report's totals
        self._words, self._ports, self._reported = array("B"), array("H"), array("d")  # a message
        self._receipts = Receipts(names.to, self)
        self._refused: Counter[int] = Counter()
        self._rows: Counter[str] = Counter()
        self.accepted = self.heard = self.awaited = 0
        self.delays = {name: Histogram() for name in _CLOCKS}
        self._samples: dict[str, list[int]] = {name: [] for name in _CLOCKS}

    # -- what workers tell

    def take(self, parcel: Parcel) -> None:
        """Requests have ended."""
        tasks, codes = self._names.tasks, parcel.codes
        for place, send in enumerate(parcel.sends):
            self._grow(send + 1)
            self._told = max(self._told, send + 1)
            self._intended[send] = parcel.intended[place]
            self._done[send] = parcel.done[place]
            for nth in range(tasks):
                self._judge(send * tasks + nth, codes[place * tasks + nth])

    def _judge(self, task: int, code: int) -> None:
        """The device's word on one task; reports that came before it are measured now."""
        recipients = self._names.recipients
        self._state[task] = _STATES.get(code, _REFUSED)
        if code == ACCEPTED:
            self.accepted += recipients
        elif code not in _STATES:
            self._refused[code] += recipients
        waits = self._state[task] in (_TAKEN, _DOUBT)
        first = task * recipients
        for message in range(first, first + recipients):
            self.awaited += waits and not self._words[message] & _NAMED
            if self._words[message] & _NAMED:
                self._measure(message, self._reported[message], "report")

    # -- what the device tells

    def hear(self, push: StatusReport, at: float) -> None:
        """A status report has come."""
        for report in push.reports:
            self._hear(report, at)

    def _hear(self, report: TaskReport, at: float) -> None:
        rows: tuple[SentRow | FailedRow, ...] = (*report.sdr, *report.fdr)
        self._rows["rows"] += len(rows)
        task = self._names.task(report.tid)
        if task >= (self._told + _AHEAD) * self._names.tasks:
            self._rows["foreign"] += len(rows)
            return
        told = False
        for row in rows:
            message = self._names.message(task, row.number)
            if message is None:
                self._rows["foreign"] += 1
            else:
                self._grow(task // self._names.tasks + 1)
                self._note(message, _SENT if isinstance(row, SentRow) else _FAILED, row.port, at)
                told = True
        # A report whose rows are all somebody else's says nothing about our task.
        if told or (not rows and task < len(self._state)):
            most = self._names.recipients
            self._sent[task] = max(self._sent[task], _within(report.sent, most))
            self._failed[task] = max(self._failed[task], _within(report.failed, most))

    def _note(self, message: int, word: int, port: Port | None, at: float) -> None:
        known = self._words[message] & _NAMED
        if known:
            self._rows["again" if known == word else "contradicted"] += 1
            return
        self._rows["first"] += 1
        self._rows["sent"] += word == _SENT
        self.heard += 1
        self.awaited -= self._state[message // self._names.recipients] in (_TAKEN, _DOUBT)
        self._words[message] |= word
        self._reported[message] = at
        self._ports[message] = _port(port)
        self._measure(message, at, "report")

    def receipt(self, message: ReceivedSms, at: float) -> None:
        """A delivery receipt has come; it is matched later."""
        self._receipts.add(message, _port(message.port), at)

    def match_receipts(self) -> None:
        """Look for the messages of the receipts at hand; all workers have just told."""
        self._receipts.match()

    # -- what receipts ask (see `receipts.Waiting`)

    @property
    def messages(self) -> int:
        """Up to which message anything has been told."""
        return self._told * self._names.messages

    def unsettled(self, message: int) -> bool | None:
        """Whether a receipt may be for it: it went out, for all we know. None: cannot tell yet."""
        state = self._state[message // self._names.recipients]
        if state == _UNTOLD:
            return None
        return state in (_TAKEN, _DOUBT) and not self._words[message] & (_FAILED | _RECEIPTED)

    def failed(self, message: int) -> bool:
        """Whether it was reported failed, and may nevertheless have gone out."""
        return self._words[message] & (_FAILED | _RECEIPTED) == _FAILED

    def receipted(self, message: int) -> bool:
        """Whether it has its receipt."""
        return bool(self._words[message] & _RECEIPTED)

    def port(self, message: int) -> int:
        """The port it went out by; 0 where no report has said."""
        return self._ports[message]

    def settle(self, message: int, at: float) -> None:
        """This receipt is its."""
        self._words[message] |= _RECEIPTED
        self._measure(message, at, "receipt")

    def complete(self, *, receipts: bool) -> bool:
        """Whether nothing is awaited any more, of all that workers have told."""
        lacking = self._rows["sent"] - self._receipts.counts["matched"]
        return not self.awaited and not (receipts and lacking > 0)

    # -- taking back

    def outstanding(self) -> Iterator[int]:
        """The ids of tasks that may still wait in the device."""
        recipients = self._names.recipients
        for task in range(len(self._state)):
            if self._state[task] in (_TAKEN, _DOUBT) and not self._removed[task]:
                named = self._named(task)
                if max(named, self._sent[task] + self._failed[task]) < recipients:
                    yield self._names.tid(task)

    def owns(self, tid: int, numbers: Iterable[str]) -> bool:
        """Whether a task in the device's list is one of this load's."""
        task = self._names.task(tid)
        return task < (self._told + _AHEAD) * self._names.tasks and list(numbers) == list(
            self._names.numbers(task)
        )

    def remove(self, tids: Iterable[int]) -> None:
        """These tasks were taken back: what has not gone out never will."""
        for tid in tids:
            task = self._names.task(tid)
            if task < len(self._state):
                self._removed[task] = 1

    def lap(self) -> dict[str, Histogram]:
        """The delays that have become known since the last lap, by clock."""
        lap: dict[str, Histogram] = {}
        for clock, samples in self._samples.items():
            if samples:
                lap[clock] = Histogram()
                for histogram in (lap[clock], self.delays[clock]):
                    histogram.record_many(samples)
                samples.clear()
        return lap

    # -- the end

    def close(self) -> Books:
        """Nothing comes any more."""
        self._receipts.match(last=True)
        self.lap()
        return self.books()

    def books(self) -> Books:
        """Every message, every row and every receipt in its place."""
        recipients = self._names.recipients
        fates: Counter[tuple[int, int]] = Counter()
        counted = removed = 0
        for task, state in enumerate(self._state):
            first = task * recipients
            words = self._words[first : first + recipients]
            for word in words:
                fates[state, word & _NAMED] += 1
            if state == _TAKEN and (silent := recipients - self._named(task)):
                totals = self._sent[task] + self._failed[task]
                lost = min(silent, max(0, totals - (recipients - silent)))
                counted += lost
                removed += self._removed[task] * (silent - lost)
        return self._books(fates, counted, removed)

    def _books(self, fates: Counter[tuple[int, int]], counted: int, removed: int) -> Books:
        def of(state: int) -> int:
            return sum(fates[state, word] for word in (0, _SENT, _FAILED))

        rows, receipts = self._rows, self._receipts.counts
        return Books(
            offered=sum(map(of, (_TAKEN, _REFUSED, _DOUBT, _UNSENT))),
            accepted=of(_TAKEN),
            refused=dict(self._refused),
            in_doubt=of(_DOUBT),
            unsent=of(_UNSENT),
            sent=fates[_TAKEN, _SENT],
            failed=fates[_TAKEN, _FAILED],
            counted=counted,
            removed=removed,
            unreported=fates[_TAKEN, 0] - counted - removed,
            doubt_sent=fates[_DOUBT, _SENT],
            doubt_failed=fates[_DOUBT, _FAILED],
            doubt_silent=fates[_DOUBT, 0],
            unexpected=sum(
                fates[state, word]
                for state in (_UNTOLD, _REFUSED, _UNSENT)
                for word in (_SENT, _FAILED)
            ),
            **{name: rows[name] for name in ("rows", "first", "again", "contradicted", "foreign")},
            **receipts,
        )

    # -- places

    def _named(self, task: int) -> int:
        first = task * self._names.recipients
        words = self._words[first : first + self._names.recipients]
        return sum(1 for word in words if word & _NAMED)

    def _measure(self, message: int, at: float, clock: str) -> None:
        """Record how long it took until `at`, if it is known by now since when it runs."""
        state = self._state[message // self._names.recipients]
        send = message // self._names.messages
        if state == _TAKEN:
            self._samples[f"{clock}_uncorrected"].append(_us(at - self._done[send]))
        if state in (_TAKEN, _DOUBT):
            self._samples[clock].append(_us(at - self._intended[send]))

    def _grow(self, sends: int) -> None:
        """Room for so many sends."""
        if sends <= len(self._done):
            return
        sends += _GROWTH + sends // 8
        tasks, messages = sends * self._names.tasks, sends * self._names.messages
        for per_send in (self._intended, self._done):
            _stretch(per_send, sends)
        for per_task in (self._state, self._removed, self._sent, self._failed):
            _stretch(per_task, tasks)
        for words in (self._words, self._ports):
            _stretch(words, messages)
        _stretch(self._reported, messages)


def _stretch(places: array[A], size: int) -> None:
    places.frombytes(bytes((size - len(places)) * places.itemsize))


def _within(total: int | None, most: int) -> int:
    """A total of a report, held to what is possible."""
    return min(max(total or 0, 0), most)


def _port(port: Port | None) -> int:
    return 0 if port is None else min(port.number, _MOST_PORT)


def _us(seconds: float) -> int:
    return int(seconds * 1e6 + 0.5) if seconds > 0 else 0
