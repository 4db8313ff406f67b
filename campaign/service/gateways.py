"""The registry of devices as operators use it: add, show, change, remove."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from campaign.errors import LocalProtocolError, UsageError
from campaign.planner.settings import MEANINGS, Settings, describe, parse_pairs, with_overrides
from campaign.protocol.codes import USABLE_PORT_CODES, port_meaning
from campaign.protocol.session import AUTH_ORDERS, parse_crypt
from campaign.service.addresses import device_url
from campaign.service.ledger import change, has_ledger, read
from campaign.service.secrets import STORED, forget_password, store_password
from campaign.service.simulated import end_simulated
from campaign.service.site import Site
from campaign.store.gateways import (
    GatewayRow,
    PortRow,
    find_gateway,
    get_gateway,
    list_gateways,
    list_ports,
)

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,40}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COLUMNS = {
    "url": "url",
    "username": "username",
    "ca-file": "ca_file",
    "crypt": "crypt",
    "auth-order": "auth_order",
}


@dataclass(frozen=True)
class Secret:
    """Where a password is: `pointer` for the ledger, `password` (if any) for the secrets file."""

    pointer: str
    password: str | None = None

    @classmethod
    def in_variable(cls, name: str) -> Secret:
        if not _VARIABLE.fullmatch(name):
            # not repeated: it may be the password itself
            raise UsageError("--password-env wants the name of an environment variable")
        return cls(f"env:{name}")

    @classmethod
    def in_file(cls, path: Path) -> Secret:
        place = path.expanduser().absolute()
        if not place.is_file() or not os.access(place, os.R_OK):
            raise UsageError(f"the password file {place} cannot be read")
        return cls(f"file:{place}")

    @classmethod
    def typed(cls, password: str) -> Secret:
        if not password:
            raise UsageError("the password is empty")
        return cls(STORED, password)

    @property
    def is_missing_variable(self) -> bool:
        """Whether it points to a variable that is not set here."""
        kind, _, name = self.pointer.partition(":")
        return kind == "env" and name not in os.environ


@dataclass(frozen=True)
class GatewayView:
    """A registered device with what was last seen of its ports."""

    row: GatewayRow
    ports: tuple[PortRow, ...]

    @property
    def usable(self) -> int:
        return sum(port.code in USABLE_PORT_CODES for port in self.ports)

    @property
    def password(self) -> str:
        """Where the password is, in words."""
        return password_place(self.row.secret)

    @property
    def token(self) -> str:
        """Enough of the push token to tell two apart, not enough to push."""
        return f"{self.row.token[:4]}…"

    @property
    def condition(self) -> str:
        """What an operator has to know of it, in words."""
        if self.row.stopped is not None:
            return f"stopped: {self.row.stopped} (gateway test {self.row.name} lifts it)"
        return "simulated" if self.row.simulated is not None else "ready"

    def settings(self) -> list[tuple[str, str, bool, str]]:
        """(name, value in force, whether it is set here, meaning) of every setting."""
        values = describe(with_overrides(Settings(), dict(self.row.settings)))
        return [
            (name, values[name], name in self.row.settings, meaning)
            for name, meaning in MEANINGS.items()
        ]


def password_place(secret: str) -> str:
    """A secret's pointer in words."""
    kind, _, where = secret.partition(":")
    return {"env": f"in the environment variable {where}", "file": f"in the file {where}"}.get(
        kind, "stored beside the ledger"
    )


def port_words(port: PortRow) -> str:
    """A port's last known state: code and meaning."""
    return "not told" if port.code is None else f"{port.code} {port_meaning(port.code)}"


def list_views(site: Site) -> list[GatewayView]:
    """Every registered device; none where there is no ledger yet."""
    if not has_ledger(site):
        return []
    return [_view(site, row) for row in read(site, list_gateways)]


def view(site: Site, name: str) -> GatewayView:
    """One registered device. Raises `UsageError` that names those there are."""
    return _view(site, registered(site, name))


def registered(site: Site, name: str) -> GatewayRow:
    """The registry's row of a device. Raises `UsageError` that names those there are."""
    if not has_ledger(site):
        raise UsageError(f"there is no gateway named {name!r}: no ledger at {site.paths.db} yet")
    return read(site, get_gateway, name)


async def add(
    site: Site,
    name: str,
    url: str,
    username: str,
    secret: Secret,
    *,
    settings: Sequence[str] = (),
    ca_file: Path | None = None,
    crypt: str | None = None,
    auth_order: str = "spec",
) -> None:
    """Register a device. `settings` are `KEY=VALUE`. Raises `UsageError` for whatever cannot be."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is not a name for a gateway: letters, digits, . _ and - (at most 40)"
        )
    if not username:
        raise UsageError("the user name is empty")
    parameters = {
        "name": name,
        "url": device_url(url),
        "username": username,
        "secret": secret.pointer,
        "token": site.env.nonce(16),
        "settings": parse_pairs(list(settings)),
        "ca_file": _readable(ca_file),
        "crypt": crypt,
        "auth_order": auth_order,
    }
    with_overrides(Settings(), parse_pairs(list(settings)))
    if has_ledger(site) and read(site, find_gateway, name) is not None:
        # told before anything is written: the password of that other one is not ours to replace
        raise UsageError(
            f"a gateway named {name!r} exists already: gateway set or gateway remove it"
        )
    # A running engine signs in the moment it hears of the device, so the password goes first.
    _keep(site, name, secret)
    try:
        await change(site, "gateway-add", parameters)
    except BaseException:
        with contextlib.suppress(UsageError):
            forget_password(site.paths.secrets, name)
        raise


async def alter(
    site: Site, name: str, pairs: Sequence[str], secret: Secret | None = None, by: str = "operator"
) -> dict[str, str]:
    """Change settings (`KEY=VALUE`; `KEY=` returns to the default), `url=`, `username=`,
    `ca-file=`, `crypt=`, `auth-order=`, and the password; returns the settings that are set now.

    A new address, user or password also lifts an alarm.
    """
    columns, settings = _sorted_pairs(pairs)
    if secret is not None:
        pointer = secret.pointer
        if secret.password is not None:
            # The number after it means nothing but "another one": a running engine signs in anew.
            pointer = f"{STORED}:{site.env.nonce(4)}"
        columns["secret"] = pointer
    if not columns and not settings:
        raise UsageError("nothing to set: write KEY=VALUE, or say where the password is")
    row = registered(site, name)
    with_overrides(Settings(), _merged(row.settings, settings))
    if secret is not None:
        _keep(site, name, secret)
    parameters = {"name": name, "settings": settings, "columns": columns, "by": by}
    result = await change(site, "gateway-set", parameters)
    if secret is not None and secret.password is None:
        forget_password(site.paths.secrets, name)
    now_set: dict[str, str] = result["settings"]
    return now_set


async def remove(site: Site, name: str) -> None:
    """Take a device off the registry; a simulated one ends. Raises `UsageError` while tasks live
    there."""
    row = registered(site, name)
    await change(site, "gateway-remove", {"name": name})
    await end_simulated([row])
    forget_password(site.paths.secrets, name)


def as_json(shown: GatewayView) -> dict[str, Any]:
    """What `list` and `show` print for programs; no password, no token."""
    row = shown.row
    return {
        "name": row.name,
        "url": row.url,
        "username": row.username,
        "password": shown.password,
        "token": shown.token,
        "ca_file": row.ca_file,
        "crypt": row.crypt,
        "auth_order": row.auth_order,
        "subscription": msgspec.to_builtins(row.subscription),
        "device": msgspec.to_builtins(row.device),
        "simulated": row.simulated is not None,
        "stopped": row.stopped,
        "boot_id": row.boot_id,
        "usable_ports": shown.usable,
        "ports": [_port_json(port) for port in shown.ports],
    }


def settings_json(shown: GatewayView) -> dict[str, dict[str, Any]]:
    """The settings in force, by name."""
    return {
        name: {"value": value, "set": is_set, "meaning": meaning}
        for name, value, is_set, meaning in shown.settings()
    }


def _port_json(port: PortRow) -> dict[str, Any]:
    return {
        "port": port.port,
        "slot": port.slot,
        "code": port.code,
        "status": port_words(port),
        "usable": port.code in USABLE_PORT_CODES,
        "operator": port.operator,
        "number": port.number,
        "iccid": port.iccid,
        "balance": port.balance,
        "signal": port.signal,
    }


def _view(site: Site, row: GatewayRow) -> GatewayView:
    return GatewayView(row, tuple(read(site, list_ports, row.id)))


def _sorted_pairs(pairs: Sequence[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Pairs as (columns, settings)."""
    columns: dict[str, Any] = {}
    settings: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        name, value = key.strip().lower(), value.strip()
        if name == "password":
            # what follows is not repeated, and was already visible to every user of the machine
            raise UsageError(
                "a password does not belong on a command line (others can read it there): use"
                " --password-env, --password-file or --password-stdin"
            )
        if not equals:
            raise UsageError(f"{pair!r}: write KEY=VALUE")
        if name in _COLUMNS:
            columns[_COLUMNS[name]] = _column(name, value)
        elif name in MEANINGS:
            settings[name] = value
        else:
            known = ", ".join((*_COLUMNS, *MEANINGS))
            raise UsageError(f"unknown setting {name!r}: known are {known}")
    return columns, settings


def _column(name: str, value: str) -> str | None:
    if name == "ca-file":
        return _readable(Path(value)) if value else None
    if name == "crypt":
        return _cipher(value)
    if name == "auth-order" and value not in AUTH_ORDERS:
        raise UsageError(f"auth-order={value}: write {' or '.join(AUTH_ORDERS)}")
    if not value:
        raise UsageError(f"{name}= is empty")
    return device_url(value) if name == "url" else value


def _cipher(value: str) -> str | None:
    """Empty: no secure session."""
    try:
        return str(parse_crypt(value)) if value else None
    except LocalProtocolError as error:
        raise UsageError(f"crypt={value}: {error}") from error


def _merged(before: Mapping[str, str], changes: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in {**before, **changes}.items() if value != ""}


def _readable(path: Path | None) -> str | None:
    if path is None:
        return None
    place = path.expanduser().absolute()
    if not place.is_file() or not os.access(place, os.R_OK):
        raise UsageError(f"the CA file {place} cannot be read")
    return str(place)


def _keep(site: Site, name: str, secret: Secret) -> None:
    if secret.password is None:
        return
    site.paths.secrets.parent.mkdir(parents=True, exist_ok=True)
    store_password(site.paths.secrets, name, secret.password)
