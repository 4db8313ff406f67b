"""Carrying pushes from one inbox into another: none that was acknowledged is lost by a restore."""

from __future__ import annotations

import hashlib

from campaign.store.inbox import Inbox, InboxReader, InboxRow, InboxWriter

_BATCH = 500


def carry_over(present: InboxWriter, copy: InboxReader, folded_file: str, cursor: int) -> int:
    """Append what `copy` holds beyond what is folded and `present` has not; returns how many.

    A push appended here has another id than where it came from, so that it is known again by when
    it came from whom with what: carrying over a second time appends nothing. `folded_file`,
    `cursor`: up to where the restored ledger has folded which inbox. Where the receiver was bound
    is carried over too, should `present` not know it.
    """
    appended = 0
    at = cursor if folded_file == copy.file_id else 0
    held: set[bytes] | None = None
    while rows := copy.rows_after(at, _BATCH):
        elsewhere = [row for row in rows if not present.holds(row)]
        if elsewhere and held is None:
            held = _contents(present)
        missing = [row for row in elsewhere if _content(row) not in (held or ())]
        if missing:
            present.append_many(missing)
        appended += len(missing)
        at = rows[-1].id
    binding = copy.binding()
    if present.binding() is None and binding is not None:
        present.bind_to(binding)
    return appended


def _contents(inbox: Inbox) -> set[bytes]:
    found: set[bytes] = set()
    at = 0
    while rows := inbox.rows_after(at, _BATCH):
        found.update(_content(row) for row in rows)
        at = rows[-1].id
    return found


def _content(row: InboxRow) -> bytes:
    """Tells one push from another, under whatever id."""
    return hashlib.sha256(f"{row.received_ms} {row.gateway_id} ".encode() + row.body).digest()
