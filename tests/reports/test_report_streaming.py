"""Long reports are streamed: memory does not grow with the list."""

from __future__ import annotations

import io
import tracemalloc
from typing import Any

import pytest

from campaign.reports.report import Format, write_report


class Sink(io.RawIOBase):
    """Counts bytes and keeps none."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self.size += len(data)
        return len(data)


@pytest.mark.slow
@pytest.mark.parametrize("fmt", ["csv", "json", "xlsx", "html"])
def test_a_report_of_many_rows_is_never_held_in_memory(ledger: Any, fmt: Format) -> None:
    campaign = ledger.campaign(
        [(f"999{n:06}", f"Name {n}") for n in range(30_000)], columns=("name",)
    )
    sink = Sink()
    # what the first report loads (templates, writers) is not what is measured
    write_report(ledger.reader, campaign, fmt, ("failed",), Sink(), ledger.now)  # type: ignore[arg-type]  # a sink is all it needs
    tracemalloc.start()
    try:
        count = write_report(ledger.reader, campaign, fmt, (), sink, ledger.now)  # type: ignore[arg-type]  # as above
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 30_000
    assert sink.size > 100_000
    # 30,000 rows held as Python values would take more than 20 MB
    assert peak < 4_000_000
