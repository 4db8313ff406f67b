"""The other direction: our own receiver under the reports of many devices.

A push that was answered 200 must lie in the inbox: where that can be looked at, the count of what
came to lie there is part of the outcome.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import trio

from campaign import __version__
from campaign.env import Env
from campaign.load.naming import draw_start
from campaign.load.outcome import Facts, Moment, Outcome, errors_of
from campaign.load.pushes import Ear, Pushes
from campaign.load.schedule import Shape, planned, seconds_of
from campaign.load.tally import Second
from campaign.load.trial import Pulse
from campaign.load.wording import shape_in_words
from campaign.load.workers import Task, Workers


@dataclass(frozen=True)
class Flood:
    """Whom, how much and how. Without a shape it is the closed model for `seconds`.

    Every device keeps one connection; they are spread over the workers.
    """

    ear: Ear
    shape: Shape | None = None
    seconds: float = 0.0
    rows: int = 10
    seed: int = 0
    workers: int = 1
    timeout: float = 30.0
    grace: float = 5.0
    ca_file: str | None = None

    @property
    def devices(self) -> int:
        return len(self.ear.paths)

    @property
    def connections(self) -> int:
        """Of each worker."""
        return max(1, -(-self.devices // self.workers))

    def task(self, env: Env) -> Task:
        """What the workers do."""
        return Task(
            host=self.ear.host,
            port=self.ear.port,
            make_source=Pushes(self.ear, self.rows, draw_start(env.rng)).source,
            shape=self.shape,
            seconds=self.seconds,
            seed=self.seed,
            connections=self.connections,
            timeout=self.timeout,
            grace=self.grace,
            tls=(self.ca_file or "") if self.ear.tls else None,
        )

    def facts(self, started_ms: int) -> Facts:
        """The same in words, for results."""
        shape = self.shape
        return Facts(
            target=f"receiver at {self.ear.url}",
            shape=shape_in_words(shape, self.seconds),
            workload=f"pushes of {self.rows} report row(s) by {self.devices} device(s)",
            scheduled=seconds_of(shape) if shape else self.seconds,
            planned=planned(shape) if shape else None,
            connections=self.connections * self.workers,
            workers=self.workers,
            seed=self.seed,
            started_ms=started_ms,
            version=__version__,
        )


async def flood(
    plan: Flood,
    env: Env,
    *,
    committed: Callable[[], int] | None = None,
    on_second: Callable[[Pulse], None] = lambda _: None,
    ending: trio.CancelScope | None = None,
) -> Outcome:
    """Push as planned. Cancel `ending` to end early. `committed()` counts the inbox's pushes.

    Of the account, `pushes` and `rows` were acknowledged; `lost` of them are not in the inbox.
    """
    started_ms, before = env.wall_ms(), committed() if committed else 0
    series: list[Moment] = []

    def second(second: Second) -> None:
        series.append(Moment.of(second))
        on_second(Pulse(series[-1], None, 0, 0))

    workers = Workers(plan.task(env), plan.workers, env=env, on_second=second)
    with trio.CancelScope() if ending is None else ending:
        await workers.run()
    result = workers.result
    taken = result.tally.statuses[200]
    account = {"pushes": taken, "rows": taken * plan.rows}
    if committed is not None:
        account["committed"] = committed() - before
        account["lost"] = max(0, taken - account["committed"])
    outcome = Outcome(
        facts=plan.facts(started_ms),
        seconds=result.seconds,
        tally=result.tally,
        errors=errors_of(result.tally),
        account=account,
        series=tuple(series),
        invalid=tuple(result.invalid),
    )
    account["rows_per_second"] = round(outcome.achieved_per_second * plan.rows)
    return outcome
