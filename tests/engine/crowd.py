"""Many campaigns on many gateways: the real engine and ledger, devices that answer at once.

The devices live in memory and take every task; each port sends one message after the other, about
six seconds each, and reports a task once it is off. Time is virtual, so what is measured is what
this program costs: CPU seconds, of the engine alone.
"""

from __future__ import annotations

import heapq
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import process_time
from typing import Any, cast

import trio
from trio.testing import MockClock

from campaign.engine.engine import run_engine
from campaign.engine.runtime import Run
from campaign.env import Env
from campaign.gateway.answers import Answered, PageReading, StatsReading, Sweep, TidsReading
from campaign.gateway.client import Device
from campaign.planner.options import CampaignOptions
from campaign.protocol.device_codec import decode_send_sms, encode_status_report
from campaign.protocol.messages import (
    DevStatus,
    PortState,
    SentRow,
    SmsPage,
    SmsStats,
    StatusReport,
    TaskReport,
    TaskStatus,
    TidsAnswer,
    Verdict,
)
from campaign.protocol.ports import Port
from campaign.store.campaigns import complete_import, create_campaign
from campaign.store.door import InlineStore, transaction
from campaign.store.gateways import add_gateway
from campaign.store.inbox import InboxRow
from campaign.store.opening import open_ledger

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
AIR_SECONDS = 6.0
_FIRST_NUMBER = 999_000_000_000_000


@dataclass(frozen=True)
class Cost:
    """What a stretch of sending cost. A turn is one decision: who is next, and which ports take
    how many; seconds are of this process's CPU."""

    recipients: int
    messages: int
    turns: int
    claims: int
    seconds: float
    stored: float
    """… of which inside the ledger, claims and outcomes included."""
    by_campaign: dict[int, int]

    @property
    def per_decision(self) -> float:
        """Microseconds of a turn outside the ledger."""
        return 1e6 * (self.seconds - self.stored) / max(1, self.turns)

    @property
    def per_message(self) -> float:
        """Microseconds, all there is."""
        return 1e6 * self.seconds / max(1, self.messages)


class CountingStore(InlineStore):
    """The ledger's door, with what its steps took."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        super().__init__(conn)
        self.seconds = 0.0
        self.calls: Counter[str] = Counter()

    def _timed(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            self.calls[getattr(fn, "__name__", "")] += 1
            began = process_time()
            try:
                return fn(*args, **kwargs)
            finally:
                self.seconds += process_time() - began

        return step

    async def read(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        return await super().read(self._timed(fn), *args, **kwargs)

    async def write(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        return await super().write(self._timed(fn), *args, **kwargs)


@dataclass
class Air:
    """What is on air: reports, by when they are due, and the inbox they arrive in."""

    rows: list[InboxRow] = field(default_factory=list)
    due: list[tuple[float, int, bytes]] = field(default_factory=list)
    changed: trio.Event = field(default_factory=trio.Event)
    posts: int = 0
    messages: int = 0
    file_id: str = "crowd"

    def last_id(self) -> int:
        return len(self.rows)

    def rows_after(self, cursor: int, limit: int) -> list[InboxRow]:
        return self.rows[cursor : cursor + limit]

    def data_version(self) -> int:
        return len(self.rows)

    def put(self, at: float, gateway_id: int, body: bytes) -> None:
        heapq.heappush(self.due, (at, gateway_id, body))
        self.changed.set()
        self.changed = trio.Event()

    async def deliver(self, run: Run) -> None:
        """Bring each report when it is due."""
        while True:
            changed = self.changed
            if not self.due:
                await changed.wait()
                continue
            with trio.move_on_at(self.due[0][0]):
                await changed.wait()
            while self.due and self.due[0][0] <= trio.current_time():
                _, gateway_id, body = heapq.heappop(self.due)
                self.rows.append(
                    InboxRow(
                        gateway_id=gateway_id, received_ms=1, remote="", content_type="", query="",
                        body=body, id=len(self.rows) + 1,
                    )
                )  # fmt: skip
                run.inbox_bell.ring()


class QuickDevice:
    """A gateway that takes everything and answers at once."""

    def __init__(self, name: str, gateway_id: int, ports: int, air: Air) -> None:
        self.name = name
        self._id = gateway_id
        self._air = air
        self._free = dict.fromkeys(range(1, ports + 1), 0.0)
        # not all in step, as no SIMs are
        self._pace = {n: AIR_SECONDS + (gateway_id * 7 + n * 3) % 20 / 10 for n in self._free}

    auth_order = "spec"

    async def aclose(self) -> None: ...

    async def status(self) -> DevStatus:
        return DevStatus(
            max_ports=len(self._free),
            ports=tuple(PortState(port=Port(number, 1), code=3) for number in self._free),
        )

    async def sms_page(self, **_query: Any) -> PageReading:
        return PageReading(b"{}", SmsPage(code=0, ssrc="boot"))

    async def sms_stats(self, **_query: Any) -> StatsReading:
        return StatsReading(b"{}", SmsStats(code=0))

    async def waiting_tasks(self, _ports: Any) -> Sweep:
        return Sweep(b"{}", ())

    async def pause(self, tids: Any) -> TidsReading:
        return TidsReading(
            b"", TidsAnswer(code=0, verdicts=tuple(Verdict(t, 0, "0") for t in tids))
        )

    resume = remove = pause

    async def post(self, body: bytes) -> Answered:
        now = trio.current_time()
        tasks = decode_send_sms(body).tasks
        self._air.posts += 1
        for task in tasks:
            port = task.port or Port(1)  # the engine names one
            number = port.number
            begins = max(now, self._free[number])
            self._free[number] = begins + self._pace[number] * len(task.to)
            self._air.messages += len(task.to)
            report = TaskReport(
                tid=task.tid, sending=0, sent=len(task.to), failed=0, unsent=0,
                sdr=tuple(
                    SentRow(index=index, number=to, port=port)
                    for index, to in enumerate(task.to, 1)
                ),
            )  # fmt: skip
            pushed = encode_status_report(StatusReport(reports=(report,)))
            self._air.put(self._free[number], self._id, pushed)
        verdicts = tuple(Verdict(task.tid, 0, "0 OK") for task in tasks)
        return Answered(TaskStatus(code=200, verdicts=verdicts), b"{}")


@contextmanager
def ledger_of(
    folder: Path, recipients: int, *, campaigns: int, gateways: int
) -> Iterator[sqlite3.Connection]:
    """A ledger with so many recipients in equal campaigns, put there by SQL."""
    with closing(open_ledger(folder / "campaign.db", folder / "optouts.db")) as conn:
        conn.execute("PRAGMA synchronous = OFF")
        with transaction(conn):
            for nth in range(1, gateways + 1):
                add_gateway(
                    conn, 1, name=f"gw{nth}", url=f"http://gw{nth}", username="u", secret="s",
                    token=f"t{nth}",
                    settings={"return-path": "assume", "queue-limit": "2", "task-size": "1"},
                )  # fmt: skip
        each = recipients // campaigns
        for nth in range(campaigns):
            with transaction(conn):
                _store_campaign(conn, nth, each)
        yield conn


def _store_campaign(conn: sqlite3.Connection, nth: int, each: int) -> None:
    options = CampaignOptions(receipts=False, share=1 + nth % 3)
    campaign_id = create_campaign(
        conn, 1, name=f"c{nth}", list_name="l", message="Hello", columns=(), options=options
    )
    first = _FIRST_NUMBER + nth * each
    conn.executemany(
        "INSERT INTO recipients (campaign_id, row, number, state) VALUES (?, ?, ?, 'pending')",
        ((campaign_id, row, str(first + row)) for row in range(each)),
    )
    conn.execute("INSERT INTO tallies VALUES (?, 'pending', ?)", (campaign_id, each))
    complete_import(conn, 1, campaign_id, f"c{nth}")


def run_crowd(
    folder: Path,
    recipients: int,
    *,
    campaigns: int = 20,
    gateways: int = 50,
    ports: int = 32,
    seconds: float = 20.0,
) -> Cost:
    """Let all campaigns send for some virtual seconds, and say what it cost."""
    with ledger_of(folder, recipients, campaigns=campaigns, gateways=gateways) as conn:
        return trio.run(
            _send, conn, folder, recipients, ports, seconds,
            clock=MockClock(autojump_threshold=0),
        )  # fmt: skip


async def _send(
    conn: sqlite3.Connection, folder: Path, recipients: int, ports: int, seconds: float
) -> Cost:
    zero = trio.current_time()
    rng = random.Random(1)
    env = Env(
        wall=lambda: START + timedelta(seconds=trio.current_time() - zero),
        rng=rng,
        nonce=lambda n: rng.randbytes(n).hex(),
    )
    air, store = Air(), CountingStore(conn)
    run = Run(
        env=env, store=store, inbox=air, optouts=folder / "optouts.db",
        connect=lambda row, _settings: cast(Device, QuickDevice(row.name, row.id, ports, air)),
        push_url=lambda row: f"http://receiver/{row.token}",
    )  # fmt: skip

    async def job(run: Run) -> None:
        run.targets |= set(run.campaigns)

    began = process_time()
    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(air.deliver, run)
            await run_engine(run, job)
            nursery.cancel_scope.cancel()
    spent = process_time() - began
    claimed = dict(conn.execute("SELECT campaign_id, sum(size) FROM tasks GROUP BY 1").fetchall())
    return Cost(
        recipients, air.messages, store.calls["queued"], air.posts, spent, store.seconds, claimed
    )
