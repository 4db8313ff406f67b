"""The time zones a phone number may be in, by its prefix.

From libphonenumber's table of prefixes; a mobile number of a country with several zones may be in
any of them. The table takes half a megabyte and some milliseconds, so it is loaded with the first
number that is asked about.
"""

from __future__ import annotations

from typing import Final

from phonenumbers import PhoneNumber

from campaign.lists.numbering import calling_code
from campaign.lists.reserved import TEST_COUNTRY_CODE

_UNKNOWN: Final = "Etc/Unknown"


def zones_of(number: str) -> tuple[str, ...]:
    """IANA names, sorted, of digits with country code; none where the number does not tell."""
    code = calling_code(number)
    if code is None or code == TEST_COUNTRY_CODE:
        return ()
    from phonenumbers.timezone import time_zones_for_number

    national = number[len(code) :]
    zeros = len(national) - len(national.lstrip("0"))
    # what a full parse would come to, at a third of its cost
    parsed = PhoneNumber(
        country_code=int(code),
        national_number=int(national or "0"),
        italian_leading_zero=True if zeros else None,
        number_of_leading_zeros=zeros if zeros > 1 else None,
    )
    return tuple(sorted(zone for zone in time_zones_for_number(parsed) if zone != _UNKNOWN))
