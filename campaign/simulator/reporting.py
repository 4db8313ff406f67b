"""Status reports: each task's own cadence, then the device's buffer, then one push.

Counters are cumulative for the task, rows are those since its last report (spec §6.3.2 notes). A
task reports every `sr_cnt` results or every `sr_prd` seconds in which there was news, and once more
when it is done; `sr_prd` 0 switches its reports off. The device's buffer holds reports until the
count or the time of the last send request is reached (spec §6.3.1.3).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from campaign.protocol.messages import FailedRow, SentRow, TaskReport
from campaign.simulator.agenda import Agenda, Entry
from campaign.simulator.settings import SimulatorSettings
from campaign.simulator.taskqueue import DeviceTask

Outlet = Callable[[str, tuple[TaskReport, ...]], None]

_DEFAULT_COUNT = 100
_DEFAULT_PERIOD = 30.0


class _Buffer:
    """Reports on their way to one URL."""

    __slots__ = ("reports", "timer")

    def __init__(self) -> None:
        self.reports: list[TaskReport] = []
        self.timer: Entry | None = None


class Reporter:
    """Turns results into reports and hands full buffers to `outlet(url, reports)`.

    A task posted without `sr_url` reports to `default_url()`, or to nobody.
    """

    def __init__(
        self,
        settings: SimulatorSettings,
        agenda: Agenda,
        outlet: Outlet,
        default_url: Callable[[], str | None],
    ) -> None:
        self._settings = settings
        self._agenda = agenda
        self._outlet = outlet
        self._default_url = default_url
        self._buffers: dict[str, _Buffer] = {}
        self.count = _DEFAULT_COUNT
        self.period = _DEFAULT_PERIOD

    def start(self, task: DeviceTask, now: float) -> None:
        """The task's first message went on air: its periods count from here."""
        if self._settings.idle_reports and task.order.report_period:
            self._arm(task, now)

    def result(self, task: DeviceTask, row: SentRow | FailedRow | None, now: float) -> None:
        """One message got its result; None leaves it out of the details for ever."""
        if not task.order.report_period:
            return
        match row:
            case SentRow() if task.order.sent_rows:
                task.sent_rows.append(row)
            case FailedRow() if task.order.failed_rows:
                task.failed_rows.append(row)
            case _:
                pass
        task.unreported += 1
        if task.complete or task.unreported >= task.order.report_count:
            self._report(task, now)
        else:
            self._arm(task, now)

    def removed(self, task: DeviceTask, now: float) -> None:
        """The rest of the task was removed; what is on air still ends and reports."""
        if not self._settings.removed_reports:
            self._disarm(task)
        elif task.complete and task.order.report_period:
            self._report(task, now)

    def forget(self) -> None:
        """The device lost its memory: nothing buffered is ever reported."""
        for buffer in self._buffers.values():
            if buffer.timer is not None:
                buffer.timer.cancel()
        self._buffers.clear()
        self.count, self.period = _DEFAULT_COUNT, _DEFAULT_PERIOD

    def forget_task(self, task: DeviceTask) -> None:
        self._disarm(task)

    def _arm(self, task: DeviceTask, now: float) -> None:
        if task.report_timer is not None:
            return
        period = task.order.report_period
        begun = now if task.first_started is None else task.first_started
        elapsed = math.floor((now - begun) / period + 1e-9)
        due = begun + (elapsed + 1) * period
        task.report_timer = self._agenda.at(due, lambda due: self._tick(task, due))

    def _disarm(self, task: DeviceTask) -> None:
        if task.report_timer is not None:
            task.report_timer.cancel()
            task.report_timer = None

    def _tick(self, task: DeviceTask, now: float) -> None:
        task.report_timer = None
        if task.complete:
            return
        if task.unreported or self._settings.idle_reports:
            self._report(task, now)
        if self._settings.idle_reports:
            self._arm(task, now)

    def _report(self, task: DeviceTask, now: float) -> None:
        if not self._settings.idle_reports or task.complete:
            self._disarm(task)
        unsent = len(task.waiting)
        if self._settings.removed_unsent:
            unsent += task.removed
        report = TaskReport(
            tid=task.tid,
            sending=task.in_air,
            sent=task.sent,
            failed=task.failed,
            unsent=unsent,
            sdr=tuple(task.sent_rows),
            fdr=tuple(task.failed_rows),
        )
        task.sent_rows.clear()
        task.failed_rows.clear()
        task.unreported = 0
        if task.removed and not self._settings.removed_reports:
            return
        url = task.sr_url or self._default_url()
        if url is not None:
            self._buffer(url, report, now)

    def _buffer(self, url: str, report: TaskReport, now: float) -> None:
        buffer = self._buffers.setdefault(url, _Buffer())
        buffer.reports.append(report)
        if len(buffer.reports) >= self.count or not self.period:
            self._flush(url)
        elif buffer.timer is None:
            buffer.timer = self._agenda.at(now + self.period, lambda _due: self._flush(url))

    def _flush(self, url: str) -> None:
        buffer = self._buffers.pop(url)
        if buffer.timer is not None:
            buffer.timer.cancel()
        self._outlet(url, tuple(buffer.reports))
