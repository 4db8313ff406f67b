"""The process of one simulated gateway."""

from __future__ import annotations

import signal
from collections.abc import Callable

import httpx
import trio

from campaign.env import Env
from campaign.service.outcome import beside
from campaign.service.serving import serve
from campaign.service.site import shown
from campaign.simulator import Simulator, SimulatorSettings


async def run_simulator(
    settings: SimulatorSettings, host: str, port: int, env: Env, say: Callable[[str], None]
) -> None:
    """Serve a simulated gateway until SIGTERM or SIGINT; its first words are its address.

    UsageError if the address cannot be had.
    """
    async with httpx.AsyncClient(trust_env=False) as client, beside() as nursery:
        simulator = Simulator(settings, env=env, client=client)
        await nursery.start(simulator.run)
        bound_host, bound_port = await nursery.start(serve, simulator.app, host, port)
        say(f"listening on http://{shown(bound_host, bound_port)}")
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                break
