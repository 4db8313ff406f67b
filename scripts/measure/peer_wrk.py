"""Row "load client, wrk": what C can do with the same work."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from scripts.measure.figure import Sample, Scale
from scripts.measure.posting import (
    CONNECTIONS,
    CONTENT_TYPE,
    PATH,
    body_file,
    lasting,
    posted,
    told_by,
)
from scripts.measure.web import installed, nginx

_SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "{kind}"
wrk.body = io.open("{body}", "rb"):read("*a")
"""


def run(scale: Scale) -> Sample:
    program = installed("wrk", "wrk")
    seconds = lasting(scale)
    with tempfile.TemporaryDirectory(prefix="campaign-bench-") as name, nginx() as port:
        folder = Path(name)
        script = folder / "post.lua"
        script.write_text(_SCRIPT.format(kind=CONTENT_TYPE, body=body_file(folder)))
        told, cpu = told_by(
            [
                program, "--latency", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", "-s",
                str(script), f"http://127.0.0.1:{port}{PATH}",
            ],
            seconds,
        )  # fmt: skip
    done = re.search(r"(\d+) requests in ([\d.]+)s", told)
    if done is None or "Non-2xx" in told or "Socket errors" in told:
        raise RuntimeError(f"wrk failed:\n{told}")
    return posted("load client, wrk", int(done[1]), float(done[2]), cpu)
