"""Blocklists of a ledger: named lists of numbers that none of its campaigns may write to.

They are changed through the running engine, which takes back at once what is queued for a number
that was just blocked; every send looks at them by itself.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from campaign.errors import CampaignError, NothingToDo, UsageError
from campaign.lists.reader import RefusedRow, open_list
from campaign.reports.rows import ledger_time
from campaign.service.ledger import change, has_ledger, read, reading
from campaign.service.site import Site
from campaign.service.spooling import spooled
from campaign.service.suppression import Imported
from campaign.store.suppression import blocked_numbers, blocklists

_CHUNK = 5000  # one transaction, and one line on the control socket
_SHOWN = 100

COLUMNS = ("name", "numbers", "since", "changed")
_EXPORTED = ("number", "since")


def check_name(name: str) -> str:
    """Raises `UsageError` for what is no name of a list."""
    if not re.fullmatch(r"\w[\w.-]{0,79}", name):
        raise UsageError(f"{name!r} is not a name: letters, digits, . _ and - (at most 80)")
    return name


async def add(site: Site, name: str, numbers: Sequence[str]) -> int:
    """Block numbers (digits); returns how many are new to the list."""
    parameters = {"list": check_name(name), "numbers": list(numbers)}
    result = await change(site, "blocklist-add", parameters)
    return int(result["new"])


async def remove(site: Site, name: str, numbers: Sequence[str]) -> int:
    """Take numbers off a list, all of them if none is named; returns how many stood there.

    Raises `UsageError` where there is no such list.
    """
    if name not in {entry["name"] for entry in all_lists(site)}:
        raise UsageError(f"there is no blocklist named {name!r}: campaign blocklist list")
    parameters = {"list": name, "numbers": list(numbers) or None}
    result = await change(site, "blocklist-remove", parameters)
    return int(result["removed"])


def all_lists(site: Site) -> list[dict[str, Any]]:
    """Each list with its number of entries, and when the first and the last came."""
    if not has_ledger(site):
        return []
    return [
        {
            "name": row["name"],
            "numbers": row["numbers"],
            "since": ledger_time(row["since_ms"]),
            "changed": ledger_time(row["changed_ms"]),
        }
        for row in read(site, blocklists)
    ]


async def import_list(
    site: Site,
    name: str,
    source: Path | BinaryIO,
    source_name: str,
    *,
    region: str | None,
    phone_column: str | None,
) -> Imported:
    """Block every number of a list; rows without one are counted and the first shown.

    Raises `ListError`, and `NothingToDo` when no row has a number.
    """
    check_name(name)
    result = Imported()
    with open_list(spooled(source), source_name, region=region, phone_column=phone_column) as rows:

        def numbers() -> Iterator[str]:
            for row in rows:
                if isinstance(row, RefusedRow):
                    result.refused += 1
                    if len(result.shown) < _SHOWN:
                        result.shown.append((row.line, row.code, row.reason))
                else:
                    yield row.number

        stream = numbers()
        while chunk := list(islice(stream, _CHUNK)):
            new = await add(site, name, chunk)
            result.new += new
            result.known += len(chunk) - new
    if not result.new + result.known:
        raise NothingToDo(f"no number in {source_name}: all {result.refused} rows refused")
    return result


def export(site: Site, name: str, output: Path | None) -> int:
    """Write a list as CSV to a file (0600, it holds numbers) or to stdout; returns how many."""
    if output is None:
        return _write(site, name, sys.stdout)
    try:
        output.touch(mode=0o600)
        with output.open("w", encoding="utf-8-sig", newline="") as file:
            return _write(site, name, file)
    except OSError as error:
        raise CampaignError(f"{output} cannot be written: {error.strerror or error}") from error


def _write(site: Site, name: str, file: TextIO) -> int:
    writer = csv.writer(file, lineterminator="\n")
    count = 0
    with reading(site) as conn:
        for count, row in enumerate(blocked_numbers(conn, name), 1):
            if count == 1:
                writer.writerow(_EXPORTED)
            writer.writerow((row["number"], ledger_time(row["at_ms"])))
    if not count:
        raise UsageError(f"there is no blocklist named {name!r}: campaign blocklist list")
    return count
