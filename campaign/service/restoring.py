"""Restoring a ledger from a copy: the only way back, and one that repeats nothing.

The new incarnation is prepared completely beside its place and takes it by one rename; until then
the old ledger is as it was, after it the new one is complete. What was there is kept.

The inbox beside the ledger stays where it is: it is append-only, holds every report acknowledged
since the copy was made, and the copy's cursor points into it. What the copy's own inbox holds
beyond it (the present one was made anew, or is an older copy) is appended. Only where the present
one is missing or damaged does the copy's take its place.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from campaign.errors import StoreError, UsageError
from campaign.service.alone import alone
from campaign.service.backups import moment, stamp
from campaign.service.site import Site
from campaign.store.campaigns import list_campaigns
from campaign.store.carrying import carry_over
from campaign.store.checking import Folded
from campaign.store.copies import draft_ledger, examine
from campaign.store.copying import remove_database, sync_file, sync_folder
from campaign.store.door import transaction
from campaign.store.inbox import InboxReader, InboxWriter
from campaign.store.incarnation import Incarnation, Traces, begin_incarnation, traces
from campaign.store.journal import read_meta
from campaign.store.opening import claims_to_be_ledger, open_migrated, open_reader
from campaign.store.paths import LedgerPaths
from campaign.store.replacing import (
    keep_replaced,
    move_aside,
    refuse_foreign_place,
    take_in_wal,
    take_place,
)
from campaign.store.trouble import told


class InboxKept(Enum):
    """Which inbox lies beside the restored ledger."""

    PRESENT = "present"
    COPY = "copy"
    NONE = "none"


@dataclass(frozen=True)
class Copy:
    """What is restored: a ledger, and the inbox copied after it."""

    ledger: Path
    inbox: Path | None


@dataclass(frozen=True)
class Restored:
    """What came of a restore. `aside` are the files that were there; `missing` the campaigns of
    the ledger there that the copy does not know."""

    source: Path
    incarnation: Incarnation
    inbox: InboxKept
    appended: int
    aside: tuple[Path, ...]
    missing: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "source": str(self.source),
            "incarnation": self.incarnation.id,
            "epoch": self.incarnation.epoch,
            "unknown": self.incarnation.unknown,
            "inbox": {"kept": self.inbox.value, "appended": self.appended},
            "aside": [str(path) for path in self.aside],
            "missing_campaigns": list(self.missing),
        }


@dataclass(frozen=True)
class _Prepared:
    incarnation: Incarnation
    folded: Folded
    missing: tuple[str, ...]


def restore(site: Site, source: Path) -> Restored:
    """Make a new incarnation of a copied ledger and put it in this ledger's place.

    `source` is a folder made by `db backup`, or a ledger's file. Raises `UsageError` where there is
    none, `LedgerHeld` while an engine or a receiver runs, `StoreError` where the copy is damaged or
    of a later version, or the disk does not let it; the ledger is as it was then. Only a failure of
    the last step can leave its inbox with pushes of the copy's, which are never gained twice.
    """
    with _told_in_words(site), alone(site):
        copy = find_copy(site, source)
        examine(copy.ledger)
        refuse_foreign_place(site.paths.db)
        draft = site.paths.db.with_name(site.paths.db.name + ".restoring")
        try:
            prepared = _prepare(site, copy, draft)
            kept, appended, aside = _exchange(site, copy, draft, prepared.folded)
        finally:
            remove_database(draft)
    return Restored(
        copy.ledger, prepared.incarnation, kept, appended, tuple(aside), prepared.missing
    )


@contextmanager
def _told_in_words(site: Site) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"cannot restore {site.paths.db}: {told(error)}") from error


def find_copy(site: Site, source: Path) -> Copy:
    """The ledger and the inbox a path names. Raises `UsageError` where there is no one ledger."""
    place = source.expanduser().resolve()
    if not place.exists():
        raise UsageError(f"there is nothing at {place}: name a folder made by campaign db backup")
    if place.is_dir():
        files = [path for path in sorted(place.iterdir()) if path.is_file()]
        found = [path for path in files if claims_to_be_ledger(path)]
        if len(found) != 1:
            what = "no ledger" if not found else "more than one ledger"
            raise UsageError(f"there is {what} in {place}: name the ledger's file itself")
        place = found[0]
    inbox = LedgerPaths.beside(place).inbox
    other = inbox.exists() and inbox != site.paths.inbox
    return Copy(place, inbox if other else None)


def _prepare(site: Site, copy: Copy, draft: Path) -> _Prepared:
    replaced, names = _present(site)
    remove_database(draft)  # of a restore that was cut off
    draft_ledger(copy.ledger, draft)
    conn, _ = open_migrated(draft, site.optouts, keep_copy=False)
    with closing(conn):
        with transaction(conn):
            incarnation = begin_incarnation(
                conn, site.env.wall_ms(), site.env.nonce(16), site.env.rng, replaced
            )
        folded = Folded(read_meta(conn, "inbox_file"), int(read_meta(conn, "inbox_cursor") or 0))
        known = {row.name for row in list_campaigns(conn)}
    if draft.with_name(draft.name + "-wal").exists():
        raise StoreError(f"{draft} is in use by another process: try again")
    sync_file(draft)
    return _Prepared(incarnation, folded, tuple(name for name in names if name not in known))


def _exchange(
    site: Site, copy: Copy, draft: Path, folded: Folded
) -> tuple[InboxKept, int, list[Path]]:
    """Put the draft in its place, the reports kept before; as `_keep_reports`, of both files."""
    db, end = site.paths.db, f".before-restore-{stamp(site)}"
    place = _free(db, end)
    sound = take_in_wal(db)
    try:
        aside = keep_replaced(db, place, moment(site), sound=sound)
        kept, appended, inboxes = _keep_reports(site, copy, folded, end)
        aside += take_place(draft, db, place, sound=sound)
    except BaseException:
        if draft.exists():  # what lies there was not replaced
            place.unlink(missing_ok=True)
        raise
    return kept, appended, [*inboxes, *aside]


def _present(site: Site) -> tuple[Traces | None, list[str]]:
    """How far the ledger came that is replaced, and its campaigns, as far as it can be read."""
    with (
        contextlib.suppress(StoreError, sqlite3.Error),
        closing(open_reader(site.paths.db, any_schema=True)) as conn,
    ):
        return traces(conn), [row.name for row in list_campaigns(conn)]
    return None, []


def _keep_reports(
    site: Site, copy: Copy, folded: Folded, end: str
) -> tuple[InboxKept, int, list[Path]]:
    """Lose no acknowledged report: (which inbox is kept, pushes appended, files kept)."""
    present = site.paths.inbox
    if present.exists() and _is_whole(present):
        if copy.inbox is None:
            return InboxKept.PRESENT, 0, []
        with (
            InboxReader.open(copy.inbox) as reader,
            InboxWriter.open(present, site.env.nonce) as writer,
        ):
            appended = carry_over(writer, reader, folded.file_id or "", folded.cursor)
        return InboxKept.PRESENT, appended, []
    draft = present.with_name(present.name + ".restoring")
    if copy.inbox is not None:
        with InboxReader.open(copy.inbox) as reader:
            reader.copy_to(draft)
    aside = move_aside(present, _free(present, end)) if present.exists() else []
    if copy.inbox is None:
        return InboxKept.NONE, 0, aside
    draft.replace(present)
    sync_folder(present.parent)
    return InboxKept.COPY, 0, aside


def _is_whole(inbox: Path) -> bool:
    try:
        with InboxReader.open(inbox) as reader:
            return not reader.faults()
    except StoreError:
        return False


def _free(place: Path, end: str) -> Path:
    """A name beside `place` that nothing has yet."""
    nth, path = 1, place.with_name(place.name + end)
    while path.exists():
        nth += 1
        path = place.with_name(f"{place.name}{end}.{nth}")
    return path
