"""Secure sessions from the device's side (spec §3): handshake, signatures, numbers, ciphers.

A request is carried out only if its session lives, its number is above every earlier one (so a
request heard on the way cannot be played again) and its signature fits. A restart forgets all.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from campaign.protocol.messages import SessionAnswer
from campaign.protocol.session import AUTH_ORDERS, DEFAULT_EXPIRES, Crypt, Login, unseal
from campaign.simulator.settings import SimulatorSettings

_SHORTEST, _LONGEST_CNONCE = 1, 256


@dataclass(slots=True)
class _Known:
    crypt: Crypt
    initial_auth: str
    expires: int
    ends: float
    seq: int = 0


class Refused(Exception):
    """A request whose session does not let it in; nothing of it is carried out."""


class Sessions:
    """The sessions of this run of the device. `opened`, `refused` and `replayed` count events."""

    def __init__(self, settings: SimulatorSettings, nonce: Callable[[int], str]) -> None:
        self._settings = settings
        self._nonce = nonce
        self._login = Login(settings.username, settings.password)
        self._known: dict[str, _Known] = {}
        self.opened = self.refused = self.replayed = 0

    def open(self, query: Mapping[str, str], now: float) -> SessionAnswer:
        """The handshake (spec §3.2): user, `cnonce`, `auth`, and perhaps `crypt` and `expires`."""
        cnonce = query.get("cnonce", "")
        wanted = self._login.initial_auth(cnonce)
        if query.get("username") != self._settings.username or not _same(
            wanted, query.get("auth", "")
        ):
            self.refused += 1
            return SessionAnswer(code=self._settings.session_refusal, reason="Invalid User")
        try:
            crypt = Crypt(query.get("crypt", "none"))
        except ValueError:
            return SessionAnswer(code=15, reason="Invalid CMD")
        if not _SHORTEST <= len(cnonce) <= _LONGEST_CNONCE:
            return SessionAnswer(code=15, reason="Invalid CMD")
        expires = self._life(query.get("expires", ""))
        while len(self._known) >= max(1, self._settings.session_limit):
            del self._known[next(iter(self._known))]
        name = self._nonce(8)
        self._known[name] = _Known(crypt, wanted, expires, now + expires)
        self.opened += 1
        return SessionAnswer(code=0, session=name, expires=expires)

    def admit(self, query: Mapping[str, str], resource: str, body: bytes, now: float) -> bytes:
        """The body as the client meant it. Raises `Refused`; `RemoteProtocolError` for a body the
        session's cipher cannot have written."""
        name = query.get("session", "")
        session = self._known.get(name)
        if session is None or now >= session.ends:
            self._known.pop(name, None)
            raise self._refusal("no such session")
        seq = query.get("seq", "")
        if not seq.isascii() or not seq.isdigit() or len(seq) > 18:
            raise self._refusal("no number")
        if not any(
            _same(self._login.request_auth(name, resource, int(seq), order), query.get("auth", ""))
            for order in AUTH_ORDERS
            if self._settings.auth_order in (order, "both")
        ):
            raise self._refusal("signature")
        if int(seq) <= session.seq:
            self.replayed += 1
            raise self._refusal("replayed")
        session.seq = int(seq)
        self._prolong(session, query, now)
        if not body:
            return body
        return unseal(session.crypt, self._login.key(session.initial_auth, name, session.seq), body)

    def forget(self) -> None:
        """The device restarted."""
        self._known.clear()

    def _prolong(self, session: _Known, query: Mapping[str, str], now: float) -> None:
        if "expires" in query and self._settings.session_prolongs:
            session.expires = self._life(query["expires"])
            session.ends = now + session.expires
        elif self._settings.session_activity:
            session.ends = now + session.expires

    def _life(self, text: str) -> int:
        asked = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
        return min(asked or DEFAULT_EXPIRES, self._settings.session_seconds)

    def _refusal(self, why: str) -> Refused:
        self.refused += 1
        return Refused(why)


def _same(wanted: str, given: str) -> bool:
    return hmac.compare_digest(wanted.encode(), given.lower().encode())
