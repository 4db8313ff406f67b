"""Real processes on loopback: a place of its own for each test, and nothing left behind.

Whatever a test starts, and whatever that starts in turn, inherits a mark in its environment; after
the test every process with the mark is ended by its pid. Moments are conditions, never naps.
"""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import pytest

T = TypeVar("T")

_MARK = "FLOW_TEST_FOLDER"
_GENEROUS = 60.0
_LOOK_EVERY = 0.02

CAMPAIGN = (sys.executable, "-m", "campaign")

SHORT_TIMES = {
    "client-timeout": "2s",
    "task-report-period": "1s",
    "report-period": "1s",
    "report-horizon": "1500ms",
    "push-silence": "5s",
    "status-period": "1s",
    "receipt-wait": "1s",
    "retry-wait": "1s",
    "port-rest": "2s",
}
"""The times of a campaign, short enough for a test."""


@dataclass(frozen=True)
class Done:
    """How a command ended; `peak_mb` is the most memory it ever held."""

    code: int
    out: str
    err: str
    seconds: float
    peak_mb: float

    def json(self) -> Any:
        return json.loads(self.out)


class Command:
    """One running `campaign …`, in a process group of its own as a shell would start it."""

    def __init__(self, argv: Sequence[str], folder: Path, nth: int, stdin: IO[bytes] | int) -> None:
        self.argv = list(argv)
        self._out, self._err = folder / f"{nth}.out", folder / f"{nth}.err"
        self._began = time.monotonic()
        self._done: Done | None = None
        self._peak_kb = 0
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                self.argv,
                stdin=stdin,
                stdout=out,
                stderr=err,
                cwd=folder,
                env=_environment(folder),
                process_group=0,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def out(self) -> str:
        return self._out.read_text(encoding="utf-8")

    @property
    def err(self) -> str:
        return self._err.read_text(encoding="utf-8")

    def ended(self) -> Done | None:
        """How it ended, None while it runs."""
        if self._done is None:
            self._peak_kb = max(self._peak_kb, self._high_water())
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.process.returncode = os.waitstatus_to_exitcode(status)
                self._done = Done(
                    self.process.returncode,
                    self.out,
                    self.err,
                    self.elapsed(),
                    self._peak_kb / 1024,
                )
        return self._done

    def _high_water(self) -> int:
        """Most kB of memory it has held so far.

        Not `ru_maxrss`: that begins with what the test process held when it forked.
        """
        try:
            lines = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines()
        except (OSError, UnicodeDecodeError):
            return 0
        return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)

    def elapsed(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self._began

    def wait(self, within: float = _GENEROUS) -> Done:
        return until(self.ended, f"{self.argv[5:]} ends", within=within, shown=lambda: self.err)

    def kill(self) -> None:
        """SIGKILL, and nothing else: what it started lives on."""
        os.kill(self.pid, signal.SIGKILL)
        assert self.wait().code == -signal.SIGKILL, self.err

    def signal(self, number: signal.Signals) -> None:
        """As a terminal or a service manager sends it: to the whole process group."""
        os.killpg(self.pid, number)


def until(
    condition: Callable[[], T | None],
    what: str,
    *,
    within: float = _GENEROUS,
    shown: Callable[[], str] = str,
) -> T:
    """Wait until `condition` gives something true; fails with `what` after `within` seconds."""
    deadline = time.monotonic() + within
    while not (found := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {within:g} s: {what}\n{shown()}")
        time.sleep(_LOOK_EVERY)
    return found


class Flow:
    """A ledger, an opt-out store and all the processes around them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.db = folder / "c.db"
        self.optouts = folder / "optouts.db"
        self.commands: list[Command] = []

    # --- commands

    def argv(self, *words: str | Path) -> list[str]:
        """The command line of `campaign …` on this ledger."""
        site = ["--db", str(self.db), "--optouts", str(self.optouts)]
        return [*CAMPAIGN, *site, *map(str, words)]

    def start(self, *words: str | Path, stdin: IO[bytes] | int = subprocess.DEVNULL) -> Command:
        """Start `campaign …` on this ledger."""
        return self.start_any(self.argv(*words), stdin)

    def start_any(
        self, argv: Sequence[str], stdin: IO[bytes] | int = subprocess.DEVNULL
    ) -> Command:
        """Start any command line in this place."""
        command = Command(argv, self.folder, len(self.commands), stdin)
        self.commands.append(command)
        return command

    def run(self, *words: str | Path, code: int = 0, within: float = _GENEROUS) -> Done:
        """Run `campaign …` to its end, which has to be `code`."""
        done = self.start(*words).wait(within)
        assert done.code == code, f"{words} ended with {done.code}\n{done.out}\n{done.err}"
        return done

    def launch(
        self,
        path: Path | str,
        *words: str,
        name: str = "c",
        simulate: int | None = 2,
        simulated: dict[str, str] | None = None,
        times: dict[str, str] | None = None,
        message: str = "Hello",
        stdin: IO[bytes] | int = subprocess.DEVNULL,
    ) -> Command:
        """Start a launch through small, fast simulated gateways (None: the registered ones)."""
        more: list[str] = [*words, "--name", name]
        if simulate is not None:
            settings = {"ports": "4", "sms-seconds": "0.02", "receipts-seconds": "0.1-0.3"}
            more += ["--simulate", str(simulate)]
            for key, value in {**settings, **(simulated or {})}.items():
                more += ["--simulate-set", f"{key}={value}"]
        return self.start(*self.launching(path, *more, message=message, times=times), stdin=stdin)

    @staticmethod
    def launching(
        path: Path | str,
        *words: str,
        message: str = "Hello",
        times: dict[str, str] | None = None,
    ) -> list[str]:
        """The words of a launch with short times."""
        line = ["launch", str(path), "--message", message, *words]
        for key, value in {**SHORT_TIMES, **(times or {})}.items():
            line += ["--set", f"{key}={value}"]
        return line

    def until(
        self,
        condition: Callable[[], T | None],
        what: str,
        command: Command | None = None,
        within: float = _GENEROUS,
    ) -> T:
        """Wait for a condition, for as long as `command` runs."""

        def look() -> T | None:
            found = condition()
            if not found and command is not None and (done := command.ended()):
                found = condition()
                if not found:
                    pytest.fail(f"ended ({done.code}) before {what}\n{done.out}\n{done.err}")
            return found

        return until(look, what, within=within, shown=lambda: command.err if command else "")

    # --- lists

    def write_list(self, count: int, *extra: str, name: str = "list.csv") -> Path:
        """A list of `count` plain numbers, then `extra` rows as they are."""
        path = self.folder / name
        rows = [f"+{number}" for number in self.numbers(count)]
        path.write_text("\n".join(["phone", *rows, *extra, ""]), encoding="utf-8")
        return path

    @staticmethod
    def numbers(count: int) -> list[str]:
        """Digits under 999, which no operator has; none of them is a magic one."""
        return [f"99955{i:05d}{1000 + i % 9000:04d}" for i in range(count)]

    # --- the ground truth

    def truth(self) -> list[dict[str, Any]]:
        """Every transmission attempt of every simulated gateway, on air or not."""
        lines: list[dict[str, Any]] = []
        for path in sorted(self.db.parent.glob("*.truth.jsonl")):
            # a line that is being written has no end yet
            whole = path.read_bytes().rpartition(b"\n")[0]
            lines += [json.loads(line) for line in whole.splitlines()]
        return lines

    def on_air(self) -> Counter[str]:
        """How often the network took a message to each number."""
        return Counter(line["number"] for line in self.truth() if line["ok"])

    def attempted(self) -> int:
        """How many transmission attempts there were, counted without reading them."""
        paths = self.db.parent.glob("*.truth.jsonl")
        return sum(path.read_bytes().count(b"\n") for path in paths)

    # --- the ledger

    def rows(self, sql: str, *parameters: object) -> list[sqlite3.Row]:
        """Ask the ledger, read-only; nothing while there is none."""
        if not self.db.exists():
            return []
        with closing(sqlite3.connect(f"file:{self.db}?mode=ro", uri=True, timeout=10)) as conn:
            conn.row_factory = sqlite3.Row
            with suppress(sqlite3.OperationalError):  # its tables are not made yet
                return conn.execute(sql, parameters).fetchall()
        return []

    def one(self, sql: str, *parameters: object) -> Any:
        """The single value of a query, None if there is none."""
        rows = self.rows(sql, *parameters)
        return rows[0][0] if rows else None

    def state(self, name: str = "c") -> str | None:
        """A campaign's state as the ledger has it."""
        state: str | None = self.one("SELECT state FROM campaigns WHERE name = ?", name)
        return state

    def counts(self, name: str = "c") -> dict[str, int]:
        """Recipients by state; states without any are left out."""
        sql = """
            SELECT r.state, count(*) FROM recipients AS r JOIN campaigns AS c
            ON c.id = r.campaign_id WHERE c.name = ? GROUP BY r.state
        """
        return {row[0]: row[1] for row in self.rows(sql, name)}

    def report(self, name: str = "c") -> list[dict[str, str]]:
        """The CSV report, row by row."""
        done = self.run("report", name, "--format", "csv")
        return list(csv.DictReader(io.StringIO(done.out.lstrip("\ufeff"))))

    # --- the processes

    def processes(self) -> dict[int, str]:
        """Every living process that this test brought about, with its command line."""
        mark = f"{_MARK}={self.folder}".encode()
        found: dict[int, str] = {}
        for place in Path("/proc").iterdir():
            if not place.name.isdigit():
                continue
            with suppress(OSError):
                if mark in (place / "environ").read_bytes().split(b"\0"):
                    words = (place / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(place.name)] = words.decode("utf-8", "replace")
        return found

    def pids(self, word: str) -> list[int]:
        """Those of them whose command line has the word, as `simulate` or `listen`."""
        return [pid for pid, words in self.processes().items() if f" {word} " in f"{words} "]

    def clean_up(self) -> None:
        """End whatever is left, softly first."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.processes():
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            deadline = time.monotonic() + 3
            while self._alive() and time.monotonic() < deadline:
                time.sleep(_LOOK_EVERY)
        for command in self.commands:
            command.wait()

    def _alive(self) -> bool:
        for command in self.commands:
            command.ended()
        return bool(self.processes())


def _environment(folder: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CAMPAIGN_")}
    return {**kept, _MARK: str(folder), "NO_COLOR": "1", "COLUMNS": "200"}


@pytest.fixture
def flow(tmp_path: Path) -> Iterator[Flow]:
    """A ledger of its own; every process is ended afterwards, on failure too."""
    place = Flow(tmp_path)
    try:
        yield place
    finally:
        place.clean_up()


@pytest.fixture(scope="module")
def open_flow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Flow]]:
    """Ledgers of their own that live as long as a file's tests: `open_flow(name)`."""
    opened: list[Flow] = []

    def make(name: str) -> Flow:
        opened.append(Flow(tmp_path_factory.mktemp(name)))
        return opened[-1]

    try:
        yield make
    finally:
        for place in opened:
            place.clean_up()


@pytest.fixture(scope="module")
def at_once(
    request: pytest.FixtureRequest, open_flow: Callable[[str], Flow]
) -> Iterator[Callable[[str], None]]:
    """All `JOURNEYS` of a file at the same time, since most of each is waiting; every one has a
    ledger of its own. `at_once(name)` waits for one and raises what it raised."""
    journeys: Sequence[Callable[[Flow], None]] = request.module.JOURNEYS
    with ThreadPoolExecutor(len(journeys)) as threads:
        running = {
            journey.__name__: threads.submit(journey, open_flow(journey.__name__))
            for journey in journeys
        }
        yield lambda name: running[name].result()


@pytest.fixture
def down(flow: Flow) -> Iterator[str]:
    """A registered gateway whose port refuses every connection; gives its URL."""
    with socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))  # bound but not listening: nobody else gets it either
        url = f"http://127.0.0.1:{refusing.getsockname()[1]}"
        secret = flow.folder / "password"
        secret.write_text("secret", encoding="utf-8")
        flow.run("gateway", "add", "down", url, "--username", "root", "--password-file", secret)
        yield url


@pytest.fixture
def make_list(tmp_path: Path) -> Callable[[int], Path]:
    """A large list by scripts/make_list: `make_list(count)`."""

    def make(count: int) -> Path:
        path = tmp_path / f"list-{count}.csv"
        script = Path(__file__).parents[2] / "scripts" / "make_list"
        subprocess.run([sys.executable, script, str(count), "-o", path], check=True)
        return path

    return make
