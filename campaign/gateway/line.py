"""The line to one device: requests out, raw answers in, every error typed by what it proves.

Devices have tiny HTTP servers: two connections at most, no cookies, no redirects. What must not
meet an idle connection that the device just closed (a post) goes over a fresh one.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import TypeVar

import httpx
import trio

from campaign.errors import CredentialsRefused, InDoubt, NotSent, RemoteProtocolError
from campaign.gateway.credentials import SignIn, refuses_us
from campaign.gateway.onetime import OneTimeTransport
from campaign.protocol.messages import Answer
from campaign.protocol.session import Session

T = TypeVar("T")

_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
    httpx.InvalidURL,
)
_JSON = "application/json;charset=utf-8"
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate", "User-Agent": "campaign"}
_MOST_REFUSALS = 3

SESSION_ENDED = "its session ended"
"""Why a post was not sent where only the session was refused: no trouble with the device."""


def _trust(url: str, ca_file: str | None) -> ssl.SSLContext:
    """Whom a line believes. One without TLS believes nobody: to read the system's authorities,
    once for each connection, would take a quarter of a second of every start."""
    if ca_file:
        return ssl.create_default_context(cafile=ca_file)
    if url.lower().startswith("http:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx.create_ssl_context(trust_env=False)


def _connections(url: str, ca_file: str | None) -> tuple[httpx.AsyncBaseTransport, ...]:
    """One that is kept and one that is not: a device has no more than two to give."""
    trust = _trust(url, ca_file)
    one = httpx.Limits(max_connections=1, max_keepalive_connections=1)
    kept = httpx.AsyncHTTPTransport(verify=trust, trust_env=False, limits=one)
    return kept, OneTimeTransport(trust)


def _address(base: str, path: str, query: tuple[tuple[str, str], ...]) -> httpx.URL:
    return httpx.URL(base + path, params=dict(query))


async def _answer(transport: httpx.AsyncBaseTransport, request: httpx.Request) -> httpx.Response:
    """One exchange, its answer read to the end. Without httpx's client between: of what it does,
    cookies and redirects are not for devices, and the rest is most of what a post costs."""
    response = await transport.handle_async_request(request)
    response.request = request
    try:
        await response.aread()
    except BaseException:
        await response.aclose()
        raise
    return response


class _SignatureRefused(Exception):
    """The device refused one request for its signature alone."""

    def __init__(self, session: Session | None, error: CredentialsRefused) -> None:
        super().__init__()
        self.session = session
        self.error = error


class Line:
    """HTTP to one device. Every request bounds itself by `timeout` seconds.

    Raises `NotSent`, `InDoubt` or `CredentialsRefused`; no text of theirs holds a URL, for queries
    hold secrets.
    """

    def __init__(
        self,
        name: str,
        url: str,
        sign_in: SignIn,
        *,
        timeout: float,
        ca_file: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.name = name
        self.timeout = timeout
        self.sign_in = sign_in
        self._base = url.rstrip("/")
        self._refused_posts = 0
        self._turn = trio.Lock()
        self._closed = False
        # signed by user and password, every post goes to the same one
        self._address = lru_cache(maxsize=8)(partial(_address, self._base))
        # httpx's own timeouts tell a connection never made from one that went silent; the
        # deadline around every call holds where a transport ignores them
        times = httpx.Timeout(timeout, connect=timeout * 0.9, pool=timeout * 0.9)
        self._extensions = {"timeout": times.as_dict()}
        self._kept, self._fresh = (
            (transport, transport) if transport is not None else _connections(self._base, ca_file)
        )

    async def aclose(self) -> None:
        self._closed = True
        await self._kept.aclose()
        await self._fresh.aclose()

    async def ask(
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: bytes | None = None,
        text: bytes | None = None,
    ) -> bytes:
        """One request, signed, and its answer's raw body. `body` is JSON (and goes through the
        session's cipher), `text` a plain text body.

        A session that the device no longer accepts is opened anew, and the request made once more:
        what a device refuses for its signature it has not carried out. Raises `CredentialsRefused`
        when it refuses that too.
        """
        for times in range(1, _MOST_REFUSALS + 1):
            try:
                return await self._once(path, query, body=body, text=text)
            except _SignatureRefused as refusal:
                if not self.sign_in.refused(refusal.session, times):
                    raise refusal.error from None
        raise AssertionError("a sign-in that never gives up")

    async def get_once(self, path: str, query: Mapping[str, str]) -> bytes:
        """One GET that must not be repeated, over a connection of its own. Raises like `post`."""
        return await self._one_time(path, query, None)

    async def post(self, path: str, body: bytes) -> bytes:
        """One request with a body that must not be repeated, over a connection of its own.

        Raises `NotSent` when only its session was refused: nothing was carried out, but the device
        may have restarted, and its boot id is to be read before anything is offered again.
        """
        return await self._one_time(path, None, body)

    async def _one_time(
        self, path: str, query: Mapping[str, str] | None, body: bytes | None
    ) -> bytes:
        try:
            raw = await self._once(path, query, body=body, text=None, fresh=True)
        except _SignatureRefused as refusal:
            self._refused_posts += 1
            # never the other order: whoever posts has asked before, and knows which one works
            again = self.sign_in.refused(refusal.session, 1)
            if not again or self._refused_posts >= _MOST_REFUSALS:
                raise refusal.error from None
            raise NotSent(self.name, SESSION_ENDED) from None
        self._refused_posts = 0
        return raw

    async def _once(
        self,
        path: str,
        query: Mapping[str, str] | None,
        *,
        body: bytes | None,
        text: bytes | None,
        fresh: bool = False,
    ) -> bytes:
        async with self.sign_in.turn(self, path, body) as signed:
            try:
                raw = await self.request(
                    "GET" if body is None and text is None else "POST",
                    path,
                    {**signed.query, **(query or {})},
                    content=signed.content if text is None else text,
                    # a sealed body is bytes, not JSON (PROTOCOL §3)
                    kind=_JSON if body is not None and signed.content is body else None,
                    fresh=fresh,
                )
            except CredentialsRefused as error:
                raise _SignatureRefused(signed.session, error) from error
            why = refuses_us(raw)
            if why is not None:
                raise _SignatureRefused(
                    signed.session, CredentialsRefused(self.name, self.shown(why), raw)
                )
            return raw

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        *,
        content: bytes | None = None,
        kind: str | None = None,
        fresh: bool = False,
    ) -> bytes:
        """One exchange as it is, without signature; what waits for the kept connection waits
        outside its deadline."""
        if fresh:
            return await self._exchange(method, path, query, content, kind, fresh=True)
        async with self._turn:
            return await self._exchange(method, path, query, content, kind, fresh=False)

    async def _exchange(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        content: bytes | None,
        kind: str | None,
        *,
        fresh: bool,
    ) -> bytes:
        if self._closed:  # its gateway was changed, or the run is ending
            raise NotSent(self.name, "its line is closed")
        headers = {**_HEADERS, "Connection": "close" if fresh else "keep-alive"}
        if kind is not None:
            headers["Content-Type"] = kind
        try:
            with trio.fail_after(self.timeout):
                request = httpx.Request(
                    method,
                    self._address(path, tuple(query.items())),
                    headers=headers,
                    content=content,
                    extensions=self._extensions,
                )
                response = await _answer(self._fresh if fresh else self._kept, request)
        except _NOT_SENT as error:
            # its own text may hold the URL's password
            raise NotSent(self.name, _words(error)) from None
        except trio.TooSlowError:
            raise InDoubt(self.name, f"no answer within {self.timeout:g} s") from None
        except httpx.HTTPError as error:
            raise InDoubt(self.name, _words(error)) from None
        return self._body_of(response)

    def _body_of(self, response: httpx.Response) -> bytes:
        if response.status_code in (401, 403):
            raise CredentialsRefused(self.name, f"HTTP {response.status_code}")
        if response.status_code != httpx.codes.OK:
            words = self.shown(response.content.decode("utf-8", "replace"))
            raise InDoubt(self.name, f"HTTP {response.status_code}: {words}")
        return response.content

    def checked(self, raw: bytes, decode: Callable[[bytes], T]) -> T:
        """The decoded answer. Raises `RemoteProtocolError` where the device says no."""
        value = decode(raw)
        if isinstance(value, Answer) and not value.ok:
            why = f"{value.code} {self.shown(value.reason)}".strip()
            raise RemoteProtocolError(f"{self.name}: refused: {why}")
        return value

    def shown(self, words: str) -> str:
        """A device's own words, fit for errors and notices."""
        return self.sign_in.conceal(words)


def _words(error: Exception) -> str:
    """An httpx error without any URL: queries hold the password."""
    names = {
        "ConnectError": "connection refused or host unreachable",
        "ConnectTimeout": "no connection in time",
        "PoolTimeout": "no free connection in time",
        "ReadTimeout": "no answer in time",
        "WriteTimeout": "the request could not be written in time",
        "RemoteProtocolError": "the connection was closed without an answer",
        "ReadError": "the connection broke while waiting for the answer",
        "WriteError": "the connection broke while writing",
    }
    name = type(error).__name__
    cause: BaseException | None = error
    while cause is not None:  # the reason lies some layers down
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "its certificate is not trusted: name its authority with --ca-file"
        cause = cause.__cause__ or cause.__context__
    return names.get(name, name)
