"""What devices push at a receiver, as requests: status reports of tasks that nobody has sent.

The ids are those of no campaign (they begin at a random place), the numbers those of the test
range, so whoever reads them later finds them to be nobody's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from campaign.errors import UsageError
from campaign.load.naming import Recipients
from campaign.load.wire import Request, build_request
from campaign.protocol.device_codec import encode_status_report
from campaign.protocol.messages import SentRow, StatusReport, TaskReport
from campaign.protocol.ports import Port
from campaign.protocol.submission import MAX_TID

_JSON: Final = (("Content-Type", "application/json;charset=utf-8"),)
_SENT_AT: Final = 1_700_000_000
_PORTS: Final = 32
_MOST_ROWS: Final = 2000


@dataclass(frozen=True)
class Ear:
    """Where a receiver listens, and the paths of its devices (each with its token)."""

    host: str
    port: int
    paths: tuple[str, ...]
    tls: bool = False

    @classmethod
    def parse(cls, urls: Sequence[str]) -> Ear:
        """Of the addresses that devices are told, `http://HOST:PORT/p/TOKEN`; all of one receiver.
        UsageError, which never repeats a token."""
        try:
            parts = [(one, one.port) for one in map(urlsplit, urls)]
        except ValueError:
            raise UsageError(_FORM) from None
        places = {(one.scheme, one.hostname, port) for one, port in parts}
        if len(places) != 1:
            raise UsageError("one receiver at a time: the addresses differ in more than their path")
        ((scheme, host, port),) = places
        if scheme not in ("http", "https") or not host or any(len(p.path) < 2 for p, _ in parts):
            raise UsageError(_FORM)
        tls = scheme == "https"
        return cls(host, port or (443 if tls else 80), tuple(p.path for p, _ in parts), tls)

    @property
    def host_port(self) -> str:
        """As the `Host` header writes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The receiver without a token."""
        return f"{'https' if self.tls else 'http'}://{self.host_port}"


_FORM: Final = "a receiver's address is what its devices are told: http://HOST:PORT/p/TOKEN"


@dataclass(frozen=True)
class Pushes:
    """Reports of `rows` messages each, by the devices of `ear` in turn. It travels by pickle.

    Every message is a task of its own, its id counted from `start` on.
    """

    ear: Ear
    rows: int
    start: int

    def __post_init__(self) -> None:
        if not 1 <= self.rows <= _MOST_ROWS:
            raise UsageError(f"{self.rows} rows in a push: give 1 to {_MOST_ROWS}")

    def source(self, worker: int, workers: int) -> Callable[[int], Request]:
        """What makes the n-th push of one worker."""
        paths = self.ear.paths

        def make(nth: int) -> Request:
            push = nth * workers + worker
            path = paths[push % len(paths)]
            body = encode_status_report(self.report(push))
            return Request(build_request("POST", path, self.ear.host_port, body, _JSON))

        return make

    def report(self, push: int) -> StatusReport:
        """One push as a value."""
        first, to = push * self.rows, Recipients()
        return StatusReport(
            reports=tuple(
                TaskReport(
                    tid=(self.start + nth) % MAX_TID + 1,
                    sending=0,
                    sent=1,
                    failed=0,
                    unsent=0,
                    sdr=(
                        SentRow(
                            index=0,
                            number=to.of(nth),
                            port=Port(nth % _PORTS + 1, 1),
                            at=_SENT_AT,
                        ),
                    ),
                )
                for nth in range(first, first + self.rows)
            )
        )
