"""Splitting: everybody at most once, one port per task, nobody where it just failed."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from campaign.planner.split import Claimable, Grant, PlannedTask, split

PORTS = st.lists(
    st.tuples(st.integers(1, 8), st.integers(0, 12)), unique_by=lambda g: g[0], max_size=8
)
PEOPLE = st.lists(
    st.tuples(
        st.sampled_from([None, "a", "b"]), st.sampled_from([None, "1:1", "1:2", "1:3", "2:1"])
    ),
    max_size=40,
)


def grants_of(ports: list[tuple[int, int]]) -> list[Grant]:
    return [Grant(port, count, f"1:{port}") for port, count in ports]


def people_of(people: list[tuple[str | None, str | None]]) -> list[Claimable]:
    return [Claimable(i, f"999{i:08}", text, avoid) for i, (text, avoid) in enumerate(people, 1)]


@given(PEOPLE, PORTS, st.integers(1, 10), st.booleans())
def test_nobody_is_dealt_twice_or_invented_and_no_number_is_twice_in_a_task(
    people: list[tuple[str | None, str | None]],
    ports: list[tuple[int, int]],
    task_size: int,
    only_place: bool,
) -> None:
    waiting = people_of(people)
    tasks = split(waiting, grants_of(ports), task_size, only_place=only_place)
    dealt = Counter(recipient for task in tasks for recipient in task.recipients)
    assert set(dealt) <= set(waiting)
    assert set(dealt.values()) <= {1}
    for task in tasks:
        assert len({recipient.number for recipient in task.recipients}) == len(task.recipients)


@given(PEOPLE, PORTS, st.integers(1, 10))
def test_tasks_keep_to_their_size_port_text_and_grant(
    people: list[tuple[str | None, str | None]], ports: list[tuple[int, int]], task_size: int
) -> None:
    tasks = split(people_of(people), grants_of(ports), task_size)
    by_port: Counter[int] = Counter()
    for task in tasks:
        assert 1 <= len(task.recipients) <= task_size
        assert {recipient.text for recipient in task.recipients} == {task.text}
        by_port[task.port] += len(task.recipients)
    room = dict(ports)
    assert all(count <= room[port] for port, count in by_port.items())


@given(PEOPLE, PORTS, st.integers(1, 10))
def test_nobody_is_dealt_to_the_place_it_avoids(
    people: list[tuple[str | None, str | None]], ports: list[tuple[int, int]], task_size: int
) -> None:
    for task in split(people_of(people), grants_of(ports), task_size):
        assert all(recipient.avoid != f"1:{task.port}" for recipient in task.recipients)


@given(PEOPLE, PORTS, st.integers(1, 10))
def test_whoever_stays_behind_had_no_room(
    people: list[tuple[str | None, str | None]], ports: list[tuple[int, int]], task_size: int
) -> None:
    waiting = people_of(people)
    tasks = split(waiting, grants_of(ports), task_size)
    left = dict(ports)
    dealt = set()
    for task in tasks:
        left[task.port] -= len(task.recipients)
        dealt |= {recipient.id for recipient in task.recipients}
    for recipient in waiting:
        if recipient.id not in dealt:
            assert not [port for port, n in left.items() if n and recipient.avoid != f"1:{port}"]


@given(PEOPLE, PORTS, st.integers(1, 10))
def test_the_only_place_takes_everybody_there_is_room_for(
    people: list[tuple[str | None, str | None]], ports: list[tuple[int, int]], task_size: int
) -> None:
    waiting = people_of(people)
    tasks = split(waiting, grants_of(ports), task_size, only_place=True)
    dealt = sum(len(task.recipients) for task in tasks)
    assert dealt == min(len(waiting), sum(count for _, count in ports))


CLASHING = st.lists(st.tuples(st.sampled_from("123"), st.integers(0, 4)), max_size=40)


@given(CLASHING, st.integers(1, 10))
def test_no_two_numbers_of_a_task_end_alike_and_all_else_stays_in_order(
    people: list[tuple[str, int]], task_size: int
) -> None:
    waiting = [
        Claimable(i, f"99{head}55501{tail:02}", None) for i, (head, tail) in enumerate(people, 1)
    ]
    tasks = split(waiting, [Grant(1, 100, "1:1")], task_size)
    assert sorted(r.id for task in tasks for r in task.recipients) == [r.id for r in waiting]
    for task in tasks:
        ids = [recipient.id for recipient in task.recipients]
        tails = {recipient.number[-7:] for recipient in task.recipients}
        assert len(tails) == len(ids) <= task_size
        assert ids == sorted(ids)


def test_the_second_of_two_numbers_alike_goes_into_the_next_task() -> None:
    people = [Claimable(1, "99915550100", None), Claimable(2, "99925550100", None)]
    people.append(Claimable(3, "99935550101", None))
    tasks = split(people, [Grant(1, 10, "1:1")], 10)
    assert [[r.id for r in task.recipients] for task in tasks] == [[1, 3], [2]]


def test_a_few_recipients_spread_over_many_ports() -> None:
    people = people_of([(None, None)] * 4)
    tasks = split(people, grants_of([(1, 10), (2, 10), (3, 10), (4, 10)]), 10)
    assert tasks == [PlannedTask(i, None, (person,)) for i, person in enumerate(people, 1)]


def test_the_constant_message_and_the_same_words_are_not_mixed() -> None:
    people = [Claimable(1, "9991", None), Claimable(2, "9992", "hello")]
    assert len(split(people, grants_of([(1, 10)]), 10)) == 2


def test_without_a_grant_everybody_waits() -> None:
    assert split(people_of([(None, None)]), [], 10) == []


def of_lanes(lanes: list[int]) -> list[Claimable]:
    return [Claimable(i, f"999{i:08}", None, lane=lane) for i, lane in enumerate(lanes, 1)]


@given(st.lists(st.integers(0, 3), max_size=40), PORTS, st.integers(1, 10))
def test_a_task_is_of_one_lane_and_room_is_used_up(
    lanes: list[int], ports: list[tuple[int, int]], task_size: int
) -> None:
    tasks = split(of_lanes(lanes), grants_of(ports), task_size)
    by_port: Counter[int] = Counter()
    for task in tasks:
        assert len({recipient.lane for recipient in task.recipients}) == 1
        by_port[task.port] += len(task.recipients)
    room = dict(ports)
    assert all(count <= room[port] for port, count in by_port.items())
    assert by_port.total() == min(len(lanes), sum(room.values()))


def test_tasks_are_full_where_there_are_several_lanes() -> None:
    lanes = [lane for lane in range(8) for _ in range(10)]
    tasks = split(of_lanes(lanes), grants_of([(port, 20) for port in range(1, 5)]), 10)
    assert [len(task.recipients) for task in tasks] == [10] * 8
    assert Counter(task.port for task in tasks) == dict.fromkeys(range(1, 5), 2)


def test_a_few_of_several_lanes_spread_over_the_ports() -> None:
    tasks = split(of_lanes([0, 0, 1, 1]), grants_of([(port, 20) for port in range(1, 5)]), 10)
    assert [(task.port, task.lane) for task in tasks] == [(1, 0), (2, 0), (3, 1), (4, 1)]


def test_a_task_holds_neighbours_of_the_list() -> None:
    tasks = split(of_lanes([0] * 40), grants_of([(port, 20) for port in range(1, 5)]), 5)
    ids = [[recipient.id for recipient in task.recipients] for task in tasks]
    assert all(task == list(range(task[0], task[0] + 5)) for task in ids)
    assert sorted(task[0] for task in ids) == list(range(1, 41, 5))
    assert Counter(task.port for task in tasks) == dict.fromkeys(range(1, 5), 2)
