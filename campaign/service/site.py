"""The place a command works in: one ledger, the user's opt-out store, time."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import platformdirs

from campaign.env import Env
from campaign.store.paths import LedgerPaths


@dataclass(frozen=True)
class Site:
    """Where a command reads and writes."""

    paths: LedgerPaths
    optouts: Path
    env: Env = field(default_factory=Env)

    @classmethod
    def at(cls, db: str | None = None, optouts: str | None = None) -> Site:
        """The site of a ledger path and an opt-out path, with the documented defaults."""
        chosen = optouts or os.environ.get("CAMPAIGN_OPTOUTS")
        store = (
            Path(chosen) if chosen else Path(platformdirs.user_data_dir("campaign")) / "optouts.db"
        )
        return cls(
            LedgerPaths.beside(db or os.environ.get("CAMPAIGN_DB") or "campaign.db"),
            store.expanduser().resolve(),
        )


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine and only this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def shown(host: str, port: int) -> str:
    """`HOST:PORT` as a URL writes it: an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
