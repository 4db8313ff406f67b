"""Reading a queue that moves while it is read (spec §6.3.6).

Positions count from the first waiting task. When one starts meanwhile, those behind move up and the
next page begins one too far: the sweep goes back over the seam, and starts again as long as the
count still fell.
"""

from __future__ import annotations

from collections.abc import Sequence

from campaign.gateway.answers import Sweep
from campaign.gateway.line import Line
from campaign.protocol.codec import decode_task_list
from campaign.protocol.messages import QueuedTask

_PAGE = 100
_MOST_PAGES = 1000
_MOST_SWEEPS = 5


async def waiting_tasks(line: Line, ports: Sequence[int]) -> Sweep:
    """All tasks still waiting on these ports, each once. Tasks for any port are on every list."""
    found: dict[int, QueuedTask] = {}
    raws: list[bytes] = []
    for port in ports:
        for _ in range(_MOST_SWEEPS):
            tasks, moved = await _sweep(line, port, raws)
            found.update(tasks)
            if not moved:
                break
    return Sweep(b"\n".join(raws), tuple(found.values()))


async def waiting_count(line: Line, port: int) -> int:
    """How many tasks wait on a port, by the device's own count: one short page."""
    raw = await line.ask("/goip_get_tasks.html", {"port": str(port), "pos": "0", "num": "1"})
    return line.checked(raw, decode_task_list).total


async def _sweep(line: Line, port: int, raws: list[bytes]) -> tuple[dict[int, QueuedTask], bool]:
    """One pass over a port's queue, and whether it moved under the pass."""
    tasks: dict[int, QueuedTask] = {}
    position, totals = 0, set[int]()
    for _ in range(_MOST_PAGES):
        query = {"port": str(port), "pos": str(position), "num": str(_PAGE), "has_content": "1"}
        raw = await line.ask("/goip_get_tasks.html", query)
        raws.append(raw)
        page = line.checked(raw, decode_task_list)
        tasks.update((task.tid, task) for task in page.tasks)
        totals.add(page.total)
        position += len(page.tasks)
        if not page.tasks or position >= page.total:
            break
    # one page is one moment: only a list read in several can have lost something between them
    return tasks, len(totals) > 1
