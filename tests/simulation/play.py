"""One seed from beginning to end, and what came of it."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import trio

from campaign.errors import StoreError
from campaign.simulator.truth import Attempt
from tests.simulation.acts import happen, look_after
from tests.simulation.coverage import what_happened
from tests.simulation.determinism import run_seeded
from tests.simulation.endings import check_end, check_truth
from tests.simulation.invariants import Broken
from tests.simulation.mutants import MUTANTS
from tests.simulation.process import Reaper
from tests.simulation.scenario import Crash, Scenario, draw
from tests.simulation.world import BOUND, World

_MEMORY = Path("/dev/shm")  # noqa: S108 - a file system in memory, where there is one
_AGAIN_AFTER = 30.0
_LOOKED_AFTER = 1800.0
"""Seconds after the last fault, and between two looks at it: probes are long spent by then."""


@dataclass
class Verdict:
    """What a seed led to; `broken` is empty if every invariant held."""

    seed: int
    broken: str = ""
    step: int = 0
    commit: int = 0
    seconds: float = 0.0
    deaths: int = 0
    """Of the engine: it was killed, or its disk was full."""
    reboots: int = 0
    recipients: int = 0
    sent: int = 0
    refused: int = 0
    states: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    sometimes: Counter[str] = field(default_factory=Counter)
    digest: str = ""
    operations: int = 0
    requests: int = 0
    pushes: int = 0

    @property
    def law(self) -> str | None:
        """Which invariant broke; None if none did, also where the code itself broke down."""
        found = re.match(r"(I\d+|horizon|inbox|moves): ", self.broken)
        return found[1] if found else None


def play(seed: int, *, trace: Callable[[str], None] | None = None) -> Verdict:
    """Play the scenario of a seed."""
    return play_scenario(draw(seed), trace=trace)


def play_mutated(mutant: str, scenario: Scenario) -> Verdict:
    """Play a scenario with one of our own mistakes in the code."""
    with MUTANTS[mutant]():
        return play_scenario(scenario)


def play_scenario(
    scenario: Scenario,
    *,
    trace: Callable[[str], None] | None = None,
    air: list[Attempt] | None = None,
) -> Verdict:
    """Play one scenario in a folder of its own. `trace` gets one line for each event, `air` all
    that the devices sent."""
    verdict = Verdict(scenario.seed)
    digest = hashlib.sha256()

    def tell(event: str, **fields: object) -> None:
        line = " ".join([event, *(f"{key}={value}" for key, value in fields.items())])
        digest.update(line.encode())
        if trace is not None:
            trace(line)

    place = _MEMORY if _MEMORY.is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="campaign-world-", dir=place))
    reaper = Reaper()
    try:
        main = partial(_play, scenario, folder, reaper, tell, verdict, air)
        run_seeded(scenario.seed, main, reaper)
    except BaseException as error:  # noqa: BLE001 - every end of a world is a verdict
        verdict.broken = verdict.broken or "".join(traceback.format_exception(error))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    verdict.step = reaper.step
    verdict.digest = digest.hexdigest()
    return verdict


async def _play(
    scenario: Scenario,
    folder: Path,
    reaper: Reaper,
    tell: Callable[..., None],
    verdict: Verdict,
    air: list[Attempt] | None,
) -> None:
    world: World | None = None
    try:
        async with trio.open_nursery() as nursery:
            world = World(scenario, folder, nursery, reaper, tell)
            for plan in scenario.devices:
                world.add_device(plan)
            await world.start_receiver()
            for act in scenario.acts:
                nursery.start_soon(happen, world, act)
            nursery.start_soon(_calm_down, world)
            await _live(world)
            check_end(world)
            nursery.cancel_scope.cancel()
    except Broken as error:
        verdict.broken = str(error)
    except BaseExceptionGroup as group:
        broken = group.subgroup(Broken)
        verdict.broken = _told(group) if broken is None else str(_first(broken))
    finally:
        if world is not None:
            if world.failure is not None:
                verdict.broken = str(world.failure)
            _keep(world, verdict)
            if air is not None:
                air += world.attempts
            world.close()


def _first(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


def _told(group: BaseException) -> str:
    return "".join(traceback.format_exception(group))


async def _live(world: World) -> None:
    """Lives of the engine, one after the other, until everything is final."""
    scenario = world.scenario
    for crash in scenario.crashes:
        ended = await _one_life(world, crash)
        if world.life.dead:
            world.deaths += 1
            world.reopen()
            if crash.power:
                await _power_cut(world, crash.downtime)
            else:
                await trio.sleep(crash.downtime)
        elif ended and world.now() > scenario.calm:
            break
    last = max(scenario.calm, *(plan.start for plan in scenario.campaigns))
    with trio.move_on_at(world.zero + last + BOUND):
        over = False
        while not over:
            over = await _one_life(world, None) and _over(world)
            await trio.sleep(0 if over else _AGAIN_AFTER)


async def _one_life(world: World, crash: Crash | None) -> bool:
    """Whether it came to its end; a life that cannot even begin for its disk is no end."""
    try:
        ended = await world.live(crash)
    except StoreError as error:
        world.net.trace("ended", why=str(error))
        world.sometimes["run ended by its ledger"] += 1
        await trio.sleep(5)
        return False
    check_truth(world)
    return ended is not None


def _over(world: World) -> bool:
    """Whether every list was launched and everybody is final."""
    (launched,) = world.conn.execute("SELECT count(*) FROM campaigns").fetchone()
    (left,) = world.conn.execute(
        "SELECT count(*) FROM recipients WHERE state IN ('pending', 'held', 'assigned')"
    ).fetchone()
    return bool(left == 0 and launched == len(world.scenario.campaigns))


async def _power_cut(world: World, downtime: float) -> None:
    """The whole machine is down: what was not synced is gone, and pushes reach nobody."""
    world.power_cut()
    world.kill_receiver()
    await trio.sleep(downtime)


async def _calm_down(world: World) -> None:
    await world.until(world.scenario.calm)
    for weather in world.net.weathers.values():
        weather.calm = True
    world.net.trace("calm")
    await look_after(world, _LOOKED_AFTER)


def _keep(world: World, verdict: Verdict) -> None:
    verdict.commit = world.commits
    verdict.operations, verdict.pushes = world.operations, world.pushes
    verdict.requests = sum(weather.requests for weather in world.net.weathers.values())
    verdict.seconds = world.now()
    verdict.deaths = world.deaths
    verdict.reboots = world.reboots()
    verdict.sent = sum(attempt.ok for attempt in world.attempts)
    verdict.refused = sum(not attempt.ok for attempt in world.attempts)
    for row in world.conn.execute("SELECT state, cause, count(*) FROM recipients GROUP BY 1, 2"):
        verdict.states[row[0]] += row[2]
        if row[0] == "unknown":
            verdict.unknown[row[1]] += row[2]
    verdict.recipients = verdict.states.total()
    verdict.sometimes = world.sometimes + what_happened(world.conn)
