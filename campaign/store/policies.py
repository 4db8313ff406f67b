"""The policy per cause: what is decided by itself the moment a task leaves recipients unknown.

That is when the task is closed as unknown, or a timeout is reported: in that transaction, by
`policy`, with the setting as the reason. A recipient is sent to again by policy once at most, else
a gateway that never answers would be fed for ever.

On every other way to `unknown` it is held for somebody to decide. Those who were sent to again and
then failed, were skipped, cancelled or released fall back to `unknown (ambiguous)`, for their first
attempt was never proved to be anything: what a policy could say of it, it said then. And whoever
waited in a restored copy is `unknown (restored)`, about which a policy is refused.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from campaign.planner.rulings import Decision, Policy, Ruling, policy_for
from campaign.planner.rulings import parse_policy as parse
from campaign.planner.states import CampaignState, UnknownCause
from campaign.store.campaigns import campaign_options
from campaign.store.decisions import Undecided, send_again, settle_by_word, these_recipients

BY = "policy"
_SETTING = "on-unknown"


def apply_policy(
    conn: sqlite3.Connection,
    now_ms: int,
    campaign_id: int,
    gateway_id: int,
    recipient_ids: Sequence[int],
) -> None:
    """Decide about recipients whose task has just left them unknown; without a policy they are
    held."""
    if not recipient_ids:
        return
    state, options = campaign_options(conn, campaign_id)
    text = options.settings.get(_SETTING, _of_gateway(conn, gateway_id))
    policy = parse(text)
    if not policy:
        return
    word: list[Undecided] = []
    again: list[Undecided] = []
    for one in these_recipients(conn, recipient_ids):
        match policy_for(policy, UnknownCause(str(one.cause)), taken_back=one.taken_back):
            case Policy.ASSUME_SENT:
                word.append(one)
            case Policy.RESEND if state is not CampaignState.CANCELLED:
                if not (one.unwanted or one.under_way or _had_its_resend(conn, campaign_id, one)):
                    again.append(one)
            case _:
                pass
    why = f"{_SETTING}={text}"
    settle_by_word(conn, now_ms, campaign_id, word, Ruling.SENT, by=BY, why=why)
    send_again(conn, now_ms, campaign_id, again, Decision.RESEND, by=BY, why=why)


def _of_gateway(conn: sqlite3.Connection, gateway_id: int) -> str:
    row = conn.execute("SELECT settings FROM gateways WHERE id = ?", (gateway_id,)).fetchone()
    return str(json.loads(row["settings"]).get(_SETTING, ""))


def _had_its_resend(conn: sqlite3.Connection, campaign_id: int, one: Undecided) -> bool:
    row = conn.execute(
        # index decisions_campaign; only for whoever was tried more than once
        """
        SELECT 1 FROM recipients AS r CROSS JOIN decisions AS d ON d.recipient_id = r.id
        WHERE r.id = ? AND r.attempts > 1 AND d.campaign_id = ? AND d.kind = 'resend' AND d.by = ?
        """,
        (one.id, campaign_id, BY),
    )
    return row.fetchone() is not None
