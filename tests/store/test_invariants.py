"""Invariants of a ledger: an ordinary one holds under each, and each tells of its own breach."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from campaign.planner.options import CampaignOptions
from campaign.protocol.codec import task_digest, with_attachments
from campaign.protocol.submission import write_attachments
from campaign.store.attachments import StoredAttachment, keep_attachments
from campaign.store.invariants import invariants

DAY = 86_400_000


def broken(ledger: Any, campaign_id: int | None = None) -> list[str]:
    return [f.law for f in invariants(ledger.conn, campaign_id) if f.verdict == "broken"]


@contextmanager
def harmed(ledger: Any, *harms: str) -> Iterator[None]:
    """What tampering did, taken back at the end; the triggers would not let it through."""
    ledger.conn.execute("BEGIN")
    ledger.conn.execute("DROP TRIGGER IF EXISTS recipients_moves")
    try:
        for harm in harms:
            assert ledger.conn.execute(harm).rowcount
        yield
    finally:
        ledger.conn.execute("ROLLBACK")


@pytest.fixture
def ordinary(ledger: Any) -> Any:
    """Eight recipients: two tasks, a retry after a proved failure, a timeout, a receipt."""
    options = CampaignOptions(rate="1/s", window="08:00-21:00")
    campaign_id = ledger.campaign(4, options=options)
    first = ledger.claim_one(campaign_id, count=4)
    ledger.report(first, sent=[1, 2], failed=[(3, 7, None), (4, 6, None)], counters=(0, 2, 2, 0))
    ledger.receipt(ledger.number(1))
    ledger.now += 60_000
    second = ledger.claim_one(campaign_id, ports=(2,))
    ledger.report(second, sent=[1], counters=(0, 1, 0, 0))
    other = ledger.campaign(4, name="other", first=10, options=CampaignOptions(per_port="10/s"))
    for _ in range(2):
        ledger.report(ledger.claim_one(other, count=2, ports=(3,)), counters=(0, 2, 0, 0))
        ledger.now += 5000
    ledger.opt_out(ledger.number(1))
    return ledger


def test_an_ordinary_ledger_holds_under_every_law(ordinary: Any) -> None:
    found = invariants(ordinary.conn)
    assert {finding.verdict for finding in found} == {"holds"}
    assert len({finding.law for finding in found}) == len(found) == 15


HARMS = [
    ("UPDATE tallies SET n = n + 1 WHERE state = 'delivered'", "every recipient has one state"),
    (
        "UPDATE recipients SET state = 'failed' WHERE id = 2",
        "every recipient has one state",
    ),
    (
        "UPDATE attempts SET live = 1, outcome = NULL WHERE task_id = 1 AND idx = 1",
        "in flight means one live attempt, a closed task has none",
    ),
    (
        "UPDATE tasks SET tid = (SELECT tid FROM tasks WHERE id = 1), port = 2 WHERE id = 2",
        "no task id comes twice on a device within 30 days",
    ),
    (
        "UPDATE tasks SET body = CAST(replace(body, 'hello', 'hullo') AS BLOB) WHERE id = 1",
        "a task object never changes, and names one port and each number once",
    ),
    (
        "UPDATE tasks SET c_sent = c_sent + 1 WHERE id = 1",
        "stored counters account for their task",
    ),
    (
        "UPDATE attempts SET outcome = 'failed' WHERE task_id = 1 AND idx = 1",
        "one outcome a place, on evidence that can give it",
    ),
    (
        "UPDATE attempts SET evidence = 'receipt' WHERE task_id = 1 AND idx = 2",
        "one outcome a place, on evidence that can give it",
    ),
    (
        "UPDATE attempts SET outcome = 'timeout', told = 1 WHERE task_id = 1 AND idx = 3",
        "nobody is tried again without a proved failure or a decision",
    ),
    (
        "UPDATE recipients SET attempts = 1 WHERE id = 3",
        "nobody has more attempts than there is budget for",
    ),
    (
        """UPDATE campaigns SET options = '{"retries":0}' WHERE id = 1""",
        "nobody has more attempts than there is budget for",
    ),
    (
        "UPDATE tasks SET created_ms = (SELECT created_ms FROM tasks WHERE id = 1) WHERE id = 2",
        "the pace that was asked for is kept",
    ),
    (
        """UPDATE campaigns SET options = '{"per_port":"6/min"}' WHERE id = 2""",
        "the pace that was asked for is kept",
    ),
    (
        "UPDATE tasks SET intent_ms = intent_ms + 36000000 WHERE id = 1",
        "nothing is sent outside the window",
    ),
]


@pytest.mark.parametrize(("harm", "law"), HARMS, ids=[f"{i}-{h[1]}" for i, h in enumerate(HARMS)])
def test_each_law_tells_of_its_breach(ordinary: Any, harm: str, law: str) -> None:
    assert broken(ordinary) == []
    with harmed(ordinary, harm):
        assert law in broken(ordinary)


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ('replace(body, \'"from":"1"\', \'"from":"1,2"\')', "its one port"),
        ("replace(body, '99900000002', '99900000001')", "twice"),
        ("replace(body, '99900000002', '99900000077')", "not its places"),
        ("replace(body, '{\"tid\":', '{\"tid\":7')", "names tid"),
    ],
)
def test_a_task_object_is_read_not_only_hashed(ordinary: Any, body: str, wrong: str) -> None:
    (before,) = ordinary.conn.execute("SELECT body FROM tasks WHERE id = 1").fetchone()
    ordinary.conn.create_function("digest", 1, task_digest)
    with harmed(
        ordinary,
        f"UPDATE tasks SET body = CAST({body} AS BLOB) WHERE id = 1",
        "UPDATE tasks SET sha256 = digest(body) WHERE id = 1",
    ):
        assert ordinary.conn.execute("SELECT body FROM tasks WHERE id = 1").fetchone()[0] != before
        (found,) = [f for f in invariants(ordinary.conn) if f.verdict == "broken"]
        assert wrong in found.detail


def test_a_laws_breach_in_another_campaign_is_not_this_ones(ordinary: Any) -> None:
    with harmed(ordinary, "UPDATE tasks SET c_sent = c_sent + 1 WHERE id = 3"):
        assert broken(ordinary, 1) == []
        assert broken(ordinary, 2) == ["stored counters account for their task"]


def test_a_tid_may_come_again_after_thirty_days(ordinary: Any) -> None:
    law = "no task id comes twice on a device within 30 days"
    again = "UPDATE tasks SET tid = (SELECT tid FROM tasks WHERE id = 1) WHERE id = 2"
    later = f"UPDATE tasks SET created_ms = created_ms + {30 * DAY + 1} WHERE id = 2"
    with harmed(ordinary, again, later):
        assert law not in broken(ordinary)


def test_a_decision_permits_one_more_attempt(ordinary: Any) -> None:
    law = "nobody is tried again without a proved failure or a decision"
    timeout = "UPDATE attempts SET outcome = 'timeout', told = 1 WHERE task_id = 1 AND idx = 3"
    decided = (
        "INSERT INTO decisions (at_ms, kind, campaign_id, recipient_id, task_id, why)"
        " VALUES (1, 'resend', 1, 3, 1, 'asked to')"
    )
    with harmed(ordinary, timeout, decided):
        assert law not in broken(ordinary)
    about_another = decided.replace("3, 1, 'asked to'", "3, 2, 'asked to'")
    with harmed(ordinary, timeout, about_another):
        assert law in broken(ordinary)


def test_the_digest_of_an_mms_is_of_what_goes_out(ordinary: Any) -> None:
    attached = [StoredAttachment("txt", "a.txt", b"hello")]
    ordinary.do(keep_attachments, 1, attached)
    assert broken(ordinary) == [
        "a task object never changes, and names one port and each number once"
    ]
    files = write_attachments(tuple(item.wire for item in attached))
    for task_id in (1, 2):
        (body,) = ordinary.conn.execute(
            "SELECT body FROM tasks WHERE id = ?", (task_id,)
        ).fetchone()
        digest = task_digest(with_attachments(body, files))
        ordinary.conn.execute("UPDATE tasks SET sha256 = ? WHERE id = ?", (digest, task_id))
    assert broken(ordinary) == []


@pytest.mark.parametrize(("later", "holds"), [(1000, True), (3000, False)])
def test_an_intent_after_an_opt_out_is_told_beyond_the_jitter(
    ordinary: Any, later: int, holds: bool
) -> None:
    (at_ms,) = ordinary.conn.execute("SELECT min(at_ms) FROM optouts.optouts").fetchone()
    with harmed(ordinary, f"UPDATE tasks SET intent_ms = {at_ms + later} WHERE id = 1"):
        assert ("nobody is written to after opting out" not in broken(ordinary)) == holds
