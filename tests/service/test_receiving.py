"""A ledger's receiver knows its gateways by their tokens, and says so when it cannot look."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from campaign.service.receiving import run_receiver
from campaign.service.site import Site
from campaign.store.door import transaction
from campaign.store.gateways import add_gateway, update_gateway
from campaign.store.opening import open_ledger

Ask = Callable[[str, int, bytes], Awaitable[bytes]]


async def status_of(site: Site, ask: Ask, token: str) -> bytes:
    """What a push with this token is answered by the receiver of a ledger."""
    said: list[str] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            partial(run_receiver, site, None, None, automatic=False, say=said.append)
        )
        with trio.fail_after(10):
            while not said:  # noqa: ASYNC110 - it says so once
                await trio.sleep(0.01)
        port = int(said[0].rpartition(":")[2])
        request = f"POST /p/{token} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        answer = await ask("127.0.0.1", port, f"{request}Content-Length: 2\r\n\r\n{{}}".encode())
        nursery.cancel_scope.cancel()
    return answer.split()[1]


async def test_before_there_is_a_ledger_nobody_is_known(tmp_path: Path, ask: Ask) -> None:
    site = Site.at(str(tmp_path / "c.db"), str(tmp_path / "o.db"))
    assert await status_of(site, ask, "any") == b"404"


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100], ids=["empty", "damaged"])
async def test_a_ledger_that_cannot_be_read_sends_nobody_away_for_good(
    tmp_path: Path, ask: Ask, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site.at(str(tmp_path / "c.db"), str(tmp_path / "o.db"))
    site.paths.db.write_bytes(content)
    assert await status_of(site, ask, "any") == b"503"
    assert [record.exc_info for record in caplog.records] == [None] * len(caplog.records)


@pytest.mark.parametrize(("token", "status"), [("old", b"200"), ("new", b"200"), ("no", b"404")])
async def test_a_rotated_token_is_taken_beside_the_new_one(
    tmp_path: Path, ask: Ask, token: str, status: bytes
) -> None:
    site = Site.at(str(tmp_path / "c.db"), str(tmp_path / "o.db"))
    conn = open_ledger(site.paths.db, site.optouts)
    with transaction(conn):
        gateway = add_gateway(
            conn, 1, name="office", url="http://127.0.0.1:9", username="root", secret="stored",
            token="old",
        )  # fmt: skip
        update_gateway(conn, gateway, token="new", old_token="old")
    conn.close()
    assert await status_of(site, ask, token) == status


async def test_an_automatic_receiver_stays_while_its_ledger_cannot_be_asked(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site.at(str(tmp_path / "c.db"), str(tmp_path / "o.db"))
    open_ledger(site.paths.db, site.optouts).close()
    with closing(sqlite3.connect(site.paths.db)) as conn:
        conn.execute("PRAGMA foreign_keys = OFF")
        conn.execute("ALTER TABLE tasks RENAME TO out_of_reach")
    with trio.move_on_after(60) as minute:
        await run_receiver(site, None, None, automatic=True, say=lambda _: None)
    assert minute.cancelled_caught
    assert any("ledger_unreadable" in message for message in caplog.messages)
