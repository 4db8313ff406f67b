"""What the networks between engine, devices and receiver do to requests and pushes.

Every fault is drawn from a generator of the seed and named when it hits, so that a run can say
which faults were really reached. `calm` switches all of them off.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

import msgspec

from campaign.protocol.codec import decode_push
from campaign.protocol.device_codec import encode_recv_sms, encode_status_report
from campaign.protocol.messages import (
    FailedRow,
    ReceivedSms,
    RecvSms,
    SentRow,
    StatusReport,
    TaskReport,
)
from tests.simulation.scenario import PUSH_FAULTS, REQUEST_FAULTS

_POST_ONLY = frozenset({"post-answer-lost", "reordered", "left-out", "storm-16", "stranger-13"})
POST = "/goip_post_sms.html"


class Weather:
    """The faults of one device. `draw_request` and `draw_push` name what happens next, if any."""

    def __init__(
        self,
        faults: Mapping[str, float],
        rng: random.Random,
        script: Sequence[str] = (),
        pushes: Sequence[str] = (),
        nth_request: tuple[int, str] | None = None,
    ) -> None:
        self._shares = dict(faults)
        self._script = list(script)
        self._pushes = list(pushes)
        self._nth = nth_request
        self.requests = 0
        self.strange_tid: Callable[[], int] = lambda: 1
        """A tid that is nobody's here, and not one of the ledger's near future either."""
        self.rng = rng
        self.calm = False
        self.at_the_device: str | None = None
        """A fault of the next send request that happens inside the device."""
        self._reset: dict[int, tuple[int, int]] = {}

    def _draw(self, names: tuple[str, ...]) -> str | None:
        if self.calm:
            return None
        for name in names:
            share = self._shares.get(name)
            if share and self.rng.random() < share:
                return name
        return None

    def draw_request(self, path: str) -> str | None:
        """The fault of this request, None for a good one."""
        self.requests += 1
        if self._nth is not None and self.requests - 1 == self._nth[0]:
            return self._nth[1]
        if path == POST and self._script:
            return self._script.pop(0) or None
        fault = self._draw(REQUEST_FAULTS)
        if fault in _POST_ONLY and path != POST:
            return None
        return fault

    def draw_push(self) -> str | None:
        if self._pushes:
            return self._pushes.pop(0) or None
        return self._draw(PUSH_FAULTS)

    # -- pushes -----------------------------------------------------------------------------

    def changed(self, fault: str, body: bytes) -> list[bytes]:
        """A push as the fault leaves it: the bodies that arrive in its place."""
        push = decode_push(body)
        match fault, push:
            case "split", StatusReport():
                return _split(push)
            case "rewritten", StatusReport():
                return [encode_status_report(_rewritten(push))]
            case "counters-reset", StatusReport():
                return [encode_status_report(self._counted_anew(push))]
            case "foreign-row", StatusReport():
                return [encode_status_report(_with_foreign_rows(push))]
            case "orphans", _:
                return [body, encode_status_report(_strange_report(self.strange_tid()))]
            case "strange-receipts", _:
                return [body, encode_recv_sms(_strange_receipt(self.rng))]
            case _:
                return [body]

    def _counted_anew(self, push: StatusReport) -> StatusReport:
        """The device lost its counters, not its queue: they begin again at zero."""
        reports = []
        for report in push.reports:
            sent, failed = report.sent or 0, report.failed or 0
            base = self._reset.setdefault(report.tid, (sent, failed))
            reports.append(
                msgspec.structs.replace(
                    report, sent=max(0, sent - base[0]), failed=max(0, failed - base[1])
                )
            )
        return StatusReport(reports=tuple(reports))

    def counters(self, body: bytes) -> bytes:
        """Once counters were reset they stay so, whatever else happens to a push."""
        if not self._reset:
            return body
        push = decode_push(body)
        if not isinstance(push, StatusReport) or not any(
            report.tid in self._reset for report in push.reports
        ):
            return body
        known = tuple(report for report in push.reports if report.tid in self._reset)
        others = tuple(report for report in push.reports if report.tid not in self._reset)
        anew = self._counted_anew(StatusReport(reports=known)).reports
        return encode_status_report(StatusReport(reports=(*others, *anew)))


def coalesced(first: bytes, second: bytes) -> bytes | None:
    """Two pushes of reports as one; None if either is something else."""
    one, two = decode_push(first), decode_push(second)
    if isinstance(one, StatusReport) and isinstance(two, StatusReport):
        return encode_status_report(StatusReport(reports=(*one.reports, *two.reports)))
    return None


def _split(push: StatusReport) -> list[bytes]:
    """One push a row; the counters stand in each."""
    bodies = []
    for report in push.reports:
        rows: list[TaskReport] = [
            msgspec.structs.replace(report, sdr=(row,), fdr=()) for row in report.sdr
        ]
        rows += [msgspec.structs.replace(report, sdr=(), fdr=(row,)) for row in report.fdr]
        bodies += [
            encode_status_report(StatusReport(reports=(part,)))
            for part in reversed(rows or [report])
        ]
    return bodies


def _rewritten(push: StatusReport) -> StatusReport:
    """Numbers as a device may write them: without the country code."""
    return StatusReport(
        reports=tuple(
            msgspec.structs.replace(
                report,
                sdr=tuple(_national(row) for row in report.sdr),
                fdr=tuple(_national(row) for row in report.fdr),
            )
            for report in push.reports
        )
    )


def _national(row: SentRow | FailedRow) -> SentRow | FailedRow:
    return msgspec.structs.replace(row, number=row.number.removeprefix("999"))


def _with_foreign_rows(push: StatusReport) -> StatusReport:
    """A detail more in each report, of a number that was never asked for."""
    row = SentRow(index=0, number="9997770002", at=1)
    return StatusReport(
        reports=tuple(
            msgspec.structs.replace(report, sdr=(row, *report.sdr)) for report in push.reports
        )
    )


def _strange_report(tid: int) -> StatusReport:
    """Of a task that somebody else sent."""
    row = SentRow(index=0, number="9997770001", at=1)
    report = TaskReport(tid=tid, sending=0, sent=1, failed=0, unsent=0, sdr=(row,))
    return StatusReport(reports=(report,))


def _strange_receipt(rng: random.Random) -> RecvSms:
    """For a message that is nobody's here."""
    return RecvSms(
        messages=(
            ReceivedSms(
                receipt=True, at=1, sender="447700900999", receipt_code=0,
                recipient=f"999777{rng.randrange(10**6):06d}", text="0 260101000000",
            ),
        )
    )  # fmt: skip
