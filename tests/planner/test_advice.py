"""What is worth saying of a text before it is paid for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.planner.advice import (
    Costly,
    costly_characters,
    just_over,
    lookalike_fields,
    name_characters,
    plain_for,
)
from campaign.protocol.text import Encoding, encoding_of


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("It's time", None, id="GSM-7 already"),
        pytest.param("It’s time", Costly(("’",), 1, 1), id="a typographic quote"),
        pytest.param("It’s " + "x" * 100, Costly(("’",), 2, 1), id="one that costs a part"),
        pytest.param("Hi 🙂", Costly(("🙂",), 1, 1), id="an emoji"),
        pytest.param("č and ’", Costly(("č", "’"), 1, 1), id="a letter with a plain one"),
        pytest.param("您好’", None, id="another script cannot be said otherwise"),
        pytest.param("Привет", None, id="Cyrillic neither"),
        pytest.param("’“”–—…", None, id="many: not a slip"),
    ],
)
def test_a_few_characters_that_force_ucs2_are_named(text: str, found: Costly | None) -> None:
    assert costly_characters(text) == found


def test_they_are_named_with_what_could_stand_there() -> None:
    told = name_characters("’🙂\u00a0")
    assert told == "’ (could be '), 🙂 (could be left out), no-break space (could be a plain space)"


@given(st.characters(exclude_categories=["Cs"]))
def test_what_stands_in_place_is_gsm7(char: str) -> None:
    plain = plain_for(char)
    assert plain is None or encoding_of(plain) is Encoding.GSM7


@pytest.mark.parametrize(
    ("text", "over"),
    [
        pytest.param("x" * 160, 0, id="full"),
        pytest.param("x" * 161, 1, id="one over"),
        pytest.param("x" * 163, 3, id="three over"),
        pytest.param("x" * 164, 0, id="four are no slip"),
        pytest.param("x" * 307, 1, id="one over two parts"),
        pytest.param("好" * 71, 1, id="UCS-2"),
    ],
)
def test_a_text_just_over_a_part_is_noticed(text: str, over: int) -> None:
    assert just_over(text) == over


def test_other_programs_placeholders_are_recognised_where_a_column_has_the_name() -> None:
    message = "Hi [Name], %name%, <name>, [other], 50% of it"
    assert lookalike_fields(message, ("name", "city")) == ("[Name]", "%name%", "<name>")
