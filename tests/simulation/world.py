"""A whole world in one process and in virtual time: devices, networks, receiver, engine, people.

Everything but the adapters is the real code: engine, planner, ledger and inbox files, receiver,
simulated devices. The engine runs in lives that end by a crash; devices and receiver live on.
"""

from __future__ import annotations

import hashlib
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx
import trio

from campaign.engine.campaign import Campaign
from campaign.engine.engine import run_engine
from campaign.engine.intake import LaunchRequest, intake
from campaign.engine.lifecycle import Ended
from campaign.engine.runtime import Run
from campaign.env import Env
from campaign.errors import StoreError
from campaign.gateway.client import Device
from campaign.planner.options import CampaignOptions
from campaign.planner.settings import Settings, with_overrides
from campaign.planner.states import CampaignState
from campaign.protocol.messages import SendSms, Task, Verdict
from campaign.protocol.session import AuthOrder, Crypt
from campaign.receiver.app import receiver_app
from campaign.receiver.sink import InboxSink
from campaign.simulator.machine import Simulator
from campaign.simulator.settings import SimulatorSettings
from campaign.simulator.truth import Attempt
from campaign.store.alarms import lift_alarms
from campaign.store.campaigns import find_campaign, list_campaigns
from campaign.store.door import transaction
from campaign.store.gateways import GatewayRow, add_gateway, receiver_tokens
from campaign.store.inbox import Arrived, InboxReader, InboxWriter
from campaign.store.tasks import live_tasks
from tests.fresh import open_fresh
from tests.simulation.invariants import STRANGERS_TEXT, Broken, Checker
from tests.simulation.network import Host, Life, Network, ToDevices, ToReceiver
from tests.simulation.process import MortalStore, Reaper, only_killed
from tests.simulation.scenario import CampaignPlan, Crash, DevicePlan, Scenario
from tests.simulation.weather import Weather
from tests.simulation.witness import touched, watch

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
RECEIVER = "receiver"
BOUND = 3 * 3600.0
"""Seconds after the last fault within which everything must be final."""

_CHECKPOINT_EVERY = 32
_FULL = 2
"""PRAGMA synchronous as a number: only then does a commit survive a power cut."""


@dataclass
class Receiver:
    """The receiver's process: an inbox, an application, and the task that commits."""

    writer: InboxWriter
    scope: trio.CancelScope


@dataclass(frozen=True)
class _Disk:
    """The inbox's disk, which may refuse one write."""

    world: World
    writer: InboxWriter

    def append_many(self, rows: Sequence[Arrived]) -> int:
        self.world.pushes += 1
        if self.world.pushes - 1 == self.world.scenario.nth_push:
            raise StoreError("disk I/O error")
        return self.writer.append_many(rows)


@dataclass
class World:
    """One scenario as it runs; `play` lets it."""

    scenario: Scenario
    folder: Path
    nursery: trio.Nursery
    reaper: Reaper
    trace: Callable[..., None] = lambda *_args, **_fields: None
    sometimes: Counter[str] = field(default_factory=Counter)
    attempts: list[Attempt] = field(default_factory=list)
    simulators: dict[str, Simulator] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    run: Run | None = None
    life: Life = field(default_factory=Life)
    clock_step: timedelta = timedelta()
    commits: int = 0
    operations: int = 0
    pushes: int = 0
    deaths: int = 0
    failure: BaseException | None = None
    operator: trio.Lock = field(default_factory=trio.Lock)
    """There is one, who gives no command before the last one was carried out."""
    acknowledged: list[bytes] = field(default_factory=list)
    images: list[bytes] = field(default_factory=list)
    """The ledger after its last commits, kept only while they could be lost by a power cut."""
    disk_full: bool = False
    abandoned: list[InboxWriter] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.zero = trio.current_time()
        self.db = self.folder / "campaign.db"
        self.optouts = self.folder / "optouts.db"
        self.inbox = self.folder / "campaign.inbox.db"
        self.net = Network(self.nursery, self._traced, self._reached, answered=self._answered)
        self._rng = random.Random(f"world {self.scenario.seed}")
        self.conn = self._open()
        self.checker = Checker({})
        self.receiver: Receiver | None = None

    # -- time ------------------------------------------------------------------------------

    def now(self) -> float:
        """Seconds since the world began."""
        return trio.current_time() - self.zero

    def wall(self) -> datetime:
        return START + timedelta(seconds=self.now()) + self.clock_step

    def env(self, name: str) -> Env:
        """Time and a stream of randomness of one's own."""
        rng = random.Random(f"{self.scenario.seed} {name}")
        return Env(
            wall=self.wall,
            monotonic=trio.current_time,
            rng=rng,
            nonce=lambda n: rng.randbytes(n).hex(),
        )

    async def until(self, at: float) -> None:
        await trio.sleep(max(0.0, at - self.now()))

    # -- what is told ----------------------------------------------------------------------

    def _traced(self, event: str, **fields: object) -> None:
        self.trace(event, at=round(self.now(), 3), step=self.reaper.step, **fields)

    def _reached(self, fault: str) -> None:
        self.sometimes[f"fault: {fault}"] += 1

    def _answered(self, body: bytes) -> None:
        self.acknowledged.append(hashlib.sha256(body).digest())

    def _notice(self, line: str) -> None:
        self.notices.append(line)
        self._traced("notice", line=line)

    def fail(self, error: BaseException) -> None:
        """The first broken invariant ends the world."""
        if self.failure is None:
            self.failure = error
            self._traced("BROKEN", what=str(error))
            self.life.dead = True
        self.nursery.cancel_scope.cancel()

    # -- ledger ----------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        conn = open_fresh(self.db, self.optouts)
        watch(conn)
        return conn

    def reopen(self) -> None:
        """The next process sees what the disk holds, and nothing else."""
        self.conn.close()
        self.conn = self._open()

    def _committed(self) -> None:
        self.commits += 1
        try:
            changes = touched(self.conn)
            for change in changes:
                if change.kind in ("recipient", "task") and change.old != change.new:
                    self.sometimes[f"{change.kind}: {change.old} -> {change.new}"] += 1
            self.checker.after_commit(self.conn, changes)
            if self.commits % _CHECKPOINT_EVERY == 0:
                self.checker.at_checkpoint(self.conn)
        except Broken as error:
            self.fail(error)
            return
        if changes:
            self._traced("commit", n=self.commits, changes=_shown(changes))
        if changes and self.conn.execute("PRAGMA main.synchronous").fetchone()[0] < _FULL:
            self.images = [*self.images[-3:], self.conn.serialize()]

    def _before(self, kind: str) -> None:
        """What SQLite says of a disk that fails, or without room where a page was still free."""
        self.operations += 1
        if self.operations - 1 == self.scenario.nth_operation:
            self._reached(f"disk-error on a {kind}")
            raise sqlite3.OperationalError("disk I/O error")
        if self.disk_full and kind == "write":
            raise sqlite3.OperationalError("database or disk is full")

    def power_cut(self) -> None:
        """What a power cut leaves of the ledger: all of it, unless commits were not synced."""
        if self.images:
            lost = self.images[0]
            self.conn.close()
            for path in self.folder.glob("campaign.db*"):
                path.unlink()
            self.db.write_bytes(lost)
            self.db.chmod(0o600)
            self.images = []
            self.conn = self._open()

    # -- devices ---------------------------------------------------------------------------

    def add_device(self, plan: DevicePlan) -> None:
        env = self.env(plan.name)
        if plan.clock_1970:
            env = Env(
                wall=lambda: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=self.now()),
                monotonic=env.monotonic, rng=env.rng, nonce=env.nonce,
            )  # fmt: skip
            self._reached("clock-1970")
        settings = SimulatorSettings(**{"name": plan.name, **plan.simulator})
        self.net.weathers[plan.name] = Weather(
            plan.faults,
            random.Random(f"{self.scenario.seed} weather {plan.name}"),
            plan.script,
            plan.pushes,
            plan.nth_request,
        )
        self.net.weathers[plan.name].strange_tid = self._strange_tid
        self.net.latency[plan.name] = (plan.latency, plan.slowest)
        client = httpx.AsyncClient(transport=ToReceiver(self.net, plan.name))
        simulator = Simulator(settings, env=env, client=client, on_attempt=self._on_air)
        self._spy(plan.name, simulator)
        self.net.hosts[plan.name] = Host(httpx.ASGITransport(simulator.app))
        self.simulators[plan.name] = simulator
        self.nursery.start_soon(simulator.run)
        with transaction(self.conn):
            gateway = add_gateway(
                self.conn, self.env("registry").wall_ms(), name=plan.name,
                url=f"http://{plan.name}", username="root", secret="root",
                token=hashlib.sha256(plan.name.encode()).hexdigest()[:16],
                settings=dict(plan.settings), crypt=plan.crypt,
            )  # fmt: skip
        self.ids[plan.name] = gateway
        horizon = with_overrides(Settings(), dict(plan.settings)).report_horizon
        self.checker.horizons = {**self.checker.horizons, gateway: horizon}

    def _strange_tid(self) -> int:
        following = self.conn.execute("SELECT value FROM meta WHERE key = 'next_tid'").fetchone()
        return (int(following[0] if following else 1) + 2**30) % (2**31 - 1) + 1

    def _on_air(self, attempt: Attempt) -> None:
        self.attempts.append(attempt)
        self._traced("air", device=attempt.device, tid=attempt.tid, ok=attempt.ok)

    def _spy(self, name: str, simulator: Simulator) -> None:
        """Stand at the device's door: I4 is checked the moment it sees a tid."""
        judge = simulator.device.post
        weather = self.net.weathers[name]

        def post(request: SendSms, now: float) -> tuple[Verdict, ...]:
            fault, weather.at_the_device = weather.at_the_device, None
            try:
                seen_first = [self._check_intent(name, task) for task in request.tasks]
            except Broken as error:
                self.fail(error)
                return ()
            if fault == "storm-16":
                return tuple(Verdict(task.tid, 16, "") for task in request.tasks)
            if fault == "stranger-13" and all(seen_first):
                judge(_strangers(request), now)
            return judge(request, now)

        simulator.device.post = post  # type: ignore[method-assign]  # the door of this one device

    def _check_intent(self, name: str, task: Task) -> bool:
        """I4; whether this is its first post."""
        row = self.conn.execute(
            "SELECT state, body, sha256, posts FROM tasks WHERE gateway_id = ? AND tid = ?",
            (self.ids[name], task.tid),
        ).fetchone()
        if row is None or row["state"] == "planned":
            raise Broken("I4", f"{name} sees tid {task.tid}, which has no committed intent")
        if hashlib.sha256(row["body"]).hexdigest() != row["sha256"]:
            raise Broken("I4", f"tid {task.tid}: its stored object is not the one of its intent")
        return bool(row["posts"] == 1)

    def reboots(self) -> int:
        return sum(simulator.device.power.boots - 1 for simulator in self.simulators.values())

    # -- receiver --------------------------------------------------------------------------

    async def start_receiver(self) -> None:
        if self.receiver is not None:
            return
        writer = InboxWriter.open(self.inbox, self.env("inbox").nonce)
        sink = InboxSink(_Disk(self, writer), on_commit=self._wake, inline=True)
        scope = trio.CancelScope()

        async def commit() -> None:
            with scope:
                await sink.run()

        self.nursery.start_soon(commit)
        app = receiver_app(lambda: receiver_tokens(self.conn), sink, env=self.env("receiver"))
        self.net.hosts[RECEIVER] = Host(httpx.ASGITransport(app))
        self.receiver = Receiver(writer, scope)

    def kill_receiver(self) -> None:
        """SIGKILL: what was not committed is gone, and nobody was told that it was."""
        if self.receiver is None:
            return
        self.net.hosts[RECEIVER].down = True
        self.receiver.scope.cancel()
        self.abandoned.append(self.receiver.writer)  # closing it would tidy up behind the dead
        self.receiver = None

    def _wake(self) -> None:
        if self.run is not None and not self.life.dead:
            self.run.inbox_bell.ring()

    # -- the engine ------------------------------------------------------------------------

    def _new_run(self, life: Life) -> Run:
        env = self.env(f"engine {self.deaths}")
        transport = ToDevices(self.net, life)

        def connect(row: GatewayRow, settings: Settings) -> Device:
            return Device(
                row.name, row.url, row.username, row.secret, env=env,
                timeout=settings.client_timeout, transport=transport,
                crypt=None if row.crypt is None else Crypt(row.crypt),
                auth_order=cast(AuthOrder, row.auth_order),
                session_seconds=settings.session_seconds,
            )  # fmt: skip

        store = MortalStore(
            self.conn, life, self._committed, self._before,
            slow=self.scenario.slow_disk, rng=self._rng,
        )  # fmt: skip
        return Run(
            env=env,
            store=store,
            inbox=InboxReader.open(self.inbox),
            optouts=self.optouts,
            connect=connect,
            push_url=lambda row: f"http://{RECEIVER}/p/{row.token}",
            notice=self._notice,
            inbox_every=self.scenario.inbox_every,
        )

    async def live(self, crash: Crash | None) -> Ended | None:
        """One life of the engine: to its end, or to its crash (None)."""
        await self.start_receiver()  # whoever starts an engine sees to it first
        life = self.life = Life()
        self.run = run = self._new_run(life)
        ended: Ended | None = None

        try:
            async with trio.open_nursery() as nursery:

                async def job(run: Run) -> None:
                    await self._resume(run)
                    for plan in self.scenario.campaigns:
                        if plan.start <= self.now():
                            await self._hand_over(run, plan)
                        else:
                            nursery.start_soon(self._hand_over, run, plan)

                if crash is not None:
                    nursery.start_soon(self._die, crash, life, nursery.cancel_scope)
                ended = await run_engine(run, job)
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            await self._how_it_ended(group, life)
            ended = None
        finally:
            life.ended = True
            self.run = None
            with suppress(sqlite3.Error, StoreError):
                run.inbox.close()  # type: ignore[attr-defined]  # a reader of a file
        return None if life.dead else ended

    async def _die(self, crash: Crash, life: Life, scope: trio.CancelScope) -> None:
        await trio.sleep(crash.after)

        def kill() -> None:
            if self.life is life and not life.ended:
                life.dead = True
                scope.cancel()

        self.reaper.arm(crash.steps, kill)
        await trio.sleep_forever()

    async def _how_it_ended(self, group: BaseExceptionGroup[BaseException], life: Life) -> None:
        if life.dead and only_killed(group):
            return
        matched, rest = group.split(StoreError)
        if rest is not None and not only_killed(rest):
            raise group
        # a disk that is full ends a run, and costs nothing but time
        self._traced("ended", why=str(matched))
        self.sometimes["run ended by its ledger"] += 1
        life.dead = True

    async def _resume(self, run: Run) -> None:
        """Go on with what is open, as `resume` does."""
        rows = await run.store.read(list_campaigns)
        await run.store.write(lift_alarms, rows)
        over = (CampaignState.FINISHED, CampaignState.CANCELLED)
        for row in rows:
            left = any(
                task.campaign_id == row.id
                for gateway in self.ids.values()
                for task in live_tasks(self.conn, gateway)
            )
            if row.state not in over or left:
                run.campaigns.setdefault(row.id, Campaign.from_row(row))
                run.targets.add(row.id)

    async def _hand_over(self, run: Run, plan: CampaignPlan) -> None:
        """Launch a list at its time, unless that was done before."""
        await self.until(plan.start)
        if await run.store.read(find_campaign, plan.name) is not None:
            return
        path = self.folder / f"{plan.name}.csv"
        path.write_text("phone\n" + "".join(f"+{number}\n" for number in plan.numbers))
        request = LaunchRequest(
            name=plan.name, path=str(path), list_name=path.name, message=plan.message, again=True,
            rejects=str(path) + ".rejects.csv", options=CampaignOptions(**plan.options),
        )  # fmt: skip
        await intake(run, request, lambda _rows, _refused: None)

    def close(self) -> None:
        """Give every file back."""
        self.conn.close()
        for writer in self.abandoned:
            writer.close()
        if self.receiver is not None:
            self.receiver.writer.close()


def _strangers(request: SendSms) -> SendSms:
    """Another system's tasks, which happen to have the same tids."""
    tasks = tuple(
        Task(tid=task.tid, port=task.port, to=(f"99977700{nth:04d}",), sms=STRANGERS_TEXT)
        for nth, task in enumerate(request.tasks)
    )
    return SendSms(tasks=tasks, sr_url=request.sr_url)


def _shown(changes: Sequence[Any]) -> str:
    return ", ".join(
        f"{c.kind} {c.a} {c.old}->{c.new}" if c.old != c.new else f"{c.kind} {c.a}" for c in changes
    )
