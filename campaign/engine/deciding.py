"""Decisions of an operator as commands: `resolve` what is unknown, `retry` what failed.

Both read everything, refuse or decide, and write in one transaction; with `dry_run` they only say
what they would do.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from campaign.errors import NothingToDo, UsageError
from campaign.planner.rulings import Decision, Ruling, parse_causes, spelt
from campaign.planner.states import CampaignState, RecipientState
from campaign.store.campaigns import CampaignRow, get_campaign
from campaign.store.decisions import (
    Undecided,
    failed_recipients,
    reopen,
    risk_of,
    send_again,
    settle_by_word,
    undecided_counts,
    unknown_recipients,
)

_NO_REASON = "no reason given"


def resolve(conn: sqlite3.Connection, now_ms: int, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Rule about a campaign's unknown recipients.

    `name`, `causes` (or `all`), `as` (sent, failed, resend), `by`, `why`; `yes` accepts the risk of
    a resend; `dry_run`. Raises `UsageError`, and `NothingToDo` when nobody is unknown for these.
    """
    campaign, ruling = get_campaign(conn, parameters["name"]), Ruling(parameters["as"])
    causes = parse_causes(parameters["causes"])
    chosen = unknown_recipients(conn, campaign.id, causes)
    if not chosen:
        what = "unknown" if len(causes) > 1 else f"unknown by {', '.join(causes)}"
        raise _nothing(conn, campaign, RecipientState.UNKNOWN, f"nobody is {what}")
    if ruling is Ruling.RESEND:
        return _again(conn, now_ms, campaign, chosen, Decision.RESEND, parameters)
    if not parameters.get("dry_run"):
        by, why = _who_and_why(parameters)
        settle_by_word(conn, now_ms, campaign.id, chosen, ruling, by=by, why=why)
    return _told(campaign.state, str(ruling), chosen, [], parameters)


def retry(conn: sqlite3.Connection, now_ms: int, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Send to a campaign's failed recipients once more, whatever their budget said.

    `name`, `codes` (none: all), `by`, `why`, `yes`, `dry_run`. Raises as `resolve` does.
    """
    campaign, codes = get_campaign(conn, parameters["name"]), parameters.get("codes", ())
    chosen = failed_recipients(conn, campaign.id, codes)
    if not chosen:
        what = "failed" + (f" with code {', '.join(map(str, codes))}" if codes else "")
        raise _nothing(conn, campaign, RecipientState.FAILED, f"nobody {what}")
    return _again(conn, now_ms, campaign, chosen, Decision.RETRY_FAILED, parameters)


def _again(
    conn: sqlite3.Connection,
    now_ms: int,
    campaign: CampaignRow,
    chosen: Sequence[Undecided],
    kind: Decision,
    parameters: Mapping[str, Any],
) -> dict[str, Any]:
    if campaign.state is CampaignState.CANCELLED:
        raise UsageError(
            f"campaign {campaign.name!r} was cancelled, and that is final: nothing of it is sent"
            f" again. campaign report {campaign.name} --state unknown --state failed -o next.csv"
            " gives a list to launch anew"
        )
    if campaign.deadline_ms is not None and now_ms >= campaign.deadline_ms:
        raise UsageError(
            f"the deadline of campaign {campaign.name!r} is over: nothing of it is sent again."
            f" campaign report {campaign.name} --state unknown --state failed -o next.csv"
            " gives a list to launch anew"
        )
    free = [one for one in chosen if not one.under_way and one.unwanted is None]
    left = [one for one in chosen if one.under_way or one.unwanted is not None]
    if not free:
        raise NothingToDo(f"nothing to do: of {len(chosen)}, {spelt(_left(left))}")
    risk = risk_of(free)
    state: CampaignState = campaign.state
    if not parameters.get("dry_run"):
        if risk.needs_consent and not parameters.get("yes"):
            raise UsageError(
                f"{len(free)} recipients would be sent to again; {risk.sentence()}."
                " To do it all the same: --yes"
            )
        by, why = _who_and_why(parameters)
        send_again(conn, now_ms, campaign.id, free, kind, by=by, why=why)
        again = f"{len(free)} recipients to be sent to again: {why}"
        state = reopen(conn, now_ms, campaign, again, by=by)
    return {
        **_told(state, str(kind), free, left, parameters),
        "risk": {"by_cause": dict(risk.by_cause), "queued": dict(risk.queued)},
        "warning": risk.sentence(),
        "needs_yes": risk.needs_consent,
    }


def _told(
    state: CampaignState,
    what: str,
    chosen: Sequence[Undecided],
    left: Sequence[Undecided],
    parameters: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "as": what,
        "recipients": len(chosen),
        "by_cause": dict(Counter(one.label for one in chosen).most_common()),
        "left": _left(left),
        "state": str(state),
        "dry_run": bool(parameters.get("dry_run")),
    }


def _left(left: Sequence[Undecided]) -> dict[str, int]:
    """Why some are left as they are."""
    return dict(Counter(one.unwanted or "still under way" for one in left))


def _who_and_why(parameters: Mapping[str, Any]) -> tuple[str, str]:
    return parameters.get("by") or "operator", parameters.get("why") or _NO_REASON


def _nothing(
    conn: sqlite3.Connection, campaign: CampaignRow, state: RecipientState, what: str
) -> NothingToDo:
    there = spelt(undecided_counts(conn, campaign.id, state)) or "none at all"
    return NothingToDo(f"nothing to do: in {campaign.name} {what}; {state} there: {there}")
