"""Backing a ledger up while engine and receiver run: the ledger first, then the inbox.

In that order the copy of the inbox holds every report that the copy of the ledger has folded, and
those that came since. The user's opt-out store is no part of a ledger and is never rolled back.
"""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from campaign.errors import StoreError, UsageError
from campaign.service.site import Site
from campaign.store.copies import copy_ledger
from campaign.store.copying import sync_folder
from campaign.store.inbox import InboxReader


@dataclass(frozen=True)
class CopiedFile:
    """One file of a backup; `rows` by table."""

    file: Path
    bytes: int
    rows: dict[str, int]


@dataclass(frozen=True)
class Backup:
    """What was copied where; `made` is RFC 3339 UTC."""

    folder: Path
    made: str
    files: tuple[CopiedFile, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "folder": str(self.folder),
            "made": self.made,
            "files": [
                {"file": item.file.name, "bytes": item.bytes, "rows": item.rows}
                for item in self.files
            ],
        }


def stamp(site: Site) -> str:
    """The present time as it stands in file names."""
    return f"{site.env.wall():%Y%m%dT%H%M%SZ}"


def moment(site: Site) -> str:
    """The present time, RFC 3339 UTC."""
    return f"{site.env.wall():%Y-%m-%dT%H:%M:%SZ}"


def back_up(site: Site, folder: Path | None) -> Backup:
    """Copy ledger and inbox into a new folder, which appears whole or not at all.

    Raises `UsageError` where the folder exists already, `StoreError` where there is no ledger or it
    cannot be copied.
    """
    db = site.paths.db
    place = (folder or db.with_name(f"{db.name}.backup-{stamp(site)}")).expanduser().resolve()
    if place.exists() and not (place.is_dir() and not any(place.iterdir())):
        raise UsageError(f"{place} exists already: a backup overwrites nothing")
    made = moment(site)
    draft = place.with_name(f".{place.name}.{site.env.nonce(4)}.partial")
    try:
        draft.mkdir(mode=0o700, parents=True)
        rows = {db.name: copy_ledger(db, draft / db.name, made)}
        if site.paths.inbox.exists():
            rows[site.paths.inbox.name] = _copy_inbox(site.paths.inbox, draft)
        sync_folder(draft)
        draft.rename(place)
        sync_folder(place.parent)
    except OSError as error:
        raise StoreError(f"cannot make the backup {place}: {error.strerror}") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(draft)
    files = tuple(
        CopiedFile(place / name, (place / name).stat().st_size, rows[name]) for name in rows
    )
    return Backup(place, made, files)


def _copy_inbox(inbox: Path, folder: Path) -> dict[str, int]:
    place = folder / inbox.name
    with InboxReader.open(inbox) as reader:
        reader.copy_to(place)
    with InboxReader.open(place) as copy:
        wrong = copy.faults()
        if wrong:
            raise StoreError(f"{inbox} is not whole, nor is its copy: {wrong[0]}")
        return {"pushes": copy.count()}
