"""Tariff files: prefix and price, a line each."""

from __future__ import annotations

from pathlib import Path

import pytest

from campaign.errors import UsageError
from campaign.lists.tariffs import read_tariff


def test_lines_become_prices_with_or_without_a_header(tmp_path: Path) -> None:
    path = tmp_path / "tariff.csv"
    path.write_text("﻿prefix,price\n86, 0.045\n\n*,0.1\n", encoding="utf-8")
    assert read_tariff(path) == ("86=0.045", "*=0.1")
    path.write_text("86,0.045\n")
    assert read_tariff(path) == ("86=0.045",)


@pytest.mark.parametrize(
    ("text", "why"),
    [("86,0.1\n49\n", "line 2"), ("86,1,2\n", "line 1"), ("prefix,price\n", "holds no")],
)
def test_a_line_that_is_none_is_named(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "tariff.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=why):
        read_tariff(path)


def test_a_file_that_is_not_there_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_tariff(tmp_path / "none.csv")
