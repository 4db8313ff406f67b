"""The work of our load client and of its peers: the same POST of 300 bytes, again and again.

32 connections that stay open, one process, as fast as it goes (the closed model, so no latency is
told: it would be that of the waiting list). What counts is the CPU of the sender; nginx is the
same for everybody.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from campaign.load.wire import Request, build_request
from scripts.measure.figure import Sample, Scale

CONNECTIONS = 32
PATH = "/goip_post_sms.html?username=root&password=root"
CONTENT_TYPE = "application/json"
BODY = (
    b'{"type":"send-sms","task_num":1,"tasks":[{"tid":1,"to":"99911000001","sms":"' + b"x" * 300
)[:296] + b'"}]}'
_REQUESTS_A_SECOND = 10_000  # so long is sent for a scale, and the same time by everybody


def posting(_worker: int, _workers: int) -> Callable[[int], Request]:
    """The requests of our own client."""
    headers = (("Content-Type", CONTENT_TYPE),)
    request = Request(build_request("POST", PATH, "127.0.0.1", BODY, headers))
    return lambda _nth: request


def lasting(scale: Scale) -> float:
    """For how many seconds to send; whole ones, as not every peer takes parts."""
    return float(max(1, scale.messages // _REQUESTS_A_SECOND))


def posted(row: str, requests: int, seconds: float, cpu_seconds: float) -> Sample:
    """What one of them did. RuntimeError if that was nothing."""
    if requests <= 0:
        raise RuntimeError(f"{row}: no request was answered")
    return Sample(
        row, requests, "requests", seconds, cpu_seconds,
        notes={"cpu_s_per_10k": cpu_seconds / requests * 10_000},
    )  # fmt: skip


def told_by(arguments: Sequence[str], seconds: float) -> tuple[str, float]:
    """What a program printed until it ended by itself, and its CPU seconds. RuntimeError if it
    failed; it is killed where it takes much longer than `seconds`."""
    with tempfile.TemporaryFile("w+") as out:
        command = ["timeout", "-k", "1", f"{seconds + 30:g}", *arguments]
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        told = out.read()
    if process.returncode:
        raise RuntimeError(f"{arguments}: exit code {process.returncode}\n{told[-2000:]}")
    return told, usage.ru_utime + usage.ru_stime


def body_file(folder: Path) -> Path:
    """The body as a file, for programs that read it from one."""
    path = folder / "body.json"
    path.write_bytes(BODY)
    return path
