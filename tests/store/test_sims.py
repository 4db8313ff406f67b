"""Every SIM as it stands and how it came there; statistics as a series; replies searched."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from campaign.protocol.messages import CallStat, DevStatus, PortState, SmsStat
from campaign.protocol.ports import Port
from campaign.store.gateways import get_gateway, keep_status, list_ports
from campaign.store.inbound import InboundRow, keep_inbound, list_inbound
from campaign.store.opening import open_ledger
from campaign.store.samples import keep_samples, list_samples
from campaign.store.schema import ledger_migrations
from campaign.store.sims import fell_back, list_changes, list_sims, store_states


def state(port: str, code: int | None = 3, **facts: Any) -> PortState:
    return PortState(port=Port.parse(port), code=code, **facts)


def test_only_what_changed_becomes_history_and_signal_is_no_change(ledger: Any) -> None:
    gateway = ledger.gateway("roof")
    for now, told in enumerate(
        [
            state("1A", iccid="8986", signal=20, seq=1),
            state("1A", iccid="8986", signal=9, seq=2),
            state("1A", iccid="8986", balance="9.90", signal=9, seq=3),
            state("1A", code=0, seq=4, imei="35"),
        ]
    ):
        ledger.do(store_states, now, gateway, "boot", [told], "push")
    changes = ledger.do(list_changes, gateway, 1)
    assert [(c.at_ms, c.code, c.balance, c.iccid) for c in changes] == [
        (3, 0, "", ""),
        (2, 3, "9.90", "8986"),
        (0, 3, "", "8986"),
    ]
    [sim] = ledger.do(list_sims, gateway)
    assert (sim.code, sim.iccid, sim.imei, sim.seen_ms, sim.changed_ms) == (0, "", "35", 3, 3)


def test_a_sim_pool_and_later_keys_are_kept(ledger: Any) -> None:
    gateway = ledger.gateway("roof")
    told = state("12.sp256.101", extra={"active": 1})
    ledger.do(store_states, 1, gateway, "boot", [told], "poll")
    [sim] = ledger.do(list_sims, gateway)
    assert (sim.port, sim.pool, sim.slot, sim.extra) == (12, "sp256", 101, {"active": 1})


@pytest.mark.parametrize(
    ("told", "about_the_port"),
    [
        pytest.param(state("1B", code=1), False, id="an-idle-sim-beside"),
        pytest.param(state("1B", code=3), True, id="the-port-switched"),
        pytest.param(state("1A", code=1), True, id="the-sim-in-use-is-idle"),
        pytest.param(state("1", code=0), True, id="no-slot-told"),
    ],
)
def test_a_sim_that_is_not_in_use_says_nothing_about_its_port(
    ledger: Any, told: PortState, about_the_port: bool
) -> None:
    gateway = ledger.gateway("roof")
    ledger.conn.execute("DELETE FROM ports")
    ledger.do(store_states, 1, gateway, "boot", [state("1A", iccid="a")], "poll")
    about = ledger.do(store_states, 2, gateway, "boot", [told], "push")
    assert bool(about) is about_the_port
    [port] = ledger.do(list_ports, gateway)
    assert (port.code, port.iccid) == ((told.code, "") if about_the_port else (3, "a"))


def test_a_sequence_that_falls_is_seen_by_port_and_by_device(ledger: Any) -> None:
    gateway = ledger.gateway("roof")
    ledger.do(store_states, 1, gateway, "boot", [state("1A", seq=5)], "push")
    assert not ledger.do(fell_back, gateway, [state("1A", seq=6), state("2A", seq=1)])
    assert ledger.do(fell_back, gateway, [state("1A", seq=1)])
    assert not ledger.do(keep_status, gateway, DevStatus(seq=7, mac="m"))
    assert not ledger.do(keep_status, gateway, DevStatus(seq=8))
    assert ledger.do(keep_status, gateway, DevStatus(seq=1))
    assert ledger.do(get_gateway, "roof").device.mac == "m"


def test_statistics_of_both_kinds_become_a_series(ledger: Any) -> None:
    gateway = ledger.gateway("roof")
    for at, sent in ((10, 1), (20, 5)):
        stats = [SmsStat(port=1, slot=1, sent=sent, sent_ok=sent)]
        ledger.do(keep_samples, at, gateway, "boot", 3, stats, "sms")
    calls = [CallStat(port=2, slot=1, calls=2**60, nc="1/2")]
    ledger.do(keep_samples, 30, gateway, None, 0, calls, "call")
    assert [(s["at_ms"], s["sent_ok"]) for s in ledger.do(list_samples, gateway, "sms")] == [
        (20, 5),
        (10, 1),
    ]
    [call] = ledger.do(list_samples, gateway, "call")
    assert (call["period"], call["nc"], call["calls"] < 2**60) == (0, "1/2", True)
    assert ledger.do(list_samples, gateway, "sms", since_ms=15)[0]["sent"] == 5


def message(text: str, sender: str = "447700900111", **more: Any) -> InboundRow:
    known: dict[str, Any] = {
        "gateway_id": 1, "port": "1.01", "iccid": "", "at": 5, "recipient": "", "received_ms": 9,
    }  # fmt: skip
    return InboundRow(sender=sender, text=text, **(known | more))


def test_a_reply_counts_once_also_without_a_stamp_and_whether_or_not_the_sim_is_told(
    ledger: Any,
) -> None:
    ledger.gateway("roof")
    assert ledger.do(keep_inbound, message("hi", at=None))
    assert not ledger.do(keep_inbound, message("hi", at=None, source="poll"))
    assert ledger.do(keep_inbound, message("hi"))
    assert not ledger.do(keep_inbound, message("hi", iccid="8986", source="poll"))
    assert ledger.do(keep_inbound, message("hi", port="1.02"))


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("YES", ["yes please"]),
        ("100%", ["100% sure"]),
        ("_", ["a_b"]),
        ("退订", ["退订"]),
        ("0999", ["yes please"]),
        ("nothing", []),
    ],
)
def test_replies_are_searched_in_text_and_numbers(
    ledger: Any, search: str, found: list[str]
) -> None:
    ledger.gateway("roof")
    for text in ("100% sure", "a_b", "退订"):
        ledger.do(keep_inbound, message(text))
    ledger.do(keep_inbound, message("yes please", sender="4477009990999"))
    assert [m.text for m in ledger.do(list_inbound, search=search)] == found


def test_replies_are_listed_oldest_first_the_latest_of_them_or_after_one(ledger: Any) -> None:
    ledger.gateway("roof")
    for n in range(5):
        ledger.do(keep_inbound, message(f"{n}", received_ms=n, opted_out=n == 3))
    assert [m.text for m in ledger.do(list_inbound, limit=2)] == ["3", "4"]
    assert [m.text for m in ledger.do(list_inbound, after_id=2, limit=2)] == ["2", "3"]
    assert [m.text for m in ledger.do(list_inbound, after_id=0, limit=2)] == ["0", "1"]
    assert [m.text for m in ledger.do(list_inbound, since_ms=4)] == ["4"]
    [stop] = ledger.do(list_inbound, opted_out=True)
    assert (stop.text, stop.gateway, stop.opted_out) == ("3", "roof", True)


def test_a_ledger_of_the_version_before_keeps_its_replies_each_once(tmp_path: Path) -> None:
    path = tmp_path / "campaign.db"
    open_ledger(tmp_path / "fresh.db", tmp_path / "optouts.db").close()
    (mark,) = Database(tmp_path / "fresh.db").execute("PRAGMA application_id").fetchone()
    db = Database(path)
    db.execute(f"PRAGMA application_id = {mark}")
    ledger_migrations.apply(db, stop_before="0003_protocol")
    row = "(1, '1.01', '', ?, '447700900111', '', ?, 7)"
    with db.conn:
        for at, text in ((None, "hi"), (None, "hi"), (5, "hi"), (5, "ho")):
            db.conn.execute(
                "INSERT INTO inbound (gateway_id, port, iccid, at, sender, recipient, text,"
                f" received_ms) VALUES {row}",
                (at, text),
            )
        db.conn.execute(
            "INSERT INTO gateways (id, name, url, username, secret, token, created_ms)"
            " VALUES (1, 'roof', 'http://h', 'u', 'stored', 't', 1)"
        )
    db.close()
    conn = open_ledger(path, tmp_path / "optouts.db")
    try:
        assert [(m.at, m.text) for m in list_inbound(conn)] == [
            (None, "hi"),
            (5, "hi"),
            (5, "ho"),
        ]
        assert get_gateway(conn, "roof").subscription is None
    finally:
        conn.close()


def test_what_no_state_can_be_is_refused_by_the_tables(ledger: Any) -> None:
    gateway = ledger.gateway("roof")
    with pytest.raises(sqlite3.IntegrityError):
        ledger.do(store_states, 1, gateway, "boot", [state("1A")], "rumour")
