"""The delivery report as CSV: plain UTF-8, one line a recipient, columns by fixed names."""

from __future__ import annotations

import csv
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
    count = 0
    for row in rows:
        writer.writerow([_cell(value) for value in (*row.fixed, *row.own)])
        count += 1
    return count


def _cell(value: str | int | None) -> str | int | None:
    return safe_cell(value) if isinstance(value, str) else value
