"""Gateways that misbehave, each in its own way: nobody twice, nothing claimed that was not so."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.flows.conftest import Flow

pytestmark = pytest.mark.process

_PLAIN = 300
_SENT = frozenset({"sent", "delivered", "undelivered", "no_receipt"})


def _magic(suffix: str) -> list[str]:
    return [f"99966{i}0{suffix}" for i in range(3)]


_PERMANENT, _REFUSED, _REFUSED_ONCE = _magic("0001"), _magic("0002"), _magic("0003")
_TIMED_OUT_SENT, _TIMED_OUT_UNSENT = _magic("0006"), _magic("0007")
_NEVER_NAMED, _SIM_GONE = _magic("0008"), _magic("0015")
_MAGIC = [
    *_PERMANENT, *_REFUSED, *_REFUSED_ONCE, *_TIMED_OUT_SENT, *_TIMED_OUT_UNSENT, *_NEVER_NAMED,
    *_SIM_GONE,
]  # fmt: skip

# A port that fails these numbers is not to blame, so none of them rests.
_NO_REST = {"port-failures": "100"}


@dataclass(frozen=True)
class Trouble:
    """A profile, what makes it certain to bite, and the ledger's own sign that it did."""

    profile: str
    sign: str
    simulated: dict[str, str] = field(default_factory=dict)
    times: dict[str, str] = field(default_factory=dict)
    always_elsewhere: bool = True
    """Every retry finds another place: no port drops out."""


_TROUBLES = (
    Trouble(
        "lossy",
        "SELECT count(*) FROM decisions WHERE kind = 'fence' AND why LIKE 'no word of it%'",
        {"push-loss": "25%"},
        {"push-silence": "3s", **_NO_REST},
    ),
    Trouble(
        "deaf",
        # tasks that were posted, and no answer names them: with this seed each gateway takes its
        # second post without a word
        """
        SELECT count(*) FROM tasks AS t WHERE posts > 0 AND NOT EXISTS (
            SELECT 1 FROM evidence AS e WHERE e.kind = 'post' AND e.gateway_id = t.gateway_id
                AND ',' || e.asked || ',' LIKE '%,' || t.tid || ',%')
        """,
        {"seed": "11", "deaf-seconds": "4"},
        {"client-timeout": "1s", **_NO_REST},
    ),
    Trouble(
        "full",
        "SELECT count(*) FROM tasks WHERE verdict LIKE 'released: refused: 16%'",
        times={"task-size": "4", **_NO_REST},
    ),
    Trouble(
        "deadports",
        "SELECT count(*) FROM decisions WHERE kind = 'retry' AND why LIKE '%SIM Unregistered'",
        always_elsewhere=False,
    ),
    Trouble(
        "reboot",
        "SELECT count(*) FROM decisions WHERE kind = 'restart'",
        {"reboots": "1", "reboot-after": "20-40", "reboot-seconds": "0.5", "register-seconds": "1"},
        {"status-period": "1s", "queue-limit": "20"},
        always_elsewhere=False,
    ),
)


def _suffer(flow: Flow, trouble: Trouble) -> Flow:
    """Launch, kill the engine at some moment after sending began, resume, and see it finish."""
    simulated = {"profile": trouble.profile, "seed": "7", "magic": "on", "sms-seconds": "0.03"}
    engine = flow.launch(
        flow.write_list(_PLAIN, *(f"+{number}" for number in _MAGIC)),
        simulated={**simulated, **trouble.simulated},
        times={"retry-wait": "200ms", **trouble.times},
    )
    moment = random.Random(trouble.profile).randint(8, 60)
    flow.until(lambda: flow.attempted() >= moment, f"{moment} attempts", engine)
    engine.kill()
    assert flow.state() == "running"
    flow.run("resume", within=120)
    return flow


@pytest.fixture(scope="module")
def suffered(open_flow: Callable[[str], Flow]) -> Iterator[dict[str, Future[Flow]]]:
    """All troubles at the same time, each with a ledger of its own: most of it is waiting."""
    with ThreadPoolExecutor(len(_TROUBLES)) as threads:
        yield {
            trouble.profile: threads.submit(_suffer, open_flow(trouble.profile), trouble)
            for trouble in _TROUBLES
        }


@pytest.mark.parametrize("trouble", _TROUBLES, ids=[trouble.profile for trouble in _TROUBLES])
def test_a_misbehaving_gateway_and_a_killed_engine_falsify_nothing(
    suffered: dict[str, Future[Flow]], trouble: Trouble
) -> None:
    flow = suffered[trouble.profile].result()
    air = flow.on_air()
    assert set(air.values()) == {1}, "a number went on air twice"
    rows = {row["number"]: row for row in flow.rows("SELECT * FROM recipients")}
    assert set(rows) == {*flow.numbers(_PLAIN), *_MAGIC}
    for number, row in rows.items():
        if row["state"] in _SENT:
            assert air[number] == 1, f"falsely {row['state']}: {tuple(row)}"
        elif row["state"] == "failed":
            assert air[number] == 0, f"falsely failed: {tuple(row)}"
        else:
            assert row["state"] == "unknown", tuple(row)
            assert row["cause"], f"unknown without a cause: {tuple(row)}"
            assert row["reason"], f"unknown without a reason: {tuple(row)}"
    assert flow.one(trouble.sign) > 0, "the trouble never came"
    _check_failures(rows)
    _check_retries(flow, always_elsewhere=trouble.always_elsewhere)


def _check_failures(rows: dict[str, sqlite3.Row]) -> None:
    """What is permanent fails at once and says why; what is not known is not called failed."""
    for number in _PERMANENT:
        row = rows[number]
        if row["state"] == "failed":
            assert (row["attempts"], row["code"]) == (1, 1), tuple(row)
            assert row["reason"], tuple(row)
    for number in _TIMED_OUT_SENT:  # a receipt may still prove it
        assert rows[number]["state"] in ("unknown", "delivered")
    for number in _TIMED_OUT_UNSENT:
        assert rows[number]["state"] == "unknown"
    for number in (*_REFUSED, *_SIM_GONE):
        row = rows[number]
        if row["state"] == "failed":
            assert row["attempts"] == 3, tuple(row)
            assert row["reason"], tuple(row)


def _check_retries(flow: Flow, *, always_elsewhere: bool) -> None:
    """Each try after a proved failure has its decision, and goes to another port or gateway."""
    tries = flow.rows(
        """
        SELECT a.recipient_id, a.outcome, t.gateway_id || ':' || t.port AS place
        FROM attempts AS a JOIN tasks AS t ON t.id = a.task_id ORDER BY a.recipient_id, t.id
        """
    )
    failed_at: dict[int, str] = {}
    elsewhere = same = 0
    for attempt in tries:
        before = failed_at.get(attempt["recipient_id"])
        if before is not None:
            elsewhere += attempt["place"] != before
            same += attempt["place"] == before
        if attempt["outcome"] == "failed":
            failed_at[attempt["recipient_id"]] = attempt["place"]
    assert elsewhere > 0
    if always_elsewhere:
        assert same == 0
    assert flow.one("SELECT count(*) FROM decisions WHERE kind = 'retry'") >= len(
        flow.rows("SELECT 1 FROM attempts WHERE outcome = 'failed' GROUP BY recipient_id "
                  "HAVING count(*) > 1")
    )  # fmt: skip
