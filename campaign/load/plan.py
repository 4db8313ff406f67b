"""What a load is to be, before anything is sent."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial

from campaign import __version__
from campaign.env import Env
from campaign.load.naming import Names, draw_start
from campaign.load.outcome import Facts
from campaign.load.schedule import Shape, planned, seconds_of
from campaign.load.signing import Signing
from campaign.load.target import Address, Leave
from campaign.load.witness import Witness
from campaign.load.wording import shape_in_words
from campaign.load.workers import Task
from campaign.load.workload import Alphabet, Ask, Cadence, Mix, Workload, text_of
from campaign.protocol.session import AuthOrder, Crypt
from campaign.protocol.simulated import is_simulated
from campaign.protocol.text import segments


@dataclass(frozen=True)
class Plan:
    """A whole load: whom, what, how much, how long. Times are in seconds.

    Without a shape it is the closed model for `seconds`. `connections` are of each worker. After
    the last answer, reports are waited for up to `settle`. The device pushes to `public_url`, or to
    where we listen. `clearing` bounds the removal of what still waits in the device at the end.
    With `crypt` every connection signs in by a secure session, replaced after `session_requests`.
    With `receipts_if_simulated` the cadence's receipts are asked of nothing but a simulator.
    """

    address: Address
    shape: Shape | None = None
    seconds: float = 0.0
    seed: int = 0
    tasks: int = 1
    recipients: int = 1
    length: int = 100
    alphabet: Alphabet = Alphabet.GSM7
    cadence: Cadence = field(default_factory=Cadence)
    mix: Mix = field(default_factory=Mix)
    connections: int = 32
    workers: int = 1
    timeout: float = 30.0
    grace: float = 5.0
    settle: float = 60.0
    clearing: float = 10.0
    leave: Leave = field(default_factory=Leave)
    listen: tuple[str, int] = ("127.0.0.1", 0)
    public_url: str | None = None
    ca_file: str | None = None
    crypt: Crypt | None = None
    auth_order: AuthOrder = "spec"
    session_requests: int | None = None
    receipts_if_simulated: bool = False

    def fitting(self, version: str, order: AuthOrder) -> Plan:
        """The same for a device of this version, which hashes requests in this order."""
        receipts = self.cadence.receipts
        if self.receipts_if_simulated and not is_simulated(version):
            receipts = False
        return replace(self, auth_order=order, cadence=replace(self.cadence, receipts=receipts))

    @property
    def tasks_per_request(self) -> float:
        """On average over the mix."""
        weights = Counter[Ask]()
        for ask, weight in self.mix.weights:
            weights[ask] += weight
        return self.tasks * weights[Ask.SEND] / weights.total()

    @property
    def parts(self) -> int:
        """SMS to pay for, of one message."""
        return segments(text_of(self.length, self.alphabet)).parts

    def workload(self, env: Env, push_url: str) -> Workload:
        """The requests, named anew: two runs of a plan do not meet in a device's memory."""
        names = Names(draw_start(env.rng), self.tasks, self.recipients, self.leave.recipients)
        return Workload(
            host=self.address.host_port,
            login=self.address.login,
            names=names,
            text=text_of(self.length, self.alphabet),
            prefix=self.address.prefix,
            cadence=replace(self.cadence, url=push_url),
            mix=self.mix,
            unsigned=self.crypt is not None,
        )

    def task(self, workload: Workload, version: str) -> Task:
        """What the workers do. UsageError for more than the owner of the device allows."""
        most = None
        if self.shape is None:
            cap = self.leave.most(version, workload.parts)
            most = None if cap is None else cap // workload.names.messages
            self.leave.check(version, workload.parts, workload.names.messages)
        else:
            shares = [planned(self.shape, nth, self.workers) for nth in range(self.workers)]
            self.leave.check(version, workload.parts, workload.messages(shares))
        return Task(
            host=self.address.host,
            port=self.address.port,
            make_source=workload.source,
            shape=self.shape,
            seconds=self.seconds,
            seed=self.seed,
            connections=self.connections,
            timeout=self.timeout,
            grace=self.grace,
            tls=(self.ca_file or "") if self.address.tls else None,
            most=most,
            make_witness=partial(Witness, workload),
            signing=self._signing(),
        )

    def _signing(self) -> Signing | None:
        if self.crypt is None:
            return None
        return Signing(
            self.address.host_port,
            self.address.prefix,
            self.address.login,
            self.crypt,
            self.auth_order,
            self.session_requests,
        )

    def facts(self, started_ms: int) -> Facts:
        """The same in words, for results."""
        shape = self.shape
        return Facts(
            target=self.address.url,
            shape=shape_in_words(shape, self.seconds),
            workload=self.workload_in_words(),
            scheduled=seconds_of(shape) if shape else self.seconds,
            planned=planned(shape) if shape else None,
            connections=self.connections * self.workers,
            workers=self.workers,
            seed=self.seed,
            started_ms=started_ms,
            version=__version__,
        )

    def workload_in_words(self) -> str:
        """What is asked of the device, without whom."""
        words = (
            f"{self.tasks} task(s) per request, {self.recipients} recipient(s) per task,"
            f" {self.length} characters ({self.alphabet})"
        )
        others = [f"{ask} {weight}" for ask, weight in self.mix.weights]
        if len(others) > 1:
            words += f"; mix {', '.join(others)}"
        if self.crypt is not None:
            words += f"; secure sessions ({self.crypt})"
        if self.crypt is not None and self.session_requests is not None:
            words += f", a new one after {self.session_requests} request(s)"
        return words
