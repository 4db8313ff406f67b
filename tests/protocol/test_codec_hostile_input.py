from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from campaign.errors import RemoteProtocolError
from campaign.protocol import codec, device_codec
from campaign.protocol.loose import MAX_BODY
from campaign.protocol.messages import UnknownPush
from tests.protocol.decoders import DECODERS, LENIENT, READERS

KEYS = st.sampled_from(
    (
        "type",
        "tid",
        "status",
        "st",
        "code",
        "reason",
        "rpts",
        "sdr",
        "fdr",
        "sent",
        "sms",
        "data",
        "tasks",
        "stats",
        "port",
        "slot",
        "to",
        "from",
        "tids",
        "seq",
        "max-slot",
        "bal",
        "sms_num",
        "next_sms",
        "attachments",
        "chs",
        "intvl",
        "username",
        "password",
    )
)
KINDS = st.sampled_from(
    ["status-report", "recv-sms", "dev-status", "port-status", "send-sms", "command"]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["1A", "0 OK", "+447700900123", "7", "", "base64", "²", "１", "-", "a|b;c"])
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
)
SHAPES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=25,
)
OBJECTS = st.dictionaries(KEYS, SHAPES, max_size=6)


def survives(body: bytes) -> None:
    for read in READERS.values():
        with contextlib.suppress(RemoteProtocolError):
            read(body)


@given(st.binary())
@example(b"")
@example(b"null")
@example(b"[]")
@example(b'{"code":')
@example(b"\xef\xbb\xbf")
@example(b"\0\0\0")
def test_any_bytes_give_a_value_or_the_one_error(body: bytes) -> None:
    survives(body)


@pytest.mark.slow
@given(OBJECTS, KINDS)
def test_any_shape_gives_a_value_or_the_one_error(shape: dict[str, Any], kind: str) -> None:
    survives(msgspec.json.encode(shape))
    survives(msgspec.json.encode({**shape, "type": kind}))


@pytest.mark.slow
@given(
    st.sampled_from(["rpts", "sms", "status", "results", "data", "tasks", "stats"]),
    st.lists(st.lists(SHAPES, min_size=4, max_size=9) | OBJECTS, max_size=4),
    KINDS,
)
def test_any_rows_give_a_value_or_the_one_error(key: str, rows: list[Any], kind: str) -> None:
    survives(msgspec.json.encode({"code": 200, "type": kind, key: rows}))
    report = {"tid": 1, "sdr": rows, "fdr": rows}
    survives(msgspec.json.encode({"type": "status-report", "rpts": [report]}))


@pytest.mark.parametrize("name", sorted(DECODERS.keys() - LENIENT))
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[" * 10_000, id="10,000 deep and open"),
        pytest.param(b'{"a":' * 10_000 + b"1" + b"}" * 10_000, id="10,000 deep"),
        pytest.param(b'{"type":"x","code":0,"a":' + b"[" * 200 + b"]" * 200 + b"}", id="200 deep"),
        pytest.param(b'{"code":NaN}', id="NaN"),
        pytest.param(b'{"code":Infinity}', id="infinity"),
        pytest.param(b'{"code":1e999}', id="a float out of range"),
        pytest.param(b'{"code":0,"reason":"\xff\xfe"}', id="invalid UTF-8"),
        pytest.param(b'{"code":0,"reason":"\xed\xa0\x80"}', id="a surrogate in UTF-8"),
        pytest.param(b'{"code":0,"reason":"\\ud800"}', id="half a surrogate pair"),
        pytest.param(b'{"code":' + b"9" * 10_000 + b"}", id="an integer of 10,000 digits"),
        pytest.param(b"<html><body>Login</body></html>", id="a login page"),
        pytest.param(b"[1,2]", id="an array"),
        pytest.param(b'{"code":0}' + b" " * MAX_BODY, id="a body over the limit"),
    ],
)
def test_what_is_not_the_protocol_is_refused(name: str, body: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        DECODERS[name](body)
    assert len(caught.value.raw) <= 200
    assert caught.value.raw.startswith(body[:5].decode("utf-8", "replace"))


def test_every_decoder_is_found_by_looking() -> None:
    assert {name.partition(".")[0] for name in DECODERS} >= {
        "codec", "device_codec", "commands", "esims", "legacy", "legacy_push", "session_codec",
    }  # fmt: skip
    assert len(DECODERS) >= 19


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"sender=" + b"1" * 900_000 + b"&sms=" + b"x" * 900_000, id="a long form"),
        pytest.param(b"a&" * 400_000, id="many fields"),
        pytest.param(b"Sender: " + b"\r\n" * 400_000, id="many lines"),
        pytest.param(b"Sender: 1\r\n" + b"SCTS:" * 200_000 + b"\r\n\r\nhi", id="a long header"),
        pytest.param(b"%" * 900_000, id="broken escapes"),
    ],
)
def test_the_older_push_is_read_in_bounded_time(body: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        DECODERS["codec.decode_push"](body)


def test_the_error_shows_the_first_200_characters() -> None:
    page = "<html>" + "é" * 500
    with pytest.raises(RemoteProtocolError) as caught:
        codec.decode_answer(page.encode())
    assert caught.value.raw == page[:200]


def test_an_integer_too_long_for_any_field_is_kept_as_text() -> None:
    digits = "9" * 300
    body = f'{{"type":"status-report","rpts":[{{"tid":1,"sdr":[[0,{digits},"1A",1]]}}]}}'.encode()
    push = codec.decode_push(body)
    assert not isinstance(push, UnknownPush)
    assert digits in repr(push)


def test_of_two_equal_keys_the_last_counts() -> None:
    assert codec.decode_answer(b'{"code":1,"code":0}').code == 0


def test_a_device_can_say_what_is_wrong_with_a_task() -> None:
    body = b'{"type":"send-sms","tasks":[{},{"tid":"x","from":"1,2","to":[447700900123,"+1"]}]}'
    bare, odd = device_codec.decode_send_sms(body).tasks
    assert (bare.tid, bare.to, bare.sms, bare.sdr, bare.fdr) == (0, (), "", 0, 1)
    assert (odd.tid, odd.port, odd.from_text, odd.to) == (0, None, "1,2", ("447700900123", "+1"))


def test_a_device_takes_credentials_in_the_body() -> None:
    body = b'{"Username":"root","password":"secret"}'
    assert device_codec.decode_credentials(body) == ("root", "secret")
    assert device_codec.decode_credentials(b"{}") is None
