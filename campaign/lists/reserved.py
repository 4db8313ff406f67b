"""Numbers set aside for tests and fiction: valid here although no numbering plan assigns them.

Lists made for trials must be able to pass the same cleaning as real ones, and must never reach a
person. Each range below is published by the regulator named beside it.
"""

from __future__ import annotations

import re
from typing import Final

# ITU-T keeps country code 999 in reserve and has assigned it to nobody, so no network routes it.
# E.164 allows 15 digits, which leaves 12 after the code; below 4 nothing real is imitated.
TEST_COUNTRY_CODE: Final = "999"
TEST_NUMBER: Final = re.compile(r"999\d{4,12}", re.ASCII)

_FICTION: Final = re.compile(
    "|".join(
        (
            r"1[2-9]\d{2}55501\d{2}",  # NANPA: 555-0100 to 555-0199 in every area code
            r"447700900\d{3}",  # Ofcom: mobile numbers for drama
            r"44(?:1632960|2079460)\d{3}",  # Ofcom: geographic numbers for drama
            r"614915[67]\d{4}",  # ACMA: fictitious mobile block
            r"61[2378](?:5550|7010)\d{4}",  # ACMA: fictitious geographic blocks
            r"3363998\d{4}",  # ARCEP: fictional mobiles
        )
    ),
    re.ASCII,
)


def is_reserved(digits: str) -> bool:
    """Whether `digits` (with country code, no `+`) lie in a range for tests or fiction."""
    return bool(TEST_NUMBER.fullmatch(digits) or _FICTION.fullmatch(digits))
