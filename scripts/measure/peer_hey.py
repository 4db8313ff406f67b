"""Row "load client, hey": the same work by a widespread client written in Go, on one core."""

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


def run(scale: Scale) -> Sample:
    program = installed("hey", "hey")
    seconds = lasting(scale)
    with tempfile.TemporaryDirectory(prefix="campaign-bench-") as name, nginx() as port:
        told, cpu = told_by(
            [
                program, "-cpus", "1", "-z", f"{seconds:g}s", "-c", str(CONNECTIONS), "-m", "POST",
                "-T", CONTENT_TYPE, "-D", str(body_file(Path(name))),
                f"http://127.0.0.1:{port}{PATH}",
            ],
            seconds,
        )  # fmt: skip
    took = re.search(r"Total:\s+([\d.]+) secs", told)
    answers = {int(code): int(n) for code, n in re.findall(r"\[(\d{3})\]\s+(\d+) responses", told)}
    if took is None or set(answers) != {200}:
        raise RuntimeError(f"hey failed:\n{told}")
    return posted("load client, hey", answers[200], float(took[1]), cpu)
