"""Message templates."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaign.errors import UsageError
from campaign.planner.template import MissingValue, Template


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [
        ("Hello", {}, "Hello"),
        ("", {}, ""),
        ("Hi {name}!", {"name": "Ada"}, "Hi Ada!"),
        ("Hi {Name}, {CITY}", {" name ": "Ada", "City": "Oslo"}, "Hi Ada, Oslo"),
        ("Hi { name }", {"name": "Ada"}, "Hi Ada"),
        ("Hi {name|friend}", {"name": " "}, "Hi friend"),
        ("Hi {name|friend}", {}, "Hi friend"),
        ("Hi {name|friend}", {"name": "Ada"}, "Hi Ada"),
        ("Hi{name|}", {"name": ""}, "Hi"),
        ("{a|b|c}", {}, "b|c"),
        ("{{name}} {{{name}}}", {"name": "Ada"}, "{name} {Ada}"),
        ("{姓名}您好", {"姓名": "李雷"}, "李雷您好"),
        ("{a}{a}", {"a": "{b}"}, "{b}{b}"),
        ("{first name}", {"first name": "A"}, "A"),
    ],
)
def test_a_template_is_rendered_with_the_row(
    text: str, columns: dict[str, str], expected: str
) -> None:
    assert Template.parse(text).render(columns) == expected


@pytest.mark.parametrize("columns", [{}, {"name": ""}, {"name": " \t"}, {"other": "x"}])
def test_a_blank_value_without_default_is_missing(columns: dict[str, str]) -> None:
    assert Template.parse("Hi {Name}").render(columns) == MissingValue("Name")


@pytest.mark.parametrize(
    ("text", "position"),
    [("Hi {name", 4), ("Hi name}", 8), ("{}", 1), ("a{ |x}", 2), ("{a{b}", 1), ("{{a}", 4)],
)
def test_bad_braces_are_told_with_their_position(text: str, position: int) -> None:
    with pytest.raises(UsageError, match=f"position {position}:"):
        Template.parse(text)


def test_fields_are_listed_once_in_order_and_compared_with_the_columns() -> None:
    template = Template.parse("{b} {A|x} {B} {c}")
    assert template.fields == ("b", "A", "c")
    assert not template.is_constant
    assert template.unknown_fields(["a ", "C"]) == ("b",)
    assert Template.parse("{{no}} field").is_constant


@settings(deadline=None, database=None, derandomize=True)
@given(st.text())
def test_escaped_text_comes_out_as_it_was(text: str) -> None:
    escaped = text.replace("{", "{{").replace("}", "}}")
    assert Template.parse(escaped).render({}) == text


@settings(deadline=None, database=None, derandomize=True)
@given(st.text())
def test_any_text_parses_or_is_a_usage_error(text: str) -> None:
    try:
        template = Template.parse(text)
    except UsageError:
        return
    assert template.text == text
