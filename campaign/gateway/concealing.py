"""What a device says, fit to be shown: it may repeat our own request, and with it our secrets."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

_LONGEST = 200
_LOOKED_AT = 4_000
_REQUEST = re.compile(r"goip_|password=|auth=|cnonce=|session=", re.IGNORECASE)
_NUMBER = re.compile(r"\d{5,}(?=\d{2})")
"""All but the last two digits of whatever may be a phone number."""


def concealed(text: str, secrets: Iterable[str]) -> str:
    """The head of a device's words without secrets (however they are spelled) and full numbers.

    Words that repeat a request are not shown at all: what else stands in it nobody knows.
    """
    head = text[:_LOOKED_AT].strip()
    if _REQUEST.search(head):
        return "(words that repeat the request)"
    for secret in secrets:
        for spelling in sorted(_spellings(secret), key=len, reverse=True):
            head = head.replace(spelling, "…")
    return _NUMBER.sub("…", head)[:_LONGEST]


def _spellings(secret: str) -> set[str]:
    if not secret:
        return set()
    quoted = {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    in_json = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    return {secret, *quoted, *(word.lower() for word in quoted), *in_json, html.escape(secret)}
