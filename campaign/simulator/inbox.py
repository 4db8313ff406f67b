"""Inbound SMS and delivery receipts: kept for goip_get_sms, and pushed from a buffer (spec §7, §8).

Ids count from 1 in each run of the device. The push buffer goes out when it holds `sms_cnt`
messages or `sms_prd` seconds after its first one; both come with a send request.
"""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from campaign.protocol.messages import ReceivedSms
from campaign.simulator.agenda import Agenda, Entry
from campaign.simulator.settings import SimulatorSettings

Outlet = Callable[[tuple[ReceivedSms, ...]], None]


def legacy_body(message: ReceivedSms) -> bytes:
    """One inbound SMS as the older mechanism pushes it: text behind a header block."""
    return header_block(message).encode("utf-8", "replace")


def header_block(message: ReceivedSms) -> str:
    """The text with the header block that later firmware puts before it."""
    stamp = datetime.fromtimestamp(message.at or 0, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return (
        f'Sender: {message.sender}\r\nReceiver: "{message.port}" {message.recipient}\r\n'
        f"SMSC: \r\nSCTS: {stamp}\r\n\r\n{message.text}"
    )


class Inbox:
    """What the device received in this run, oldest first; the oldest go when it is full."""

    def __init__(self, settings: SimulatorSettings, agenda: Agenda, outlet: Outlet) -> None:
        self._style = settings.inbound_style
        self._agenda = agenda
        self._outlet = outlet
        self._kept: deque[tuple[int, ReceivedSms]] = deque(maxlen=max(1, settings.inbox_limit))
        self._buffer: list[ReceivedSms] = []
        self._timer: Entry | None = None
        self.next_id = 1
        self.count = 1
        self.period = 30.0

    def receive(self, message: ReceivedSms, now: float) -> None:
        if not message.receipt:
            message = msgspec.structs.replace(message, raw=self._wrap(message))
        self._kept.append((self.next_id, message))
        self.next_id += 1
        self._buffer.append(message)
        if len(self._buffer) >= self.count or not self.period:
            self._flush()
        elif self._timer is None:
            self._timer = self._agenda.at(now + self.period, lambda _due: self._flush())

    def page(self, first: int, limit: int, *, delete: bool) -> tuple[tuple[ReceivedSms, ...], int]:
        """Messages from an id on (limit 0: all), and the id at which to go on."""
        chosen: list[ReceivedSms] = []
        going_on = self.next_id
        for number, message in self._kept:
            if number < first:
                continue
            if limit and len(chosen) >= limit:
                going_on = number
                break
            chosen.append(message)
        if delete and chosen:
            gone = range(first, going_on)
            left = [item for item in self._kept if item[0] not in gone]
            self._kept.clear()
            self._kept.extend(left)
        return tuple(chosen), going_on

    def forget(self) -> None:
        """The device restarted: ids begin again, nothing is kept or pushed."""
        self._kept.clear()
        self._buffer.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.next_id = 1
        self.count, self.period = 1, 30.0

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        messages, self._buffer = tuple(self._buffer), []
        self._outlet(messages)

    def _wrap(self, message: ReceivedSms) -> str:
        """The text as this firmware puts it on the wire: base64, perhaps with more around it."""
        text = message.text
        if self._style == "headers":
            text = header_block(message)
        tail = b"\0\0\0" if self._style == "nul" else b""
        return base64.b64encode(text.encode("utf-8", "replace") + tail).decode("ascii")
