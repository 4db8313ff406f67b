"""A load run for other programs: columns and keys that stay."""

from __future__ import annotations

import csv
import json
from io import StringIO

from campaign.reports.load_export import write_load_csv, write_load_json
from tests.reports.sheets import sheet


def test_the_series_has_one_line_a_second_and_named_columns() -> None:
    out = StringIO(newline="")
    assert write_load_csv(sheet(), out) == 12
    rows = list(csv.DictReader(StringIO(out.getvalue())))
    assert list(rows[0])[:11] == [
        "second", "due", "taken", "answered", "failed", "dropped", "late", "in_flight", "waiting",
        "queue", "accept_p50_ms",
    ]  # fmt: skip
    assert [row["second"] for row in rows] == [str(nth) for nth in range(12)]
    assert (rows[6]["answered"], rows[6]["accept_p99_ms"]) == ("485", "1200.0")
    assert {row["report_p50_ms"] for row in rows} == {""}


def test_the_json_is_the_summary() -> None:
    out = StringIO()
    write_load_json(sheet(), out)
    assert json.loads(out.getvalue()) == {"queue_max": 41, "valid": True}
