"""What becomes of each message and each push: fates, drawn from the seed or asked for by number.

A fate is decided when a message goes on air and never changes; only a port's death or a restart of
the device in that very moment overrules it.
"""

from __future__ import annotations

import enum
import random
from dataclasses import dataclass

from campaign.protocol.codes import TaskCode, network_meaning, task_meaning
from campaign.simulator.settings import SimulatorSettings

_TRANSIENT = 38
"""GSM 04.11 RP cause 38, network out of order."""


class Word(enum.Enum):
    """What the task's reports will say of a message."""

    SENT = "sent"
    FAILED = "failed"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Fate:
    """`on_air`: the network takes the message. `receipts` are sent in this order, where asked for.

    `code` and `cause` are the program's and the network's reason of a failed message.
    """

    on_air: bool = True
    word: Word = Word.SENT
    code: int = TaskCode.SERVER_ERROR
    cause: int | None = None
    receipts: tuple[int, ...] = (0,)
    reply: str | None = None
    air_times: float = 1.0

    @property
    def program_text(self) -> str:
        """The fdr row's program reason. 7 there is a failed send, not the task table's word."""
        if self.code == TaskCode.SERVER_ERROR:
            return "7 Send failed"
        return f"{int(self.code)} {task_meaning(self.code)}"

    @property
    def network_text(self) -> str:
        return "" if self.cause is None else f"{self.cause} {network_meaning(self.cause)}"


DELIVERED = Fate()
UNREGISTERED = Fate(on_air=False, word=Word.FAILED, code=TaskCode.SIM_UNREGISTERED, receipts=())
LOST_TRACK_TAKEN = Fate(word=Word.FAILED, code=TaskCode.TIMEOUT)
LOST_TRACK_NOT_TAKEN = Fate(on_air=False, word=Word.FAILED, code=TaskCode.TIMEOUT, receipts=())
_REFUSED = Fate(on_air=False, word=Word.FAILED, cause=_TRANSIENT, receipts=())


@dataclass(frozen=True, slots=True)
class Magic:
    """A number ending in `suffix` always meets this fate; later tries meet `then`, if given."""

    suffix: str
    meaning: str
    fate: Fate
    then: Fate | None = None


MAGIC: tuple[Magic, ...] = (
    Magic(
        "0001",
        "network refuses for good (7, cause 1: unassigned number)",
        Fate(on_air=False, word=Word.FAILED, cause=1, receipts=()),
    ),
    Magic("0002", "network refuses every time (7, cause 38: out of order)", _REFUSED),
    Magic(
        "0003", "network refuses the first try (7, cause 38), then takes it", _REFUSED, DELIVERED
    ),
    Magic("0004", "sent, but not delivered (receipt 70: validity expired)", Fate(receipts=(70,))),
    Magic("0005", "sent, but no receipt ever comes", Fate(receipts=())),
    Magic("0006", "reported 6 Timeout although it went out", LOST_TRACK_TAKEN),
    Magic("0007", "reported 6 Timeout and did not go out", LOST_TRACK_NOT_TAKEN),
    Magic("0008", "sent, counted, but never named in a report", Fate(word=Word.NOTHING)),
    Magic("0009", "sent, and answers STOP", Fate(reply="STOP")),
    Magic("0010", "sent, and answers Hello", Fate(reply="Hello")),
    Magic("0011", "sent; receipt 34 (still trying), then delivered", Fate(receipts=(34, 0))),
    Magic("0012", "sent, and its receipt comes twice", Fate(receipts=(0, 0))),
    Magic("0013", "sent after ten times the air time", Fate(air_times=10.0)),
    Magic("0014", "sent, and answers 退订 (STOP in Chinese)", Fate(reply="退订")),
    Magic("0015", "fails before it goes on air (5 SIM Unregistered)", UNREGISTERED),
)
"""Fates by the last four digits of the recipient's number, where magic numbers are switched on."""

_BY_SUFFIX = {magic.suffix: magic for magic in MAGIC}
_TRIES_REMEMBERED = 100_000


def magic_help() -> str:
    """The table of magic numbers, one a line, for a command's help."""
    return "\n".join(f"…{magic.suffix}  {magic.meaning}" for magic in MAGIC)


class Fates:
    """Draws the fate of each message that goes on air."""

    def __init__(self, settings: SimulatorSettings, rng: random.Random) -> None:
        self._magic = settings.magic
        self._fail_rate = settings.fail_rate
        self._rng = rng
        self._tries: dict[str, int] = {}

    def draw(self, number: str) -> Fate:
        if self._magic and (magic := _BY_SUFFIX.get(number[-4:])) is not None:
            return self._by_magic(magic, number)
        if self._fail_rate and self._rng.random() < self._fail_rate:
            return _REFUSED
        return DELIVERED

    def draw_interrupted(self, fate: Fate) -> Fate:
        """The fate of a message whose port or device stops while it is in the air."""
        if fate.on_air and self._rng.random() < 0.5:
            return LOST_TRACK_TAKEN
        return LOST_TRACK_NOT_TAKEN

    def _by_magic(self, magic: Magic, number: str) -> Fate:
        if magic.then is None:
            return magic.fate
        if number in self._tries:
            return magic.then
        if len(self._tries) >= _TRIES_REMEMBERED:
            del self._tries[next(iter(self._tries))]
        self._tries[number] = 1
        return magic.fate


@dataclass(frozen=True, slots=True)
class PortDeath:
    """A port dies while it sends its `message`-th message.

    `hangs`: it then stands still; otherwise it fails each message named to it at once.
    """

    message: int
    hangs: bool


def plan_deaths(settings: SimulatorSettings, rng: random.Random) -> dict[int, PortDeath]:
    """Which ports die and how, at least one where any share is asked for."""
    plan = settings.fault_plan
    if not plan.dead_ports:
        return {}
    count = max(1, round(settings.ports * plan.dead_ports))
    doomed = sorted(rng.sample(range(1, settings.ports + 1), count))
    first_hangs = rng.random() < 0.5
    return {
        port: PortDeath(message=draw_count(plan.dead_after, rng), hangs=first_hangs ^ bool(nth % 2))
        for nth, port in enumerate(doomed)
    }


def draw_count(bounds: tuple[float, float], rng: random.Random) -> int:
    return rng.randint(max(1, int(bounds[0])), max(1, int(bounds[1])))


class Losses:
    """What the way to the receiver does to a push: when each copy of it leaves."""

    def __init__(self, settings: SimulatorSettings, rng: random.Random) -> None:
        self._plan = settings.fault_plan
        self._rng = rng
        self.lost = self.duplicated = self.delayed = 0

    def departures(self, now: float) -> tuple[float, ...]:
        plan, rng = self._plan, self._rng
        if not (plan.push_loss or plan.push_duplicate or plan.push_delay):
            return (now,)
        if rng.random() < plan.push_loss:
            self.lost += 1
            return ()
        first = now
        if rng.random() < plan.push_delay:
            self.delayed += 1
            first += rng.uniform(*plan.push_delay_seconds)
        if rng.random() < plan.push_duplicate:
            self.duplicated += 1
            return (first, now + rng.uniform(*plan.push_delay_seconds))
        return (first,)
