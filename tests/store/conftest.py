"""A bench: a ledger in a temporary folder, devices, small campaigns, and the laws to check.

Numbers begin with 999, a country code that is not assigned to anybody.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from campaign.planner.lanes import Lane
from campaign.planner.options import CampaignOptions
from campaign.planner.retry import Failure, Final, Retry, after_failure
from campaign.planner.split import Grant
from campaign.protocol.codec import encode_task, task_digest
from campaign.protocol.messages import FailedRow, SentRow, Task, TaskReport
from campaign.protocol.ports import Port
from campaign.store.applying import Folded
from campaign.store.campaigns import NewRecipient, add_recipients, complete_import, create_campaign
from campaign.store.claims import Claim, ClaimedTask, claim_due
from campaign.store.door import transaction
from campaign.store.gateways import add_gateway
from campaign.store.journal import begin_epoch, write_meta
from campaign.store.optouts import OptOut, add_optouts
from campaign.store.picking import ClaimOrder
from campaign.store.receipts import Receipt, fold_receipt
from campaign.store.sweeping import fold_reports
from tests.fresh import open_fresh

NOW = 1_750_000_000_000
BUDGET = 3


@dataclass
class Bench:
    """The ledger's functions with the arguments a test does not care about filled in.

    Every call is a transaction of its own. `now` is milliseconds; a test moves it by hand.
    """

    conn: sqlite3.Connection
    path: Path
    optouts: Path
    epoch: int
    now: int = NOW
    folded: Folded = field(default_factory=Folded)

    @staticmethod
    def build(tid: int, port: int, numbers: Sequence[str], text: str | None) -> tuple[bytes, str]:
        """A task object as the engine would build it."""
        task = Task(tid=tid, port=Port(port), to=tuple(numbers), sms=text or "hello")
        body = encode_task(task)
        return body, task_digest(body)

    def do(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with transaction(self.conn):
            return fn(self.conn, *args, **kwargs)

    def gateway(self, name: str = "gw") -> int:
        found = self.conn.execute("SELECT id FROM gateways WHERE name = ?", (name,)).fetchone()
        if found is not None:
            return int(found["id"])
        gateway_id: int = self.do(
            add_gateway, self.now, name=name, url="http://192.0.2.1", username="root",
            secret="env:GW", token=f"token-{name}",
        )  # fmt: skip
        self.conn.executemany(
            "INSERT INTO ports (gateway_id, port, iccid, seen_ms) VALUES (?, ?, ?, ?)",
            [(gateway_id, port, f"89{port:018}", self.now) for port in range(1, 9)],
        )
        return gateway_id

    def campaign(
        self,
        size: int = 3,
        *,
        name: str = "spring",
        texts: Sequence[str | None] = (None,),
        parts: int = 1,
        first: int = 1,
        options: CampaignOptions | None = None,
        lanes: int = 1,
    ) -> int:
        """A running campaign to `size` numbers; `texts` and lanes are dealt in turn."""
        campaign_id: int = self.do(
            create_campaign, self.now, name=name, list_name="list.csv", message="hello",
            columns=(), options=options or CampaignOptions(),
        )  # fmt: skip
        rows = [
            NewRecipient(
                i + 1, self.number(first + i), texts[i % len(texts)], None, parts, i % lanes
            )
            for i in range(size)
        ]
        stored = [Lane(n, sim=f"89{n}") for n in range(lanes)] if lanes > 1 else []
        self.do(add_recipients, campaign_id, rows, [], stored)
        self.do(complete_import, self.now, campaign_id, f"fingerprint of {name}")
        return campaign_id

    @staticmethod
    def number(n: int) -> str:
        return f"999{n:08}"

    def look_for(
        self,
        campaign_id: int,
        *,
        gateway: str = "gw",
        ports: Sequence[int] = (1,),
        count: int = 10,
        task_size: int = 10,
        most_tasks: int = 100,
        only_place: bool = False,
        epoch: int | None = None,
        **more: Any,
    ) -> Claim:
        gateway_id = self.gateway(gateway)
        order = ClaimOrder(
            epoch=self.epoch if epoch is None else epoch,
            campaign_id=campaign_id,
            gateway_id=gateway_id,
            boot_id="boot-1",
            grants=tuple(Grant(port, count, f"{gateway_id}:{port}") for port in ports),
            task_size=task_size,
            most_tasks=most_tasks,
            only_place=only_place,
            now_ms=self.now,
            **more,
        )
        claim: Claim = self.do(claim_due, order, self.build)
        return claim

    def claim(self, campaign_id: int, **kwargs: Any) -> list[ClaimedTask]:
        return list(self.look_for(campaign_id, **kwargs).tasks)

    def claim_one(self, campaign_id: int, **kwargs: Any) -> ClaimedTask:
        (task,) = self.claim(campaign_id, **kwargs)
        return task

    def numbers_of(self, task_id: int) -> list[str]:
        rows = self.conn.execute(
            """
            SELECT r.number FROM attempts AS a JOIN recipients AS r ON r.id = a.recipient_id
            WHERE a.task_id = ? ORDER BY a.idx
            """,
            (task_id,),
        )
        return [row["number"] for row in rows]

    def report(
        self,
        task: ClaimedTask,
        *,
        sent: Sequence[int] = (),
        failed: Sequence[tuple[int, int | None, int | None]] = (),
        counters: tuple[int, int, int, int] | None = None,
        gateway: str = "gw",
        at: int = 1000,
        budget: int = BUDGET,
    ) -> None:
        """Fold one report: `sent` are places in the task, `failed` (place, program, network),
        `counters` (sending, sent, failed, unsent)."""
        numbers = self.numbers_of(task.id)
        port = Port(task.port)
        sending, n_sent, n_failed, unsent = counters or (None, None, None, None)
        report = TaskReport(
            tid=task.tid,
            sending=sending,
            sent=n_sent,
            failed=n_failed,
            unsent=unsent,
            sdr=tuple(
                SentRow(index=idx, number=numbers[idx - 1], port=port, at=at) for idx in sent
            ),
            fdr=tuple(
                FailedRow(
                    index=idx, number=numbers[idx - 1], port=port, at=at, program=program,
                    network=network,
                )
                for idx, program, network in failed
            ),
        )  # fmt: skip
        self.fold(report, gateway=gateway, budget=budget)

    def fold(self, report: TaskReport, *, gateway: str = "gw", budget: int = BUDGET) -> None:
        def policy(campaign_id: int) -> Callable[[Failure, int], Retry | Final]:
            return lambda failure, failures: after_failure(failure, failures, budget, 10.0)

        self.do(fold_reports, self.now, self.gateway(gateway), [report], policy, self.folded)

    def receipt(
        self,
        number: str,
        code: int = 0,
        *,
        port: int | None = 1,
        at: int | None = 2000,
        ordinal: int = 1,
        gateway: str = "gw",
    ) -> bool:
        receipt = Receipt(port, number, at, code, ordinal)
        new: bool = self.do(fold_receipt, self.now, self.gateway(gateway), receipt)
        return new

    def opt_out(self, number: str) -> None:
        add_optouts(self.optouts, [OptOut(number, self.now, "operator")])

    def states(self, campaign_id: int) -> list[str]:
        rows = self.conn.execute(
            "SELECT state FROM recipients WHERE campaign_id = ? ORDER BY id", (campaign_id,)
        )
        return [row["state"] for row in rows]

    def recipient(self, n: int = 1, *, campaign_id: int | None = None) -> sqlite3.Row:
        row: sqlite3.Row = self.conn.execute(
            "SELECT * FROM recipients WHERE number = ? AND campaign_id = coalesce(?, campaign_id)",
            (self.number(n), campaign_id),
        ).fetchone()
        return row

    def task(self, task_id: int) -> sqlite3.Row:
        row: sqlite3.Row = self.conn.execute(
            "SELECT * FROM tasks WHERE id = ?", (task_id,)
        ).fetchone()
        return row

    def attempt(self, task_id: int, idx: int = 1) -> sqlite3.Row:
        row: sqlite3.Row = self.conn.execute(
            "SELECT * FROM attempts WHERE task_id = ? AND idx = ?", (task_id, idx)
        ).fetchone()
        return row

    def incidents(self) -> Counter[str]:
        return Counter(row["kind"] for row in self.conn.execute("SELECT kind FROM incidents"))

    def decisions(self, kind: str) -> list[str]:
        rows = self.conn.execute("SELECT why FROM decisions WHERE kind = ? ORDER BY id", (kind,))
        return [row["why"] for row in rows]

    def check_laws(self) -> None:
        """Tallies are sums, assigned means exactly one live attempt, closed means none."""
        sums = dict(
            self.conn.execute(
                "SELECT campaign_id || ' ' || state, count(*) FROM recipients GROUP BY 1"
            ).fetchall()
        )
        tallies = dict(
            self.conn.execute(
                "SELECT campaign_id || ' ' || state, n FROM tallies WHERE n > 0"
            ).fetchall()
        )
        assert tallies == sums
        assert not self.conn.execute(
            """
            SELECT r.id FROM recipients AS r
            LEFT JOIN attempts AS a ON a.recipient_id = r.id AND a.live = 1
            GROUP BY r.id HAVING count(a.task_id) <> (r.state = 'assigned')
            """
        ).fetchall()
        assert not self.conn.execute(
            """
            SELECT t.id FROM tasks AS t JOIN attempts AS a ON a.task_id = t.id
            WHERE t.state = 'closed' AND a.live = 1
            """
        ).fetchall()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Bench]:
    optouts = tmp_path / "user" / "optouts.db"
    path = tmp_path / "campaign.db"
    with closing(open_fresh(path, optouts)) as conn:
        # what is durable is tested elsewhere; without waiting for the disk these tests stay fast
        conn.execute("PRAGMA synchronous = OFF")
        with transaction(conn):
            epoch = begin_epoch(conn)
            write_meta(conn, {"next_tid": "1000"})
        bench = Bench(conn, path, optouts, epoch)
        yield bench
        bench.check_laws()
