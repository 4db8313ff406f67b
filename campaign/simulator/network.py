"""The mobile network behind the ports: what it takes is truth, and it answers in its own time.

Receipts and replies come whatever becomes of the device meanwhile; while it restarts, the network
keeps them.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

import msgspec

from campaign.env import Env
from campaign.protocol.messages import ReceivedSms
from campaign.protocol.text import segments
from campaign.simulator.agenda import Agenda
from campaign.simulator.faults import Fate
from campaign.simulator.inbox import Inbox
from campaign.simulator.radio import SimPort
from campaign.simulator.settings import SimulatorSettings
from campaign.simulator.taskqueue import Message
from campaign.simulator.truth import Attempt, TruthLedger


class Network:
    """Records each attempt, and brings receipts, replies and other inbound SMS to the inbox.

    `down_until` is when a restarting device can receive again (in the past: it can now).
    `own_number` tells the number of the SIM in a port.
    """

    def __init__(
        self,
        settings: SimulatorSettings,
        agenda: Agenda,
        *,
        env: Env,
        rng: random.Random,
        truth: TruthLedger,
        inbox: Inbox,
        own_number: Callable[[SimPort], str],
        sim_of: Callable[[SimPort], tuple[str, str, str]],
    ) -> None:
        self._settings = settings
        self._agenda = agenda
        self._env = env
        self._rng = rng
        self._truth = truth
        self._inbox = inbox
        self._own_number = own_number
        self._sim_of = sim_of
        self.down_until = 0.0

    def record(self, message: Message, port: SimPort, fate: Fate, boot: str, now: float) -> None:
        """Write down what truly happened, before anybody is told of it."""
        order = message.task.order
        self._truth.write(
            Attempt(
                t=round(self._env.wall().timestamp(), 3),
                device=self._settings.name,
                boot=boot,
                tid=max(0, order.tid),  # the old interface knows none
                number=message.number,
                port=str(port.name),
                text=order.text,
                ok=fate.on_air,
                cause=fate.cause,
                mms=order.mms,
            )
        )
        if not fate.on_air:
            return
        if order.receipts:
            self._send_receipts(message, port, fate, now)
        if fate.reply is not None:
            due = now + self._rng.uniform(*self._settings.reply_seconds)
            self._agenda.at(due, partial(self.deliver, port, message.number, fate.reply))

    def deliver(self, port: SimPort, sender: str, text: str, now: float) -> None:
        """An SMS for the SIM in this port."""
        if now < self.down_until:
            self._agenda.at(self.down_until, partial(self.deliver, port, sender, text))
            return
        port.stats[port.slot - 1].count_received(self._env.wall())
        self._inbox.receive(
            self._named(
                ReceivedSms(
                    receipt=False,
                    port=port.name,
                    at=int(self._env.wall().timestamp()),
                    sender=sender,
                    recipient=self._own_number(port),
                    text=text,
                ),
                port,
            ),
            now,
        )

    def _named(self, message: ReceivedSms, port: SimPort) -> ReceivedSms:
        """The message with ICCID, IMSI and IMEI, where this firmware tells them."""
        if not self._settings.spelling.sim_rows:
            return message
        iccid, imsi, imei = self._sim_of(port)
        return msgspec.structs.replace(message, iccid=iccid, imsi=imsi, imei=imei)

    def _send_receipts(self, message: Message, port: SimPort, fate: Fate, now: float) -> None:
        parts = 1
        if self._settings.receipt_per_part:
            parts = segments(message.task.order.text).parts
        due = now
        for code in fate.receipts:
            due += self._rng.uniform(*self._settings.receipts_seconds)
            for _ in range(parts):
                self._agenda.at(due, partial(self._receipt, port, message.number, code))

    def _receipt(self, port: SimPort, number: str, code: int, now: float) -> None:
        if now < self.down_until:
            self._agenda.at(self.down_until, partial(self._receipt, port, number, code))
            return
        wall = self._env.wall()
        self._inbox.receive(
            self._named(
                ReceivedSms(
                    receipt=True,
                    port=port.name,
                    at=int(wall.timestamp()),
                    sender=self._settings.smsc,
                    recipient=number,
                    text=f"{code} {wall:%y%m%d%H%M%S}",
                    receipt_code=code,
                ),
                port,
            ),
            now,
        )
