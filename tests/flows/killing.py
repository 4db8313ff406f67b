"""A campaign whose processes are killed again and again, at moments drawn from a seed.

A moment is a condition on what is on air or in the ledger, plus a small nap; who dies is the engine
mostly, else the receiver or a simulated gateway. `resume` goes on each time, and brings a killed
gateway back: therefore the engine always dies soon after one. The same seed draws the same kills;
where exactly they strike is the machine's own affair.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from tests.flows.conftest import Command, Done, Flow
from tests.flows.judging import Verdict, judge

_BETWEEN_LOOKS = 0.005
_PATIENCE = 60.0
_TO_THE_END = 120.0
_KILLED_AT_ITS_START = "ended at once (exit code -9)"

_SIMULATED = {
    "ports": "4",
    "sms-seconds": "0.05",
    "receipts-seconds": "0.1-0.3",
    "register-seconds": "0.2",
    "fail-rate": "0.05",
    "magic": "on",
}
_TIMES = {"client-timeout": "1s", "retry-wait": "200ms", "port-failures": "100"}
_RATE = "60/s"
_MAGIC = ("0001", "0002", "0003", "0006", "0007", "0008", "0015")
_NO_VERDICT = Verdict((), 0, 0, 0)
_A_KILL = 20
"""Recipients for each kill: about as many as are sent between two of them."""


class Victim(StrEnum):
    ENGINE = "engine"
    RECEIVER = "receiver"
    GATEWAY = "gateway"


class Stage(StrEnum):
    """When to strike, counted from the engine's last start."""

    IMPORT = "import"
    START = "start"
    FIRST_POSTS = "first posts"
    MIDDLE = "middle"
    RECEIPTS = "receipts"
    END = "end"
    AT_ONCE = "at once"


@dataclass(frozen=True)
class Kill:
    """One kill; `share` (0..1) is how far into the stage, `nap` seconds come on top."""

    victim: Victim
    stage: Stage
    share: float
    nap: float


# Of twenty: what the ordinary life of a campaign is made of. Import comes first, the end last.
_STAGES = {Stage.START: 3, Stage.FIRST_POSTS: 4, Stage.MIDDLE: 6, Stage.RECEIPTS: 3}
_VICTIMS = {Victim.ENGINE: 70, Victim.RECEIVER: 18, Victim.GATEWAY: 12}
_NAPS = {
    Stage.IMPORT: 0.25, Stage.START: 0.0, Stage.FIRST_POSTS: 0.08, Stage.MIDDLE: 0.05,
    Stage.RECEIPTS: 0.05, Stage.END: 0.5, Stage.AT_ONCE: 1.0,
}  # fmt: skip


def draw(seed: int, count: int) -> list[Kill]:
    """`count` kills of one campaign: two in the import, the last two at its end."""
    rng = random.Random(seed)
    kills = [_strike(rng, Victim.ENGINE, Stage.IMPORT) for _ in range(2)]
    while len(kills) < count - 2:
        stage = rng.choices(list(_STAGES), list(_STAGES.values()))[0]
        victim = rng.choices(list(_VICTIMS), list(_VICTIMS.values()))[0]
        kills.append(_strike(rng, victim, stage))
        if victim is Victim.GATEWAY:
            kills.append(_strike(rng, Victim.ENGINE, Stage.AT_ONCE))
    kills = kills[: count - 2]
    victim = rng.choice((Victim.ENGINE, Victim.RECEIVER))
    return [*kills, *(_strike(rng, v, Stage.END) for v in (victim, Victim.ENGINE))]


def _strike(rng: random.Random, victim: Victim, stage: Stage) -> Kill:
    return Kill(victim, stage, rng.random(), rng.uniform(0, _NAPS[stage]))


@dataclass
class Toll:
    """What one campaign went through and how it stands; `unspent` kills came after its end."""

    seed: int
    recipients: int
    killed: Counter[Victim] = field(default_factory=Counter)
    stages: Counter[Stage] = field(default_factory=Counter)
    unspent: int = 0
    seconds: float = 0.0
    verdict: Verdict = _NO_VERDICT


class Ordeal:
    """One campaign in a place of its own, killed as planned, resumed to its end, then judged."""

    def __init__(self, flow: Flow, seed: int, kills: Sequence[Kill], simulate: int = 3) -> None:
        self._flow = flow
        self._kills = kills
        self._simulate = simulate
        magic = [f"99966{i}0{suffix}" for i in range(2) for suffix in _MAGIC]
        plain = max(1, len(kills) * _A_KILL)
        self._numbers = [*flow.numbers(plain), *magic]
        self._list = flow.write_list(plain, *(f"+{number}" for number in magic))
        self._toll = Toll(seed, len(self._numbers))
        self._air = self._delivered = self._task = 0
        self._engine = self._start()

    def run(self) -> Toll:
        began = time.monotonic()
        for i, kill in enumerate(self._kills):
            if not self._comes(kill):
                self._toll.unspent = len(self._kills) - i
                break
            self._toll.stages[kill.stage] += 1
            self._toll.killed[kill.victim] += self._strike(kill)
        deadline = time.monotonic() + _TO_THE_END
        while (done := self._ended()) is None:
            assert time.monotonic() < deadline, f"it does not end: {self._engine.err}"
            time.sleep(_BETWEEN_LOOKS)
        assert done.code == 0, f"it ended with {done.code}: {done.err}"
        self._toll.verdict = judge(self._flow, self._numbers)
        self._toll.seconds = time.monotonic() - began
        return self._toll

    def _ended(self) -> Done | None:
        """How the engine ended, if not with the process it was just waiting for: killed by us while
        it started, and told so."""
        done = self._engine.ended()
        if done is not None and done.code == 1 and _KILLED_AT_ITS_START in done.err:
            self._engine = self._start()
            return None
        return done

    def _start(self) -> Command:
        """Launch, or go on; a draft that a kill left in the import is dropped by either."""
        flow = self._flow
        self._air, self._delivered = flow.attempted(), flow.counts().get("delivered", 0)
        self._task = self._last_task()
        if flow.state() not in (None, "importing"):
            return flow.start("resume")
        return flow.launch(
            self._list, "--rate", _RATE, simulate=self._simulate, simulated=_SIMULATED, times=_TIMES
        )

    def _comes(self, kill: Kill) -> bool:
        """Wait for a kill's moment; False if the campaign has ended before."""
        deadline = time.monotonic() + _PATIENCE
        reached = self._moment(kill)
        while not reached():
            if self._ended() is not None:
                return False
            assert time.monotonic() < deadline, f"{kill.stage} never came: {self._engine.err}"
            time.sleep(_BETWEEN_LOOKS)
        time.sleep(kill.nap)
        return self._ended() is None

    def _moment(self, kill: Kill) -> Callable[[], bool]:
        flow, share = self._flow, kill.share
        match kill.stage:
            case Stage.IMPORT:
                return lambda: flow.state() is not None or self._engine.elapsed() > 0.4 + share
            case Stage.START:
                return lambda: self._engine.elapsed() > 0.3 + 0.5 * share
            case Stage.FIRST_POSTS:
                return lambda: self._last_task() > self._task
            case Stage.MIDDLE:
                return lambda: flow.attempted() >= self._air + 1 + 20 * share
            case Stage.RECEIPTS:
                return lambda: flow.counts().get("delivered", 0) > self._delivered + 8 * share
            case Stage.END:
                return lambda: not flow.counts().keys() & {"pending", "held"}
            case Stage.AT_ONCE:
                return lambda: True

    def _last_task(self) -> int:
        return int(self._flow.one("SELECT max(id) FROM tasks") or 0)

    def _strike(self, kill: Kill) -> int:
        """SIGKILL; 1 if there was somebody to kill before the campaign ended."""
        if kill.victim is Victim.ENGINE:
            self._engine.kill()
            self._engine = self._start()
            return 1
        word = "listen" if kill.victim is Victim.RECEIVER else "simulate"
        while not (pids := sorted(self._flow.pids(word))):  # an earlier kill's gap is not over yet
            if self._ended() is not None:
                return 0
            time.sleep(_BETWEEN_LOOKS * 10)
        with suppress(ProcessLookupError):
            os.kill(pids[int(kill.share * len(pids))], signal.SIGKILL)
        return 1


def go_through(folder: Path, seed: int, count: int) -> Toll:
    """One ordeal of `count` kills in `folder`; whatever it started has ended afterwards."""
    flow = Flow(folder)
    try:
        return Ordeal(flow, seed, draw(seed, count)).run()
    finally:
        flow.clean_up()
