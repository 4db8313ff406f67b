"""The secure session's arithmetic (spec §3.3): auth, key, ciphers, padding, the handshake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from Crypto.Cipher import AES
from hypothesis import given
from hypothesis import strategies as st

from campaign.errors import LocalProtocolError, RemoteProtocolError
from campaign.protocol.messages import SessionAnswer
from campaign.protocol.session import Crypt, Login, Session, parse_crypt, seal, unseal
from campaign.protocol.session_codec import decode_session_answer, encode_session_answer

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "session_vectors.json").read_text()
)
IDS = [vector["name"] for vector in VECTORS]
KEY = b"0123456789abcdef" * 2
BODIES = st.binary(max_size=200).map(lambda body: b'{"a":"' + body.hex().encode() + b'"}')


@pytest.mark.parametrize("vector", VECTORS, ids=IDS)
def test_auth_and_key_are_those_of_the_vectors(vector: dict[str, Any]) -> None:
    login = Login(vector["username"], vector["password"])
    initial = login.initial_auth(vector["cnonce"])
    request = (vector["session"], vector["url_resource"], vector["seq"])
    assert initial == vector["auth_initial"]
    assert login.request_auth(*request, "spec") == vector["auth_request_seed_order"]
    other = vector["auth_request_alt_order_session_seq_resource"]
    assert login.request_auth(*request, "seq-first") == other
    key = login.key(initial, vector["session"], vector["seq"])
    assert key.decode() == vector["key_hex_from_initial_auth"]


@pytest.mark.parametrize("vector", VECTORS, ids=IDS)
@pytest.mark.parametrize(
    ("crypt", "expected"),
    [
        (Crypt.RC4, "rc4_hexkey32"),
        (Crypt.XOR, "xor_hexkey32"),
        (Crypt.AES_ECB, "aes256ecb_hexkey32_nulpad_always"),
    ],
)
def test_each_cipher_writes_the_bytes_of_the_vectors(
    vector: dict[str, Any], crypt: Crypt, expected: str
) -> None:
    key = vector["key_hex_from_initial_auth"].encode()
    sealed = seal(crypt, key, vector["body"].encode())
    assert sealed.hex() == vector[expected]
    assert unseal(crypt, key, sealed).decode() == vector["body"]


@given(BODIES, st.sampled_from(list(Crypt)))
def test_a_body_survives_every_cipher(body: bytes, crypt: Crypt) -> None:
    assert unseal(crypt, KEY, seal(crypt, KEY, body)) == body


@pytest.mark.parametrize("length", [1, 15, 16, 17, 32])
def test_aes_pads_with_1_to_16_nuls(length: int) -> None:
    assert len(seal(Crypt.AES_ECB, KEY, b"x" * length)) == length // 16 * 16 + 16


@pytest.mark.parametrize(
    "padding",
    [
        pytest.param(lambda body: body + b"\0" * (-len(body) % 16), id="as-few-nuls-as-needed"),
        pytest.param(lambda body: body + bytes([16 - len(body) % 16]) * (16 - len(body) % 16),
                     id="PKCS#7"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("length", [2, 15, 16, 31])
def test_other_paddings_are_read_too(padding: Any, length: int) -> None:
    body = b"{" + b"x" * (length - 2) + b"}"
    sealed = AES.new(KEY, AES.MODE_ECB).encrypt(padding(body))
    assert unseal(Crypt.AES_ECB, KEY, sealed) == body


def test_what_aes_cannot_have_written_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="no AES blocks"):
        unseal(Crypt.AES_ECB, KEY, b"short")


def test_numbers_only_rise_and_gets_have_them_too() -> None:
    login = Login("root", "root")
    session = Session(login, Crypt.RC4, "spec", "auth", "SESS")
    first, nothing = session.next("/goip_get_status.html")
    second, sealed = session.next("/goip_remove_sms.html", b"{}")
    assert (first["seq"], second["seq"], nothing) == ("1", "2", None)
    assert sealed is not None
    assert unseal(Crypt.RC4, login.key("auth", "SESS", 2), sealed) == b"{}"
    assert first.keys() == {"session", "seq", "auth"}


def test_a_login_shows_neither_part() -> None:
    assert "s3cret" not in repr(Session(Login("root", "s3cret"), Crypt.NONE, "spec", "a", "b"))


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"code": 0, "session": "S", "expires": 60}, (0, "", "S", 60)),
        ({"code": "0", "session": 77}, (0, "", "77", 180)),
        ({"Code": 0, "Session": "S", "expires": "90"}, (0, "", "S", 90)),
        ({"code": 1, "desc": "no"}, (1, "no", "", 180)),
        ({"code": 0, "session": "S", "expires": 0}, (0, "", "S", 180)),
    ],
)
def test_the_answer_to_a_handshake(body: dict[str, Any], answer: tuple[int, str, str, int]) -> None:
    told = decode_session_answer(json.dumps(body).encode())
    assert (told.code, told.reason, told.session, told.expires) == answer


def test_a_success_without_a_session_is_no_answer() -> None:
    with pytest.raises(RemoteProtocolError):
        decode_session_answer(b'{"code":0,"reason":"OK"}')


@given(
    st.builds(SessionAnswer, code=st.just(0), session=st.text("abc123", min_size=1),
              expires=st.integers(1, 10**6))
    | st.builds(SessionAnswer, code=st.integers(1, 20), reason=st.text("abc "))
)  # fmt: skip
def test_the_handshakes_answer_survives(answer: SessionAnswer) -> None:
    assert decode_session_answer(encode_session_answer(answer)) == answer


def test_a_cipher_nobody_knows_is_refused_with_those_there_are() -> None:
    assert parse_crypt(" AES-ECB ") is Crypt.AES_ECB
    with pytest.raises(LocalProtocolError, match="none, xor, rc4, aes-ecb"):
        parse_crypt("des")
