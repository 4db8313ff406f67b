"""Exact patterns for the common spellings of a number, built from phonenumbers' metadata.

A full parse costs some 20 µs a number, a pattern below one. The patterns are sound, not complete:
what one accepts, phonenumbers accepts as the same number; what none accepts takes the full parse.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    PhoneMetadata,
    PhoneNumberDesc,
)

from campaign.lists.reserved import TEST_COUNTRY_CODE

_NEVER: Final = r"(?!)"
_PLAIN_PREFIX: Final = re.compile(r"[\d|]+", re.ASCII)


@cache
def region_pattern(region: str) -> re.Pattern[str] | None:
    """Matches national and international spellings of `region`; `nsn` is the national number.

    None where several countries share the calling code and `region` is not its main one: there
    the first country listed would have to be asked too.
    """
    metadata = PhoneMetadata.metadata_for_region(region, None)
    if metadata is None or metadata.country_code is None:
        return None
    code = str(metadata.country_code)
    national = _assigned(metadata)
    if national is None or COUNTRY_CODE_TO_REGION_CODE[metadata.country_code][0] != region:
        return None
    stripped = f"(?!{metadata.national_prefix_for_parsing or _NEVER})"
    dialled = f"(?!{metadata.international_prefix or _NEVER})"
    general = (metadata.general_desc and metadata.general_desc.national_number_pattern) or _NEVER
    # Bare digits beginning with the calling code are national if they can be, as in libphonenumber.
    return re.compile(
        rf"(?:(?:\+|00){code}{stripped}"
        rf"|{dialled}(?:(?!(?:{general})\Z){code}{stripped}|{_trunk_prefix(metadata)}{stripped}))"
        rf"(?P<nsn>{national})",
        re.ASCII,
    )


@cache
def calling_code_pattern(code: str, length: int) -> re.Pattern[str] | None:
    """Matches `length` digits that follow the calling code `code`; None if no number of any
    country is such."""
    if code == TEST_COUNTRY_CODE:
        return re.compile(r"\d{4,12}", re.ASCII)
    regions = COUNTRY_CODE_TO_REGION_CODE.get(int(code))
    if not regions:
        return None
    metadata = PhoneMetadata.metadata_for_region(regions[0], None)
    national = _assigned(metadata, length) if metadata is not None else None
    if metadata is None or national is None:
        return None
    stripped = f"(?!{metadata.national_prefix_for_parsing or _NEVER})"
    return re.compile(f"{stripped}(?:{national})", re.ASCII)


def calling_code(digits: str) -> str | None:
    """The calling code that `digits` (no `+`) begin with. Codes are prefix-free."""
    for length in (1, 2, 3):
        code = digits[:length]
        if len(code) == length and (
            code == TEST_COUNTRY_CODE or int(code) in COUNTRY_CODE_TO_REGION_CODE
        ):
            return code
    return None


def _assigned(metadata: PhoneMetadata, length: int | None = None) -> str | None:
    """A pattern for mobile and fixed lines; lengths are part of it, as phonenumbers demands,
    unless only numbers of one `length` are asked for."""
    general = metadata.general_desc
    if general is None or not general.national_number_pattern or not _may_have(general, length):
        return None
    parts = [
        _described(desc, length)
        for desc in (metadata.mobile, metadata.fixed_line)
        if desc is not None and desc.national_number_pattern and _may_have(desc, length)
    ]
    return rf"(?=(?:{_described(general, length)})\Z)(?:{'|'.join(parts)})" if parts else None


def _may_have(desc: PhoneNumberDesc, length: int | None) -> bool:
    possible = [known for known in desc.possible_length if known > 0]
    return length is None or not possible or length in possible


def _described(desc: PhoneNumberDesc, length: int | None) -> str:
    if length is not None:
        return f"(?:{desc.national_number_pattern})"
    lengths = "|".join(rf"\d{{{length}}}" for length in desc.possible_length if length > 0)
    guard = rf"(?=(?:{lengths})\Z)" if lengths else ""
    return f"(?:{guard}(?:{desc.national_number_pattern}))"


def _trunk_prefix(metadata: PhoneMetadata) -> str:
    """The `0` of 07700…, where dropping it is all that parsing does."""
    prefix = metadata.national_prefix
    parsing = metadata.national_prefix_for_parsing
    if not prefix or not parsing or metadata.national_prefix_transform_rule:
        return ""
    plain = _PLAIN_PREFIX.fullmatch(parsing) and prefix in parsing.split("|")
    # Beginning with the calling code, the digits could be read both ways: only 0… and NANP's 1….
    harmless = prefix.startswith("0") or prefix == str(metadata.country_code)
    return f"(?:{prefix})?" if plain and harmless else ""
