"""A workload's requests: exactly the protocol's bytes, named without gaps over all workers."""

from __future__ import annotations

import pickle
import random
from collections import Counter
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.errors import UsageError
from campaign.load.naming import Names, Recipients, draw_start
from campaign.load.wire import Request
from campaign.load.workload import Alphabet, Ask, Cadence, Mix, Workload, text_of
from campaign.protocol.codec import encode_send_sms, encode_task
from campaign.protocol.device_codec import decode_send_sms
from campaign.protocol.session import Login
from campaign.protocol.submission import MAX_TID

LOGIN = Login("root", "p&w %=ü")


def workload(names: Names, **more: object) -> Workload:
    return Workload("gateway:80", LOGIN, names, **({"text": "hello"} | more))  # type: ignore[arg-type]


def parted(request: Request) -> tuple[str, dict[str, str], dict[str, str], bytes]:
    head, _, body = request.data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    path, _, query = first.split()[1].partition("?")
    headers = dict(line.split(": ", 1) for line in lines)
    return path, dict(parse_qsl(query, keep_blank_values=True)), headers, body


names_of_any_size = st.builds(
    Names,
    st.integers(1, MAX_TID),
    st.integers(1, 4),
    st.integers(1, 3),
    st.sampled_from((Recipients(), Recipients(("447700900001", "447700900002", "49151234567")))),
)


@given(
    names_of_any_size,
    st.integers(0, 10**7),
    st.sampled_from(tuple(Alphabet)),
    st.integers(1, 300),
    st.sampled_from((Cadence(), Cadence("http://here:1/p/t", 5, 2, 1, 3, receipts=True))),
)
def test_a_send_is_byte_for_byte_what_the_codec_would_write(
    names: Names, send: int, alphabet: Alphabet, length: int, cadence: Cadence
) -> None:
    load = workload(names, text=text_of(length, alphabet), cadence=cadence)
    path, query, headers, body = parted(load.source(0, 1)(send))
    tasks = [load.task(send * names.tasks + nth) for nth in range(names.tasks)]
    assert body == encode_send_sms(cadence.envelope(), [encode_task(task) for task in tasks])
    assert headers["Content-Length"] == str(len(body))
    assert (path, headers["Host"]) == ("/goip_post_sms.html", "gateway:80")
    assert query == {"version": "1.1", "username": "root", "password": "p&w %=ü"}
    assert decode_send_sms(body).tasks[0].to == tasks[0].to


@given(names_of_any_size, st.integers(0, 10**6))
def test_a_report_names_its_message(names: Names, task: int) -> None:
    numbers = list(names.numbers(task))
    assert names.task(names.tid(task)) == task
    first = task * names.recipients
    assert [names.message(task, to) for to in numbers] == [first + n for n in range(len(numbers))]
    assert names.message(task, "4912345") is None
    assert 1 <= names.tid(task) <= MAX_TID


@given(
    st.dictionaries(st.sampled_from(tuple(Ask)), st.integers(1, 5), min_size=1),
    st.integers(1, 5),
    st.integers(0, 40),
)
def test_workers_number_their_requests_without_meeting(
    weights: dict[Ask, int], workers: int, rounds: int
) -> None:
    mix = Mix(tuple(weights.items()))
    size = len(mix.cycle())
    load = workload(Names(1), mix=mix)
    seen: Counter[tuple[Ask, int]] = Counter()
    for worker in range(workers):
        walk = load.walk(worker, workers)
        steps = [walk.step(nth) for nth in range(rounds * size)]
        seen.update(steps)
        assert walk.sends(len(steps)) == sum(ask is Ask.SEND for ask, _ in steps)
        assert [walk.send(nth) for nth in range(len(steps))] == [
            number if ask is Ask.SEND else None for ask, number in steps
        ]
    assert not seen or max(seen.values()) == 1
    for ask in weights:  # whole rounds leave no gap
        numbers = sorted(number for kind, number in seen if kind is ask)
        assert numbers == list(range(len(numbers)))


def test_a_mix_is_spread_evenly_in_its_weights() -> None:
    assert Counter(Mix.parse("send=8,status=4,tasks=4").cycle()) == {
        Ask.SEND: 2,
        Ask.STATUS: 1,
        Ask.TASKS: 1,
    }
    cycle = Mix.parse("send=70,status=20,stats=7,tasks").cycle()
    for place in range(len(cycle) + 1):
        told = Counter(cycle[:place])
        for ask, share in ((Ask.SEND, 70), (Ask.STATUS, 20), (Ask.STATS, 7), (Ask.TASKS, 1)):
            assert abs(told[ask] - share * place / 98) <= 1


@pytest.mark.parametrize(
    "text", ["", "send=0", "send=-1,status=2", "mail=1", "send=x", "send=1001"]
)
def test_a_mix_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Mix.parse(text)


def test_only_what_costs_nothing_may_reach_the_device_twice() -> None:
    load = workload(Names(5), mix=Mix(tuple((ask, 1) for ask in Ask)))
    source, walk = load.source(0, 1), load.walk(0, 1)
    pages = {}
    for nth in range(len(Ask)):
        request, (ask, _) = source(nth), walk.step(nth)
        assert request.repeatable is (ask is not Ask.SEND)
        pages[ask] = parted(request)[:2]
    assert pages[Ask.TASKS][1]["num"] == "100"
    assert pages[Ask.COMMAND][1]["op"] == "get"
    assert pages[Ask.SESSION][0] == "/crypt_sess.json"
    assert "password" not in pages[Ask.SESSION][1]


def test_a_workload_travels_with_its_sources() -> None:
    load = workload(Names(draw_start(random.Random(1)), 2, 3), cadence=Cadence("http://a/p/x"))
    there = pickle.loads(pickle.dumps(load.source))  # noqa: S301 - our own bytes
    assert there(1, 3)(7) == load.source(1, 3)(7)
    assert load.messages([10, 10, 9]) == 29 * 6


@pytest.mark.parametrize("sizes", [(0, 1), (1001, 1), (1, 0), (1, 1001)])
def test_sizes_no_request_has_are_refused(sizes: tuple[int, int]) -> None:
    with pytest.raises(UsageError):
        Names(1, *sizes)


def test_a_task_names_nobody_twice() -> None:
    with pytest.raises(UsageError, match="there are 2"):
        Names(1, 1, 3, Recipients(("4477001", "4477002")))
