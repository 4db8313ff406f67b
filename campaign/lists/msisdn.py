"""A phone number as people and spreadsheets write it, into digits with country code.

Numbers come out as E.164 digits without `+`. Nothing is guessed: a spelling that could mean two
numbers is refused with the way to make it clear.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, NewType

import phonenumbers
from phonenumbers import NumberParseException, ValidationResult

from campaign.errors import UsageError
from campaign.lists.numbering import calling_code, calling_code_pattern, region_pattern
from campaign.lists.refusals import Reason, Refusal
from campaign.lists.reserved import TEST_COUNTRY_CODE, is_reserved
from campaign.lists.spelling import MAX_CELL, dialled_digits, without_separators

Msisdn = NewType("Msisdn", str)
"""Digits with country code, no `+`: 4 to 15 of them."""


# E.164, and the shortest national numbers there are.
_MAX_DIGITS: Final = 15
_MIN_DIGITS: Final = 4
# Bare digits are tried as an international number from here on (country code included).
_MIN_BARE_DIGITS: Final = 11
# Eleven digits from 13 to 19: a Chinese mobile, and just as well one of North America's +1 3xx…9xx.
_CHINESE_OR_AMERICAN: Final = re.compile(r"1[3-9]\d{9}", re.ASCII)


# ASCII only, no dot (a number may be a fraction), no two blanks together (two numbers may be).
_SPACED: Final = re.compile(r"[+(]?\d(?:[\d()-]| (?! ))+", re.ASCII)


_MOST_BEGINNINGS: Final = 2000
_NONE: Final[dict[str, None]] = {}


_Plan = tuple[Callable[[str, int], re.Match[str] | None], int, str]
"""A pattern's `fullmatch`, how many digits of calling code stand before what it is for, and the
pattern."""


class Cleaner:
    """Cleans the numbers of one list.

    `region` (ISO 3166 two letters) reads national numbers; without it a number needs `+`, `00` or
    its bare country code. With `international` bare digits always begin with the country code.
    """

    def __init__(self, region: str | None = None, *, international: bool = False) -> None:
        self.region = None if international else _known_region(region)
        self._international = international
        pattern = region_pattern(self.region) if self.region else None
        self._match = pattern.fullmatch if pattern else None
        self._code = str(phonenumbers.country_code_for_region(self.region)) if self.region else ""
        self._plans: dict[tuple[str, int], _Plan | None] = {}
        self._signed = _SignedPlans()

    def clean(self, raw: str) -> Msisdn | Refusal:
        """The number in `raw`, or why there is none."""
        return self._fast(raw) or self._spaced(raw) or self._slow(raw)

    def clean_all(self, cells: Sequence[str]) -> tuple[list[str], dict[int, Refusal]]:
        """What `clean` says of many cells: the numbers, and the refusals by their places, where
        the number is an empty text."""
        numbers = self._fast_all(cells)
        odd = [place for place, number in enumerate(numbers) if not number]
        spaced = [place for place in odd if _is_spaced(cells[place])]
        if spaced:
            together = without_separators("\n".join([cells[place] for place in spaced]))
            for place, number in zip(spaced, self._fast_all(together.split("\n")), strict=True):
                numbers[place] = number
        refusals: dict[int, Refusal] = {}
        for place in odd:
            if not numbers[place]:
                outcome = self.clean(cells[place])
                if isinstance(outcome, Refusal):
                    refusals[place] = outcome
                else:
                    numbers[place] = outcome
        return numbers, refusals

    def _fast_all(self, cells: Sequence[str]) -> list[str]:
        """The numbers of the commonest spellings; an empty text where it is another, or none."""
        match, code, plans = self._match, self._code, self._signed
        if match is None:
            return [cell[1:] if plans[len(cell)][cell[:4]](cell) else "" for cell in cells]
        return [code + found["nsn"] if (found := match(cell)) else "" for cell in cells]

    def _fast(self, text: str) -> Msisdn | None:
        if self._match is not None:
            match = self._match(text)
            if match is not None:
                return Msisdn(self._code + match["nsn"])
        if text[:1] == "+":
            digits = text[1:]
        elif self.region is None and len(text) >= _MIN_BARE_DIGITS and not self._ambiguous(text):
            digits = text
        else:
            return None
        key = digits[:3], len(digits)
        if key[1] > _MAX_DIGITS:
            return None
        if key not in self._plans:
            self._plans[key] = _plan_of(*key)
        plan = self._plans[key]
        return Msisdn(digits) if plan is not None and plan[0](digits, plan[1]) else None

    def _spaced(self, text: str) -> Msisdn | None:
        """A number whose digits are parted by blanks, dashes and brackets alone, which the long
        way would only take out."""
        if _is_spaced(text):
            return self._fast(without_separators(text))
        return None

    def _ambiguous(self, text: str) -> bool:
        return not self._international and _CHINESE_OR_AMERICAN.fullmatch(text) is not None

    def _slow(self, raw: str) -> Msisdn | Refusal:
        dialled = dialled_digits(raw)
        if isinstance(dialled, Refusal):
            return dialled
        return self._fast(dialled) or self._parse(dialled)

    def _parse(self, dialled: str) -> Msisdn | Refusal:
        if dialled.startswith("+"):
            return _international(dialled[1:])
        if dialled.startswith("00"):
            outcome = _international(dialled[2:])
            # 00 leads abroad almost everywhere; where it does not, the region's own plan decides.
            if isinstance(outcome, Refusal) and self.region:
                national = self._national(dialled)
                return outcome if isinstance(national, Refusal) else national
            return outcome
        if self.region:
            return self._national(dialled)
        return self._bare(dialled)

    def _national(self, dialled: str) -> Msisdn | Refusal:
        region = self.region or ""
        try:
            number = phonenumbers.parse(dialled, region)
        except NumberParseException as error:
            return _unparsable(error)
        # Another country's number comes out here where the region's own prefix for abroad was used.
        digits = _digits(number)
        if phonenumbers.is_valid_number(number) or is_reserved(digits):
            return Msisdn(digits)
        if dialled.startswith(TEST_COUNTRY_CODE) and len(dialled) >= _MIN_BARE_DIGITS:
            return Msisdn(dialled) if is_reserved(dialled) else _too_long(dialled)
        return _impossible(number, region) or Refusal(
            Reason.INVALID_FOR_REGION,
            f"not a number of region {region}; write numbers of other countries with + and "
            "country code",
        )

    def _bare(self, digits: str) -> Msisdn | Refusal:
        if self._ambiguous(digits):
            return Refusal(
                Reason.NO_COUNTRY_CODE,
                "a Chinese mobile without 86 or a North American number with 1: give --region, or "
                "write it with + and country code",
            )
        if self._international or len(digits) >= _MIN_BARE_DIGITS:
            outcome = _international(digits)
            if self._international or not isinstance(outcome, Refusal):
                return outcome
        if len(digits) > _MAX_DIGITS:
            return _too_long(digits)
        if len(digits) < _MIN_DIGITS:
            return _too_short(digits)
        return Refusal(
            Reason.NO_COUNTRY_CODE,
            "no country code: give --region, or write the number with + and country code",
        )


def _is_spaced(text: str) -> bool:
    return len(text) <= MAX_CELL and _SPACED.fullmatch(text) is not None


_Judge = Callable[[str], object]
"""Says something true of the texts that are numbers."""


class _SignedPlans(dict[int, "_SignedPlan"]):
    """By the length of a text: what judges it, by its first four characters."""

    def __missing__(self, length: int) -> _SignedPlan:
        plan = _SignedPlan(length)
        if length <= _MAX_DIGITS + 1:
            self[length] = plan
        return plan


class _SignedPlan(dict[str, _Judge]):
    """What judges a `+` and digits, `length` characters in all; other texts are none."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self._digits = length - 1

    def __missing__(self, begins: str) -> _Judge:
        judge = self._judge(begins)
        if len(self) < _MOST_BEGINNINGS:
            self[begins] = judge
        return judge

    def _judge(self, begins: str) -> _Judge:
        plan = None
        if begins[:1] == "+" and self._digits <= _MAX_DIGITS:
            plan = _plan_of(begins[1:], self._digits)
        if plan is None:
            return _NONE.get
        _, code_digits, pattern = plan
        return re.compile(rf"\+\d{{{code_digits}}}(?:{pattern})", re.ASCII).fullmatch


def _plan_of(begins: str, length: int) -> _Plan | None:
    """What accepts all `length` digits of a number that begins with these three; None if nothing
    does."""
    if not (len(begins) == 3 and begins.isascii() and begins.isdigit()):
        return None
    code = calling_code(begins)
    pattern = calling_code_pattern(code, length - len(code)) if code else None
    return (pattern.fullmatch, len(code), pattern.pattern) if code and pattern else None


def clean(raw: str, region: str | None = None) -> Msisdn | Refusal:
    """The number in `raw`, or why there is none. For many numbers keep one `Cleaner`."""
    return Cleaner(region).clean(raw)


def _known_region(region: str | None) -> str | None:
    if region is None:
        return None
    code = region.strip().upper()
    code = {"UK": "GB"}.get(code, code)
    if code not in phonenumbers.SUPPORTED_REGIONS:
        raise UsageError(
            f"unknown region {region!r}: use a two-letter country code such as CN, US or GB"
        )
    return code


def _international(digits: str) -> Msisdn | Refusal:
    if is_reserved(digits):
        return Msisdn(digits)
    if len(digits) < _MIN_DIGITS:
        return _too_short(digits)
    try:
        number = phonenumbers.parse(f"+{digits}", None)
    except NumberParseException as error:
        return _too_long(digits) if len(digits) > _MAX_DIGITS else _unparsable(error)
    canonical = _digits(number)
    if phonenumbers.is_valid_number(number) or is_reserved(canonical):
        return Msisdn(canonical)
    return _impossible(number, f"+{number.country_code}") or Refusal(
        Reason.INVALID, f"no such number under country code +{number.country_code}"
    )


def _digits(number: phonenumbers.PhoneNumber) -> str:
    return f"{number.country_code}{phonenumbers.national_significant_number(number)}"


def _impossible(number: phonenumbers.PhoneNumber, plan: str) -> Refusal | None:
    match phonenumbers.is_possible_number_with_reason(number):
        case ValidationResult.TOO_SHORT | ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
            return Refusal(Reason.TOO_SHORT, f"too few digits for {plan}")
        case ValidationResult.TOO_LONG:
            return Refusal(Reason.TOO_LONG, f"too many digits for {plan}")
        case ValidationResult.INVALID_LENGTH:
            return Refusal(Reason.INVALID, f"no number of {plan} has this many digits")
        case _:
            return None


def _unparsable(error: NumberParseException) -> Refusal:
    match error.error_type:
        case NumberParseException.INVALID_COUNTRY_CODE:
            return Refusal(Reason.INVALID, "no country has this country code")
        case NumberParseException.TOO_SHORT_AFTER_IDD | NumberParseException.TOO_SHORT_NSN:
            return Refusal(Reason.TOO_SHORT, "too few digits")
        case NumberParseException.TOO_LONG:
            return Refusal(Reason.TOO_LONG, "too many digits")
        case _:
            return Refusal(Reason.NOT_A_NUMBER, "not a phone number")


def _too_long(digits: str) -> Refusal:
    return Refusal(Reason.TOO_LONG, f"{len(digits)} digits, a number has {_MAX_DIGITS} at most")


def _too_short(digits: str) -> Refusal:
    return Refusal(Reason.TOO_SHORT, f"{len(digits)} digits are too few for a phone number")
