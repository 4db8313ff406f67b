"""Every SIM a device ever told of: how it stands now, and how it came there.

`ports` holds one row a port, the SIM in use; `sims` every SIM; `sim_history` a row for each change
of anything but signal and sequence.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from campaign.planner.routing import active_slots
from campaign.protocol.codes import PortCode
from campaign.protocol.messages import PortState
from campaign.store.usage import charge_to_another

Source = Literal["push", "poll"]

_FACTS = ("code", "status", "operator", "number", "iccid", "imsi", "imei", "balance")
_ASIDE = frozenset({PortCode.NO_SIM, PortCode.IDLE_SIM, PortCode.SIM_DETECTED})
"""States of a SIM beside the one in use: they say nothing about the port."""


@dataclass(frozen=True)
class SimRow:
    """One SIM place as last told. `slot` 0: not told; `extra` holds keys of later firmware."""

    port: int
    pool: str
    slot: int
    code: int | None
    status: str
    operator: str
    number: str
    iccid: str
    imsi: str
    imei: str
    balance: str
    signal: int | None
    seen_ms: int
    changed_ms: int
    extra: dict[str, Any]


@dataclass(frozen=True)
class SimChange:
    """What a SIM place became at `at_ms`, in the device's run `boot_id`."""

    at_ms: int
    boot_id: str | None
    source: str
    port: int
    slot: int
    code: int | None
    status: str
    operator: str
    number: str
    iccid: str
    balance: str
    signal: int | None


def store_states(
    conn: sqlite3.Connection,
    now_ms: int,
    gateway_id: int,
    boot_id: str | None,
    states: Iterable[PortState],
    source: Source,
) -> list[PortState]:
    """Keep what a device said of its SIMs; returns the states that are about whole ports.

    A pushed state of a SIM that is not in use (all SIMs subscribed) says nothing about its port.
    """
    told = list(states)
    for state in told:
        _keep_sim(conn, now_ms, gateway_id, boot_id, state, source)
    about_ports = [state for state in active_slots(told) if _in_use(conn, gateway_id, state)]
    _keep_ports(conn, now_ms, gateway_id, about_ports)
    return about_ports


def fell_back(conn: sqlite3.Connection, gateway_id: int, states: Iterable[PortState]) -> bool:
    """Whether a port's sequence is below the last one: its device may have restarted (spec
    §4.1.4 counts from 1 in each run)."""
    for state in states:
        if state.seq is None:
            continue
        row = conn.execute(
            """
            SELECT max(seq) AS seq FROM sims
            WHERE gateway_id = ? AND port = ? AND pool = ? AND slot = ?
            """,
            (gateway_id, state.port.number, state.port.pool or "", state.port.slot or 0),
        ).fetchone()
        if row["seq"] is not None and state.seq < row["seq"]:
            return True
    return False


def _keep_sim(
    conn: sqlite3.Connection,
    now_ms: int,
    gateway_id: int,
    boot_id: str | None,
    state: PortState,
    source: Source,
) -> None:
    place = (gateway_id, state.port.number, state.port.pool or "", state.port.slot or 0)
    facts = (
        state.code, state.text, state.operator, state.number, state.iccid, state.imsi,
        state.imei, state.balance,
    )  # fmt: skip
    before = conn.execute(
        f"""
        SELECT {", ".join(_FACTS)} FROM sims
        WHERE gateway_id = ? AND port = ? AND pool = ? AND slot = ?
        """,
        place,
    ).fetchone()
    changed = before is None or tuple(before) != facts
    conn.execute(
        """
        INSERT INTO sims (gateway_id, port, pool, slot, code, status, operator, number, iccid, imsi,
                          imei, balance, signal, seq, extra, seen_ms, changed_ms)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (gateway_id, port, pool, slot) DO UPDATE SET
            code = excluded.code, status = excluded.status, operator = excluded.operator,
            number = excluded.number, iccid = excluded.iccid, imsi = excluded.imsi,
            imei = excluded.imei, balance = excluded.balance, signal = excluded.signal,
            seq = excluded.seq, extra = excluded.extra, seen_ms = excluded.seen_ms,
            changed_ms = CASE WHEN ? THEN excluded.changed_ms ELSE changed_ms END
        """,
        (*place, *facts, state.signal, state.seq, json.dumps(state.extra), now_ms, now_ms, changed),
    )
    if changed:
        conn.execute(
            """
            INSERT INTO sim_history (gateway_id, port, pool, slot, at_ms, boot_id, source, code,
                                     status, operator, number, iccid, imsi, imei, balance, signal)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            (*place, now_ms, boot_id, source, *facts, state.signal),
        )


def _in_use(conn: sqlite3.Connection, gateway_id: int, state: PortState) -> bool:
    if state.port.slot is None or state.code not in _ASIDE:
        return True
    row = conn.execute(
        "SELECT slot FROM ports WHERE gateway_id = ? AND port = ?", (gateway_id, state.port.number)
    ).fetchone()
    return row is None or row["slot"] in (None, state.port.slot)


def _keep_ports(
    conn: sqlite3.Connection, now_ms: int, gateway_id: int, states: Sequence[PortState]
) -> None:
    charge_to_another(conn, gateway_id, {s.port.number: s.iccid for s in states}, now_ms)
    conn.executemany(
        """
        INSERT INTO ports (gateway_id, port, slot, code, status, operator, number, iccid, imsi,
                           imei, balance, signal, seen_ms)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (gateway_id, port) DO UPDATE SET
            slot = excluded.slot, code = excluded.code, status = excluded.status,
            operator = excluded.operator, number = excluded.number, iccid = excluded.iccid,
            imsi = excluded.imsi, imei = excluded.imei, balance = excluded.balance,
            signal = excluded.signal, seen_ms = excluded.seen_ms
        """,
        [
            (
                gateway_id, s.port.number, s.port.slot, s.code, s.text, s.operator, s.number,
                s.iccid, s.imsi, s.imei, s.balance, s.signal, now_ms,
            )
            for s in states
        ],
    )  # fmt: skip


def list_sims(conn: sqlite3.Connection, gateway_id: int) -> list[SimRow]:
    """Every SIM place of a device, in the order of its ports."""
    rows = conn.execute(
        """
        SELECT port, pool, slot, code, status, operator, number, iccid, imsi, imei, balance, signal,
            seen_ms, changed_ms, extra
        FROM sims WHERE gateway_id = ? ORDER BY port, pool, slot
        """,
        (gateway_id,),
    )
    return [SimRow(**{**dict(row), "extra": json.loads(row["extra"])}) for row in rows]


def list_changes(
    conn: sqlite3.Connection, gateway_id: int, port: int | None = None, limit: int = 100
) -> list[SimChange]:
    """The latest changes of a device's SIMs (of one port), newest first."""
    rows = conn.execute(
        """
        SELECT at_ms, boot_id, source, port, slot, code, status, operator, number, iccid, balance,
            signal
        FROM sim_history WHERE gateway_id = ? AND (? IS NULL OR port = ?)
        ORDER BY id DESC LIMIT ?
        """,
        (gateway_id, port, port, limit),
    )
    return [SimChange(**dict(row)) for row in rows]
