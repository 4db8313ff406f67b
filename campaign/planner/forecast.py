"""When a campaign would be done: the planner itself, run ahead in virtual time.

A forecast is three moments, from three paces a SIM may keep. Each comes from a run of the planner's
own turns (`planner.forecast_run`) over the ports that are known, so that windows, rates, quotas,
failures and other campaigns weigh as they will when messages are really sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from campaign.planner.forecast_ports import PortLoad
from campaign.planner.forecast_run import ForecastRun, Foreseen, Pause
from campaign.planner.workload import Conditions, Demand, PlannedSim


@dataclass(frozen=True)
class Forecast:
    """When the last message is sent; None: not within ten years, or never where no port serves.

    `pauses` and `ports` are those of the usual pace; `late` is how many recipients would still wait
    at the deadline then.
    """

    earliest: datetime | None
    expected: datetime | None
    latest: datetime | None
    pauses: tuple[Pause, ...] = ()
    ports: tuple[PortLoad, ...] = ()
    late: int = 0
    unserved: tuple[tuple[str, int], ...] = ()
    """How many recipients each route leaves to ports that are not there: they are in no figure."""


def forecast(
    now: datetime,
    ours: Demand,
    sims: Sequence[PlannedSim],
    conditions: Conditions | None = None,
    others: Sequence[Demand] = (),
) -> Forecast:
    """The finish of sending that begins at `now` (aware), for three paces of a SIM.

    `others` are campaigns that want the same ports at the same time.
    """
    steps = forecast_steps(now, ours, sims, conditions, others)
    return next(found for found in steps if found is not None)


def forecast_steps(
    now: datetime,
    ours: Demand,
    sims: Sequence[PlannedSim],
    conditions: Conditions | None = None,
    others: Sequence[Demand] = (),
) -> Iterator[Forecast | None]:
    """As `forecast`, a little at a time, for whoever has other things to do meanwhile: nothing as
    long as it is not done, then the forecast."""
    served = [group for group in ours.groups if any(sim.serves(group) for sim in sims)]
    unserved: Counter[str] = Counter()
    for group in ours.groups:
        if sims and group not in served:  # without any port there is nothing to tell of routes
            unserved[group.route] += group.messages
    if served:
        ours = replace(ours, groups=tuple(served))
    ended: list[Foreseen] = []
    for pace in range(3):
        run = ForecastRun(now, ours, others, sims, conditions or Conditions(), pace)
        while run.advance():
            yield None
        ended.append(run.result())
    fast, usual, slow = ended
    if usual.finish is None:
        early, late = fast.finish, None
    else:
        # a slower run may be luckier with its last failures: the band holds what is expected
        early = min(fast.finish or usual.finish, usual.finish)
        late = None if slow.finish is None else max(slow.finish, usual.finish)
    yield Forecast(
        early, usual.finish, late, usual.pauses, usual.ports, usual.late,
        tuple(sorted((route, n) for route, n in unserved.items() if n)),
    )  # fmt: skip


def deal(messages: int, ports: int) -> tuple[int, ...]:
    """How many messages each port gets when they are dealt in turn."""
    if not ports:
        return ()
    share, over = divmod(messages, ports)
    return tuple(share + (turn < over) for turn in range(ports))


def task_count(same_text: int, ports: int, task_size: int) -> int:
    """The fewest tasks for so many recipients of one text: a task names one port."""
    return sum(-(-share // task_size) for share in deal(same_text, min(ports, same_text)))
