"""Carrying pushes from one inbox into another: none that was acknowledged is lost by a restore."""

from __future__ import annotations

from campaign.store.inbox import InboxReader, InboxWriter

_BATCH = 500


def carry_over(present: InboxWriter, copy: InboxReader, folded_file: str, cursor: int) -> int:
    """Append what `copy` holds beyond what is folded and `present` has not; returns how many.

    `folded_file`, `cursor`: up to where the restored ledger has folded which inbox. Where the
    receiver was bound is carried over too, should `present` not know it.
    """
    appended = 0
    at = cursor if folded_file == copy.file_id else 0
    while rows := copy.rows_after(at, _BATCH):
        missing = [row for row in rows if not present.holds(row)]
        if missing:
            present.append_many(missing)
        appended += len(missing)
        at = rows[-1].id
    binding = copy.binding()
    if present.binding() is None and binding is not None:
        present.bind_to(binding)
    return appended
