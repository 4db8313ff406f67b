"""The device: queue, ports, reports, inbox and status made into one.

Sans-IO: every method takes the time (seconds on the caller's monotonic clock), everything later
stands in `agenda`, and pushes leave by the outlet. It never waits and never fails.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime
from functools import partial

from campaign.env import Env
from campaign.protocol.codes import TaskCode
from campaign.protocol.messages import (
    DevStatus,
    FailedRow,
    PortStatus,
    ReceivedSms,
    RecvSms,
    SendSms,
    SentRow,
    StatusReport,
    TaskReport,
    Verdict,
)
from campaign.simulator.agenda import Agenda
from campaign.simulator.faults import Fate, Fates, PortDeath, Word, draw_count, plan_deaths
from campaign.simulator.inbox import Inbox
from campaign.simulator.network import Network
from campaign.simulator.orders import Order, read_order
from campaign.simulator.power import Power
from campaign.simulator.radio import Radio, SimPort
from campaign.simulator.reporting import Reporter
from campaign.simulator.sessions import Sessions
from campaign.simulator.settings import SimulatorSettings
from campaign.simulator.status import Identity, StatusBoard
from campaign.simulator.taskqueue import DeviceTask, Message, TaskQueue
from campaign.simulator.truth import TruthLedger

Pushed = StatusReport | RecvSms | DevStatus | PortStatus
Outlet = Callable[[str, Pushed], None]
Verdicts = tuple[Verdict, ...]


class Device:
    """One gateway. `outlet(url, push)` is called with each push, `forget_pushes()` on a restart."""

    def __init__(
        self,
        settings: SimulatorSettings,
        *,
        seed: int,
        env: Env,
        truth: TruthLedger,
        outlet: Outlet,
        forget_pushes: Callable[[], None],
    ) -> None:
        self.settings = settings
        self.agenda = Agenda()
        self._env = env
        self._outlet = outlet
        # Each concern has its own stream, so that one more draw here moves nothing there.
        rng = random.Random(f"{seed}/device")
        self._rng = rng
        self._deaths = plan_deaths(settings, random.Random(f"{seed}/deaths"))
        self._reboots_left = settings.fault_plan.reboots
        self._until_reboot = draw_count(settings.fault_plan.reboot_after, rng)
        self.queue = TaskQueue(settings)
        self._fates = Fates(settings, random.Random(f"{seed}/fates"))
        self.radio = Radio(settings, self.agenda, self._fates, rng, self)
        self.reporter = Reporter(
            settings, self.agenda, self._push_reports, lambda: self.power.config.get("sr_url")
        )
        self.inbox = Inbox(settings, self.agenda, self._push_messages)
        self.board = StatusBoard(
            settings,
            self.agenda,
            Identity(settings, random.Random(f"{seed}/identity")),
            self.radio.ports,
            outlet,
        )
        self.network = Network(
            settings,
            self.agenda,
            env=env,
            rng=random.Random(f"{seed}/network"),
            truth=truth,
            inbox=self.inbox,
            own_number=self.board.number_of,
            sim_of=self.board.sim_of,
        )
        self.sessions = Sessions(settings, env.nonce)
        self.power = Power(self, env=env, fates=self._fates, forget_pushes=forget_pushes)

    def wall(self) -> datetime:
        """The device's own civil time."""
        return self._env.wall()

    # -- requests ---------------------------------------------------------------------------

    def post(self, request: SendSms, now: float) -> Verdicts:
        """Judge and take each task by itself (spec §6.3.1)."""
        self.reporter.count = max(1, request.sr_cnt or 100)
        self.reporter.period = 30.0 if request.sr_prd is None else max(0.0, float(request.sr_prd))
        self.inbox.count = max(1, request.sms_cnt or 1)
        self.inbox.period = 30.0 if request.sms_prd is None else max(0.0, float(request.sms_prd))
        if request.sms_url:
            self.power.config["sms_url"] = request.sms_url
        verdicts = []
        for task in request.tasks:
            order = read_order(task, ports=self.settings.ports)
            verdicts.append(Verdict(order.tid, self._judged(order, request.sr_url, now), ""))
        self.radio.kick_all(now)
        return tuple(verdicts)

    def take(self, order: Order, sr_url: str | None, now: float) -> TaskCode:
        """One order of the old interface."""
        code = self._judged(order, sr_url, now)
        self.radio.kick_all(now)
        return TaskCode(code)

    def _judged(self, order: Order, sr_url: str | None, now: float) -> int:
        code = self._judge(order, now)
        if code == TaskCode.OK:
            taken = DeviceTask(order, sr_url)
            self.queue.add(taken)
            self.radio.enqueue(taken)
        return int(code)

    def pause(self, tids: tuple[int, ...] | None, now: float) -> Verdicts | None:
        """Stop tasks from starting messages; None for every task (spec §6.3.3)."""
        return self._set_paused(tids, now, paused=True)

    def resume(self, tids: tuple[int, ...] | None, now: float) -> Verdicts | None:
        return self._set_paused(tids, now, paused=False)

    def remove(self, tids: tuple[int, ...] | None, now: float) -> Verdicts | None:
        """Drop what waits; what is on air still ends (spec §6.3.5)."""
        verdicts = []
        for tid, task in self.queue.select(tids):
            if task is None or (task.started and not self.settings.remove_started):
                verdicts.append(Verdict(tid, self.settings.unknown_tid, ""))
                continue
            task.removed += len(task.waiting)
            task.waiting.clear()
            self.reporter.removed(task, now)
            self._leave_if_complete(task, now)
            verdicts.append(Verdict(tid, int(TaskCode.OK), ""))
        return None if tids is None else tuple(verdicts)

    def receive(self, port: int, sender: str, text: str, now: float) -> None:
        """An SMS comes in on a port's SIM."""
        self.network.deliver(self.radio.port(port), sender, text, now)

    def _set_paused(
        self, tids: tuple[int, ...] | None, now: float, *, paused: bool
    ) -> Verdicts | None:
        verdicts = []
        for tid, task in self.queue.select(tids):
            if task is None or (paused and task.started and not self.settings.pause_started):
                verdicts.append(Verdict(tid, self.settings.unknown_tid, ""))
                continue
            task.paused = paused
            verdicts.append(Verdict(tid, int(TaskCode.OK), ""))
        if not paused:
            self.radio.kick_all(now)
        return None if tids is None else tuple(verdicts)

    def _judge(self, order: Order, now: float) -> int:
        if order.refusal != TaskCode.OK:
            return order.refusal
        if self.queue.remembers(order.tid, now):
            return TaskCode.DUPLICATED_TASK_ID
        if not any(port.usable for port in self.radio.chosen(order.ports)):
            return TaskCode.SIM_UNREGISTERED
        return TaskCode.TOO_MANY_TASK if self.queue.full else TaskCode.OK

    # -- what the radio tells ---------------------------------------------------------------

    def started(self, task: DeviceTask, now: float) -> None:
        self.reporter.start(task, now)

    def on_air(self, port: SimPort, begun: float, ends: float) -> None:
        """Deaths and restarts are counted in messages, and strike in the middle of one."""
        middle = (begun + ends) / 2
        death = self._deaths.get(port.number)
        if death is not None and death.message == port.started:
            self.agenda.at(middle, partial(self._die, port, death))
        if self._reboots_left:
            self._until_reboot -= 1
            if self._until_reboot <= 0:
                self._reboots_left -= 1
                self._until_reboot = draw_count(self.settings.fault_plan.reboot_after, self._rng)
                self.agenda.at(middle, self.power.reboot)

    def landed(self, message: Message, port: SimPort, fate: Fate, now: float) -> None:
        self.network.record(message, port, fate, self.power.boot, now)
        self.settle(message, port, fate, now)

    def settle(self, message: Message, port: SimPort, fate: Fate, now: float) -> None:
        """The device's own view: counters, the report's row, the end of the task."""
        task = message.task
        failed = fate.word is Word.FAILED
        task.in_air -= 1
        task.sent += not failed
        task.failed += failed
        port.stats[port.slot - 1].count_sent(self._env.wall(), ok=not failed)
        self._charge(port, fate)
        self.reporter.result(task, self._row(message, port, fate), now)
        self._leave_if_complete(task, now)

    def _charge(self, port: SimPort, fate: Fate) -> None:
        price = self.settings.sms_price
        if price and fate.on_air:
            port.balances[port.slot - 1] -= price
            if port.balance < price:
                self.power.run_dry(port)

    def _die(self, port: SimPort, death: PortDeath, now: float) -> None:
        if self.radio.powered:
            self.power.die(port, now, hangs=death.hangs)

    def _row(self, message: Message, port: SimPort, fate: Fate) -> SentRow | FailedRow | None:
        index, number, stamp = message.index, message.number, int(self._env.wall().timestamp())
        match fate.word:
            case Word.NOTHING:
                return None
            case Word.SENT:
                return SentRow(index=index, number=number, port=port.name, at=stamp)
            case Word.FAILED:
                return FailedRow(
                    index=index,
                    number=number,
                    port=port.name,
                    at=stamp,
                    program=int(fate.code),
                    program_text=fate.program_text,
                    network=fate.cause,
                    network_text=fate.network_text,
                )

    def _leave_if_complete(self, task: DeviceTask, now: float) -> None:
        if task.complete:
            self.queue.retire(task, now)
            self.radio.forget(task)

    # -- pushes -----------------------------------------------------------------------------

    def _push_reports(self, url: str, reports: tuple[TaskReport, ...]) -> None:
        self._outlet(url, StatusReport(reports=reports))

    def _push_messages(self, messages: tuple[ReceivedSms, ...]) -> None:
        url = self.power.config.get("sms_url")
        if url:
            self._outlet(url, RecvSms(messages=messages))
