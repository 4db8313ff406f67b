"""Whom a load may hit: a simulator freely, a real gateway only on its owner's word and at a price.

Where a device is proves nothing: an address on loopback may be a tunnel to a real box that sends
real messages. What it says of its own version decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from urllib.parse import unquote, urlsplit

from campaign.errors import UsageError
from campaign.load.naming import Recipients
from campaign.protocol.session import Login
from campaign.protocol.simulated import is_simulated

_NUMBER: Final = re.compile(r"\+?([0-9]{3,20})")
_UNASKED_CAP: Final = 100
"""Messages that a real gateway sends at most when nobody has said how many it may."""


@dataclass(frozen=True)
class Address:
    """Where a device is, and how to sign in. Never shown with its password."""

    host: str
    port: int
    login: Login
    tls: bool = False
    prefix: str = ""

    @classmethod
    def parse(cls, text: str) -> Address:
        """`http://user:password@host:port`. UsageError shows the form, and never the password."""
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise UsageError(_FORM) from None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is None:
            raise UsageError(_FORM)
        tls = parts.scheme == "https"
        login = Login(unquote(parts.username), unquote(parts.password or ""))
        return cls(parts.hostname, port or (443 if tls else 80), login, tls, parts.path.rstrip("/"))

    @property
    def host_port(self) -> str:
        """As a URL and the `Host` header write it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The device's address without the login."""
        return f"{'https' if self.tls else 'http'}://{self.host_port}{self.prefix}"


_FORM: Final = (
    "a load's target is the name of a gateway, or an address with user and password:"
    " http://user:password@host:port"
)


@dataclass(frozen=True)
class Leave:
    """What the owner allows: `owned` says that the gateway is theirs, `numbers` are their own.

    `messages` is the most that may be offered; `price` of one SMS part times their number may not
    exceed `cost`, in whatever currency both are.
    """

    owned: bool = False
    numbers: tuple[str, ...] = ()
    messages: int | None = None
    price: Decimal | None = None
    cost: Decimal | None = None

    def __post_init__(self) -> None:
        if self.messages is not None and self.messages < 1:
            raise UsageError(f"{self.messages} messages at most: give at least 1")
        if (self.price is None) is not (self.cost is None):
            raise UsageError("a limit of cost needs the price of an SMS, and the price a limit")
        if self.price is not None and not (self.price > 0 and self.cost and self.cost > 0):
            raise UsageError("the price of an SMS and the limit of cost must be above 0")

    @property
    def recipients(self) -> Recipients:
        """Whom the messages go to."""
        return Recipients(self.numbers)

    def most(self, version: str, parts: int) -> int | None:
        """How many messages of so many parts a device of this version may be offered; None: any.

        UsageError, which says what is missing, when it may be offered none.
        """
        caps = [] if self.messages is None else [self.messages]
        if self.price is not None and self.cost is not None:
            caps.append(int(self.cost / (self.price * parts)))
        if not is_simulated(version):
            self._check_owned(version)
            caps = caps or [_UNASKED_CAP]
        if caps and min(caps) < 1:
            raise UsageError(
                f"a message costs {self.price * parts if self.price else 0}, which is more than"
                f" the limit of {self.cost}"
            )
        return min(caps, default=None)

    def _check_owned(self, version: str) -> None:
        missing = [
            words
            for there, words in (
                (self.owned, "--i-own-this-gateway"),
                (self.numbers, "--numbers FILE with test numbers of your own"),
            )
            if not there
        ]
        if missing:
            raise UsageError(
                f"this is no simulator (it calls itself {version[:40]!r}), so it sends real"
                f" messages that cost money: give {' and '.join(missing)}"
            )

    def check(self, version: str, parts: int, planned: int) -> None:
        """Refuse (UsageError) a load that offers more messages than it may."""
        most = self.most(version, parts)
        if most is not None and planned > most:
            raise UsageError(
                f"this load offers {planned} messages, and at most {most} are allowed:"
                " lower its rate or duration, or raise --max-messages or --max-cost"
            )


def read_numbers(lines: Iterable[str]) -> tuple[str, ...]:
    """Test numbers, one a line, `#` begins a remark; each once, as digits. UsageError with the
    line's number for what is none."""
    found: dict[str, None] = {}
    for nth, line in enumerate(lines, start=1):
        text = re.sub(r"[ ()./-]", "", line.partition("#")[0].strip())
        if not text:
            continue
        match = _NUMBER.fullmatch(text)
        if match is None:
            raise UsageError(f"--numbers: line {nth} is no phone number")
        found[match[1]] = None
    if not found:
        raise UsageError("--numbers: the file names no number")
    return tuple(found)
