"""scripts/bench: which targets hold, and what its table says of rows that could not be measured."""

from __future__ import annotations

from itertools import count

import pytest

from scripts.measure.figure import Sample
from scripts.measure.peers.smsc import answers
from scripts.measure.rows import ROWS, Row, Target, there
from scripts.measure.table import Measured, holds, markdown

BESIDE = Target("cost", at_most=0.5, row="peer")


def _measured(module: str, cost: float, *targets: Target) -> Measured:
    sample = Sample(module, 100, "requests", 1.0, 1.0, notes={"cost": cost})
    return Measured(Row(module, targets), [sample])


@pytest.mark.parametrize(
    ("target", "cost", "kept"),
    [
        (Target("cost", at_most=0.65), 0.65, True),
        (Target("cost", at_most=0.65), 0.66, False),
        (Target("cost", at_least=0.65), 0.64, False),
        (BESIDE, 1.0, True),
        (BESIDE, 1.1, False),
        (Target("cost", at_least=4, row="peer"), 7.9, False),
        (Target("cost", at_least=4, row="peer"), 8.0, True),
    ],
)
def test_a_bound_is_a_figure_or_so_many_times_that_of_another_row(
    target: Target, cost: float, kept: bool
) -> None:
    peer, ours = _measured("peer", 2.0), _measured("ours", cost, target)
    assert holds(ours, target, {"peer": peer, "ours": ours}) is kept
    assert ("**no**" in markdown([ours, peer])) is not kept


def test_a_bound_beside_a_row_that_was_not_measured_is_neither_broken_nor_told_as_kept() -> None:
    ours, absent = _measured("ours", 9.0, BESIDE), Measured(Row("peer"), lacks="not installed")
    assert holds(ours, BESIDE, {"ours": ours, "peer": absent})
    assert "yes" not in markdown([ours, absent])


def test_a_row_that_could_not_be_measured_is_a_line_that_says_why() -> None:
    absent = Measured(Row("peer_wrk"), lacks="not installed (wrk)")
    assert "| peer wrk | – | not installed (wrk) |" in markdown([absent])


def test_every_row_of_the_table_and_every_row_it_is_held_against_is_there() -> None:
    modules = {row.module for row in ROWS}
    assert {target.row for row in ROWS for target in row.targets if target.row} <= modules
    assert all(there(row) for row in ROWS)


def test_the_sms_centre_answers_a_message_with_its_receipt_however_the_bytes_arrive() -> None:
    body = b"\0\1\1me\0\1\1you\0\0\0\0\0\0\1\0\0\0\2Hi"
    received = b"".join(
        (16 + len(body)).to_bytes(4) + b"\0\0\0\4\0\0\0\0" + number.to_bytes(4) + body
        for number in (7, 8)
    )
    whole, nothing = answers(received, count(1))
    part, rest = answers(received[:50], count(1))
    assert nothing == b""
    assert rest == received[len(received) // 2 : 50]
    assert whole.startswith(part)
    assert whole.count(b"stat:DELIVRD") == 2
    assert part.startswith(b"\0\0\0\x12\x80\0\0\4\0\0\0\0\0\0\0\x071\0")
    assert b"\0\1\1you\0\1\1me\0\4" in part
