"""The attachments of MMS campaigns: stored once a campaign, not once a task."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from campaign.protocol.messages import Attachment


@dataclass(frozen=True)
class StoredAttachment:
    """One file as it was read; `kind` is jpg, gif, txt or mp3."""

    kind: str
    name: str
    content: bytes

    @property
    def wire(self) -> Attachment:
        return Attachment(self.kind, self.content)


def keep_attachments(
    conn: sqlite3.Connection, campaign_id: int, attachments: Sequence[StoredAttachment]
) -> None:
    """Keep a campaign's files in their order."""
    conn.executemany(
        "INSERT INTO attachments (campaign_id, ord, kind, name, content) VALUES (?, ?, ?, ?, ?)",
        [
            (campaign_id, place, item.kind, item.name, item.content)
            for place, item in enumerate(attachments, 1)
        ],
    )


def list_attachments(conn: sqlite3.Connection, campaign_id: int) -> tuple[StoredAttachment, ...]:
    """A campaign's files, none for an SMS campaign."""
    rows = conn.execute(
        "SELECT kind, name, content FROM attachments WHERE campaign_id = ? ORDER BY ord",
        (campaign_id,),
    )
    return tuple(StoredAttachment(**dict(row)) for row in rows)
