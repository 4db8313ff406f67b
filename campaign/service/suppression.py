"""The user's opt-outs as operators keep them: cleaned, stored, and told to a running engine."""

from __future__ import annotations

import csv
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import trio

from campaign.errors import CampaignError, NothingToDo, StoreError, UsageError
from campaign.lists.msisdn import Cleaner
from campaign.lists.reader import RefusedRow, open_list
from campaign.lists.refusals import Refusal
from campaign.reports.cells import safe_cell
from campaign.reports.rows import ledger_time
from campaign.service.ledger import ask
from campaign.service.locks import is_held
from campaign.service.site import Site
from campaign.service.spooling import spooled
from campaign.store.optouts import OptOut, add_optouts, list_optouts, remove_optout

_CHUNK = 5000  # one transaction: an engine that reads meanwhile waits for milliseconds only
_SHOWN = 100
_WAKE_SECONDS = 3.0

COLUMNS = ("number", "since", "source", "reason")


@dataclass
class Imported:
    """What an import came to. `shown` holds the first refused rows: (line, code, reason)."""

    new: int = 0
    known: int = 0
    refused: int = 0
    shown: list[tuple[int, str, str]] = field(default_factory=list)


def clean_numbers(raws: Sequence[str], region: str | None) -> list[str]:
    """Digits with country code, each once. Raises `UsageError` for the first that is no number."""
    cleaner = Cleaner(region)
    numbers: dict[str, None] = {}
    for raw in raws:
        number = cleaner.clean(raw)
        if isinstance(number, Refusal):
            raise UsageError(f"{raw!r}: {number.reason}")
        numbers[number] = None
    return list(numbers)


def add(site: Site, numbers: Sequence[str], reason: str) -> int:
    """Store opt-outs durably; returns how many are new."""
    now = site.env.wall_ms()
    return add_optouts(
        site.optouts, (OptOut(number, now, "operator", reason) for number in numbers)
    )


def remove(site: Site, numbers: Sequence[str]) -> list[str]:
    """Forget opt-outs; returns the numbers that had one."""
    with _translated(site.optouts):
        return [number for number in numbers if remove_optout(site.optouts, number)]


def entries(site: Site) -> Iterator[OptOut]:
    """Every opt-out, by number. Streams."""
    with _translated(site.optouts):
        yield from list_optouts(site.optouts)


def import_list(
    site: Site,
    source: Path | BinaryIO,
    name: str,
    *,
    reason: str,
    region: str | None,
    phone_column: str | None,
) -> Imported:
    """Every number of a list becomes an opt-out; rows without one are counted and the first shown.

    Raises `ListError`, and `NothingToDo` when no row has a number.
    """
    result, now = Imported(), site.env.wall_ms()

    with open_list(spooled(source), name, region=region, phone_column=phone_column) as rows:

        def optouts() -> Iterator[OptOut]:
            for row in rows:
                if isinstance(row, RefusedRow):
                    result.refused += 1
                    if len(result.shown) < _SHOWN:
                        result.shown.append((row.line, row.code, row.reason))
                else:
                    yield OptOut(row.number, now, "import", reason)

        stream = optouts()
        while chunk := list(islice(stream, _CHUNK)):
            new = add_optouts(site.optouts, chunk)
            result.new += new
            result.known += len(chunk) - new
    if not result.new + result.known:
        raise NothingToDo(f"no number in {name}: all {result.refused} rows refused")
    return result


def export(site: Site, output: Path | None) -> int:
    """Write every opt-out as CSV to a file (0600, it holds numbers) or to stdout; returns how
    many."""
    if output is None:
        return _write(site, sys.stdout)
    try:
        output.touch(mode=0o600)
        with output.open("w", encoding="utf-8-sig", newline="") as file:
            return _write(site, file)
    except OSError as error:
        raise CampaignError(f"{output} cannot be written: {error.strerror or error}") from error


def as_json(entry: OptOut) -> dict[str, Any]:
    """One opt-out for programs."""
    return {
        "number": entry.number,
        "since": ledger_time(entry.at_ms),
        "source": entry.source,
        "reason": entry.reason,
    }


async def tell_engine(site: Site) -> bool:
    """Make a running engine look at the store now; False if it did not hear.

    Nothing depends on it: every send looks at the store by itself. It lets the engine take back
    at once what is queued on devices.
    """
    if not is_held(site.paths.lock):
        return True
    request = {"cmd": "do", "verb": "optouts-changed", "parameters": {}}
    with trio.move_on_after(_WAKE_SECONDS):
        try:
            await ask(site, request)
        except CampaignError:
            return False
        return True
    return False


def _write(site: Site, file: TextIO) -> int:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for count, entry in enumerate(entries(site), 1):  # noqa: B007 - the last count is the answer
        shown = as_json(entry)
        writer.writerow([*(shown[key] for key in COLUMNS[:-1]), safe_cell(entry.reason)])
    return count


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"cannot read the opt-out store {path}: {error}") from error
