"""`campaign db check`: whether ledger and inbox are whole and keep their laws. Changes nothing."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from campaign.errors import StoreError
from campaign.service.site import Site
from campaign.store.checking import Folded, Law, durable, ledger_laws
from campaign.store.copying import COMPANIONS
from campaign.store.inbox import InboxReader
from campaign.store.opening import open_reader


def check(site: Site) -> list[Law]:
    """Every law in turn; beside a running engine too. Raises `StoreError` where there is no ledger
    or it is somebody else's file."""
    with closing(open_reader(site.paths.db, any_schema=True)) as conn:
        laws, folded = ledger_laws(conn)
    laws = [Law("the ledger is a ledger", True, str(site.paths.db)), *laws]
    # the inbox second: it only grows, so a cursor of the snapshot above lies within it
    if site.paths.inbox.exists():
        laws += _inbox_laws(site.paths.inbox, folded)
    return [*laws, _owners_alone(site)]


def _inbox_laws(path: Path, folded: Folded | None) -> Iterator[Law]:
    try:
        with InboxReader.open(path) as inbox:
            wrong = inbox.faults()
            yield Law("the inbox is whole", not wrong, "; ".join(wrong[:3]))
            yield durable("the inbox", *inbox.journal())
            if folded is not None and not wrong:
                yield _cursor(inbox, folded)
    except StoreError as error:
        yield Law("the inbox is an inbox", False, str(error))


def _cursor(inbox: InboxReader, folded: Folded) -> Law:
    name = "what is folded lies in the inbox"
    last = inbox.last_id()
    if folded.file_id is None:
        return Law(name, True, f"nothing is folded yet, {last} wait")
    if folded.file_id != inbox.file_id:
        return Law(name, True, f"another inbox was folded before: all {last} wait")
    if folded.cursor > last:
        detail = (
            f"folded up to {folded.cursor}, but it ends at {last}: an older copy of it was put"
            " here; the next run folds it anew and counts nothing twice"
        )
        return Law(name, False, detail)
    return Law(name, True, f"{folded.cursor} of {last}")


def _owners_alone(site: Site) -> Law:
    """Nobody else may read numbers, messages, tokens or passwords."""
    paths = site.paths
    files = [paths.secrets, paths.lock, paths.inbox_lock]
    files += [
        base.with_name(base.name + end)
        for base in (paths.db, paths.inbox)
        for end in ("", *COMPANIONS)
    ]
    open_ones = [path.name for path in files if _is_open_to_others(path)]
    detail = f"chmod 600 {' '.join(open_ones)}" if open_ones else ""
    return Law("the files are their owner's alone", not open_ones, detail)


def _is_open_to_others(path: Path) -> bool:
    try:
        return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)
    except OSError:
        return False
