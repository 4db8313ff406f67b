"""What a load asks of a device: each worker's n-th request as finished bytes.

A mix is a cycle that every worker walks through, each from another place of it. Sends are counted
over all workers without gaps: worker w of W makes the sends w, W + w, 2W + w …; so the request that
a report is about is known from its task id alone (`naming`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import gcd
from typing import Final
from urllib.parse import quote, urlencode

from campaign.errors import UsageError
from campaign.gateway.credentials import VERSION
from campaign.load.naming import Names
from campaign.load.wire import Request, build_request
from campaign.protocol.codec import encode_send_sms, encode_task
from campaign.protocol.commands import get_query
from campaign.protocol.messages import Envelope, Task
from campaign.protocol.session import DEFAULT_EXPIRES, HANDSHAKE, Crypt, Login
from campaign.protocol.submission import MAX_TID
from campaign.protocol.text import segments

POST: Final = "/goip_post_sms.html"
_JSON: Final = (("Content-Type", "application/json;charset=utf-8"),)
_MOST_WEIGHT: Final = 1000
_MOST_CHARACTERS: Final = 1000
_PAGE: Final = 100
_CIPHERS: Final = tuple(Crypt)


class Ask(StrEnum):
    """One kind of request. Only SEND costs messages; all others may reach the device twice."""

    SEND = "send"
    STATUS = "status"
    STATS = "stats"
    TASKS = "tasks"  # pages of the list of waiting tasks
    SESSION = "session"  # a handshake of a secure session, under each cipher in turn
    COMMAND = "command"  # a command that changes nothing: it reads one parameter


class Alphabet(StrEnum):
    """What the texts are made of."""

    GSM7 = "gsm7"
    UCS2 = "ucs2"


_SAMPLES: Final = {
    Alphabet.GSM7: "This is a load test of this gateway and means nothing to anybody. ",
    Alphabet.UCS2: "这是短信网关的压力测试，没有任何含义。",
}


def text_of(length: int, alphabet: Alphabet) -> str:
    """A text of so many characters. UsageError for a length no message has."""
    if not 1 <= length <= _MOST_CHARACTERS:
        raise UsageError(f"a text of {length} characters: give 1 to {_MOST_CHARACTERS}")
    sample = _SAMPLES[alphabet]
    return (sample * (length // len(sample) + 1))[:length]


@dataclass(frozen=True)
class Cadence:
    """Where the device reports to (None: leave that as it is), and how often.

    `device_count` reports, or `device_period` seconds, fill a push; `task_count` results, or
    `task_period` seconds, make a task report. None leaves the device's own value.
    """

    url: str | None = None
    device_count: int | None = None
    device_period: int | None = None
    task_count: int | None = None
    task_period: int | None = None
    receipts: bool = False

    def envelope(self) -> Envelope:
        """What stands in a request beside its tasks. Where inbound messages go is left as it is
        unless receipts are wanted: people's messages go there, too."""
        inbound = self.url if self.receipts else None
        return Envelope(
            sr_url=self.url,
            sr_cnt=self.device_count,
            sr_prd=self.device_period,
            sms_url=inbound,
            sms_cnt=None if inbound is None else 10,
            sms_prd=None if inbound is None else 1,
        )


@dataclass(frozen=True)
class Mix:
    """How often each kind of request comes, by whole weights: `send=8,status=1,tasks=1`."""

    weights: tuple[tuple[Ask, int], ...] = ((Ask.SEND, 1),)

    def __post_init__(self) -> None:
        total = sum(weight for _, weight in self.weights)
        if any(weight < 0 for _, weight in self.weights) or not 1 <= total <= _MOST_WEIGHT:
            raise UsageError(f"the weights of a mix are whole and come to 1 to {_MOST_WEIGHT}")

    @classmethod
    def parse(cls, text: str) -> Mix:
        """Raises `UsageError` that shows the form."""
        weights: dict[Ask, int] = {}
        for part in text.split(","):
            name, _, weight = part.partition("=")
            try:
                ask, number = Ask(name.strip()), int(weight or 1)
            except ValueError:
                kinds = ", ".join(Ask)
                raise UsageError(
                    f"--mix {text!r}: write KIND=WEIGHT[,…] with the kinds {kinds}"
                ) from None
            weights[ask] = weights.get(ask, 0) + number
        return cls(tuple(weights.items()))

    def cycle(self) -> tuple[Ask, ...]:
        """One round, as evenly mixed as weights allow: who is furthest behind comes next."""
        weights = {ask: weight for ask, weight in self.weights if weight}
        shrunk = gcd(*weights.values())
        weights = {ask: weight // shrunk for ask, weight in weights.items()}
        total, behind, round_ = sum(weights.values()), dict.fromkeys(weights, 0), list[Ask]()
        for _ in range(total):
            for ask, weight in weights.items():
                behind[ask] += weight
            chosen = max(behind, key=behind.__getitem__)
            behind[chosen] -= total
            round_.append(chosen)
        return tuple(round_)


class Walk:
    """One worker's way through a mix: what its n-th request is, and which of its kind's."""

    def __init__(self, mix: Mix, worker: int, workers: int) -> None:
        cycle = mix.cycle()
        turn = worker % len(cycle)
        self._cycle = cycle[turn:] + cycle[:turn]
        self._worker, self._workers = worker, workers
        # for every place of the round: how often its kind came before, and comes in a round
        self._before = [self._cycle[:place].count(ask) for place, ask in enumerate(self._cycle)]
        self._rounds = [self._cycle.count(ask) for ask in self._cycle]

    def step(self, nth: int) -> tuple[Ask, int]:
        """The kind of the n-th request, and its number among all workers' of that kind."""
        rounds, place = divmod(nth, len(self._cycle))
        of_kind = rounds * self._rounds[place] + self._before[place]
        return self._cycle[place], of_kind * self._workers + self._worker

    def send(self, nth: int) -> int | None:
        """Which send the n-th request is; None when it is none."""
        ask, number = self.step(nth)
        return number if ask is Ask.SEND else None

    def sends(self, requests: int) -> int:
        """How many of this worker's first requests are sends."""
        rounds, rest = divmod(requests, len(self._cycle))
        return rounds * self._cycle.count(Ask.SEND) + self._cycle[:rest].count(Ask.SEND)


@dataclass(frozen=True)
class Workload:
    """Everything that is asked of one device. It travels by pickle; `source` makes the requests.

    `host` is what stands in the header, `prefix` a path before the device's own. The login stands
    in every query, as devices want it, unless requests are `unsigned` (`signing`). `pages` is how
    many pages of waiting tasks are looked at.
    """

    host: str
    login: Login
    names: Names
    text: str
    prefix: str = ""
    cadence: Cadence = field(default_factory=Cadence)
    mix: Mix = field(default_factory=Mix)
    pages: int = 10
    unsigned: bool = False

    @property
    def parts(self) -> int:
        """SMS to pay for, of one message."""
        return segments(self.text).parts

    def messages(self, shares: Sequence[int]) -> int:
        """How many messages are offered if every worker makes its share of requests."""
        walks = (self.walk(worker, len(shares)) for worker in range(len(shares)))
        sends = sum(walk.sends(share) for walk, share in zip(walks, shares, strict=True))
        return sends * self.names.messages

    def reporting_to(self, url: str) -> Workload:
        """The same, with its reports going there."""
        return replace(self, cadence=replace(self.cadence, url=url))

    def walk(self, worker: int, workers: int) -> Walk:
        """The way of one worker."""
        return Walk(self.mix, worker, workers)

    def source(self, worker: int, workers: int) -> Callable[[int], Request]:
        """What makes the n-th request of one worker."""
        walk = self.walk(worker, workers)
        makers: Mapping[Ask, Callable[[int], Request]] = {
            Ask.SEND: self._sender(),
            Ask.STATUS: self._same("/goip_get_status.html", {}),
            Ask.STATS: self._same(
                "/goip_get_sms_stat.html", {"ports": "all", "slots": "all", "type": "3"}
            ),
            Ask.TASKS: self._task_page,
            Ask.SESSION: self._handshake,
            Ask.COMMAND: self._same("/goip_send_cmd.html", get_query(("sms_url",))),
        }

        def make(nth: int) -> Request:
            ask, number = walk.step(nth)
            return makers[ask](number)

        return make

    def task(self, task: int) -> Task:
        """One task as a value, for whoever wants to see what is sent."""
        names, cadence = self.names, self.cadence
        return Task(
            tid=names.tid(task),
            to=tuple(names.numbers(task)),
            sms=self.text,
            dr=int(cadence.receipts),
            sr_prd=cadence.task_period,
            sr_cnt=cadence.task_count,
        )

    def _path(self, page: str, query: Mapping[str, str] | None = None) -> str:
        login = {"username": self.login.username, "password": self.login.password}
        signed = {**VERSION, **({} if self.unsigned else login), **(query or {})}
        return f"{self.prefix}{page}?{urlencode(signed, quote_via=quote)}"

    def _sender(self) -> Callable[[int], Request]:
        """Sends, spliced together: encoding every task anew would cost more than sending it."""
        first = [encode_task(self.task(nth)) for nth in range(self.names.tasks)]
        opening = encode_send_sms(self.cadence.envelope(), first).partition(first[0])[0]
        sample = Task(tid=MAX_TID, to=("0" * 20,), sms="?")
        cut = encode_task(sample).split(b"2147483647")[1].split(b"0" * 20)[0]
        tail = encode_task(self.task(0)).split(cut, 1)[1].split(b'"', 1)[1]
        head = build_request("POST", self._path(POST), self.host, b"", _JSON)
        lines, length, _ = head.partition(b"Content-Length: ")
        lines += length
        names = self.names
        tid, numbers, tasks = names.tid, names.numbers, names.tasks

        def make(send: int) -> Request:
            first = send * tasks
            parts = [
                b'{"tid":%d%b%b"%b' % (tid(task), cut, ",".join(numbers(task)).encode(), tail)
                for task in range(first, first + tasks)
            ]
            body = b"%b%b]}" % (opening, b",".join(parts))
            return Request(b"%b%d\r\n\r\n%b" % (lines, len(body), body))

        return make

    def _same(self, page: str, query: Mapping[str, str]) -> Callable[[int], Request]:
        request = self._get(page, query)
        return lambda _number: request

    def _get(self, page: str, query: Mapping[str, str]) -> Request:
        return Request(build_request("GET", self._path(page, query), self.host), repeatable=True)

    def _task_page(self, number: int) -> Request:
        position = number % max(1, self.pages) * _PAGE
        query = {"port": "1", "pos": str(position), "num": str(_PAGE), "has_content": "0"}
        return self._get("/goip_get_tasks.html", query)

    def _handshake(self, number: int) -> Request:
        nonce = f"{self.names.start:08x}{number:08x}"
        query = {
            "username": self.login.username,
            "cnonce": nonce,
            "auth": self.login.initial_auth(nonce),
            "crypt": str(_CIPHERS[number % len(_CIPHERS)]),
            "expires": str(DEFAULT_EXPIRES),
        }
        path = f"{self.prefix}{HANDSHAKE}?{urlencode(query, quote_via=quote)}"
        return Request(build_request("GET", path, self.host), repeatable=True)
