"""Row "load client, Locust": the same work by its FastHttpUser, the quicker of its two clients.

Locust lives in an environment of its own in the user's cache, made at the first run. Its totals
include its start-up, in which it is slow: what counts begins when all users run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.measure.figure import NotInstalled, Sample, Scale
from scripts.measure.posting import BODY, CONNECTIONS, CONTENT_TYPE, PATH, lasting, posted, told_by
from scripts.measure.web import nginx

VERSION = "2.47.0"
_INSTALL_SECONDS = 600
_SCRIPT = """
import json, time
from locust import FastHttpUser, constant, events, task
BODY, PATH, KIND = {body!r}, {path!r}, {kind!r}

class Poster(FastHttpUser):
    wait_time = constant(0)

    @task
    def post(self):
        self.client.post(PATH, data=BODY, headers={{"Content-Type": KIND}})

BEGUN = []

@events.init.add_listener
def prepare(environment, **_):
    @environment.events.spawning_complete.add_listener
    def begin(**_):
        BEGUN[:] = environment.stats.total.num_requests, time.process_time(), time.perf_counter()

    @environment.events.test_stopping.add_listener
    def end(**_):
        requests, cpu, wall = BEGUN
        total = environment.stats.total  # another one than at first: it begins anew at the start
        print(json.dumps({{
            "requests": total.num_requests - requests, "failures": total.num_failures,
            "cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall,
        }}), flush=True)
"""


def run(scale: Scale) -> Sample:
    python = _environment()
    with nginx() as port:
        return locust(python, port, lasting(scale) + 1)  # the start-up is in its time


def locust(python: str, port: int, seconds: float) -> Sample:
    """By the Locust of `python`. RuntimeError if a request failed."""
    with tempfile.TemporaryDirectory(prefix="campaign-bench-") as folder:
        script = Path(folder, "locustfile.py")
        script.write_text(_SCRIPT.format(body=BODY, path=PATH, kind=CONTENT_TYPE))
        users = str(CONNECTIONS)
        arguments = [
            python, "-m", "locust", "-f", str(script), "--headless", "-u", users, "-r", users,
            "-t", f"{seconds:g}s", "-H", f"http://127.0.0.1:{port}", "--only-summary",
        ]  # fmt: skip
        told, _ = told_by(arguments, seconds)
    lines = [json.loads(line) for line in told.splitlines() if line.startswith('{"requests"')]
    if not lines or lines[0]["failures"]:
        raise RuntimeError(f"locust failed:\n{told}")
    one = lines[0]
    return posted("load client, Locust", one["requests"], one["wall"], one["cpu"])


def _environment() -> str:
    """The Python of an environment with Locust. Raises `NotInstalled` where it cannot be made."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "campaign-bench" / f"locust-{VERSION}"
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists():
        make = [sys.executable, "-m", "venv", "--clear", str(folder)]
        fill = [str(python), "-m", "pip", "install", "--quiet", f"locust=={VERSION}"]
        try:
            for step in (make, fill):
                subprocess.run(step, check=True, capture_output=True, timeout=_INSTALL_SECONDS)
        except (OSError, subprocess.SubprocessError) as failed:
            raise NotInstalled(f"locust (pip install locust=={VERSION})") from failed
        ready.touch()
    return str(python)
