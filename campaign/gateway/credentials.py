"""Signing requests: with user and password in every URL, or with a secure session (spec §3).

A session's numbers must arrive in order, so a request holds the session from its number to its
answer: one writer. Whether a device prolongs a session that asks for it (`expires`) is not known;
it is tried once and, if the session dies all the same, never relied on again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import trio

from campaign.env import Env
from campaign.errors import CredentialsRefused, GatewayError, NotSent, RemoteProtocolError
from campaign.gateway.concealing import concealed
from campaign.protocol.codec import decode_answer, decode_task_status, plain_code
from campaign.protocol.codes import CodeClass, classify_first_post
from campaign.protocol.session import (
    HANDSHAKE,
    AuthOrder,
    Crypt,
    Login,
    Session,
)
from campaign.protocol.session_codec import decode_session_answer

VERSION = {"version": "1.1"}
_RENEW_AT = 0.8
"""Share of a session's life after which it is prolonged or replaced (PROTOCOL: 80 %)."""


@dataclass(frozen=True)
class Signed:
    """A request's signature for the query, its body as it travels, and the session it is of."""

    query: Mapping[str, str]
    content: bytes | None
    session: Session | None = None


@dataclass(frozen=True)
class Negotiated:
    """What a secure session was opened with; `expires` in seconds."""

    crypt: Crypt
    auth_order: AuthOrder
    expires: int


class Carries(Protocol):
    """The bare line a handshake goes over."""

    name: str

    async def request(self, method: str, path: str, query: Mapping[str, str]) -> bytes: ...


class SignIn(Protocol):
    """How requests are signed."""

    order: AuthOrder

    @property
    def negotiated(self) -> Negotiated | None: ...

    def conceal(self, text: str) -> str:
        """A device's words without what signs our requests."""

    def turn(
        self, line: Carries, path: str, body: bytes | None
    ) -> AbstractAsyncContextManager[Signed]:
        """The right to make one request, and its signature."""

    def refused(self, session: Session | None, times: int) -> bool:
        """A signature was refused, for one request the `times`-th time: whether to try again."""


def refuses_us(raw: bytes) -> str | None:
    """Why an answer says, about the request as a whole, that the device does not know us.

    An answer that judges single tasks is no such refusal, whatever its own code.
    """
    code = plain_code(raw)
    if code is not None and classify_first_post(code) is not CodeClass.CREDENTIALS:
        return None  # every answer comes by here: most are read once, by the caller alone
    try:
        answer = decode_answer(raw)
        if classify_first_post(answer.code) is not CodeClass.CREDENTIALS:
            return None
        judges = bool(decode_task_status(raw).verdicts)
    except RemoteProtocolError:
        return None  # no envelope: the caller's decoder will say what it is
    return None if judges else f"{answer.code} {answer.reason}".strip()


class Credentials:
    """User and password in the query of every request: the devices' ordinary way."""

    order: AuthOrder = "spec"
    negotiated: Negotiated | None = None

    def __init__(self, login: Login) -> None:
        self._login = login
        self._query = {**VERSION, "username": login.username, "password": login.password}

    def conceal(self, text: str) -> str:
        return concealed(text, [self._login.password])

    @asynccontextmanager
    async def turn(self, _line: Carries, _path: str, body: bytes | None) -> AsyncIterator[Signed]:
        yield Signed(self._query, body)

    def refused(self, _session: Session | None, _times: int) -> bool:
        return False


class SecureSession:
    """A session of spec §3, opened when it is needed, before it ends, and after it was refused.

    `order` is how requests are hashed; the other one is tried when this one is refused twice.
    """

    def __init__(
        self, login: Login, crypt: Crypt, order: AuthOrder, *, seconds: int, env: Env
    ) -> None:
        self.order = order
        self._login = login
        self._crypt = crypt
        self._seconds = seconds
        self._env = env
        self._lock = trio.Lock()
        self._session: Session | None = None
        self._ends = 0.0
        self._renew_from = 0.0
        self._prolonged: Session | None = None
        self._prolongs = True

    @property
    def negotiated(self) -> Negotiated | None:
        """What the present session was opened with, None before the first."""
        session = self._session
        return None if session is None else Negotiated(self._crypt, self.order, session.expires)

    def conceal(self, text: str) -> str:
        session = self._session
        return concealed(
            text, [self._login.password, *([session.session] if session is not None else [])]
        )

    @asynccontextmanager
    async def turn(self, line: Carries, path: str, body: bytes | None) -> AsyncIterator[Signed]:
        async with self._lock:
            session = await self._current(line)
            query, content = session.next(path, body)
            prolonging = self._env.monotonic() >= self._renew_from
            if prolonging:
                query["expires"] = str(session.expires)
            yield Signed({**VERSION, **query}, content, session)
            if prolonging and self._session is session:
                self._prolonged = session
                self._begin_life(session)

    def refused(self, session: Session | None, times: int) -> bool:
        """First a new session, then one of the other order; then it is the credentials."""
        if self._session is session:
            self._session = None
        if session is not None and session is self._prolonged:
            self._prolongs = False
        if times == 1:
            return True
        if session is not None and session.order == self.order:
            self.order = "seq-first" if self.order == "spec" else "spec"
        return times == 2

    async def _current(self, line: Carries) -> Session:
        now = self._env.monotonic()
        over = self._ends if self._prolongs else self._renew_from
        if self._session is None or self._session.order != self.order or now >= over:
            self._session = None
            self._session = await self._open(line)
            self._begin_life(self._session)
        return self._session

    def _begin_life(self, session: Session) -> None:
        now = self._env.monotonic()
        self._renew_from = now + session.expires * _RENEW_AT
        self._ends = now + session.expires

    async def _open(self, line: Carries) -> Session:
        """Shake hands. Whatever goes wrong here, the request itself was not sent."""
        cnonce = self._env.nonce(8)
        auth = self._login.initial_auth(cnonce)
        query = {
            "username": self._login.username,
            "cnonce": cnonce,
            "auth": auth,
            "crypt": str(self._crypt),
            "expires": str(self._seconds),
        }
        try:
            answer = decode_session_answer(await line.request("GET", HANDSHAKE, query))
        except CredentialsRefused:
            raise
        except (NotSent, RemoteProtocolError, GatewayError) as error:
            raise NotSent(line.name, _no_session(error)) from None
        if answer.code:
            raise CredentialsRefused(
                line.name, f"the handshake: {answer.code} {self.conceal(answer.reason)}".strip()
            )
        return Session(
            self._login, self._crypt, self.order, auth, answer.session, min(answer.expires, 86_400)
        )


def _no_session(error: GatewayError | RemoteProtocolError) -> str:
    if isinstance(error, NotSent):
        return error.message
    if isinstance(error, GatewayError) and not error.message.startswith("HTTP 404"):
        return f"no secure session: {error.message}"
    return "it offers no secure session: register it without --crypt"
