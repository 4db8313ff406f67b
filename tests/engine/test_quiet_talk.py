"""What a run says and logs, at the most talkative level, names no number and no token."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import trio

from campaign.simulator.settings import Faults

Numbers = Callable[[int], list[str]]

WORLDS: dict[str, dict[str, Any]] = {
    "failures, replies and opt-outs": {"magic": True, "reply_seconds": (1.0, 1.0)},
    "lost reports": {"faults": Faults(push_loss=0.5)},
    "a full queue": {"queue_limit": 2},
}
FATES = [f"9996600{suffix}" for suffix in ("0001", "0002", "0005", "0006", "0009", "0010")]


@pytest.mark.parametrize("name", WORLDS)
async def test_talk_and_logs_name_nobody(
    autojump_clock: object,
    make_world: Callable[..., Any],
    numbers: Numbers,
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    for loud in ("httpx", "httpcore"):  # as the command line sets them, whatever is asked for
        caplog.set_level(logging.WARNING, logger=loud)
    async with make_world(sim1={"ports": 2, "sms_seconds": 1, **WORLDS[name]}) as world:
        world.push(b"{")
        world.push(b'{"type":"status-report","rpts":[{"tid":1,"fdr":[[0,"999"]]}]}')
        with trio.fail_after(4 * 3600):
            await world.launch([*numbers(20), *FATES], retries=1)
        said = "\n".join([*world.notices, caplog.text])
        tokens = [token for (token,) in world.sql("SELECT token FROM gateways")]
        for secret in (*numbers(20), *FATES, *tokens, "password=", "/p/"):
            assert secret not in said
