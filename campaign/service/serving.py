"""One HTTP face on one listening socket: Hypercorn's HTTP/1.1 on connections of our own keeping.

The socket is bound here and handed over, so that a port in use is our own clear error, port 0 is
known by its real number before anybody connects, and the port is never opened a second time.
"""

from __future__ import annotations

import errno
import logging
import resource
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import cast

import trio
from hypercorn.config import Config

from campaign.errors import UsageError
from campaign.service.connections import App, Connections, Limits, serve_connections
from campaign.service.site import shown

BACKLOG = 256
GRACE_SECONDS = 3
_REQUESTS_OF_A_CONNECTION = 1000
# The last resort of a process that only serves, well above its limit of connections: at it, trio
# stops accepting and callers wait in the backlog.
DESCRIPTOR_LIMIT = 1024

# Hypercorn greets at INFO; its warnings and an application's tracebacks are worth a line.
_log = logging.getLogger("campaign.http")
_log.setLevel(logging.WARNING)


async def serve(
    app: App,
    host: str,
    port: int,
    *,
    shutdown: Callable[[], Awaitable[None]] | None = None,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    task_status: trio.TaskStatus[tuple[str, int]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `app` until `shutdown()` returns (then requests at hand are finished) or cancelled.

    Starts with `(host, port)`, the real port where 0 was asked for. UsageError if the address
    cannot be had.
    """
    await serve_on(
        app,
        host,
        await open_listener(host, port),
        shutdown=shutdown,
        limits=limits,
        task_status=task_status,
    )


async def serve_on(
    app: App,
    host: str,
    listener: socket.socket,
    *,
    shutdown: Callable[[], Awaitable[None]] | None = None,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    task_status: trio.TaskStatus[tuple[str, int]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """`serve` on a socket of `open_listener(host, …)`, which it takes over and closes."""
    port = cast(int, listener.getsockname()[1])
    connections = Connections(app, _config(limits), limits)
    async with trio.open_nursery() as nursery:
        await nursery.start(
            partial(
                serve_connections, connections, listener, shutdown=shutdown, grace=GRACE_SECONDS
            )
        )
        task_status.started((host, port))


def _config(limits: Limits) -> Config:
    config = Config()
    config.accesslog = None  # request lines hold tokens and numbers
    config.errorlog = _log
    config.include_server_header = False
    config.keep_alive_timeout = limits.idle
    config.keep_alive_max_requests = _REQUESTS_OF_A_CONNECTION
    return config


async def open_listener(host: str, port: int) -> socket.socket:
    """A bound, listening TCP socket; `host` is a name or an address (IPv6 without brackets)."""
    if not 0 <= port <= 65535:  # getaddrinfo would take it modulo 65536
        raise UsageError(f"cannot listen on {shown(host, port)}: there is no such port")
    try:
        found = await trio.socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise UsageError(f"cannot listen on {shown(host, port)}: {error}") from error
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        # Only lets us have the port again while old connections time out; a port that somebody
        # listens on stays theirs.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _explained(error, host, port) from error
    except BaseException:
        listener.close()
        raise
    return listener


@contextmanager
def capped_descriptors(limit: int = DESCRIPTOR_LIMIT) -> Iterator[None]:
    """Bound this process's open files, and thereby its connections, to `limit` at most."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft > limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _explained(error: OSError, host: str, port: int) -> UsageError:
    match error.errno:
        case errno.EADDRINUSE:
            return UsageError(f"port {port} on {host} is held by somebody else")
        case errno.EADDRNOTAVAIL:
            return UsageError(f"{host} is not an address of this machine")
        case errno.EACCES:
            return UsageError(f"port {port} on {host} needs a privilege this user lacks")
        case _:
            return UsageError(f"cannot listen on {shown(host, port)}: {error.strerror}")
