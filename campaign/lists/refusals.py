"""Why single rows are refused: one code for scripts and one sentence for people."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Reason(Enum):
    """Why a row is refused; the value is the code scripts may rely on."""

    EMPTY = "empty"
    NO_NUMBER = "no_number"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    NOT_A_NUMBER = "not_a_number"
    LETTERS = "letters"
    SCIENTIFIC = "scientific"
    SEVERAL = "several_numbers"
    NO_COUNTRY_CODE = "no_country_code"
    INVALID_FOR_REGION = "invalid_for_region"
    INVALID = "invalid_number"
    WRONG_COLUMNS = "wrong_columns"
    OPEN_QUOTE = "open_quote"
    UNDECODABLE = "undecodable"
    NUL = "nul"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a cell holds no usable number, for programs (`code`) and for people (`reason`)."""

    code: Reason
    reason: str
