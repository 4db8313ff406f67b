"""Answers of a device: what is read of them in part is what is read of the whole."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaign.errors import RemoteProtocolError
from campaign.protocol.codec import decode_answer, decode_task_status, plain_code
from campaign.protocol.rows import agreed, verdict

CODES: st.SearchStrategy[object] = (
    st.integers(-3, 250)
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([1e0, 1e300, 1e9, 200.0, -1e18, "1", "0 OK", "200", None, True, [1], {}])
    | st.text(max_size=4)
)


@given(CODES, st.booleans())
@settings(max_examples=300)
def test_a_code_read_alone_is_the_code_of_the_answer(code: object, repeated: bool) -> None:
    body = json.dumps({"reason": "x", "code": code, "status": [{"tid": 1, "status": "1"}]}).encode()
    if repeated:
        body = b'{"code":0,' + body[1:]
    found = plain_code(body)
    assert found is None or found == decode_answer(body).code


@given(st.binary(max_size=40))
def test_a_code_read_alone_of_anything_is_one_that_the_answer_has(body: bytes) -> None:
    try:
        told = decode_answer(body).code
    except RemoteProtocolError:
        told = None
    assert plain_code(body) in (None, told)


@pytest.mark.parametrize("code", [0, 1, 14, 200])
def test_a_code_written_as_an_integer_is_read_alone(code: int) -> None:
    assert plain_code(b'{"type":"task-status","code":%d,"status":[]}' % code) == code


ITEMS = st.fixed_dictionaries(
    {"tid": st.integers(1, 5), "status": st.sampled_from(["0 OK", "0", 0, "13 x", 13, "?", None])}
)


@given(st.lists(ITEMS, max_size=6))
def test_verdicts_are_those_of_tasks_that_have_one_code_only(
    items: list[dict[str, object]],
) -> None:
    read = [found for found in map(verdict, items) if found is not None]
    codes = {tid: {one.code for one in read if one.tid == tid} for tid in range(1, 6)}
    kept, torn = agreed(tuple(read))
    assert {one.tid: one.code for one in kept} == {
        tid: next(iter(found)) for tid, found in codes.items() if len(found) == 1
    }
    assert len(torn) == sum(len(codes[one.tid]) > 1 for one in read)
    answer = decode_task_status(json.dumps({"code": 200, "status": items}).encode())
    assert answer.verdicts == kept
