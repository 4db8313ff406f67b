"""The delivery report as CSV: plain UTF-8, one line a recipient, columns by fixed names.

It is what people ask for of a million recipients, so a line goes straight from the ledger's row:
what is ours is never in need of quotation marks, and what strangers wrote is mostly the same.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, Final, TextIO

from campaign.reports.cells import safe_cell
from campaign.reports.rows import device_time, full_reason, own_names
from campaign.store.campaigns import CampaignRow
from campaign.store.summary import REPORT_COLUMNS, own_values

_TO_QUOTE: Final = re.compile(r'[,"\r\n]')
_LINES: Final = 1000
"""Lines that are written at once."""


def write_csv(campaign: CampaignRow, rows: Iterable[Sequence[Any]], out: TextIO) -> int:
    """Header and rows (of `report_rows`) as RFC 4180; open `out` with newline="". Returns how many
    rows.

    No byte order mark: a script that reads by name would find it in front of `row`.
    """
    csv.writer(out).writerow([*REPORT_COLUMNS, *map(safe_cell, own_names(campaign.columns))])
    width, source, count = len(campaign.columns), iter(rows), 0
    while part := list(islice(source, _LINES)):
        out.write("".join([_line(row, width) for row in part]))
        count += len(part)
    return count


def _line(row: Sequence[Any], width: int) -> str:
    (
        line, number, state, evidence, attempts, gateway, port, iccid, tid, sent_at, delivered_at,
        code, reason, cause, columns,
    ) = row  # fmt: skip
    own = ""
    if width:
        own = "," + ",".join([_cell(value) for value in own_values(columns, width)])
    return (
        f"{line},{number},{state},{evidence},{attempts},{_known(gateway)},{_known(port)},"
        f"{_known(iccid)},{'' if tid is None else tid},{_time(sent_at)},{_time(delivered_at)},"
        f"{'' if code is None else code},{_reason(state, cause, reason)}{own}\r\n"
    )


def _cell(text: str) -> str:
    """A cell as the file has it: no formula, in quotation marks where it needs them."""
    if text.isalnum():
        return text
    safe = safe_cell(text)
    if _TO_QUOTE.search(safe) is None:
        return safe
    doubled = safe.replace('"', '""')
    return f'"{doubled}"'


@lru_cache(maxsize=4096)
def _known(text: str | None) -> str:
    """The cell of what many rows have in common."""
    return _cell(text or "")


@lru_cache(maxsize=4096)
def _reason(state: str, cause: str | None, reason: str | None) -> str:
    return _cell(full_reason(state, cause, reason) or "")


@lru_cache(maxsize=4096)
def _time(seconds: int | None) -> str:
    return device_time(seconds) or ""
