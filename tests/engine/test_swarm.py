"""Swarm: each seed draws its own devices, ciphers, habits, faults and crashes; then the facts are
held against the ground truth and the ledgers against each other."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import trio

from campaign.store.audit import audit

Numbers = Callable[[int], list[str]]
PROFILES = ("clean", "lossy", "deaf", "full", "reboot", "deadports", "hostile", "quirky")


def device(rng: random.Random) -> dict[str, Any]:
    return {
        "ports": rng.choice([2, 3, 4]),  # with one alone, its death would leave nothing to send by
        "slots": rng.choice([1, 2]),
        "profile": rng.choice(PROFILES),
        "dialect": rng.choice(["2.0", "2.4"]),
        "seed": rng.randrange(1000),
        "sms_seconds": rng.choice([0.3, 1.0, 3.0]),
        "reboot_queue": rng.choice(["lost", "kept"]),
        "auth_order": rng.choice(["spec", "seq-first"]),
        "session_seconds": rng.choice([5, 30, 180]),
        "session_prolongs": rng.random() < 0.5,
        "session_limit": rng.choice([1, 8]),
    }


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(16))
async def test_whatever_comes_together_nobody_is_sent_twice_and_no_fact_is_false(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, seed: int
) -> None:
    rng = random.Random(seed)
    settings = {
        "task-size": rng.choice(["1", "5", "20"]),
        "status-period": rng.choice(["3s", "30s"]),
        "delete-fetched": rng.choice(["yes", "no"]),
    }
    crypt = rng.choice([None, "none", "xor", "rc4", "aes-ecb"])
    devices = {"sim1": device(rng), "sim2": device(rng)}
    async with make_world(seed=seed, crypt=crypt, settings=settings, **devices) as world:
        if rng.random() < 0.5:
            world.subscribe("sim1")
        interrupted = await world.killed(rng.uniform(2, 40), lambda: world.launch(numbers(80)))
        if interrupted and rng.random() < 0.5:
            interrupted = await world.killed(rng.uniform(1, 60), world.resume)
        if interrupted:
            with trio.fail_after(20_000):
                await world.resume()
        world.check()
        assert not set(world.states()) & {"assigned", "pending", "held"}
        assert [found for found in audit(world.conn, 1) if found.verdict == "broken"] == []
