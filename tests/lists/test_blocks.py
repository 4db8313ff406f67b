"""Rows by column are the rows that come one by one."""

from __future__ import annotations

import io

from hypothesis import given, reject, settings
from hypothesis import strategies as st

from campaign.errors import ListError
from campaign.lists.blocks import BlockReader
from campaign.lists.headers import REPORT_COLUMNS
from campaign.lists.msisdn import Cleaner
from campaign.lists.reader import ListReader, RefusedRow, Row, open_list
from campaign.lists.refusals import Refusal

_NUMBERS = (
    "+12025550101", "+447700900123", "447700900123", "+86 138 0013 8000", "+44 (7700) 900-123",
    "(202) 555-0101", "13125550101", "13800138000", "+999000000001", "+99912", "+86  13800138000",
    "tel:+12025550101", "1.38E+10", "+１２０２5550101", "+8613800138000\u200b", "", " ", "n/a",
    "+4477009001231234", "\x1a", "0" * 90, " " * 400,
)  # fmt: skip
_CELLS = st.one_of(
    st.sampled_from(_NUMBERS),
    st.sampled_from(("Ada", " 李雷 ", "\u3000x", '"a, b"', '"two\nlines"', '"', 'say "so"', "\0")),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
)
_ROWS = st.lists(st.lists(_CELLS, min_size=1, max_size=4), max_size=12)


def by_column(reader: ListReader) -> list[Row | RefusedRow]:
    rows: list[Row | RefusedRow] = []
    for block in reader.blocks():
        usable = list(block.rows(reader.columns))
        assert [row.line for row in usable] == sorted(row.line for row in usable)
        rows += sorted([*usable, *block.refused], key=lambda row: row.line)
    return rows


@settings(max_examples=150, deadline=None, database=None, derandomize=True)
@given(
    _ROWS,
    st.sampled_from(
        ["phone,name\n", "name;phone;x\n", "phone\n", "sep=|\nphone|name\n", '"phone","a"\n',
         'phone,"no\nte"\n',
         ",".join((*REPORT_COLUMNS, "name")) + "\n", "+12025550101,x\n"]
    ),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["CN", None]),
    st.booleans(),
)  # fmt: skip
def test_any_list_is_the_same_by_column_and_row_by_row(
    rows: list[list[str]], header: str, end: str, region: str | None, damaged: bool
) -> None:
    delimiter = next((one for one in ";|," if one in header), ",")
    text = header + end.join(delimiter.join(row) for row in rows)
    raw = text.encode() + (b"\n+12025550102,\xff\xfe\n" if damaged else b"")
    column = "1" if header.startswith("+") else None
    try:
        opened = open_list(io.BytesIO(raw), region=region, phone_column=column)
    except ListError:  # so many control characters that it is no list
        reject()
    with opened as reader:
        assert by_column(reader) == list(reader)


@settings(max_examples=250, deadline=None, database=None, derandomize=True)
@given(
    st.lists(st.one_of(st.sampled_from(_NUMBERS), st.text("+0123456789 -()x", max_size=18))),
    st.sampled_from(["GB", "CN", None]),
    st.booleans(),
)
def test_many_numbers_are_cleaned_as_each_alone(
    cells: list[str], region: str | None, international: bool
) -> None:
    cleaner = Cleaner(region, international=international)
    numbers, refusals = cleaner.clean_all(cells)
    alone = [cleaner.clean(cell) for cell in cells]
    assert [refusals.get(place, number) for place, number in enumerate(numbers)] == alone
    assert all(isinstance(alone[place], Refusal) for place in refusals)


def test_a_quoted_value_may_run_on_into_the_text_that_follows() -> None:
    one, two, three = "+12025550101", "+12025550102", "+12025550103"
    lines = f'phone,note\n{one},"a\nb"\n{two},c\n{three},"d'.split("\n")
    with open_list(io.BytesIO("\n".join(lines).encode())) as reader:
        expected = list(reader)
        blocks = BlockReader(reader._layout, Cleaner(), ",", exact=True, without=frozenset({1}))
        for size in range(1, len(lines) + 1):
            texts = ["\n".join(lines[i : i + size]) for i in range(0, len(lines), size)]
            found: list[Row | RefusedRow] = []
            for block in blocks.read(texts):
                found += sorted([*block.rows(["note"]), *block.refused], key=lambda row: row.line)
            assert found == expected


def test_a_long_list_is_read_in_many_blocks() -> None:
    raw = "phone\n" + "".join(f"+999{i:09}\n\n" for i in range(5000))
    with open_list(io.BytesIO(raw.encode())) as reader:
        blocks = list(reader.blocks())
        assert len(blocks) > 4
        assert [row for block in blocks for row in block.rows(())] == list(reader)
