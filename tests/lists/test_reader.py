"""Lists from bytes to rows."""

from __future__ import annotations

import os
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from campaign.errors import ListError, UsageError
from campaign.lists.headers import REPORT_COLUMNS
from campaign.lists.reader import ListReader, RefusedRow, Row, open_list

ReadBytes = Callable[..., ListReader]
RowsOf = Callable[..., list[Row | RefusedRow]]

A, B, C = "+12025550101", "+12025550102", "+12025550103"


def numbers(rows: list[Row | RefusedRow]) -> list[str]:
    return [row.number for row in rows if isinstance(row, Row)]


def codes(rows: list[Row | RefusedRow]) -> list[tuple[int, str]]:
    return [(row.line, row.code) for row in rows if isinstance(row, RefusedRow)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "，"])
def test_every_delimiter_is_recognised(read_bytes: ReadBytes, delimiter: str) -> None:
    with read_bytes(f"name{delimiter}phone\nAda{delimiter}{A}\n") as reader:
        assert reader.delimiter == delimiter
        assert list(reader) == [Row(2, A[1:], {"name": "Ada"})]


def test_phones_alone_need_no_delimiter_and_no_header(read_bytes: ReadBytes) -> None:
    with read_bytes(f"{A}\n{B}\n") as reader:
        assert (reader.delimiter, reader.phone_column, reader.has_header) == (
            None,
            "column1",
            False,
        )
        assert reader.columns == ()
        assert list(reader) == [Row(1, A[1:], {}), Row(2, B[1:], {})]


def test_spaces_and_dots_in_numbers_are_no_delimiters(rows_of: RowsOf) -> None:
    rows = rows_of("138 0013 8000\n138.0013.8001\n138-0013-8002\n", region="CN")
    assert numbers(rows) == ["8613800138000", "8613800138001", "8613800138002"]


def test_decimal_commas_do_not_outvote_the_delimiter(rows_of: RowsOf) -> None:
    rows = rows_of(f"phone;amount\n{A};1,50\n{B};2,75\n")
    assert rows[1] == Row(3, B[1:], {"amount": "2,75"})


def test_excels_sep_line_is_obeyed_and_counted(read_bytes: ReadBytes) -> None:
    with read_bytes(f"sep=|\nphone|a,b\n{A}|x,y\n") as reader:
        assert reader.delimiter == "|"
        assert list(reader) == [Row(3, A[1:], {"a,b": "x,y"})]


@pytest.mark.parametrize(
    "header",
    [
        "phone", "Phone Number", "MOBILE", "mobile_no.", " Tel ", "MSISDN", "Cell-Phone", "number",
        "手机", "手机号", "手机号码", "电话", "电话号码", "联系电话", "手機號碼", "電話",
        "手机号（必填）", "Ｐｈｏｎｅ", "Customer phone", "客户手机号码", "телефон", "Téléphone",
    ],
)  # fmt: skip
def test_the_phone_column_is_known_by_its_name(read_bytes: ReadBytes, header: str) -> None:
    with read_bytes(f"id,{header},name\n7,{A},Ada\n") as reader:
        assert reader.phone_column == header.strip()
        assert list(reader) == [Row(2, A[1:], {"id": "7", "name": "Ada"})]


def test_a_mobile_column_is_preferred_to_a_telephone_column(read_bytes: ReadBytes) -> None:
    with read_bytes(f"tel,mobile\n{A},{B}\n") as reader:
        assert reader.phone_column == "mobile"


@pytest.mark.parametrize("wanted", ["Second", " second ", "2"])
def test_a_phone_column_can_be_chosen_by_name_or_position(rows_of: RowsOf, wanted: str) -> None:
    rows = rows_of(f"phone,second\n{A},{B}\n", phone_column=wanted)
    assert rows == [Row(2, B[1:], {"phone": A})]


def test_without_a_header_columns_have_numbers_for_names(read_bytes: ReadBytes) -> None:
    with read_bytes(f"Ada,{A},x\nBo,{B},y\n") as reader:
        assert (reader.phone_column, reader.columns) == ("column2", ("column1", "column3"))
        assert [row.line for row in reader] == [1, 2]
    with read_bytes(f"{A},{B}\n", phone_column="column2") as reader:
        assert numbers(list(reader)) == [B[1:]]


def test_a_bad_number_in_the_first_row_is_still_data(rows_of: RowsOf) -> None:
    rows = rows_of("1.38E+10\n13800138000\n", region="CN")
    assert codes(rows) == [(1, "scientific")]
    assert numbers(rows) == ["8613800138000"]


def test_column_names_are_trimmed_and_never_twice(read_bytes: ReadBytes) -> None:
    with read_bytes(f"phone, Name ,name,,Name_2,\n{A},a,b,c,d,\n") as reader:
        assert reader.columns == ("Name", "name_2", "column4", "Name_2_2")


@pytest.mark.parametrize(
    ("content", "phone_column", "says"),
    [
        (f"a,b\nx,{A}\n", None, "its columns are: a, b"),
        (f"phone,name\n{A},x\n", "cell", "no column 'cell'; its columns are: phone, name"),
        (f"phone,name\n{A},x\n", "3", "no column '3'"),
        (f"{A},x\n", "cell", "no header row"),
        (f"{A},{B}\n{B},{C}\n", None, "several columns (column1, column2)"),
        (f"phone,Phone\n{A},{B}\n", None, "two columns"),
        (f"phone of A,phone of B\n{A},{B}\n", None, "several columns could be"),
    ],
)
def test_an_unclear_phone_column_is_an_error_that_names_the_columns(
    read_bytes: ReadBytes, content: str, phone_column: str | None, says: str
) -> None:
    with pytest.raises(ListError) as caught:
        read_bytes(content, phone_column=phone_column)
    assert says in str(caught.value)


def test_a_header_alone_gives_no_rows_and_no_error(rows_of: RowsOf) -> None:
    assert rows_of("phone,name\n") == []


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_lines_are_counted_whatever_ends_them(rows_of: RowsOf, end: str) -> None:
    rows = rows_of(end.join(["", "phone,name", f"{A},x", "", "   ", ",", f"{B},y"]))
    assert rows == [Row(3, A[1:], {"name": "x"}), Row(7, B[1:], {"name": "y"})]


def test_a_quoted_record_has_the_line_on_which_it_begins(rows_of: RowsOf) -> None:
    rows = rows_of(f'phone,text\n{A},"one, ""two""\r\nthree"\n{B},four\n"{C}", "five, six"\n')
    assert rows == [
        Row(2, A[1:], {"text": 'one, "two"\nthree'}),
        Row(4, B[1:], {"text": "four"}),
        Row(5, C[1:], {"text": "five, six"}),
    ]


@pytest.mark.parametrize(
    "closing", ["", f'"{C}",z\n', "x\n" * 300], ids=["end of file", "another quote", "many lines"]
)
def test_a_quote_never_closed_costs_its_own_line_only(rows_of: RowsOf, closing: str) -> None:
    rows = rows_of(f'phone,text\n"{A},x\n{B},y\n{closing}')
    assert codes(rows)[0] == (2, "open_quote")
    assert numbers(rows)[0] == B[1:]
    assert len(rows) == 2 + closing.count("\n")


def test_a_quote_inside_a_value_is_just_a_character(rows_of: RowsOf) -> None:
    assert rows_of(f'phone,size\n{A},5" pipe\n') == [Row(2, A[1:], {"size": '5" pipe'})]


def test_missing_values_are_blank_and_superfluous_ones_refused(rows_of: RowsOf) -> None:
    rows = rows_of(f"phone,a,b\n{A}\n{B},1,2,,\n{C},1,2,3\n,x,y\n")
    assert rows[0] == Row(2, A[1:], {"a": "", "b": ""})
    assert rows[1] == Row(3, B[1:], {"a": "1", "b": "2"})
    assert codes(rows) == [(4, "wrong_columns"), (5, "empty")]


def test_control_characters_are_data_but_nul_is_refused(rows_of: RowsOf) -> None:
    rows = rows_of(f"phone,a\n{A},\x1bx\x85\x1c\n{B},y\x00\n{C},\x0by\x0c\n")
    assert rows[0] == Row(2, A[1:], {"a": "\x1bx\x85\x1c"})
    assert codes(rows) == [(3, "nul")]
    assert rows[2] == Row(4, C[1:], {"a": "\x0by\x0c"})


def test_a_dos_end_of_file_mark_is_no_row(rows_of: RowsOf) -> None:
    assert len(rows_of(f"{A}\r\n\x1a")) == 1


def test_refused_rows_show_what_stood_there(rows_of: RowsOf) -> None:
    (row,) = rows_of(f"phone,name\n{'x' * 300},Ada\n")
    assert isinstance(row, RefusedRow)
    assert row.raw == "x" * 200


def test_a_delivery_report_can_be_launched_again(read_bytes: ReadBytes) -> None:
    header = ",".join((*REPORT_COLUMNS, "name", "mobile"))
    values = ["2", "13125550101", "unknown", "none", "1", "gw", "1.01", "", "7", "", "", "", ""]
    text = f"{header}\n{','.join(values)},Ada,x\n"
    with read_bytes(text, region="CN") as reader:
        assert reader.columns == ("name", "mobile")
        # Its numbers have the country code, whatever the region of the first list was.
        assert list(reader) == [Row(2, "13125550101", {"name": "Ada", "mobile": "x"})]


def test_a_launched_again_report_has_its_own_columns_under_their_own_names(
    read_bytes: ReadBytes,
) -> None:
    header = ",".join((*REPORT_COLUMNS, "list_code", "nick"))
    values = ["2", "13125550101", "unknown", "none", "1", "gw", "1.01", "", "7", "", "", "", ""]
    with read_bytes(f"{header}\n{','.join(values)},'=5,'@ada\n") as reader:
        assert list(reader) == [Row(2, "13125550101", {"code": "=5", "nick": "@ada"})]


def test_a_list_can_be_read_twice(read_bytes: ReadBytes) -> None:
    with read_bytes(f"phone\n{A}\n") as reader:
        assert list(reader) == list(reader) != []


def test_an_unknown_region_is_told_before_the_file_is_read(read_bytes: ReadBytes) -> None:
    with pytest.raises(UsageError):
        read_bytes(b"", region="ZZ")


def test_a_missing_file_a_directory_and_a_device_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(ListError, match="does not exist"):
        open_list(tmp_path / "none.csv")
    with pytest.raises(ListError, match="is a directory"):
        open_list(tmp_path)
    with pytest.raises(ListError, match="is not a file"):
        open_list(Path("/dev/zero"))
    with pytest.raises(ListError, match="cannot be read"):
        open_list(tmp_path / ("x" * 300))


def test_a_pipe_is_read_like_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(f"phone\n{A}\n",))
    writer.start()
    with open_list(pipe) as reader:
        assert numbers(list(reader)) == [A[1:]]
    writer.join()


@pytest.mark.slow
def test_a_long_list_is_read_in_constant_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    with path.open("w") as file:
        file.write("phone,name,city\n")
        file.writelines(f"+9991{i:08d},Ada,Oslo\n" for i in range(30_000))
    with open_list(path) as reader:
        tracemalloc.start()
        count = sum(1 for _ in reader)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert count == 30_000
    assert peak < 2_500_000
