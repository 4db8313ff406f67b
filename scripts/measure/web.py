"""nginx, the target of load clients and the taker of others' callbacks: one process on loopback."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.measure.databases import wait_until
from scripts.measure.figure import NotInstalled
from scripts.measure.processes import environment, running

_PLACES = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"
_START_SECONDS = 10.0
_CONFIG = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/errors;
events {{ worker_connections 2048; }}
http {{
  log_format moment '$msec'; access_log {log};
  keepalive_requests 1000000000; keepalive_timeout 600;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port}; location / {{
    default_type application/json; return 200 '{{"code":200,"reason":"OK"}}'; }} }}
}}
"""


def installed(program: str, packages: str) -> str:
    """Where a program is, also where daemons are. Raises `NotInstalled`, with the packages."""
    found = shutil.which(program, path=_PLACES)
    if found is None:
        raise NotInstalled(f"{program} (apt-get install {packages})")
    return found


@contextmanager
def nginx(log: Path | None = None) -> Iterator[int]:
    """Its port; it answers everything with 200. Into `log` goes one line for each request: when
    it was answered, in seconds of the Unix clock. Raises `NotInstalled`."""
    program = installed("nginx", "nginx-light")
    with tempfile.TemporaryDirectory(prefix="campaign-bench-") as name:
        folder, port = Path(name), free_port()
        settings = folder / "nginx.conf"
        logging = f"{log} moment" if log else "off"
        settings.write_text(_CONFIG.format(folder=folder, port=port, log=logging))
        command = [program, "-e", f"{folder}/errors", "-c", str(settings)]
        with running(command, environment(folder), folder / "stderr"):
            wait_for(port)
            yield port


def free_port() -> int:
    """A port of loopback that nobody listens on at this moment, for programs that must be told."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def wait_for(port: int) -> None:
    """Until somebody listens. RuntimeError if nobody does in time."""
    wait_until(lambda: _listens(port), _START_SECONDS)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
