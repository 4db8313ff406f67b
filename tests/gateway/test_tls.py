"""HTTPS devices: trusted by the authority an operator names, and by nothing less."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import trio
import trustme

from campaign.env import Env
from campaign.errors import NotSent
from campaign.gateway.answers import Answered, NeverSent
from campaign.gateway.client import Device
from campaign.protocol.session import Crypt
from tests.gateway.test_sessions import post_body

ANSWER = b'{"code":200,"reason":"OK","type":"task-status","status":[{"tid":7,"status":"0 OK"}]}'


@asynccontextmanager
async def https_device(authority: trustme.CA) -> AsyncIterator[str]:
    """A device's web server behind TLS that accepts every task."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    listener = socket.create_server(("127.0.0.1", 0))

    async def answer(stream: trio.SSLStream[trio.SocketStream]) -> None:
        try:
            async with stream:
                await stream.receive_some(65536)
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(ANSWER)}\r\n\r\n"
                await stream.send_all(head.encode() + ANSWER)
        except (trio.BrokenResourceError, ssl.SSLError):
            pass  # a client that does not trust us goes away

    async with trio.open_nursery() as nursery:
        listeners = [
            trio.SSLListener(trio.SocketListener(trio.socket.from_stdlib_socket(listener)), context)
        ]
        await nursery.start(partial(trio.serve_listeners, answer, listeners))
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        nursery.cancel_scope.cancel()


@pytest.mark.slow
async def test_a_device_is_trusted_by_the_authority_in_its_ca_file(tmp_path: Path) -> None:
    authority = trustme.CA()
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    async with https_device(authority) as url:
        device = Device("gw", url, "root", "root", env=Env(), ca_file=str(ca_file))
        assert isinstance(await device.post(post_body()), Answered)
        await device.aclose()


@pytest.mark.slow
@pytest.mark.parametrize("crypt", [None, Crypt.AES_ECB])
async def test_another_authority_is_not_trusted_and_the_error_names_the_option(
    tmp_path: Path, crypt: Crypt | None
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    async with https_device(trustme.CA()) as url:
        for ca_file in (None, str(other)):
            device = Device("gw", url, "root", "root", env=Env(), ca_file=ca_file, crypt=crypt)
            outcome = await device.post(post_body())
            assert isinstance(outcome, NeverSent)
            assert "its certificate is not trusted" in outcome.reason
            assert "--ca-file" in outcome.reason
            with pytest.raises(NotSent, match="--ca-file"):
                await device.status()
            await device.aclose()


async def test_posts_never_meet_a_connection_that_was_used_before() -> None:
    connections: list[int] = []

    async def answer(stream: trio.SocketStream) -> None:
        mine = len(connections)
        connections.append(0)
        with suppress(trio.BrokenResourceError):
            while data := await stream.receive_some(65536):
                if b" HTTP/1.1" not in data:
                    continue  # the body of a request whose head was answered
                connections[mine] += 1
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(ANSWER)}\r\n\r\n"
                await stream.send_all(head.encode() + ANSWER)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, answer, 0, host="127.0.0.1"))
        port = listeners[0].socket.getsockname()[1]
        device = Device("gw", f"http://127.0.0.1:{port}", "root", "root", env=Env())
        await device.status()
        for _ in range(3):
            assert isinstance(await device.post(post_body()), Answered)
            await device.status()
        await device.aclose()
        nursery.cancel_scope.cancel()
    assert sorted(connections)[:3] == [1, 1, 1]
    assert sum(connections) == 7
