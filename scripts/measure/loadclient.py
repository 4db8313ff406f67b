"""Row "load client": our own, one worker with 32 connections, every latency recorded."""

from __future__ import annotations

import trio

from campaign.env import Env
from campaign.load.schedule import Constant
from campaign.load.workers import Task, Workers
from scripts.measure.figure import Sample, Scale
from scripts.measure.posting import CONNECTIONS, lasting, posted, posting
from scripts.measure.web import nginx

ROW = "load client, campaign"


def run(scale: Scale) -> Sample:
    with nginx() as port:
        return ours(port, lasting(scale))


def ours(port: int, seconds: float, rate: float | None = None) -> Sample:
    """As fast as it goes without a rate (closed model), else the open model at it. CPU is that of
    the sending process without its start-up. RuntimeError if a request was not answered."""
    shape = None if rate is None else Constant(rate, seconds)
    task = Task("127.0.0.1", port, posting, shape, seconds=seconds, connections=CONNECTIONS)
    result = trio.run(Workers(task, 1, env=Env()).run)
    if result.tally.failed:
        raise RuntimeError(f"not every request was answered: {result.tally.errors}")
    return posted(ROW, result.tally.answered, result.seconds, result.tally.cpu_seconds)
