"""A ledger whose recipients are put where a test wants them, by moves the ledger allows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest

from campaign.planner.options import CampaignOptions
from campaign.planner.states import CampaignState, RecipientState
from campaign.reports.report import Format, write_report
from campaign.store.campaigns import (
    CampaignRow,
    NewRecipient,
    Refusal,
    add_recipients,
    complete_import,
    create_campaign,
    get_campaign,
    set_campaign_state,
)
from campaign.store.door import transaction
from campaign.store.gateways import add_gateway
from campaign.store.journal import Tally, decide, incident
from campaign.store.opening import open_reader
from tests.fresh import open_fresh

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
START_MS = int(START.timestamp()) * 1000


@dataclass
class Ledger:
    """A writer's connection, a reader's, and short verbs over the store's."""

    conn: sqlite3.Connection
    reader: sqlite3.Connection
    now: datetime = START

    def campaign(
        self,
        rows: Sequence[Sequence[str]],
        *,
        name: str = "spring",
        columns: Sequence[str] = (),
        list_name: str = "customers.csv",
        message: str = "Hello",
        refused: int = 0,
    ) -> CampaignRow:
        """A running campaign; each of `rows` is a number and the list's own values."""
        campaign_id = create_campaign(
            self.conn, START_MS, name=name, list_name=list_name, message=message,
            columns=columns, options=CampaignOptions(),
        )  # fmt: skip
        recipients = [
            NewRecipient(line, number, None, json.dumps(own) if own else None, 1)
            for line, (number, *own) in enumerate(rows, 2)
        ]
        refusals = [Refusal(100 + i, "abc", "letters", "not a number") for i in range(refused)]
        with transaction(self.conn):
            add_recipients(self.conn, campaign_id, recipients, refusals)
        complete_import(self.conn, START_MS, campaign_id, name)
        return get_campaign(self.conn, name)

    def finish(self, campaign: CampaignRow, seconds: int) -> None:
        set_campaign_state(
            self.conn, START_MS + seconds * 1000, campaign.id, CampaignState.FINISHED, "done"
        )

    def gateway(self, name: str) -> int:
        return add_gateway(
            self.conn, START_MS, name=name, url="http://127.0.0.1:1", username="root",
            secret="env:X", token=f"token-{name}",
        )  # fmt: skip

    def settle(self, number: str, state: str, **facts: str | int | None) -> None:
        """Take one recipient through `assigned` to `state`, with these columns."""
        (campaign_id, old) = self.conn.execute(
            "SELECT campaign_id, state FROM recipients WHERE number = ?", (number,)
        ).fetchone()
        path = {
            "no_receipt": ["assigned", "sent", "no_receipt"],
            "assigned": ["assigned"],
            "pending": [],
        }.get(state, ["assigned", state])
        for step in path:
            due = ", due_ms = 1" if step == "held" else ""
            cause = ", cause = 'silence'" if step == "unknown" else ""
            self.conn.execute(
                f"UPDATE recipients SET state = ?{due}{cause} WHERE number = ?", (step, number)
            )
        for column, value in facts.items():
            self.conn.execute(
                f"UPDATE recipients SET {column} = ? WHERE number = ?", (value, number)
            )
        tally = Tally()
        tally.moved(campaign_id, RecipientState(old), RecipientState(path[-1] if path else old))
        tally.store(self.conn)

    def retry(self, campaign: CampaignRow, recipient_id: int) -> None:
        decide(
            self.conn, START_MS, "retry", "proved failure", campaign_id=campaign.id,
            recipient_id=recipient_id,
        )  # fmt: skip

    def incident(self, campaign: CampaignRow, kind: str) -> None:
        incident(self.conn, START_MS, kind, "two reports", campaign_id=campaign.id)

    def report(self, campaign: CampaignRow, fmt: Format, *states: str) -> bytes:
        out = BytesIO()
        write_report(self.reader, campaign, fmt, states, out, self.now)
        return out.getvalue()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    db = tmp_path / "campaign.db"
    conn = open_fresh(db, tmp_path / "optouts.db")
    reader = open_reader(db)
    yield Ledger(conn, reader)
    reader.close()
    conn.close()


@pytest.fixture
def mixed(ledger: Ledger) -> CampaignRow:
    """Eight recipients, one in each kind of end, over two gateways, with a name and a city."""
    first, second = ledger.gateway("north"), ledger.gateway("south")
    campaign = ledger.campaign(
        [(f"99910000{n}", f"Name {n}", "Köln" if n % 2 else "深圳") for n in range(1, 9)],
        columns=("name", "city"),
        refused=2,
    )
    at = START_MS // 1000
    ledger.settle(
        "999100001", "delivered", evidence="receipt", attempts=1, gateway_id=first, port="1.01",
        iccid="8986001", tid=41, sent_at=at + 5, delivered_at=at + 9,
    )  # fmt: skip
    ledger.settle(
        "999100002", "sent", evidence="report", attempts=2, failures=1, gateway_id=second,
        port="2.01", tid=42, sent_at=at + 6,
    )  # fmt: skip
    ledger.settle("999100003", "no_receipt", evidence="report", attempts=1, gateway_id=first)
    ledger.settle(
        "999100004", "failed", evidence="report", attempts=3, failures=3, gateway_id=first,
        port="4", tid=43, code=38, reason="send failed: network out of order",
    )  # fmt: skip
    ledger.settle(
        "999100005", "unknown", attempts=1, gateway_id=second, port="3.01", tid=44,
        cause="silence", reason="no report within the horizon",
    )  # fmt: skip
    ledger.settle("999100006", "skipped", cause="opted_out", reason="opted out")
    ledger.settle("999100007", "assigned", attempts=1, gateway_id=first, port="1.01", tid=45)
    ledger.retry(campaign, 1)
    ledger.retry(campaign, 2)
    return campaign
