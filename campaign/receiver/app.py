"""The receiver's HTTP face: authenticate, bound, commit, answer.

`/p/TOKEN` takes a push in any dress (any content type, GET or POST, anything after the token);
`/healthz` answers "ok" and nothing more. A 200 is sent only after the commit. What a push means is
not this room's business.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Protocol

import trio
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from campaign.env import Env
from campaign.errors import StoreError
from campaign.receiver.tokens import TokenBook
from campaign.store.inbox import Arrived

BODY_LIMIT = 1 << 20
BODY_DEADLINE = 10.0
_MOST_STRANGERS_TOLD = 100

_log = logging.getLogger(__name__)

# What a device expects of any JSON exchange of this protocol.
_TAKEN = b'{"code":0,"reason":"OK"}'


class CommitsPushes(Protocol):
    """Where pushes go. `commit` returns once the push is on disk and raises StoreError if not."""

    async def commit(self, arrived: Arrived) -> None: ...


class _Refused(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def receiver_app(
    tokens: Callable[[], Mapping[str, int]],
    sink: CommitsPushes,
    *,
    env: Env,
    sources: Sequence[IPv4Network | IPv6Network] = (),
    body_limit: int = BODY_LIMIT,
    body_deadline: float = BODY_DEADLINE,
) -> Starlette:
    """The receiver as an ASGI application.

    `tokens()` gives every valid path token with its gateway's id; `sources`, unless empty, are the
    only networks heard. `body_limit` is in bytes, `body_deadline` in seconds for a whole body.
    """
    book = TokenBook(tokens, env.monotonic)
    strangers: set[tuple[int, str]] = set()

    async def push(request: Request) -> Response:
        try:
            arrived = await _accept(request)
            if arrived is not None:
                await sink.commit(arrived)
        except _Refused as refusal:
            if refusal.status not in (404, 405):  # wrong addresses are the internet's weather
                _log.warning(
                    "event=push_refused status=%d remote=%s", refusal.status, _remote(request)
                )
            return PlainTextResponse(refusal.text, refusal.status)
        except StoreError as error:
            _log.error("event=push_not_stored remote=%s error=%r", _remote(request), str(error))
            return PlainTextResponse("Not stored", 503)
        if arrived is None:
            return Response(status_code=204)
        return Response(_TAKEN, media_type="application/json")

    async def _accept(request: Request) -> Arrived | None:
        """The push, or None for a request that carries nothing at all."""
        if request.method == "HEAD":  # comes with GET, and no device sends it
            raise _Refused(405, "Method Not Allowed")
        remote = _remote(request)
        gateway_id = book.find(request.path_params["token"])
        if gateway_id is None:
            raise _Refused(404, "Not Found")
        if not _is_heard(remote, sources):
            tell_stranger(gateway_id, remote)
            raise _Refused(404, "Not Found")
        if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise _Refused(415, "Content-Encoding is not taken")
        body = await _read_body(request, body_limit, body_deadline)
        # Latin-1 keeps every byte a header or a request target can hold.
        query = request.scope["query_string"].decode("latin-1")
        if not body and not query:
            return None
        return Arrived(
            gateway_id=gateway_id,
            received_ms=env.wall_ms(),
            remote=remote,
            content_type=request.headers.get("content-type", ""),
            query=query,
            body=body or query.encode("latin-1"),
        )

    def tell_stranger(gateway_id: int, remote: str) -> None:
        """Once for each: a device outside the list is what its operator looks for here."""
        if (gateway_id, remote) not in strangers and len(strangers) < _MOST_STRANGERS_TOLD:
            strangers.add((gateway_id, remote))
            _log.warning("event=source_not_allowed gateway=%d remote=%s", gateway_id, remote)

    async def healthz(_request: Request) -> Response:
        return PlainTextResponse("ok")

    app = Starlette(
        routes=[
            Route("/p/{token}", push, methods=["GET", "POST"]),
            Route("/p/{token}/{rest:path}", push, methods=["GET", "POST"]),
            Route("/healthz", healthz, methods=["GET"]),
        ]
    )
    app.router.redirect_slashes = False
    return app


async def _read_body(request: Request, limit: int, deadline: float) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise _Refused(413, "Content Too Large")
    body = bytearray()
    try:
        with trio.fail_after(deadline):
            async with aclosing(request.stream()) as chunks:
                async for chunk in chunks:
                    body += chunk
                    if len(body) > limit:
                        raise _Refused(413, "Content Too Large")
    except trio.TooSlowError:
        raise _Refused(408, "Request Timeout") from None
    except ClientDisconnect:  # half a body is no push, and nobody is left to read the answer
        raise _Refused(400, "Bad Request") from None
    return bytes(body)


def _remote(request: Request) -> str:
    return request.client.host if request.client else ""


def _is_heard(remote: str, sources: Sequence[IPv4Network | IPv6Network]) -> bool:
    if not sources:
        return True
    try:
        address = ip_address(remote)
    except ValueError:
        return False
    # A socket bound to "::" shows IPv4 peers as ::ffff:a.b.c.d.
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return any(address.ipv4_mapped in network for network in sources)
    return any(address in network for network in sources)
