"""What an operator would want to know of a text before paying for it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from campaign.protocol.text import Encoding, encoding_of, segments

_PLAIN = {
    "’": "'", "‘": "'", "‚": "'", "‛": "'", "´": "'", "`": "'", "′": "'",
    "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "″": '"',
    "–": "-", "—": "-", "‑": "-", "−": "-", "•": "-", "·": ".", "…": "...",
    "\u00a0": " ", "\u202f": " ", "\u2009": " ", "\t": " ", "\u200b": "", "\u200d": "",
    "\ufeff": "", "\ufe0f": "",
}  # fmt: skip
"""What word processors and phones put for plain characters, and the plain ones."""

_FEW = 5
_JUST_OVER = 3
_SINGLE = {Encoding.GSM7: 160, Encoding.UCS2: 70}
_PART = {Encoding.GSM7: 153, Encoding.UCS2: 67}

_LOOKALIKE = re.compile(r"\[([^\[\]{}]{1,40})\]|%([^%{}\s]{1,40})%|<([^<>{}]{1,40})>")


@dataclass(frozen=True)
class Costly:
    """A few characters that force a text into UCS-2, and the SMS parts they cost."""

    characters: tuple[str, ...]
    parts: int
    parts_without: int


def costly_characters(text: str) -> Costly | None:
    """The characters without which a text would be GSM-7.

    None when it is already, when they are many, or when one is a letter of another script: such a
    text cannot be said otherwise.
    """
    if encoding_of(text) is Encoding.GSM7:
        return None
    odd = tuple(dict.fromkeys(char for char in text if encoding_of(char) is Encoding.UCS2))
    if len(odd) > _FEW or any(plain_for(char) is None for char in odd):
        return None
    plain = "".join(plain_for(char) or "" if char in odd else char for char in text)
    return Costly(odd, segments(text).parts, segments(plain).parts)


def plain_for(char: str) -> str | None:
    """What GSM-7 has in place of a character: '' for symbols it can do without, None for letters
    it cannot."""
    if char in _PLAIN:
        return _PLAIN[char]
    stem = "".join(c for c in unicodedata.normalize("NFKD", char) if not unicodedata.combining(c))
    if stem and stem != char and encoding_of(stem) is Encoding.GSM7:
        return stem
    return None if unicodedata.category(char)[0] in "LN" else ""


def name_characters(characters: Iterable[str]) -> str:
    """Characters and what could stand in their place, in words."""
    return ", ".join(f"{_named(char)} ({_instead(char)})" for char in characters)


def just_over(text: str) -> int:
    """By how few units (1..3) a text spills into one more SMS part; 0 when it does not."""
    count = segments(text)
    if count.parts < 2:
        return 0
    full = (
        _SINGLE[count.encoding] if count.parts == 2 else _PART[count.encoding] * (count.parts - 1)
    )
    over = count.units - full
    return over if 1 <= over <= _JUST_OVER else 0


def lookalike_fields(message: str, columns: Iterable[str]) -> tuple[str, ...]:
    """Names of columns written as other programs do (`[name]`, `%name%`, `<name>`), verbatim."""
    known = {column.strip().casefold() for column in columns}
    found = (
        match[0]
        for match in _LOOKALIKE.finditer(message)
        if next(filter(None, match.groups())).strip().casefold() in known
    )
    return tuple(dict.fromkeys(found))


def _named(char: str) -> str:
    if char.isprintable() and not char.isspace():
        return char
    return unicodedata.name(char, f"U+{ord(char):04X}").lower()


def _instead(char: str) -> str:
    plain = plain_for(char)
    if plain == " ":
        return "could be a plain space"
    return f"could be {plain}" if plain else "could be left out"
