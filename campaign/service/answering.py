"""Hypercorn's server of one connection, without what it does around a request for nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from hypercorn.events import Event, RawData
from hypercorn.trio.tcp_server import TCPServer

Send = Callable[[Any], Awaitable[None]]


class WholeAnswers(TCPServer):
    """Sends an answer at once, and leaves it to its stream to end an idle connection.

    Hypercorn sends an answer's head, its body and its end one after the other, each behind a lock
    and two cancel scopes: here the head waits for the body, as ASGI has it, and nothing is sent of
    an end that is empty. And it starts a task after every request that ends an idle connection,
    which the stream's `receive_some` has to do here.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.idle_task = cast(Any, _NoIdleTask())
        self._in_head = False
        self._unsent = b""

    async def protocol_send(self, event: Event) -> None:
        if not isinstance(event, RawData):
            await super().protocol_send(event)
        elif self._in_head:
            self._unsent += event.data
        elif self._unsent or event.data:
            data, self._unsent = self._unsent + event.data, b""
            await super().protocol_send(RawData(data))

    def whole(self, send: Send) -> Send:
        """`send` of one request, with its answer's head held back until the body begins."""
        head: Any = None

        async def sent(message: Any) -> None:
            nonlocal head
            if message["type"] == "http.response.start":
                head = message
                return
            if head is not None:
                first, head = head, None
                self._in_head = True
                try:
                    await send(first)
                finally:
                    self._in_head = False
            await send(message)
            await self.protocol_send(RawData(b""))  # a body that begins with nothing, and goes on

        return sent


class _NoIdleTask:
    async def restart(self, *_arguments: object) -> None: ...

    async def stop(self) -> None: ...
