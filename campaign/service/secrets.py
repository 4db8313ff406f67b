"""Passwords of gateways: in an environment variable, a file, or a 0600 file beside the ledger.

The ledger itself only knows where the password is.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from campaign.errors import UsageError

STORED = "stored"


def store_password(path: Path, gateway: str, password: str) -> None:
    """Keep a password in the secrets file (0600, replaced as a whole)."""
    secrets = {**_read(path), gateway: password}
    _write(path, secrets)


def forget_password(path: Path, gateway: str) -> None:
    secrets = _read(path)
    if secrets.pop(gateway, None) is not None:
        _write(path, secrets)


def find_password(path: Path, gateway: str, secret: str) -> str:
    """The password that `secret` (`env:NAME`, `file:PATH`, `stored`) points to.

    Raises `UsageError` that says what is missing, never what the password is.
    """
    kind, _, where = secret.partition(":")
    if kind == "env":
        password = os.environ.get(where)
        if password is None:
            raise UsageError(
                f"{gateway}: the environment variable {where} with its password is not set"
            )
        return password
    if kind == "file":
        try:
            return Path(where).expanduser().read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"{gateway}: its password file {where} cannot be read: {error}"
            ) from error
    password = _read(path).get(gateway)
    if password is None:
        raise UsageError(
            f"{gateway}: its password is not in {path.name}: "
            f"campaign gateway set {gateway} --password-stdin"
        )
    return password


def _read(path: Path) -> dict[str, str]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"the secrets file {path} cannot be read: {error}") from error


def _write(path: Path, secrets: dict[str, str]) -> None:
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(secrets, file)
    fresh.replace(path)
