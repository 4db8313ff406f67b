"""The agenda: time order, first come first served, cancelling, and who is woken."""

from __future__ import annotations

import math

from campaign.simulator.agenda import Agenda


def test_handlers_run_in_time_order_with_the_time_they_were_due() -> None:
    agenda, seen = Agenda(), list[tuple[str, float]]()
    for name, due in (("b", 2.0), ("a", 1.0), ("c", 2.0), ("late", 9.0)):
        agenda.at(due, lambda at, name=name: seen.append((name, at)))  # type: ignore[misc]  # mypy cannot infer a lambda's default
    assert agenda.run_due(5.0, 100)
    assert seen == [("a", 1.0), ("b", 2.0), ("c", 2.0)]
    assert agenda.next_due() == 9.0


def test_a_cancelled_handler_never_runs() -> None:
    agenda, seen = Agenda(), list[float]()
    agenda.at(1.0, seen.append).cancel()
    agenda.run_due(5.0, 100)
    assert (seen, agenda.next_due()) == ([], math.inf)


def test_a_batch_says_whether_work_is_left() -> None:
    agenda, seen = Agenda(), list[float]()
    for due in (1.0, 2.0, 3.0):
        agenda.at(due, seen.append)
    assert not agenda.run_due(5.0, 2)
    assert agenda.run_due(5.0, 2)
    assert seen == [1.0, 2.0, 3.0]


def test_only_an_earlier_time_wakes_the_sleeper() -> None:
    woken: list[int] = []
    agenda = Agenda(lambda: woken.append(1))
    agenda.at(5.0, lambda _due: None)
    agenda.at(7.0, lambda _due: None)
    agenda.at(3.0, lambda _due: None)
    assert len(woken) == 2
