"""The summary for terminals."""

from __future__ import annotations

from typing import Any

import pytest

from campaign.errors import StoreError
from campaign.reports.report import format_for
from campaign.store.campaigns import CampaignRow

EXPECTED = """\
spring: finished
list customers.csv
started 2026-03-02T09:00:00Z, ended 2026-03-02T10:01:05Z after 1 h 1 min

  delivered   1  12.5 %
  sent        1  12.5 %
  no_receipt  1  12.5 %
  failed      1  12.5 %
  unknown     1  12.5 %
  skipped     1  12.5 %
  assigned    1  12.5 %
  pending     1  12.5 %
recipients 8 = 1 delivered + 1 sent + 1 no_receipt + 1 failed + 1 unknown + 1 skipped + 1 assigned \
+ 1 pending
refused rows of the list, not recipients: 2

by gateway
  (none)  2  1 skipped, 1 pending
  north   4  1 delivered, 1 no_receipt, 1 failed, 1 assigned
  south   2  1 sent, 1 unknown

by reason
  1  failed   38  send failed: network out of order
  1  skipped      opted out
  1  unknown      silence: no report within the horizon

incidents: 1 duplicate
retries: 2 tried again after a proved failure, 1 of them sent

1 unknown: each may or may not have been sent, and no evidence tells which;
between 3 and 5 recipients were sent. None of them is sent again by itself.
To list them, and to decide:
  campaign report spring --state unknown -o next.csv
  campaign resolve spring --cause all --as resend --dry-run
"""


def test_the_summary_is_exactly_this(ledger: Any, mixed: CampaignRow) -> None:
    ledger.finish(mixed, 3665)
    ledger.incident(mixed, "duplicate")
    assert ledger.report(mixed, "table").decode() == EXPECTED


def test_chosen_states_are_listed_below_the_summary(ledger: Any, mixed: CampaignRow) -> None:
    lines = ledger.report(mixed, "table", "failed", "unknown").decode().splitlines()
    assert lines[-3:] == [
        "row  number     state    gateway  port  reason",
        "  5  999100004  failed   north    4     send failed: network out of order",
        "  6  999100005  unknown  south    3.01  silence: no report within the horizon",
    ]
    assert ledger.report(mixed, "table", "expired").decode().splitlines()[-1] == (
        "no recipients in these states"
    )


def test_a_long_choice_says_where_the_rest_is(ledger: Any) -> None:
    campaign = ledger.campaign([(f"9991000{n:02}",) for n in range(60)])
    lines = ledger.report(campaign, "table", "pending").decode().splitlines()
    assert lines[-1] == "and 10 more: all of them with --format csv -o FILE"


def test_a_campaign_without_trouble_says_little(ledger: Any) -> None:
    campaign = ledger.campaign([("999100001",)])
    ledger.settle("999100001", "sent")
    assert ledger.report(campaign, "table").decode().splitlines()[4:] == [
        "  sent  1  100.0 %",
        "recipients 1 = 1 sent",
        "",
        "by gateway",
        "  (none)  1  1 sent",
        "",
        "incidents: none",
    ]


def test_a_ledger_that_does_not_add_up_is_said_to(ledger: Any, mixed: CampaignRow) -> None:
    ledger.conn.execute("UPDATE tallies SET n = n + 2 WHERE state = 'sent'")
    text = "\n".join(ledger.report(mixed, "table").decode().splitlines())
    assert "recipients 8, but 1 delivered + 3 sent" in text
    assert "is 10: the ledger does not add up, see: campaign doctor" in text


def test_rare_reasons_are_counted_together(ledger: Any) -> None:
    campaign = ledger.campaign([(f"9991000{n:02}",) for n in range(25)])
    for n in range(25):
        ledger.settle(f"9991000{n:02}", "failed", reason=f"reason {n}")
    lines = ledger.report(campaign, "table").decode().splitlines()
    assert "  and 5 recipients for rarer reasons: see --format json" in lines


def test_names_and_reasons_cannot_write_to_the_terminal(ledger: Any) -> None:
    campaign = ledger.campaign([("999100001",)], name="a\x1b]0;x\x07 b")
    ledger.settle("999100001", "unknown", reason="\x1b[2Jgone\nrecipients 0 = 0")
    lines = ledger.report(campaign, "table").decode().splitlines()
    assert all(line.isprintable() for line in lines)
    assert not any(line.startswith("recipients 0") for line in lines)


def test_a_ledger_that_cannot_be_read_is_a_store_error(ledger: Any, mixed: CampaignRow) -> None:
    ledger.conn.execute("ALTER TABLE tallies RENAME TO gone")
    with pytest.raises(StoreError, match="could not be read"):
        ledger.report(mixed, "table").decode().splitlines()


@pytest.mark.parametrize(
    ("path", "fmt"),
    [
        ("next.csv", "csv"),
        ("/a.b/R.HTML", "html"),
        ("x.xlsx", "xlsx"),
        ("x", None),
        ("x.pdf", None),
    ],
)
def test_the_name_of_a_file_tells_the_format(path: str, fmt: str | None) -> None:
    assert format_for(path) == fmt
