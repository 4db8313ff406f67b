"""The lists that come with the program, and the script that makes large ones."""

from __future__ import annotations

import io
import runpy
from itertools import islice
from pathlib import Path

import pytest

from campaign.lists.msisdn import Cleaner
from campaign.lists.reader import RefusedRow, Row, open_list
from campaign.lists.refusals import Reason

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "sample_lists"


@pytest.mark.parametrize(
    ("name", "region", "encoding", "delimiter", "columns", "count"),
    [
        ("basic.csv", None, "utf-8", ",", ("name", "city"), 20),
        ("phones_only.txt", None, "utf-8", None, (), 30),
        ("personalised.csv", None, "utf-8", ",",
         ("name", "appointment", "balance", "branch"), 15),
        ("chinese_gbk.csv", "CN", "gb18030", ",", ("姓名", "城市"), 20),
        ("traditional_big5.csv", None, "big5", ",", ("姓名", "城市"), 10),
        ("excel_utf16.txt", None, "utf-16-le", "\t", ("姓名", "备注"), 20),
        ("semicolon.csv", "GB", "utf-8-sig", ";", ("Name", "Amount"), 12),
        ("pipe_noheader.csv", None, "utf-8", "|", ("column1", "column3"), 10),
        ("western_cp1252.csv", None, "cp1252", ";", ("Nom", "Ville"), 8),
    ],
)  # fmt: skip
def test_every_sample_reads_without_a_refusal(
    name: str,
    region: str | None,
    encoding: str,
    delimiter: str | None,
    columns: tuple[str, ...],
    count: int,
) -> None:
    with open_list(SAMPLES / name, region=region) as reader:
        assert (reader.encoding, reader.delimiter, reader.columns) == (encoding, delimiter, columns)
        rows = list(reader)
    assert len({row.number for row in rows if isinstance(row, Row)}) == len(rows) == count


def test_the_messy_sample_shows_every_refusal_and_keeps_what_is_right() -> None:
    with open_list(SAMPLES / "messy.csv", region="CN") as reader:
        rows = list(reader)
    refused = [row for row in rows if isinstance(row, RefusedRow)]
    # With a region given no number lacks its country code.
    assert {row.code for row in refused} == {
        reason.value for reason in Reason if reason is not Reason.NO_COUNTRY_CODE
    }
    lines = (SAMPLES / "messy.csv").read_bytes().split(b"\n")
    for row in refused:
        said = b"," + b"refused: " + row.code.encode()
        assert said in lines[row.line - 1] or row.code == "wrong_columns"
    assert len(rows) - len(refused) == 14


def test_make_list_makes_distinct_numbers_that_pass_and_repeat_by_seed() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "make_list"))
    made = list(islice(script["numbers"](2_000_000, seed=3), 2000))
    cleaner = Cleaner("CN")
    assert [cleaner.clean(number) for number in made] == [number[1:] for number in made]
    assert len(set(made)) == 2000
    assert made == list(script["numbers"](2000, seed=3))
    assert made != list(script["numbers"](2000, seed=4))
    out = io.StringIO()
    script["write"](out, 3, seed=1, names=True)
    assert out.getvalue().startswith("phone,name,city\n+999")
    assert out.getvalue().count("\n") == 4
