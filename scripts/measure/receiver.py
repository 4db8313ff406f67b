"""Row "receiver": reports of a hundred rows, each on disk before its 200.

The real receiver process (`campaign listen`) with its inbox on disk in full durability; eight
connections that are kept alive push the next report once the last was answered. CPU is the
receiver's alone.
"""

from __future__ import annotations

import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from scripts.measure.databases import ask, bound_receiver, wait_until
from scripts.measure.figure import Sample, Scale
from scripts.measure.processes import command, cpu_seconds, environment, rss_mb, running

_ROWS = 100
_CONNECTIONS = 8
_WARM_UP = 100


def run(scale: Scale) -> Sample:
    with tempfile.TemporaryDirectory(prefix="campaign-bench-") as name:
        folder = Path(name)
        env = environment(folder)
        token = _register(folder, env)
        db = str(folder / "campaign.db")
        listen = command("--db", db, "listen", "--listen", "127.0.0.1:0")
        with running(listen, env, folder / "receiver.log") as receiver:
            wait_until(lambda: bound_receiver(folder) is not None, 30)
            _, port = bound_receiver(folder) or (0, 0)
            target = "127.0.0.1", port
            return _measure(folder, receiver.pid, target, token, max(1, scale.rows // _ROWS))


def _register(folder: Path, env: dict[str, str]) -> str:
    """A gateway; the token of the path by which it pushes."""
    db = folder / "campaign.db"
    subprocess.run(
        command(
            "--db", str(db), "gateway", "add", "gw", "http://127.0.0.1:9", "--username", "root",
            "--password-env", "BENCH_PASSWORD",
        ),
        env=env, check=True, capture_output=True,
    )  # fmt: skip
    return ask(db, "SELECT token FROM gateways") or ""


def _measure(
    folder: Path, receiver: int, target: tuple[str, int], token: str, reports: int
) -> Sample:
    request = _request(target, token)
    _push_all(target, request, _WARM_UP)
    before, began = cpu_seconds(receiver), time.perf_counter()
    waits = _push_all(target, request, reports)
    seconds, cpu = time.perf_counter() - began, cpu_seconds(receiver) - before
    stored = int(ask(folder / "campaign.inbox.db", "SELECT count(*) FROM inbox") or 0)
    if stored != _WARM_UP + len(waits):
        raise RuntimeError(f"{_WARM_UP + len(waits)} reports were answered, {stored} are stored")
    waits.sort()
    return Sample(
        "receiver", len(waits) * _ROWS, "rows", seconds, cpu, rss_mb(receiver),
        notes={
            "p50_ms": waits[len(waits) // 2] * 1000,
            "p99_ms": waits[len(waits) * 99 // 100] * 1000,
            "max_ms": waits[-1] * 1000,
        },
    )  # fmt: skip


def _request(target: tuple[str, int], token: str) -> bytes:
    rows = ",".join(f'[{i},"8613{i:09d}","{i % 50 + 1}A",1764000000]' for i in range(_ROWS))
    body = (
        '{"type":"status-report","rpt_num":1,"rpts":[{"tid":1,"sending":0,'
        f'"sent":{_ROWS},"failed":0,"unsent":0,"sdr":[{rows}],"fdr":[]}}]}}'
    )
    head = (
        f"POST /p/{token} HTTP/1.1\r\nHost: {target[0]}:{target[1]}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()


def _push_all(target: tuple[str, int], request: bytes, count: int) -> list[float]:
    """Seconds until each of `count` answers."""
    waits: list[float] = []
    counts = [count // _CONNECTIONS + (i < count % _CONNECTIONS) for i in range(_CONNECTIONS)]
    threads = [
        threading.Thread(target=_push, args=(target, request, each, waits)) for each in counts
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(waits) != count:
        raise RuntimeError(f"{len(waits)} of {count} reports were answered")
    return waits


def _push(target: tuple[str, int], request: bytes, count: int, waits: list[float]) -> None:
    connection = None
    for _ in range(count):
        if connection is None:
            connection = socket.create_connection(target, 10)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began = time.perf_counter()
        connection.sendall(request)
        head = _answer(connection)
        waits.append(time.perf_counter() - began)
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(f"answered {head[:200]!r}")
        if b"connection: close" in head:  # after so many requests a server may
            connection.close()
            connection = None
    if connection is not None:
        connection.close()


def _answer(connection: socket.socket) -> bytes:
    """The head of one answer in lower case; its body is read, too."""
    told = b""
    while b"\r\n\r\n" not in told:
        more = connection.recv(65536)
        if not more:
            raise RuntimeError("the receiver hung up")
        told += more
    head, _, body = told.partition(b"\r\n\r\n")
    head = head.lower()
    _, _, behind = head.partition(b"content-length:")
    left = int(behind.split(b"\r\n")[0]) - len(body)
    while left > 0:
        left -= len(connection.recv(left))
    return head
