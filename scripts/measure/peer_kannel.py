"""Row "Kannel, SMPP with reports": how many final results a second, and for how much CPU.

Messages go in over HTTP with 32 connections, one a request, as Kannel takes them; the SMS centre
delivers each at once; Kannel asks for the URL of its delivery report, which is the final result.
The time is from the first report to the last, as the sender takes a while to start. The store of
undelivered messages is a file that Kannel writes without waiting for the disk; our ledger waits
at every commit. CPU is that of bearerbox and smsbox, not of who sends, of the SMS centre and of
the taker of reports.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import trio

from campaign.env import Env
from campaign.load.wire import Request, build_request
from campaign.load.workers import Task, Workers
from scripts.measure.databases import wait_until
from scripts.measure.figure import Sample, Scale
from scripts.measure.peers import smsc
from scripts.measure.processes import cpu_seconds, environment, rss_mb, running
from scripts.measure.web import free_port, installed, nginx, wait_for

_CONNECTIONS = 32
_LONGEST = 300.0
_SHARE = 2  # of the messages of a dispatch: it takes several times as long
_WARM_UP = 200
_TEXT = "Hello Anna your code is 123456 and your parcel will arrive on Monday"
_CONFIG = """
group = core
admin-port = {admin}
admin-interface = 127.0.0.1
admin-password = bench
smsbox-port = {boxes}
smsbox-interface = 127.0.0.1
log-level = 3
log-file = "{folder}/bearerbox.log"
dlr-storage = internal
store-type = file
store-location = "{folder}/store"
sms-incoming-queue-limit = -1
sms-outgoing-queue-limit = 10000000

group = smsc
smsc = smpp
smsc-id = bench
host = 127.0.0.1
port = {smsc}
transceiver-mode = true
system-type = "VMA"
address-range = ""
smsc-username = "bench"
smsc-password = "bench"
max-pending-submits = 100

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {boxes}
sendsms-port = {sending}
sendsms-interface = 127.0.0.1
global-sender = 123
log-level = 3
log-file = "{folder}/smsbox.log"
http-request-retry = 3
max-pending-requests = 512

group = sendsms-user
username = bench
password = bench
max-messages = 1

group = sms-service
keyword = default
max-messages = 0
text = ""
"""


@dataclass(frozen=True)
class Kannel:
    """Its two processes, and the port that messages are sent to."""

    bearerbox: int
    smsbox: int
    sending: int

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.bearerbox) + cpu_seconds(self.smsbox)

    def rss_mb(self) -> float:
        return rss_mb(self.bearerbox) + rss_mb(self.smsbox)


@dataclass(frozen=True)
class Asking:
    """The request of every message; it travels to the sending process by pickle."""

    path: str

    def __call__(self, _worker: int, _workers: int) -> Callable[[int], Request]:
        request = Request(build_request("GET", self.path, "127.0.0.1", b"", ()))
        return lambda _nth: request


def run(scale: Scale) -> Sample:
    messages = max(100, scale.messages // _SHARE)
    with tempfile.TemporaryDirectory(prefix="campaign-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        reports = folder / "reports"
        callback = stack.enter_context(nginx(reports))
        kannel = stack.enter_context(_kannel(folder))
        return _measure(kannel, messages, callback, reports)


@contextmanager
def _kannel(folder: Path) -> Iterator[Kannel]:
    """bearerbox, bound to an SMS centre, and smsbox. Raises `NotInstalled`."""
    packages = "kannel kannel-extras"
    programs = installed("bearerbox", packages), installed("smsbox", packages)
    env = environment(folder)
    with ExitStack() as stack:
        ports = {name: free_port() for name in ("admin", "boxes", "sending")}
        centre = stack.enter_context(running(_smsc(), env, folder / "smsc.log"))
        assert centre.stdout is not None  # noqa: S101 - it was started with one
        ports["smsc"] = int(centre.stdout.readline())
        settings = _settings(folder, ports)
        pids: list[int] = []
        for program, port in zip(programs, (ports["boxes"], ports["sending"]), strict=True):
            arguments = [program, "-v", "4", str(settings)]
            log = folder / f"{Path(program).name}.err"
            pids.append(stack.enter_context(running(arguments, env, log)).pid)
            wait_for(port)
        bearerbox, smsbox = pids
        yield Kannel(bearerbox, smsbox, ports["sending"])


def _smsc() -> list[str]:
    return [sys.executable, str(smsc.__file__)]


def _settings(folder: Path, ports: Mapping[str, int]) -> Path:
    path = folder / "kannel.conf"
    path.write_text(_CONFIG.format(folder=folder, **ports))
    return path


def _measure(kannel: Kannel, messages: int, callback: int, reports: Path) -> Sample:
    _send(kannel.sending, _WARM_UP, callback)  # the first waits until it is bound to the centre
    _wait_for(reports, _WARM_UP)
    before = kannel.cpu_seconds()
    _send(kannel.sending, messages, callback)
    lines = _wait_for(reports, _WARM_UP + messages)
    cpu = kannel.cpu_seconds() - before
    seconds = float(lines[-1]) - float(lines[_WARM_UP])
    return Sample(
        "Kannel, SMPP with reports", messages, "messages", seconds, cpu, kannel.rss_mb()
    )  # fmt: skip


def _send(port: int, messages: int, callback: int) -> None:
    """One request each. RuntimeError unless Kannel accepted every one."""
    report = quote(f"http://127.0.0.1:{callback}/report?id=123456&type=%d", safe="")
    path = (
        "/cgi-bin/sendsms?username=bench&password=bench&to=%2B99911000001&from=BRAND"
        f"&text={quote(_TEXT)}&dlr-mask=1&dlr-url={report}"
    )
    task = Task(
        "127.0.0.1", port, Asking(path), seconds=_LONGEST, connections=_CONNECTIONS, most=messages
    )
    tally = trio.run(Workers(task, 1, env=Env()).run).tally
    if tally.statuses[202] != messages:
        raise RuntimeError(f"Kannel answered {dict(tally.statuses)}, {dict(tally.errors)}")


def _wait_for(reports: Path, count: int) -> list[str]:
    """The moments of that many reports. RuntimeError if there are more, or too few in time."""
    wait_until(lambda: reports.read_bytes().count(b"\n") >= count, _LONGEST)
    lines = reports.read_text().splitlines()
    if len(lines) != count:
        raise RuntimeError(f"{len(lines)} reports of {count} messages")
    return lines
