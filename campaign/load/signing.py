"""Loads under secure sessions (spec §3): every connection shakes hands and signs for itself.

A session's numbers must arrive in order, so one session for several connections would make them
wait for one another; with one each, nothing waits that would not wait anyway. A handshake that is
due counts into the request it was made for. A session is replaced before its life is over, after
as many requests as asked (churn), and when the device refuses it: a refused request was not
carried out, so it goes out once more, under the new one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from campaign.errors import RemoteProtocolError
from campaign.gateway.credentials import refuses_us
from campaign.load.driver import Line, Network
from campaign.load.wire import ErrorKind, Failure, Outcome, Reply, Request, build_request
from campaign.protocol.session import DEFAULT_EXPIRES, HANDSHAKE, AuthOrder, Crypt, Login, Session
from campaign.protocol.session_codec import decode_session_answer

_RENEW_AT: Final = 0.8
_LONGEST_LIFE: Final = 86_400
_JSON: Final = (("Content-Type", "application/json;charset=utf-8"),)


@dataclass(frozen=True)
class Signing:
    """How one target's requests are signed. It travels by pickle.

    `requests` is after how many of them a session is replaced; None: only when its life ends.
    """

    host: str
    prefix: str
    login: Login
    crypt: Crypt
    order: AuthOrder = "spec"
    requests: int | None = None


class SignedNetwork:
    """A network (`wire.Wire`) whose lines sign what they carry. `nonce(n)` is n random bytes in
    hex."""

    def __init__(
        self,
        network: Network,
        signing: Signing,
        *,
        clock: Callable[[], float],
        nonce: Callable[[int], str],
    ) -> None:
        self._network, self.signing = network, signing
        self.clock, self.nonce = clock, nonce

    @property
    def opened(self) -> int:
        return self._network.opened

    @opened.setter
    def opened(self, value: int) -> None:
        self._network.opened = value

    def connection(self) -> SignedLine:
        """Another line, with a session of its own."""
        return SignedLine(self._network.connection(), self)

    async def watch(self) -> None:
        await self._network.watch()


class SignedLine:
    """A line that takes unsigned requests: their queries lack who is asking."""

    def __init__(self, line: Line, network: SignedNetwork) -> None:
        self._line, self._network = line, network
        self._session: Session | None = None
        self._ends = 0.0

    async def open(self, deadline: float) -> Failure | None:
        """Connect and shake hands."""
        failure = await self._line.open(deadline)
        if failure is not None:
            return failure
        opened = await self._shake_hands(deadline)
        return opened if isinstance(opened, Failure) else None

    def close(self) -> None:
        self._line.close()

    async def exchange(self, request: Request, deadline: float) -> Outcome:
        """Sign, send, and once more where the session was refused."""
        if _resource(request, self._network.signing) == HANDSHAKE:
            return await self._line.exchange(request, deadline)
        outcome = await self._try(request, deadline)
        if isinstance(outcome, Reply) and _refused(outcome):
            self._session = None
            return await self._try(request, deadline)
        return outcome

    async def _try(self, request: Request, deadline: float) -> Outcome:
        shaken: Reply | None = None
        if self._is_over():
            opened = await self._shake_hands(deadline)
            if isinstance(opened, Failure):
                return opened._replace(sent=None)  # of the request itself nothing was sent
            shaken = opened
        assert self._session is not None  # noqa: S101 - it has just been opened
        signed = _signed(request, self._session, self._network.signing)
        outcome = await self._line.exchange(Request(signed), deadline)
        if shaken is not None and isinstance(outcome, Reply):
            return outcome._replace(sent=shaken.sent, size=outcome.size + shaken.size)
        return outcome

    def _is_over(self) -> bool:
        session, most = self._session, self._network.signing.requests
        if session is None or self._network.clock() >= self._ends:
            return True
        return most is not None and session.seq >= most

    async def _shake_hands(self, deadline: float) -> Reply | Failure:
        signing = self._network.signing
        self._session = None
        cnonce = self._network.nonce(8)
        auth = signing.login.initial_auth(cnonce)
        query = {
            "username": signing.login.username,
            "cnonce": cnonce,
            "auth": auth,
            "crypt": str(signing.crypt),
            "expires": str(DEFAULT_EXPIRES),
        }
        path = f"{signing.prefix}{HANDSHAKE}?{urlencode(query, quote_via=quote)}"
        data = build_request("GET", path, signing.host)
        outcome = await self._line.exchange(Request(data, repeatable=True), deadline)
        if isinstance(outcome, Failure):
            return outcome
        try:
            answer = decode_session_answer(outcome.body)
        except RemoteProtocolError as error:
            return Failure(ErrorKind.PROTOCOL, outcome.sent, f"no secure session: {error}")
        if answer.code or outcome.status != 200:
            return Failure(ErrorKind.PROTOCOL, outcome.sent, f"no session: code {answer.code}")
        life = min(answer.expires, _LONGEST_LIFE)
        self._ends = self._network.clock() + life * _RENEW_AT
        self._session = Session(
            signing.login, signing.crypt, signing.order, auth, answer.session, life
        )
        return outcome


def _resource(request: Request, signing: Signing) -> str:
    """The device's own path of a request."""
    target = request.data.split(b" ", 2)[1].decode("ascii")
    return target.partition("?")[0].removeprefix(signing.prefix)


def _signed(request: Request, session: Session, signing: Signing) -> bytes:
    head, _, body = request.data.partition(b"\r\n\r\n")
    method, target, _ = head.decode("ascii").split(" ", 2)
    is_post = method == "POST"
    query, sealed = session.next(_resource(request, signing), body if is_post else None)
    path = f"{target}&{urlencode(query, quote_via=quote)}"
    return build_request(method, path, signing.host, sealed or b"", _JSON if is_post else ())


def _refused(reply: Reply) -> bool:
    return reply.status in (401, 403) or refuses_us(reply.body) is not None
