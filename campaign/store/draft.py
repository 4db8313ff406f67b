"""What a list would come to, asked of a campaign that is still a draft."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass


@dataclass(frozen=True)
class DraftFigures:
    """`messages` and `parts` are those of recipients who have not opted out; `groups` is how many
    texts have how many recipients: (recipients of one text, number of such texts)."""

    recipients: int
    opted_out: int
    messages: int
    parts: int
    groups: tuple[tuple[int, int], ...]


def draft_figures(conn: sqlite3.Connection, campaign_id: int) -> DraftFigures:
    """Count a draft's recipients, messages, SMS parts and equal texts."""
    (recipients, opted_out, parts) = conn.execute(
        """
        SELECT count(*), count(o.number), coalesce(sum(r.parts) FILTER (WHERE o.number IS NULL), 0)
        FROM recipients AS r LEFT JOIN optouts.optouts AS o ON o.number = r.number
        WHERE r.campaign_id = ?
        """,
        (campaign_id,),
    ).fetchone()
    groups = conn.execute(
        """
        SELECT n, count(*) FROM (
            SELECT count(*) AS n
            FROM recipients AS r LEFT JOIN optouts.optouts AS o ON o.number = r.number
            WHERE r.campaign_id = ? AND o.number IS NULL GROUP BY r.text
        ) GROUP BY n ORDER BY n
        """,
        (campaign_id,),
    )
    return DraftFigures(
        recipients, opted_out, recipients - opted_out, parts, tuple((n, m) for n, m in groups)
    )


def refusal_counts(conn: sqlite3.Connection, campaign_id: int) -> dict[str, int]:
    """Refused rows by code, most frequent first."""
    rows = conn.execute(
        """
        SELECT code, count(*) AS n FROM refusals WHERE campaign_id = ?
        GROUP BY code ORDER BY n DESC, code
        """,
        (campaign_id,),
    )
    return {row["code"]: row["n"] for row in rows}
