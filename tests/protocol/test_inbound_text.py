from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.protocol.text import InboundText, unwrap_inbound


def packed(text: str | bytes) -> str:
    content = text.encode() if isinstance(text, str) else text
    return base64.b64encode(content).decode()


HEADERS = (
    "Sender: +447700900123\r\n"
    'Receiver: "12.01" 07700900999\r\n'
    "SMSC: +447700900000\r\n"
    "SCTS: 240619121500+04\r\n"
)


def test_a_header_block_of_later_firmware_is_split_off() -> None:
    unwrapped = unwrap_inbound(packed(HEADERS + "\r\nYes please\r\n\r\nBob"))
    assert unwrapped.text == "Yes please\r\n\r\nBob"
    assert unwrapped.headers == {
        "Sender": "+447700900123",
        "Receiver": '"12.01" 07700900999',
        "SMSC": "+447700900000",
        "SCTS": "240619121500+04",
    }


def test_a_header_block_may_name_a_slot_and_end_in_bare_newlines() -> None:
    block = (HEADERS + "Slot: 3\r\n\r\n").replace("\r\n", "\n")
    unwrapped = unwrap_inbound(packed(block + "ok"))
    assert (unwrapped.text, unwrapped.headers["Slot"]) == ("ok", "3")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Sender: me\r\n\r\nand so on", id="no SCTS in the block"),
        pytest.param("Sender: me\r\n\r\nSCTS: later", id="SCTS only after the blank line"),
        pytest.param(" " + HEADERS + "\r\ntext", id="does not begin with Sender"),
        pytest.param(HEADERS + "text without a blank line", id="no blank line"),
    ],
)
def test_what_only_looks_like_headers_stays_text(text: str) -> None:
    assert unwrap_inbound(packed(text)) == InboundText(text)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param("Hello, Bob!", "Hello, Bob!", id="plain text"),
        pytest.param("hello123", "hello123", id="base64 alphabet but not UTF-8 behind"),
        pytest.param("abc", "abc", id="wrong length"),
        pytest.param("你好", "你好", id="not ASCII"),
        pytest.param(packed(b"\xc4\xe3\xba\xc3"), "xOO6ww==", id="base64 of another charset"),
        pytest.param("plain\0\0", "plain", id="plain text with the NULs of a buffer"),
    ],
)
def test_what_is_not_base64_of_utf8_is_kept(body: str, text: str) -> None:
    assert unwrap_inbound(body) == InboundText(text, decoded=False)


def test_base64_broken_into_lines_is_read() -> None:
    body = packed("a longer text " * 10)
    lines = "\r\n".join(body[at : at + 76] for at in range(0, len(body), 76))
    assert unwrap_inbound(lines).text == "a longer text " * 10


def test_an_empty_text_is_empty() -> None:
    assert unwrap_inbound("") == InboundText("")


@given(st.text(), st.integers(0, 8))
def test_a_wrapped_text_comes_back_without_its_trailing_nuls(text: str, nuls: int) -> None:
    text = "x" + text.rstrip("\0")
    assert unwrap_inbound(packed(text + "\0" * nuls)) == InboundText(text)


@given(st.text())
def test_any_body_at_all_gives_a_text(body: str) -> None:
    assert isinstance(unwrap_inbound(body).text, str)
