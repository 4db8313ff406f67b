"""What a list would come to, asked of a campaign that is still a draft."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from campaign.planner.frequency import Cap
from campaign.store.suppression import OPTED_OUT, unwanted_now


@dataclass(frozen=True)
class DraftFigures:
    """`messages` and `parts` are those of recipients who neither opted out nor are suppressed (a
    blocklist, the frequency cap); `groups` is how many texts have how many recipients:
    (recipients of one text, number of such texts)."""

    recipients: int
    opted_out: int
    suppressed: int
    messages: int
    parts: int
    groups: tuple[tuple[int, int], ...]


def see_ledger(conn: sqlite3.Connection, ledger: Path) -> None:
    """Make the real ledger visible (read-only) to the one a draft lies in; outside a
    transaction."""
    conn.execute("ATTACH DATABASE ? AS ledger", (f"file:{quote(str(ledger))}?mode=ro",))


def suppress_draft(
    conn: sqlite3.Connection, campaign_id: int, cap: Cap | None, now_ms: int, *, schema: str
) -> None:
    """Skip the recipients of a draft that are blocked, or were written to enough, according to
    `schema`: `ledger`, the one that was made visible, or `main`."""
    conn.execute(
        f"""
        UPDATE recipients AS r SET state = 'skipped', cause = 'suppressed'
        WHERE r.campaign_id = ? AND r.state = 'pending'
            AND coalesce({unwanted_now(cap, now_ms, schema)}, '{OPTED_OUT}') <> '{OPTED_OUT}'
        """,
        (campaign_id,),
    )


def draft_figures(conn: sqlite3.Connection, campaign_id: int) -> DraftFigures:
    """Count a draft's recipients, messages, SMS parts and equal texts."""
    (recipients, opted_out, suppressed, parts) = conn.execute(
        """
        SELECT count(*), count(o.number), count(*) FILTER (WHERE r.state = 'skipped'),
            coalesce(sum(r.parts) FILTER (WHERE o.number IS NULL AND r.state = 'pending'), 0)
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
            WHERE r.campaign_id = ? AND o.number IS NULL AND r.state = 'pending' GROUP BY r.text
        ) GROUP BY n ORDER BY n
        """,
        (campaign_id,),
    )
    return DraftFigures(
        recipients,
        opted_out,
        suppressed,
        recipients - opted_out - suppressed,
        parts,
        tuple((n, m) for n, m in groups),
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
