"""The registry of devices and what is known of their ports."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import msgspec

from campaign.errors import UsageError
from campaign.protocol.messages import DevStatus
from campaign.protocol.ports import Notation


class Subscription(msgspec.Struct, frozen=True):
    """What a device was asked to push to us, beside the reports of its tasks: its `status` every
    `period` seconds and on change, for every SIM or the ones in use, and received `sms`."""

    status: bool = True
    sms: bool = True
    period: int = 60
    all_sims: bool = True


class DeviceFacts(msgspec.Struct, frozen=True):
    """What a device last said of itself (spec §4.1.3); `notation` is how it spells ports."""

    mac: str = ""
    ip: str = ""
    ver: str = ""
    max_ports: int | None = None
    max_slots: int | None = None
    notation: Notation | None = None


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
    stopped: str | None
    simulated: str | None
    settings: Mapping[str, str] = field(default_factory=dict)
    subscription: Subscription | None = None
    subscribed_boot: str | None = None
    subscribed_url: str | None = None
    status_seq: int | None = None
    device: DeviceFacts = field(default_factory=lambda: DeviceFacts())
    sms_ssrc: str | None = None
    sms_next: int | None = None

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
    " stopped, simulated, settings, subscription, subscribed_boot, subscribed_url, status_seq,"
    " device, sms_ssrc, sms_next"
)


def _gateway(row: sqlite3.Row) -> GatewayRow:
    subscription = row["subscription"]
    parsed = {
        "settings": json.loads(row["settings"]),
        "device": msgspec.json.decode(row["device"], type=DeviceFacts),
        "subscription": subscription and msgspec.json.decode(subscription, type=Subscription),
    }
    return GatewayRow(**{**dict(row), **parsed})


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


def keep_device(conn: sqlite3.Connection, gateway_id: int, status: DevStatus) -> None:
    """Remember what a device says of itself; what it leaves out is as it was."""
    row = conn.execute("SELECT device FROM gateways WHERE id = ?", (gateway_id,)).fetchone()
    before = msgspec.json.decode(row["device"], type=DeviceFacts)
    told = {
        name: value
        for name in DeviceFacts.__struct_fields__
        if (value := getattr(status, name)) not in (None, "")
    }
    after = msgspec.structs.replace(before, **told)
    if after != before:
        update_gateway(conn, gateway_id, device=msgspec.json.encode(after).decode())


def boot_of(conn: sqlite3.Connection, gateway_id: int) -> str | None:
    """The last known run of a device."""
    row = conn.execute("SELECT boot_id FROM gateways WHERE id = ?", (gateway_id,)).fetchone()
    return None if row is None else row["boot_id"]


def keep_status(conn: sqlite3.Connection, gateway_id: int, status: DevStatus) -> bool:
    """Remember a device status; True if its sequence fell, as it does when a device restarts
    (spec §4.1.3: from 1 on in each run)."""
    keep_device(conn, gateway_id, status)
    if status.seq is None:
        return False
    row = conn.execute("SELECT status_seq FROM gateways WHERE id = ?", (gateway_id,)).fetchone()
    update_gateway(conn, gateway_id, status_seq=status.seq)
    return row["status_seq"] is not None and status.seq < row["status_seq"]


def set_subscription(
    conn: sqlite3.Connection, gateway_id: int, subscription: Subscription | None
) -> None:
    """What the device is to push from now on; it is told so again on each run of its own."""
    text = None if subscription is None else msgspec.json.encode(subscription).decode()
    update_gateway(conn, gateway_id, subscription=text, subscribed_boot=None, subscribed_url=None)


def remove_gateway(conn: sqlite3.Connection, now_ms: int, gateway: GatewayRow) -> None:
    """Take a device off the registry; its history stays. `UsageError` while tasks live there."""
    (live,) = conn.execute(
        "SELECT count(*) FROM tasks WHERE gateway_id = ? AND closed_ms IS NULL", (gateway.id,)
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


def ports_by_gateway(conn: sqlite3.Connection) -> dict[str, frozenset[int]]:
    """Every port that was ever seen of the registered devices, by name; none where a device has
    not told its ports yet."""
    rows = conn.execute("SELECT gateway_id, port FROM ports").fetchall()
    found = {gateway.id: (gateway.name, set[int]()) for gateway in list_gateways(conn)}
    for gateway_id, port in rows:
        if gateway_id in found:
            found[gateway_id][1].add(port)
    return {name: frozenset(ports) for name, ports in found.values()}


def list_ports(conn: sqlite3.Connection, gateway_id: int) -> list[PortRow]:
    rows = conn.execute(
        """
        SELECT port, slot, code, status, operator, number, iccid, balance, signal, seen_ms
        FROM ports WHERE gateway_id = ? ORDER BY port
        """,
        (gateway_id,),
    )
    return [PortRow(**dict(row)) for row in rows]
