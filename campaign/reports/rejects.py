"""The refused rows of a list, as a CSV beside it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from campaign.reports.cells import safe_cell


def write_rejects(path: Path, rows: Iterable[Any]) -> int:
    """Write `line,reason,code,row` for every refusal (mappings with row, raw, code, reason).

    UTF-8 with BOM, so that spreadsheets read Chinese columns right. Returns how many. A file that
    cannot be written is an OSError for the caller to name.
    """
    count = 0
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["line", "reason", "code", "row"])
        for count, row in enumerate(rows, 1):  # noqa: B007 - the last count is the answer
            values: Mapping[str, Any] = row
            writer.writerow(
                [values["row"], values["reason"], values["code"], safe_cell(values["raw"])]
            )
    return count
