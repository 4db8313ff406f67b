"""A small world in one process and in virtual time: the real engine, receiver and simulators."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import trio

from campaign.engine.engine import run_engine
from campaign.engine.intake import LaunchRequest, intake
from campaign.engine.lifecycle import Ended
from campaign.engine.runtime import Run
from campaign.env import Env
from campaign.gateway.client import Device
from campaign.planner.options import CampaignOptions
from campaign.planner.settings import Settings
from campaign.protocol.session import AuthOrder, Crypt
from campaign.receiver.app import receiver_app
from campaign.receiver.sink import InboxSink
from campaign.simulator.machine import Simulator
from campaign.simulator.settings import SimulatorSettings
from campaign.simulator.truth import Attempt
from campaign.store.campaigns import find_campaign, list_campaigns
from campaign.store.door import InlineStore, transaction
from campaign.store.gateways import (
    GatewayRow,
    Subscription,
    add_gateway,
    get_gateway,
    receiver_tokens,
    set_subscription,
)
from campaign.store.inbox import Arrived, InboxReader, InboxWriter
from campaign.store.invariants import invariants
from campaign.store.replayed import replayed
from tests.fresh import open_fresh

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


class Switchboard(httpx.AsyncBaseTransport):
    """Routes requests in memory by host name; a host that is not there refuses connections."""

    def __init__(self) -> None:
        self.apps: dict[str, httpx.AsyncBaseTransport] = {}
        self.requests: Counter[str] = Counter()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests[request.url.path] += 1
        app = self.apps.get(request.url.host)
        if app is None:
            await trio.lowlevel.checkpoint()
            raise httpx.ConnectError("connection refused", request=request)
        try:
            return await app.handle_async_request(request)
        except httpx.HTTPError:
            raise
        except Exception as error:
            raise httpx.RemoteProtocolError(str(error), request=request) from error


Forward = Callable[[httpx.Request], Awaitable[httpx.Response]]


class Between(httpx.AsyncBaseTransport):
    """Stands before an app: `handle(request, forward)` answers in its place, sooner, later or not
    at all. The request's body is read already."""

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        handle: Callable[[httpx.Request, Forward], Awaitable[httpx.Response]],
    ) -> None:
        self._inner = inner
        self._handle = handle

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        return await self._handle(request, self._inner.handle_async_request)


class MortalStore(InlineStore):
    """The store of a process that can be killed: once it is, nothing is written any more."""

    def __init__(self, world: World) -> None:
        super().__init__(world.conn)
        self._world = world
        self._life = world.life

    async def write(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        await self._life.check()
        result = await super().write(fn, *args, **kwargs)
        self._world.after_commit(result)
        await self._life.check()
        return result


class MortalTransport(httpx.AsyncBaseTransport):
    """The network of a process that can be killed: what it sends after that reaches nobody."""

    def __init__(self, world: World) -> None:
        self._board = world.board
        self._life = world.life

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self._life.check()
        response = await self._board.handle_async_request(request)
        await self._life.check()
        return response


@dataclass
class Life:
    """Whether the engine's process still runs."""

    dead: bool = False

    async def check(self) -> None:
        if self.dead:
            await trio.sleep_forever()


@dataclass
class World:
    """Everything outside the engine, and what went on air."""

    folder: Path
    seed: int = 1
    board: Switchboard = field(default_factory=Switchboard)
    attempts: list[Attempt] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    simulators: dict[str, Simulator] = field(default_factory=dict)
    receiver_host: str = "receiver"
    life: Life = field(default_factory=Life)
    runs: list[Run] = field(default_factory=list)
    after_commit: Callable[[Any], None] = lambda _result: None
    """What happens between a commit of the engine and its next step."""
    inbox_every: float = 0.2
    """Seconds between two looks into the inbox should a wake-up get lost: none does here, and days
    of waiting pass quickly without."""
    slept: timedelta = timedelta()
    """How long this machine was suspended: its monotonic clock stood still, civil time did not."""

    def __post_init__(self) -> None:
        self.zero = trio.current_time()
        rng = random.Random(self.seed)
        self.env = Env(
            wall=lambda: START + timedelta(seconds=trio.current_time() - self.zero) + self.slept,
            monotonic=trio.current_time,
            rng=rng,
            nonce=lambda n: rng.randbytes(n).hex(),
        )
        self.optouts = self.folder / "optouts.db"
        self.conn = open_fresh(self.folder / "campaign.db", self.optouts)
        self.inbox_writer = InboxWriter.open(self.folder / "campaign.inbox.db", self.env.nonce)
        self.inbox_reader = InboxReader.open(self.folder / "campaign.inbox.db")

    def sql(self, query: str, *args: object) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.conn.execute(query, args).fetchall()]

    def add_simulator(self, name: str, nursery: trio.Nursery, **settings: Any) -> Simulator:
        settings = {"seed": self.seed, "name": name, **settings}
        client = httpx.AsyncClient(transport=self.board)
        simulator = Simulator(
            SimulatorSettings(**settings), env=self.env, client=client,
            on_attempt=self.attempts.append,
        )  # fmt: skip
        self.board.apps[name] = httpx.ASGITransport(simulator.app)
        self.simulators[name] = simulator
        nursery.start_soon(simulator.run)
        return simulator

    def register(
        self, name: str, crypt: str | None = None, auth_order: str = "spec", **settings: str
    ) -> int:
        with transaction(self.conn):
            return add_gateway(
                self.conn, self.env.wall_ms(), name=name, url=f"http://{name}", username="root",
                secret="root", token=self.env.nonce(8), settings=settings, crypt=crypt,
                auth_order=auth_order,
            )  # fmt: skip

    def subscribe(self, name: str, **subscription: Any) -> None:
        with transaction(self.conn):
            gateway = get_gateway(self.conn, name)
            set_subscription(self.conn, gateway.id, Subscription(**subscription))

    def run(self) -> Run:
        """A fresh engine run over the ledger, as a new process would begin it."""

        def connect(row: GatewayRow, settings: Settings) -> Device:
            return Device(
                row.name, row.url, row.username, row.secret, env=self.env,
                timeout=settings.client_timeout, transport=MortalTransport(self),
                crypt=None if row.crypt is None else Crypt(row.crypt),
                auth_order=cast(AuthOrder, row.auth_order),
                session_seconds=settings.session_seconds,
            )  # fmt: skip

        run = Run(
            env=self.env,
            store=MortalStore(self),
            inbox=self.inbox_reader,
            optouts=self.optouts,
            connect=connect,
            push_url=lambda row: f"http://{self.receiver_host}/p/{row.token}",
            notice=self.notices.append,
            inbox_every=self.inbox_every,
        )
        self.runs.append(run)
        return run

    def put_between(
        self, name: str, handle: Callable[[httpx.Request, Forward], Awaitable[httpx.Response]]
    ) -> None:
        """Let `handle` answer for a host (`Between`)."""
        self.board.apps[name] = Between(self.board.apps[name], handle)

    async def command(self, name: str, **body: str) -> None:
        """Somebody at a device's own web page: lock, unlock, reboot …"""
        query = {"username": "root", "password": "root", "version": "1.1"}
        async with httpx.AsyncClient(transport=self.board) as client:
            url = f"http://{name}/goip_send_cmd.html"
            answer = await client.post(url, params=query, json={"type": "command", **body})
            assert answer.status_code == 200

    def push(self, body: bytes, gateway_id: int = 1) -> None:
        """A push of a device, whatever it holds."""
        arrived = Arrived(
            gateway_id=gateway_id, received_ms=1, remote="", content_type="", query="", body=body
        )
        self.inbox_writer.append_many([arrived])
        self.wake_engine()

    def wake_engine(self) -> None:
        for run in self.runs[-1:]:
            run.inbox_bell.ring()

    def write_list(self, numbers: list[str], name: str = "list.csv") -> Path:
        path = self.folder / name
        path.write_text("phone\n" + "".join(f"+{number}\n" for number in numbers))
        return path

    async def launch(
        self, numbers: list[str], *, message: str = "Hello", name: str = "c", again: bool = False,
        path: Path | None = None, control: Path | None = None, mms: tuple[str, ...] = (),
        **options: Any,
    ) -> Ended:  # fmt: skip
        """Import and run to the end."""
        path = path or self.write_list(numbers)
        request = LaunchRequest(
            name=name, path=str(path), list_name=path.name, message=message, again=again,
            rejects=str(path) + ".rejects.csv", options=CampaignOptions(**options), mms=mms,
        )  # fmt: skip

        async def job(run: Run) -> None:
            await intake(run, request, lambda _rows, _refused: None)

        return await run_engine(self.run(), job, control=control)

    async def killed(self, after: float, what: Callable[[], Awaitable[Ended]]) -> bool:
        """Kill the engine that `what` runs after so long, poisoned first, so that no `finally`
        writes or sends anything; False if it had ended by then."""
        life = self.life = Life()
        ended = False

        async def reaper(scope: trio.CancelScope) -> None:
            await trio.sleep(after)
            life.dead = True
            scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(reaper, nursery.cancel_scope)
            await what()
            ended = True
            nursery.cancel_scope.cancel()
        self.life = Life()
        return not ended

    async def resume(self, **kwargs: Any) -> Ended:
        return await run_engine(self.run(), resume_all, **kwargs)

    def states(self, name: str = "c") -> dict[str, int]:
        campaign = find_campaign(self.conn, name)
        assert campaign is not None
        return dict(
            self.conn.execute(
                "SELECT state, count(*) FROM recipients WHERE campaign_id = ? GROUP BY state",
                (campaign.id,),
            ).fetchall()
        )

    def on_air(self) -> Counter[str]:
        """How often each number truly went out."""
        return Counter(attempt.number for attempt in self.attempts if attempt.ok)

    def check(self) -> None:
        """Conservation, at most once but for stored decisions, no attempt without a proved failure
        or a decision, and no false fact against the ground truth."""
        sums = self.sql("SELECT campaign_id, state, count(*) FROM recipients GROUP BY 1, 2")
        tallies = self.sql("SELECT campaign_id, state, n FROM tallies WHERE n > 0")
        assert sorted(sums) == sorted(tallies)
        assert self.sql("SELECT count(*) FROM recipients WHERE state = 'assigned'") == [
            self.sql("SELECT count(*) FROM attempts WHERE live = 1")[0]
        ]
        air = self.on_air()
        campaigns = len(list_campaigns(self.conn))
        decided = self._decided()
        for number, times in air.items():
            assert times <= campaigns + decided[number], f"{number} went out {times} times"
        assert not self.sql(
            """
            SELECT number FROM recipients AS r WHERE attempts > 1 +
                (SELECT count(*) FROM decisions AS d WHERE d.recipient_id = r.id
                    AND d.kind IN ('retry', 'resend', 'retry_failed'))
            """
        ), "tried again without a proved failure or a decision"
        for number, state in self.sql(
            "SELECT number, state FROM recipients WHERE evidence <> 'operator'"
        ):
            if state in ("sent", "delivered", "undelivered", "no_receipt"):
                assert air[number], f"{number} is {state}, but never went on air"
            # who waits to be sent to again may have been sent to
            waits = state in ("pending", "held") and not decided[number]
            if waits or state in ("failed", "cancelled", "skipped"):
                assert campaigns > 1 or not air[number], f"{number} is {state}, but it went out"
        laws = invariants(self.conn)
        for campaign in list_campaigns(self.conn):
            laws += replayed(self.conn, self.inbox_reader, campaign.id)
        assert [law for law in laws if law.verdict == "broken"] == []

    def _decided(self) -> Counter[str]:
        """How often somebody decided to send to a number again."""
        rows = self.sql(
            """
            SELECT r.number, count(*) FROM decisions AS d JOIN recipients AS r
            ON r.id = d.recipient_id WHERE d.kind IN ('resend', 'retry_failed') GROUP BY 1
            """
        )
        return Counter(dict(rows))


async def resume_all(run: Run) -> None:
    """Make every open campaign a target."""
    run.targets |= set(run.campaigns)


@pytest.fixture
def numbers() -> Callable[[int], list[str]]:
    """Distinct test numbers under +999, which no operator has."""
    return lambda count: [f"9990000{i:06d}" for i in range(count)]


@asynccontextmanager
async def open_world(
    folder: Path,
    seed: int = 1,
    settings: dict[str, str] | None = None,
    crypt: str | None = None,
    **simulators: dict[str, Any],
) -> AsyncIterator[World]:
    """A world in a folder, with a receiver and running simulators by name."""
    world = World(folder, seed)
    async with trio.open_nursery() as nursery:
        sink = InboxSink(world.inbox_writer, on_commit=world.wake_engine, inline=True)
        nursery.start_soon(sink.run)
        app = receiver_app(lambda: receiver_tokens(world.conn), sink, env=world.env)
        world.board.apps["receiver"] = httpx.ASGITransport(app)
        for name, simulator in simulators.items():
            world.add_simulator(name, nursery, **simulator)
            world.register(name, crypt, **(settings or {}))
        yield world
        nursery.cancel_scope.cancel()
    world.conn.close()
    world.inbox_reader.close()
    world.inbox_writer.close()


@pytest.fixture
def make_world(tmp_path: Path) -> Callable[..., Any]:
    """`async with make_world(sim1={...}, sim2={...}) as world:` with running simulators."""
    return partial(open_world, tmp_path)
