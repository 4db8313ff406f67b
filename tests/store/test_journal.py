"""The journal: tallies, epochs, meta, decisions, incidents, evidence."""

from __future__ import annotations

from typing import Any

import pytest

from campaign.errors import StaleEpoch
from campaign.planner.states import RecipientState
from campaign.store.journal import (
    Tally,
    begin_epoch,
    check_epoch,
    decide,
    incident,
    keep_evidence,
    read_meta,
    write_meta,
)


def test_moves_that_cancel_out_store_nothing(ledger: Any) -> None:
    tally = Tally()
    tally.moved(1, RecipientState.PENDING, RecipientState.HELD, 3)
    tally.moved(1, RecipientState.HELD, RecipientState.PENDING, 3)
    ledger.do(tally.store)
    assert ledger.conn.execute("SELECT count(*) FROM tallies").fetchone()[0] == 0


def test_a_tally_is_stored_once(ledger: Any) -> None:
    campaign_id = ledger.campaign(0)
    tally = Tally()
    tally.moved(campaign_id, None, RecipientState.PENDING, 3)
    ledger.do(tally.store)
    ledger.do(tally.store)
    assert ledger.conn.execute("SELECT n FROM tallies").fetchone()["n"] == 3
    ledger.conn.execute("DELETE FROM tallies")


def test_every_engine_has_its_epoch_and_only_the_last_one_may_write(ledger: Any) -> None:
    ledger.do(check_epoch, ledger.epoch)
    later = ledger.do(begin_epoch)
    assert later == ledger.epoch + 1
    ledger.do(check_epoch, later)
    with pytest.raises(StaleEpoch, match="took over"):
        ledger.do(check_epoch, ledger.epoch)


def test_meta_is_written_over(ledger: Any) -> None:
    assert read_meta(ledger.conn, "a") is None
    ledger.do(write_meta, {"a": "1", "b": "2"})
    ledger.do(write_meta, {"a": "3"})
    assert (read_meta(ledger.conn, "a"), read_meta(ledger.conn, "b")) == ("3", "2")


def test_decisions_incidents_and_evidence_are_kept_as_they_came(ledger: Any) -> None:
    ledger.do(decide, 1, "retry", "why", campaign_id=2, gateway_id=3, task_id=4, recipient_id=5)
    ledger.do(decide, 1, "cancel", "because", by="operator")
    ledger.do(incident, 6, "anomaly", "odd", gateway_id=3)
    ledger.do(keep_evidence, 7, 3, "post", "1,2", b"\x00{}")
    decisions = ledger.conn.execute(
        "SELECT at_ms, kind, campaign_id, gateway_id, task_id, recipient_id, why, by FROM decisions"
    ).fetchall()
    assert [tuple(row) for row in decisions] == [
        (1, "retry", 2, 3, 4, 5, "why", "engine"),
        (1, "cancel", None, None, None, None, "because", "operator"),
    ]
    assert ledger.incidents() == {"anomaly": 1}
    evidence = ledger.conn.execute("SELECT at_ms, gateway_id, kind, asked, answer FROM evidence")
    assert tuple(evidence.fetchone()) == (7, 3, "post", "1,2", b"\x00{}")
