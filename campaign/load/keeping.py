"""A run written to its result file, and read again without loss."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from campaign.errors import StoreError
from campaign.load.histogram import Histogram
from campaign.load.outcome import Delays, Facts, Moment, Outcome
from campaign.load.tally import Tally
from campaign.load.thresholds import Verdict
from campaign.store.loadfile import (
    DelayRow,
    HistogramRow,
    LoadRows,
    QueueRow,
    SecondRow,
    read_load_file,
    write_load_file,
)

_OF_TALLY: Final = "tally_"
"""Histograms of requests are kept by their names in the tally, those of reports by clock."""
_COUNTED: Final = SecondRow._fields


def save(outcome: Outcome, path: Path) -> None:
    """Write the result file. Raises `StoreError`; see `write_load_file`."""
    write_load_file(path, _rows_of(outcome))


def read(path: Path) -> Outcome:
    """The run that `save` wrote. Raises `StoreError`; see `read_load_file`."""
    rows = read_load_file(path)
    try:
        return _outcome_of(rows)
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"the result file {path} is damaged: {error!r}") from error


def _rows_of(outcome: Outcome) -> LoadRows:
    packed = outcome.tally.packed()
    of_tally = {name: value for name, value in packed.items() if isinstance(value, bytes)}
    histograms = {_OF_TALLY + name: Histogram.from_bytes(value) for name, value in of_tally.items()}
    histograms.update(outcome.delays)
    return LoadRows(
        facts={
            "facts": asdict(outcome.facts),
            "seconds": outcome.seconds,
            "tally": {name: value for name, value in packed.items() if name not in of_tally},
            "errors": dict(outcome.errors),
            "account": dict(outcome.account),
            "thresholds": [asdict(verdict) for verdict in outcome.thresholds],
            "invalid": list(outcome.invalid),
            "summary": outcome.summary(),
        },
        histograms=[HistogramRow(name, *_figures(one)) for name, one in histograms.items()],
        seconds=[
            SecondRow(*(getattr(moment, name) for name in _COUNTED)) for moment in outcome.series
        ],
        delays=[
            DelayRow(moment.nth, clock, *_kept(delays))
            for moment in outcome.series
            for clock, delays in moment.clocks.items()
        ],
        queue=[QueueRow(nth, depth) for nth, depth in outcome.queue],
    )


def _figures(histogram: Histogram) -> tuple[int, int, int, int, int, bytes]:
    return _kept(Delays.of(histogram))


def _kept(delays: Delays) -> tuple[int, int, int, int, int, bytes]:
    return delays.count, delays.p50, delays.p95, delays.p99, delays.most, delays.packed


def _outcome_of(rows: LoadRows) -> Outcome:
    facts = rows.facts
    packed = {row.clock: row.packed for row in rows.histograms}
    return Outcome(
        facts=Facts(**facts["facts"]),
        seconds=facts["seconds"],
        tally=_tally(facts["tally"], packed),
        errors=facts["errors"],
        delays={
            name: Histogram.from_bytes(value)
            for name, value in packed.items()
            if not name.startswith(_OF_TALLY)
        },
        account=facts["account"],
        queue=[(row.nth, row.depth) for row in rows.queue],
        series=_series(rows),
        thresholds=tuple(Verdict(**verdict) for verdict in facts["thresholds"]),
        invalid=tuple(facts["invalid"]),
    )


def _tally(plain: dict[str, Any], packed: dict[str, bytes]) -> Tally:
    of_tally = {
        name.removeprefix(_OF_TALLY): value
        for name, value in packed.items()
        if name.startswith(_OF_TALLY)
    }
    # the keys of a JSON object are always text
    statuses = {int(status): n for status, n in plain["statuses"].items()}
    return Tally.unpacked({**plain, **of_tally, "statuses": statuses})


def _series(rows: LoadRows) -> list[Moment]:
    clocks: dict[int, dict[str, Delays]] = defaultdict(dict)
    for row in rows.delays:
        clocks[row.nth][row.clock] = Delays(row.packed, row.n, row.p50, row.p95, row.p99, row.most)
    return [Moment(**row._asdict(), clocks=clocks[row.nth]) for row in rows.seconds]
