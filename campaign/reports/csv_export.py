"""The delivery report as CSV: plain UTF-8, one line a recipient, columns by fixed names."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable
from typing import TextIO

from campaign.reports.cells import safe_cell
from campaign.reports.rows import ReportRow, own_names
from campaign.store.campaigns import CampaignRow
from campaign.store.summary import REPORT_COLUMNS


def write_csv(campaign: CampaignRow, rows: Iterable[ReportRow], out: TextIO) -> int:
    """Header and rows as RFC 4180; open `out` with newline="". Returns how many rows.

    No byte order mark: a script that reads by name would find it in front of `row`.
    """
    writer = csv.writer(out)
    writer.writerow([*REPORT_COLUMNS, *map(safe_cell, own_names(campaign.columns))])
    count = itertools.count()
    writer.writerows(map(_cells, rows, count))
    return next(count)


def _cells(row: ReportRow, _nth: int) -> tuple[str | int | None, ...]:
    """What is left as it is are numbers, times and words of ours."""
    (
        line, number, state, evidence, attempts, gateway, port, iccid, tid, sent_at, delivered_at,
        code, reason, _, own,
    ) = row  # fmt: skip
    return (
        line, number, state, evidence, attempts, gateway and safe_cell(gateway),
        port and safe_cell(port), iccid and safe_cell(iccid), tid, sent_at, delivered_at, code,
        reason and safe_cell(reason), *map(safe_cell, own),
    )  # fmt: skip
