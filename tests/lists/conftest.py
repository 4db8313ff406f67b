"""What the tests of this room share: lists read from bytes."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from campaign.lists.reader import ListReader, RefusedRow, Row, open_list

ReadBytes = Callable[..., ListReader]


@pytest.fixture
def read_bytes() -> ReadBytes:
    """Opens a list given as bytes, or as text to be encoded as UTF-8."""

    def read(
        content: bytes | str, *, region: str | None = None, phone_column: str | None = None
    ) -> ListReader:
        raw = content.encode() if isinstance(content, str) else content
        return open_list(io.BytesIO(raw), "list.csv", region=region, phone_column=phone_column)

    return read


@pytest.fixture
def rows_of(read_bytes: ReadBytes) -> Callable[..., list[Row | RefusedRow]]:
    """All rows of a list given as bytes or text."""

    def rows(
        content: bytes | str, *, region: str | None = None, phone_column: str | None = None
    ) -> list[Row | RefusedRow]:
        with read_bytes(content, region=region, phone_column=phone_column) as reader:
            return list(reader)

    return rows
