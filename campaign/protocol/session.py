"""The secure session (spec §3): who asks, under which key, and in which order.

Sans-IO: hashes, ciphers and the order of sequence numbers; no request is made here. It is
obfuscation and no security: MD5, ECB without a check of integrity, and answers in the clear. It
keeps a password out of URLs; only a private network or TLS keeps a message from being read.
"""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

from campaign.errors import LocalProtocolError, RemoteProtocolError

if TYPE_CHECKING:
    from Crypto.Cipher._mode_ecb import EcbMode
    from Crypto.Cipher.ARC4 import ARC4Cipher

HANDSHAKE: Final = "/crypt_sess.json"
DEFAULT_EXPIRES: Final = 180
"""Seconds a session lives unless either side says otherwise (spec §3.2)."""

AuthOrder = Literal["spec", "seq-first"]
AUTH_ORDERS: Final[tuple[AuthOrder, ...]] = get_args(AuthOrder)

_BLOCK: Final = 16
"""Bytes of an AES block."""


class Crypt(enum.StrEnum):
    """How the bodies of POSTs travel; the value is what `crypt` says on the wire."""

    NONE = "none"
    XOR = "xor"
    RC4 = "rc4"
    AES_ECB = "aes-ecb"


@dataclass(frozen=True, slots=True)
class Login:
    """What both sides know beforehand. Never shown: neither part may reach a log."""

    username: str
    password: str

    def __repr__(self) -> str:
        return "Login(…)"

    def _digest(self, *parts: str) -> str:
        text = "".join((self.username, self.password, *parts))
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    def initial_auth(self, cnonce: str) -> str:
        """`auth` of the handshake (spec §3.3, 1): 32 lower-case hex characters."""
        return self._digest(cnonce, HANDSHAKE)

    def request_auth(self, session: str, resource: str, seq: int, order: AuthOrder) -> str:
        """`auth` of a later request to `resource` (`/goip_post_sms.html`; spec §3.3, 2).

        Half of the firmware in the wild hashes the sequence number before the resource.
        """
        tail = (resource, str(seq)) if order == "spec" else (str(seq), resource)
        return self._digest(session, *tail)

    def key(self, initial_auth: str, session: str, seq: int) -> bytes:
        """The key of one request (spec §3.3, 3): the 32 ASCII characters of the hash."""
        return self._digest(initial_auth, session, str(seq)).encode("ascii")


def seal(crypt: Crypt, key: bytes, body: bytes) -> bytes:
    """A body as it goes on the wire. AES pads with NULs, a whole block on exact multiples."""
    match crypt:
        case Crypt.NONE:
            return body
        case Crypt.XOR:
            return _xor(key, body)
        case Crypt.RC4:
            return _rc4(key).encrypt(body)
        case Crypt.AES_ECB:
            padded = body + b"\0" * (_BLOCK - len(body) % _BLOCK)
            return _aes(key).encrypt(padded)


def unseal(crypt: Crypt, key: bytes, body: bytes) -> bytes:
    """The body behind a cipher, as a device reads it; padding is NULs, PKCS#7 or none.

    Raises `RemoteProtocolError` for what AES cannot have written.
    """
    match crypt:
        case Crypt.NONE:
            return body
        case Crypt.XOR:
            return _xor(key, body)
        case Crypt.RC4:
            return _rc4(key).decrypt(body)
        case Crypt.AES_ECB:
            if len(body) % _BLOCK:
                raise RemoteProtocolError(f"{len(body)} bytes are no AES blocks")
            return _unpadded(_aes(key).decrypt(body))


def _rc4(key: bytes) -> ARC4Cipher:
    # the ciphers are an eighth of the start of a command: only who uses them waits
    from Crypto.Cipher import ARC4

    return ARC4.new(key)


def _aes(key: bytes) -> EcbMode:
    from Crypto.Cipher import AES  # lazily, as above

    return AES.new(key, AES.MODE_ECB)


def _xor(key: bytes, body: bytes) -> bytes:
    repeated = (key * (len(body) // len(key) + 1))[: len(body)]
    mixed = int.from_bytes(body, "big") ^ int.from_bytes(repeated, "big")
    return mixed.to_bytes(len(body), "big")


def _unpadded(body: bytes) -> bytes:
    """Without what was added to fill a block; JSON never ends in a control character."""
    count = body[-1] if body else 0
    if 1 <= count <= _BLOCK and body.endswith(bytes([count]) * count):
        return body[:-count]
    return body.rstrip(b"\0")


@dataclass(slots=True)
class Session:
    """An established session and its sequence. Whoever holds it is its one writer.

    `session` is the device's id for it, `expires` its life in seconds.
    """

    login: Login
    crypt: Crypt
    order: AuthOrder
    initial_auth: str
    session: str
    expires: int = DEFAULT_EXPIRES
    seq: int = 0

    def next(self, resource: str, body: bytes | None = None) -> tuple[dict[str, str], bytes | None]:
        """Query and body of the next request: its number is spent, whatever becomes of it.

        Only bodies are sealed; GETs carry a number all the same.
        """
        self.seq += 1
        query = {
            "session": self.session,
            "seq": str(self.seq),
            "auth": self.login.request_auth(self.session, resource, self.seq, self.order),
        }
        if body is None:
            return query, None
        return query, seal(
            self.crypt, self.login.key(self.initial_auth, self.session, self.seq), body
        )


def parse_crypt(text: str) -> Crypt:
    """`LocalProtocolError` for a cipher the specification does not know."""
    try:
        return Crypt(text.strip().lower())
    except ValueError:
        known = ", ".join(Crypt)
        raise LocalProtocolError(f"{text[:40]!r} is no cipher of the protocol: {known}") from None
