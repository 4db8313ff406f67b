"""What was promised, held against what really went on air: a ledger's judge after any ordeal.

The ground truth is the simulated gateways' own: one line for every transmission attempt, written
before anything about it is reported. A finding is a sentence; none at all means every promise held.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.flows.conftest import Flow

SENT = frozenset({"sent", "delivered", "undelivered", "no_receipt"})
_FINAL = SENT | {"failed", "unknown"}


@dataclass(frozen=True)
class Verdict:
    """How one campaign stands after it ended; `findings` are broken promises, in words."""

    findings: tuple[str, ...]
    sent: int
    doubles: int
    false_facts: int
    unknown: Counter[str] = field(default_factory=Counter)
    """Recipients whose outcome is not known, by cause."""


@dataclass(frozen=True)
class Case:
    """One campaign's sides: the list, the ledger's recipients and the air."""

    wanted: Collection[str]
    rows: Mapping[str, Mapping[str, Any]]
    proved: Mapping[str, int]
    """Proved failures by number."""
    truth: list[dict[str, Any]]
    air: Counter[str]
    tried: Counter[str]


def judge(flow: Flow, wanted: Collection[str], name: str = "c") -> Verdict:
    """Hold the only campaign of a ledger, ended or not, against the ground truth."""
    truth = flow.truth()
    found = flow.rows("SELECT * FROM recipients")
    case = Case(
        wanted,
        {row["number"]: dict(row) for row in found},
        {row["number"]: row["n"] for row in flow.rows(_PROVED)},
        truth,
        Counter(line["number"] for line in truth if line["ok"]),
        Counter(line["number"] for line in truth),
    )
    twice, false = list(doubles(case)), list(false_facts(case))
    findings = [*twice, *false, *lost(case, len(found)), *_report(flow, case, name)]
    verified = flow.start("verify", name).wait()
    if verified.code:
        findings.append(f"campaign verify ends with {verified.code}: {verified.out}{verified.err}")
    unknown = Counter(row["cause"] for row in found if row["state"] == "unknown")
    return Verdict(tuple(findings), case.air.total(), len(twice), len(false), unknown)


_PROVED = """
    SELECT r.number, count(*) AS n FROM attempts AS a JOIN recipients AS r ON r.id = a.recipient_id
    WHERE a.outcome = 'failed' GROUP BY r.number
"""


def doubles(case: Case) -> Iterator[str]:
    """A number goes on air once; it is tried again only for a proved failure."""
    for number, times in case.tried.items():
        if case.air[number] > 1:
            yield f"{number} went on air {case.air[number]} times"
        elif times > 1 + case.proved.get(number, 0):
            proved = case.proved.get(number, 0)
            yield f"{number} was tried {times} times with {proved} proved failures"
        elif number not in case.wanted:
            yield f"{number} was sent to, and is on no list"


def lost(case: Case, rows: int) -> Iterator[str]:
    """Everybody listed is a recipient, once, and in a final state."""
    if rows != len(case.rows) or set(case.rows) != set(case.wanted):
        yield f"{len(case.wanted)} were listed, the ledger has {rows} of {len(case.rows)} numbers"
    for number, row in case.rows.items():
        if row["state"] not in _FINAL:
            yield f"{number} is left {row['state']}"


def false_facts(case: Case) -> Iterator[str]:
    """What the ledger claims and the air denies."""
    for number, row in case.rows.items():
        state = row["state"]
        if state in SENT and not case.air[number]:
            yield f"{number} is {state} and never went on air"
        elif state == "failed" and case.air[number]:
            yield f"{number} is failed and went on air"
        elif state == "unknown" and not (row["cause"] and row["reason"]):
            yield f"{number} is unknown without a cause or a reason"


def _report(flow: Flow, case: Case, name: str) -> Iterator[str]:
    """The report says of everybody what the ledger says, and of the sent where they really went."""
    told = flow.report(name)
    if Counter(row["number"] for row in told) != Counter(case.rows.keys()):
        yield f"the report has {len(told)} rows for {len(case.rows)} recipients"
    places = {line["number"]: _place(line) for line in case.truth if line["ok"]}
    for row in told:
        number = row["number"]
        if number in case.rows and row["state"] != case.rows[number]["state"]:
            yield f"{number} is {row['state']} in the report only"
        if row["state"] in SENT and number in places:
            device, port, tid = places[number]
            # without a report, as where only a receipt came, nobody has told the SIM slot
            ports = (port, port.partition(".")[0])
            if (row["gateway"], row["tid"]) != (device, tid) or row["port"] not in ports:
                yield f"{number} went by {places[number]}, and is said to have gone by {row}"


def _place(line: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(line["device"]), str(line["port"]), str(line["tid"])
