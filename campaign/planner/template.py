"""Message templates: text with the columns of the recipient's row in it.

`{name}` stands for a column, `{name|friend}` for a column or, where it is blank, the word after
the bar; `{{` and `}}` are the braces themselves. Names match whatever their case and outer spaces.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from campaign.errors import UsageError


@dataclass(frozen=True, slots=True)
class Field:
    """A place for a column. `default` is None where a missing value is an error of the row."""

    name: str
    default: str | None = None


@dataclass(frozen=True, slots=True)
class MissingValue:
    """The row has no value for `field`, and the template no default."""

    field: str


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed message. `parts` are literal texts and fields in order."""

    text: str
    parts: tuple[str | Field, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises UsageError, with the position (from 1), for braces that do not pair."""
        return cls(text, tuple(_parts(text)))

    @property
    def fields(self) -> tuple[str, ...]:
        """The columns used, each once, in order of first use."""
        names: dict[str, str] = {}
        for part in self._fields():
            names.setdefault(part.name.casefold(), part.name)
        return tuple(names.values())

    @property
    def is_constant(self) -> bool:
        """Whether every recipient gets the same text."""
        return not self._fields()

    def unknown_fields(self, columns: Iterable[str]) -> tuple[str, ...]:
        """The fields, defaults or not, that no column of the list answers to: likely slips."""
        known = {column.strip().casefold() for column in columns}
        return tuple(name for name in self.fields if name.casefold() not in known)

    def render(self, columns: Mapping[str, str]) -> str | MissingValue:
        """The text for one row; a value of spaces alone counts as missing."""
        rendered: list[str] = []
        for part in self.parts:
            if isinstance(part, str):
                rendered.append(part)
                continue
            value = _value(columns, part.name)
            if not value.strip():
                if part.default is None:
                    return MissingValue(part.name)
                value = part.default
            rendered.append(value)
        return "".join(rendered)

    def _fields(self) -> list[Field]:
        return [part for part in self.parts if isinstance(part, Field)]


def _value(columns: Mapping[str, str], name: str) -> str:
    exact = columns.get(name)
    if exact is not None:
        return exact
    wanted = name.casefold()
    for column, value in columns.items():
        if column.strip().casefold() == wanted:
            return value
    return ""


def _parts(text: str) -> Iterable[str | Field]:
    literal: list[str] = []
    position = 0
    while position < len(text):
        character = text[position]
        if character in "{}" and text[position : position + 2] == character * 2:
            literal.append(character)
            position += 2
        elif character == "{":
            if literal:
                yield "".join(literal)
                literal = []
            field, position = _field(text, position)
            yield field
        elif character == "}":
            raise _error(text, position, "a } without {; write }} for a brace")
        else:
            literal.append(character)
            position += 1
    if literal:
        yield "".join(literal)


def _field(text: str, opening: int) -> tuple[Field, int]:
    closing = text.find("}", opening)
    inner = text[opening + 1 : closing]
    if closing < 0 or "{" in inner:
        raise _error(text, opening, "a { that is not closed; write {{ for a brace")
    name, bar, default = inner.partition("|")
    if not name.strip():
        raise _error(text, opening, "a field without a name")
    return Field(name.strip(), default if bar else None), closing + 1


def _error(text: str, position: int, what: str) -> UsageError:
    around = text[max(0, position - 10) : position + 20]
    return UsageError(f"message template, position {position + 1}: {what} (at {around!r})")
