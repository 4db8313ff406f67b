"""A trial before the list goes: the message to own numbers, as a small campaign of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from campaign.errors import UsageError
from campaign.lists.msisdn import Cleaner
from campaign.lists.refusals import Refusal
from campaign.planner.options import CampaignOptions
from campaign.planner.shares import Priority
from campaign.store.attachments import keep_attachments, list_attachments
from campaign.store.campaigns import (
    CampaignRow,
    NewRecipient,
    add_recipients,
    complete_import,
    counts,
    create_campaign,
    find_campaign,
    get_campaign,
)
from campaign.store.lanes import LaneBook
from campaign.store.verdicts import mark_sample


def trial_name(name: str) -> str:
    """The name of a campaign's test."""
    return f"{name}.test"


def own_numbers(options: CampaignOptions) -> tuple[str, ...]:
    """The numbers of --test, each once, read as a list's. Raises `UsageError` for one that is
    none."""
    cleaner = Cleaner(options.region)
    found: dict[str, None] = {}
    for raw in options.test:
        number = cleaner.clean(raw)
        if isinstance(number, Refusal):
            raise UsageError(f"--test {raw!r}: {number.reason}")
        found[number] = None
    return tuple(found)


def check_trial(conn: sqlite3.Connection, name: str, options: CampaignOptions) -> None:
    """Raise `UsageError` where a campaign of this name could not have its test: before its list is
    read, not behind a million rows."""
    numbers = own_numbers(options)
    for number in numbers:
        nobody = options.parsed_routes.refuses(number)
        if nobody is not None:
            raise UsageError(f"--test +{number}: {nobody}")
    if numbers and find_campaign(conn, trial_name(name)) is not None:
        raise UsageError(
            f"a campaign named {trial_name(name)!r} exists already, and the test is to have this"
            " name: choose another --name"
        )


def complete(
    conn: sqlite3.Connection,
    now_ms: int,
    campaign: CampaignRow,
    fingerprint: str,
    first: NewRecipient,
    times: tuple[int | None, int | None],
) -> list[CampaignRow]:
    """The list is whole: the campaign may run, behind its test and its canary if it has them.

    `first` is the first row of the list: the test has its text; `times` are start and deadline in
    ms. Returns what runs now.
    """
    complete_import(conn, now_ms, campaign.id, fingerprint, times)
    size = campaign.options.parsed_canary
    if size is not None:
        mark_sample(conn, campaign.id, size.of(sum(counts(conn, campaign.id).values())))
    numbers = own_numbers(campaign.options)
    if numbers:
        _start_test(conn, now_ms, campaign, numbers, first)
    names = [trial_name(campaign.name)] if numbers else []
    return [get_campaign(conn, name) for name in (*names, campaign.name)]


def _start_test(
    conn: sqlite3.Connection,
    now_ms: int,
    campaign: CampaignRow,
    numbers: Sequence[str],
    first: NewRecipient,
) -> None:
    """Everything of the campaign but what holds for a long list. It goes at once, whenever the
    campaign itself is to start."""
    options = msgspec.structs.replace(
        campaign.options, priority=str(Priority.URGENT), share=1, test=(), canary=None,
        pause_if=(), start=None, deadline=None, recipient_time=False, at_most=None,
    )  # fmt: skip
    test_id = create_campaign(
        conn, now_ms, name=trial_name(campaign.name), list_name="own numbers",
        message=campaign.message, columns=(), options=options,
    )  # fmt: skip
    routes, book = options.parsed_routes, LaneBook()
    rows = [
        NewRecipient(
            line, number, first.text, None, first.parts, book.number("", routes.rule_of(number))
        )
        for line, number in enumerate(numbers, 1)
    ]
    add_recipients(conn, test_id, rows, [], book.take_fresh())
    keep_attachments(conn, test_id, list_attachments(conn, campaign.id))
    # no list has this fingerprint: the same numbers may be tested on again
    complete_import(conn, now_ms, test_id, f"test of campaign {campaign.id}")
