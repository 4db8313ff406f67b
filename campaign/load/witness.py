"""What became of each send, as its worker saw it, packed for the account.

A worker reads every answer itself: one process that read all of them would be the bottleneck of a
load over many. Once a second it tells what has ended since, in arrays.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Final

from campaign.errors import RemoteProtocolError
from campaign.gateway.credentials import refuses_us
from campaign.load.driver import Ended
from campaign.load.naming import Names
from campaign.load.wire import Failure, Outcome
from campaign.load.workload import Workload
from campaign.protocol.codec import decode_task_status
from campaign.protocol.codes import TaskCode

ACCEPTED: Final = int(TaskCode.OK)
IN_DOUBT: Final = -1
"""The device may have the task: no answer, or none that says a word about it."""
UNSENT: Final = -2
"""Not one byte of the request reached the device."""

_HIGHEST_CODE: Final = 2**15 - 1


@dataclass
class Parcel:
    """Sends that have ended, in the order of their ends.

    `sends` are their numbers among all workers', `intended` and `done` seconds from the start of
    the schedule; `codes` are the device's verdicts, those of a send's tasks side by side, or
    IN_DOUBT or UNSENT.
    """

    sends: array[int] = field(default_factory=lambda: array("Q"))
    intended: array[float] = field(default_factory=lambda: array("d"))
    done: array[float] = field(default_factory=lambda: array("d"))
    codes: array[int] = field(default_factory=lambda: array("h"))

    def __len__(self) -> int:
        return len(self.sends)


class Witness:
    """Sees every request of one worker end, and keeps what the account needs until it is taken."""

    def __init__(self, workload: Workload, worker: int, workers: int) -> None:
        self._walk = workload.walk(worker, workers)
        self._names = workload.names
        self._parcel = Parcel()

    def see(self, ended: Ended, start: float) -> None:
        """One request has ended; `start` is when the schedule began, on the same clock."""
        send = self._walk.send(ended.nth)
        if send is None:
            return
        parcel = self._parcel
        parcel.sends.append(send)
        parcel.intended.append(ended.intended - start)
        parcel.done.append(ended.done - start)
        parcel.codes.extend(verdicts(ended.outcome, self._names, send))

    def take(self) -> Parcel:
        """What has been seen since the last time."""
        parcel, self._parcel = self._parcel, Parcel()
        return parcel


def verdicts(outcome: Outcome, names: Names, send: int) -> list[int]:
    """The code of each task of a send. What an answer does not say is in doubt, never good."""
    if isinstance(outcome, Failure):
        return [UNSENT if outcome.sent is None else IN_DOUBT] * names.tasks
    if outcome.status in (401, 403):
        return [int(TaskCode.INVALID_USER)] * names.tasks
    if outcome.status != 200:
        return [IN_DOUBT] * names.tasks
    try:
        status = decode_task_status(outcome.body)
    except RemoteProtocolError:
        return [IN_DOUBT] * names.tasks
    if not status.verdicts and refuses_us(outcome.body) is not None:
        return [status.code] * names.tasks
    told = {verdict.tid: verdict.code for verdict in status.verdicts}
    first = send * names.tasks
    codes = (told.get(names.tid(task), IN_DOUBT) for task in range(first, first + names.tasks))
    return [code if IN_DOUBT <= code <= _HIGHEST_CODE else IN_DOUBT for code in codes]
