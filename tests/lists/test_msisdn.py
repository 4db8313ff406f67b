"""Cleaning of single numbers."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaign.errors import UsageError
from campaign.lists.msisdn import Cleaner, clean
from campaign.lists.numbering import region_pattern
from campaign.lists.refusals import Reason, Refusal
from campaign.lists.reserved import is_reserved


@pytest.mark.parametrize(
    "raw",
    [
        "13800138000",
        "+8613800138000",
        "8613800138000",
        "008613800138000",
        "0086 138 0013 8000",
        "+86-138-0013-8000",
        "(+86) 138.0013.8000",
        "+86 (0) 13800138000",
        "013800138000",
        "１３８００１３８０００",
        "＋８６　１３８００１３８０００",
        "138\u00a00013\u20098000",
        "\u202d13800138000\u202c",
        "\ufeff138\u200b00138000",
        "138\u20110013\u20138000",
        "13800138000.0",
        "13800138000,00",
        "'13800138000",
        '="13800138000"',
        "tel:+86-138-0013-8000",
        "sms:13800138000",
        "\t13800138000  ",
        "١٣٨٠٠١٣٨٠٠٠",
    ],
)
def test_every_spelling_of_a_number_gives_the_same_digits(raw: str) -> None:
    assert clean(raw, "CN") == "8613800138000"


@pytest.mark.parametrize(
    ("raw", "region", "expected"),
    [
        ("(202) 555-0101", "US", "12025550101"),
        ("1-202-555-0101", "us", "12025550101"),
        ("011 44 7700 900123", "US", "447700900123"),
        ("07700 900123", "GB", "447700900123"),
        ("+44 (0)7700 900123", "UK", "447700900123"),
        ("0011 44 7700 900123", "AU", "447700900123"),
        ("0491 570 006", "AU", "61491570006"),
        ("06 39 98 12 34", "FR", "33639981234"),
        ("+39 06 6982 1234", None, "390669821234"),
        ("00447700900123", None, "447700900123"),
        ("+447700900123", "CN", "447700900123"),
        ("8613800138000", None, "8613800138000"),
        ("+86 13800138000", None, "8613800138000"),
    ],
)
def test_a_number_is_read_by_its_region_or_its_country_code(
    raw: str, region: str | None, expected: str
) -> None:
    assert clean(raw, region) == expected


@pytest.mark.parametrize(
    ("raw", "region", "code"),
    [
        ("", "CN", Reason.EMPTY),
        ("   ", "CN", Reason.EMPTY),
        ("\u200b", "CN", Reason.EMPTY),
        ("张三", "CN", Reason.NO_NUMBER),
        ("n/a", "CN", Reason.NO_NUMBER),
        ("12", "CN", Reason.TOO_SHORT),
        ("12", None, Reason.TOO_SHORT),
        ("+86 138", "CN", Reason.TOO_SHORT),
        ("1380013800000", "CN", Reason.TOO_LONG),
        ("1" * 30, "CN", Reason.TOO_LONG),
        ("9" * 17, None, Reason.TOO_LONG),
        ("1380013800O", "CN", Reason.LETTERS),
        ("13800138000 ext 5", "CN", Reason.LETTERS),
        ("tel:+12025550101;ext=5", None, Reason.LETTERS),
        ("1.38E+10", "CN", Reason.SCIENTIFIC),
        ("1,38e10", "CN", Reason.SCIENTIFIC),
        ("１.38E+10", "CN", Reason.SCIENTIFIC),
        ("8.61E+12", None, Reason.SCIENTIFIC),
        ("13800138000/13900139000", "CN", Reason.SEVERAL),
        ("13800138000; 13900139000", "CN", Reason.SEVERAL),
        ("13800138000、13900139000", "CN", Reason.SEVERAL),
        ("13800138000.5", "CN", Reason.NOT_A_NUMBER),
        ("-13800138000", "CN", Reason.NOT_A_NUMBER),
        ("138#0013", "CN", Reason.NOT_A_NUMBER),
        ("138+00138000", "CN", Reason.NOT_A_NUMBER),
        ("5" * 400, "CN", Reason.NOT_A_NUMBER),
        ("12800138000", "CN", Reason.INVALID_FOR_REGION),
        ("447700900123", "CN", Reason.INVALID_FOR_REGION),
        ("+210 1234567", None, Reason.INVALID),
        ("+86 12800138000", None, Reason.INVALID),
        ("02025550101", None, Reason.NO_COUNTRY_CODE),
        ("2025550101", None, Reason.NO_COUNTRY_CODE),
        ("138001\x0038000", "CN", Reason.NUL),
    ],
)
def test_a_cell_without_a_usable_number_is_refused_with_its_reason(
    raw: str, region: str | None, code: Reason
) -> None:
    refusal = clean(raw, region)
    assert isinstance(refusal, Refusal)
    assert refusal.code is code
    assert refusal.reason


def test_scientific_notation_is_refused_with_the_way_to_mend_it() -> None:
    refusal = clean("1.38E+10", "CN")
    assert isinstance(refusal, Refusal)
    assert "format the column as text" in refusal.reason


def test_bare_digits_that_are_chinese_and_american_alike_are_not_guessed() -> None:
    refusal = clean("13125550101")
    assert isinstance(refusal, Refusal)
    assert refusal.code is Reason.NO_COUNTRY_CODE
    assert "--region" in refusal.reason
    assert clean("+13125550101") == "13125550101"
    assert clean("13125550101", "US") == "13125550101"
    assert clean("13125550101", "CN") == "8613125550101"
    assert Cleaner(international=True).clean("13125550101") == "13125550101"


@pytest.mark.parametrize(
    "number",
    ["+15555550100", "+447700900000", "+61491570006", "+33639981234", "+9991234", "+" + "9" * 15],
)
def test_numbers_reserved_for_fiction_and_tests_pass(number: str) -> None:
    assert clean(number) == number[1:]


def test_test_numbers_pass_under_any_region_and_spelling() -> None:
    assert clean("999000000001", "CN") == "999000000001"
    assert clean("00999 0000 00001", "US") == "999000000001"
    assert not is_reserved("999123")
    assert isinstance(clean("+999123"), Refusal)


def test_an_unknown_region_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="'XX'"):
        Cleaner("XX")


_REGIONS = (
    "CN",
    "US",
    "CA",
    "GB",
    "DE",
    "FR",
    "IT",
    "BR",
    "AR",
    "MX",
    "RU",
    "KZ",
    "IN",
    "AU",
    "JP",
)


def _by_phonenumbers(text: str, region: str | None) -> str | None:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    digits = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)[1:]
    return digits if phonenumbers.is_valid_number(number) or is_reserved(digits) else None


def _nearly_valid(region: str) -> st.SearchStrategy[str]:
    """The region's example numbers, in all spellings, with some of their digits changed."""
    examples = [
        phonenumbers.example_number_for_type(region, kind)
        for kind in (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE)
    ]
    nationals = [phonenumbers.national_significant_number(number) for number in examples if number]
    code = str(phonenumbers.country_code_for_region(region))
    prefixes = st.sampled_from(["", "0", "1", "8", code, f"+{code}", f"+{code}0"])

    def changed(parts: tuple[str, str, list[tuple[int, str]]]) -> str:
        prefix, national, changes = parts
        digits = list(national)
        for place, digit in changes:
            digits[place % len(digits)] = digit
        return prefix + "".join(digits)

    change = st.tuples(st.integers(0, 14), st.sampled_from("0123456789"))
    spellings = st.tuples(prefixes, st.sampled_from(nationals), st.lists(change, max_size=4))
    return spellings.map(changed)


@pytest.mark.parametrize("region", _REGIONS)
def test_the_fast_pattern_accepts_only_what_phonenumbers_reads_alike(region: str) -> None:
    pattern = region_pattern(region)
    code = str(phonenumbers.country_code_for_region(region))
    cleaner = Cleaner(region)

    @settings(max_examples=60, deadline=None, database=None, derandomize=True)
    @given(_nearly_valid(region))
    def agrees(text: str) -> None:
        expected = _by_phonenumbers(text, region)
        match = pattern.fullmatch(text) if pattern else None
        assert match is None or code + match["nsn"] == expected
        outcome = cleaner.clean(text)
        assert outcome == expected or (expected is None and isinstance(outcome, Refusal))

    agrees()


@pytest.mark.slow
@settings(max_examples=300, deadline=None, database=None, derandomize=True)
@given(
    st.one_of(*map(_nearly_valid, ("GB", "US", "CN"))),
    st.lists(st.tuples(st.integers(0, 18), st.sampled_from([" ", "-", "(", ")", "  ", "."]))),
    st.sampled_from(["GB", "US", "CN", None]),
)
def test_separators_are_taken_out_alike_by_the_quick_way_and_the_long_one(
    number: str, separators: list[tuple[int, str]], region: str | None
) -> None:
    text = number
    for place, separator in separators:
        text = text[:place] + separator + text[place:]
    # within quotation marks no cell takes the quick way
    assert clean(text, region) == clean(f'"{text}"', region)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, database=None, derandomize=True)
@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True))
def test_international_numbers_are_judged_as_phonenumbers_judges(text: str) -> None:
    outcome = clean(text)
    expected = _by_phonenumbers(text, None)
    if is_reserved(text[1:]):
        expected = text[1:]
    assert outcome == expected or (expected is None and isinstance(outcome, Refusal))


@pytest.mark.slow
@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(st.text(max_size=40), st.sampled_from(["CN", "US", None]))
def test_any_text_is_a_number_or_a_refusal_never_an_error(text: str, region: str | None) -> None:
    outcome = clean(text, region)
    assert isinstance(outcome, Refusal) or (outcome.isascii() and outcome.isdigit())
