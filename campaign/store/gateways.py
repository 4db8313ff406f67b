"""The registry of devices and what is known of their ports."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from campaign.errors import UsageError
from campaign.planner.routing import active_slots
from campaign.protocol.messages import PortState


@dataclass(frozen=True)
class GatewayRow:
    """One registered device. `secret` says where the password is (`env:`, `file:`, `stored`),
    never what it is; `token` is the path its pushes come in by; `stopped` an alarm's reason."""

    id: int
    name: str
    url: str
    username: str
    secret: str
    crypt: str | None
    auth_order: str
    ca_file: str | None
    token: str
    old_token: str | None
    boot_id: str | None
    index_base: int | None
    stopped: str | None
    simulated: str | None
    settings: Mapping[str, str] = field(default_factory=dict)

    def with_stop(self, why: str | None) -> GatewayRow:
        return replace(self, stopped=why)


@dataclass(frozen=True)
class PortRow:
    """The last known state of one port (spec §4.1.4)."""

    port: int
    slot: int | None
    code: int | None
    status: str
    operator: str
    number: str
    iccid: str
    balance: str
    signal: int | None
    seen_ms: int


_COLUMNS = (
    "id, name, url, username, secret, crypt, auth_order, ca_file, token, old_token, boot_id,"
    " index_base, stopped, simulated, settings"
)


def _gateway(row: sqlite3.Row) -> GatewayRow:
    return GatewayRow(**{**dict(row), "settings": json.loads(row["settings"])})


def add_gateway(
    conn: sqlite3.Connection,
    now_ms: int,
    *,
    name: str,
    url: str,
    username: str,
    secret: str,
    token: str,
    crypt: str | None = None,
    auth_order: str = "spec",
    ca_file: str | None = None,
    settings: Mapping[str, str] | None = None,
    simulated: str | None = None,
) -> int:
    """Register a device; `UsageError` if the name is taken."""
    if find_gateway(conn, name) is not None:
        raise UsageError(
            f"a gateway named {name!r} exists already: gateway set or gateway remove it"
        )
    cursor = conn.execute(
        """
        INSERT INTO gateways (name, url, username, secret, token, crypt, auth_order, ca_file,
                              settings, simulated, created_ms)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        (
            name, url, username, secret, token, crypt, auth_order, ca_file,
            json.dumps(dict(settings or {})), simulated, now_ms,
        ),
    )  # fmt: skip
    return int(cursor.lastrowid or 0)


def list_gateways(conn: sqlite3.Connection) -> list[GatewayRow]:
    """Every registered device, oldest first."""
    rows = conn.execute(f"SELECT {_COLUMNS} FROM gateways WHERE removed_ms IS NULL ORDER BY id")
    return [_gateway(row) for row in rows]


def find_gateway(conn: sqlite3.Connection, name: str) -> GatewayRow | None:
    row = conn.execute(
        f"SELECT {_COLUMNS} FROM gateways WHERE name = ? AND removed_ms IS NULL", (name,)
    ).fetchone()
    return None if row is None else _gateway(row)


def get_gateway(conn: sqlite3.Connection, name: str) -> GatewayRow:
    """The device of this name, else `UsageError` naming those there are."""
    gateway = find_gateway(conn, name)
    if gateway is None:
        names = ", ".join(row.name for row in list_gateways(conn)) or "none; see gateway add"
        raise UsageError(f"there is no gateway named {name!r} (registered: {names})")
    return gateway


def update_gateway(
    conn: sqlite3.Connection, gateway_id: int, /, **values: str | int | None
) -> None:
    """Set columns of one device (`url`, `username`, `secret`, `boot_id`, `stopped` …)."""
    columns = ", ".join(f"{column} = ?" for column in values)
    conn.execute(f"UPDATE gateways SET {columns} WHERE id = ?", (*values.values(), gateway_id))


def set_gateway_settings(
    conn: sqlite3.Connection, gateway_id: int, settings: Mapping[str, str]
) -> None:
    update_gateway(conn, gateway_id, settings=json.dumps(dict(settings)))


def remove_gateway(conn: sqlite3.Connection, now_ms: int, gateway: GatewayRow) -> None:
    """Take a device off the registry; its history stays. `UsageError` while tasks live there."""
    (live,) = conn.execute(
        "SELECT count(*) FROM tasks WHERE gateway_id = ? AND state <> 'closed'", (gateway.id,)
    ).fetchone()
    if live:
        raise UsageError(
            f"{gateway.name} still holds {live} unfinished task{'s' * (live > 1)}: "
            "resume or cancel the campaign first"
        )
    update_gateway(conn, gateway.id, removed_ms=now_ms)


def receiver_tokens(conn: sqlite3.Connection) -> dict[str, int]:
    """Push token to gateway id, rotated tokens included."""
    tokens: dict[str, int] = {}
    for row in conn.execute("SELECT id, token, old_token FROM gateways ORDER BY id"):
        tokens[row["token"]] = row["id"]
        if row["old_token"]:
            tokens[row["old_token"]] = row["id"]
    return tokens


def store_ports(
    conn: sqlite3.Connection, now_ms: int, gateway_id: int, states: Iterable[PortState]
) -> None:
    """Keep what a device said of its ports."""
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
            for s in active_slots(states)
        ],
    )  # fmt: skip


def list_ports(conn: sqlite3.Connection, gateway_id: int) -> list[PortRow]:
    rows = conn.execute(
        """
        SELECT port, slot, code, status, operator, number, iccid, balance, signal, seen_ms
        FROM ports WHERE gateway_id = ? ORDER BY port
        """,
        (gateway_id,),
    )
    return [PortRow(**dict(row)) for row in rows]
