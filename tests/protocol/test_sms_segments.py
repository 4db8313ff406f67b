from __future__ import annotations

import pytest
import smsutil
from hypothesis import example, given
from hypothesis import strategies as st

from campaign.protocol.text import Encoding, Segments, encoding_of, segments

GSM7, UCS2 = Encoding.GSM7, Encoding.UCS2
BASIC = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡AZÄÖÑÜ§¿azäöñüà"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", Segments(GSM7, 0, 1), id="empty"),
        pytest.param("a" * 160, Segments(GSM7, 160, 1), id="one full part"),
        pytest.param("a" * 161, Segments(GSM7, 161, 2), id="one septet more"),
        pytest.param("a" * 306, Segments(GSM7, 306, 2), id="two full parts"),
        pytest.param("a" * 307, Segments(GSM7, 307, 3), id="three parts"),
        pytest.param("€" * 80, Segments(GSM7, 160, 1), id="extension counts twice"),
        pytest.param("€" * 81, Segments(GSM7, 162, 2), id="extension over one part"),
        pytest.param("a" * 152 + "€" + "a" * 152, Segments(GSM7, 306, 3), id="ESC pair not split"),
        pytest.param("中" * 70, Segments(UCS2, 70, 1), id="one full part of UCS-2"),
        pytest.param("中" * 71, Segments(UCS2, 71, 2), id="one code unit more"),
        pytest.param("中" * 134, Segments(UCS2, 134, 2), id="two full parts of UCS-2"),
        pytest.param("😀" * 35, Segments(UCS2, 70, 1), id="surrogate pairs count twice"),
        pytest.param(
            "中" * 66 + "😀" + "中" * 66, Segments(UCS2, 134, 3), id="surrogate pair not split"
        ),
        pytest.param("ç", Segments(UCS2, 1, 1), id="the small cedilla is not GSM-7"),
        pytest.param("a\u00a0b", Segments(UCS2, 3, 1), id="a no-break space is not GSM-7"),
    ],
)
def test_a_text_takes_so_many_parts(text: str, expected: Segments) -> None:
    assert segments(text) == expected


def test_the_whole_default_alphabet_is_gsm7() -> None:
    assert encoding_of(BASIC) is GSM7
    assert encoding_of("^{}\\[~]|€\f") is GSM7
    assert encoding_of("\x1b") is UCS2


def agrees_with_smsutil(text: str) -> bool:
    oracle = smsutil.split(text)
    width = 1 if oracle.encoding == "gsm0338" else 2
    mine = segments(text)
    return (mine.encoding.value, mine.units, mine.parts) == (
        "gsm7" if width == 1 else "ucs2",
        oracle.total_bytes // width,
        len(oracle.parts),
    )


@given(st.text(alphabet=BASIC + "^{}\\[~]|€", min_size=1, max_size=700))
@example("a" * 152 + "€" * 80)
def test_gsm7_parts_agree_with_an_independent_counter(text: str) -> None:
    assert agrees_with_smsutil(text)


@given(st.text(alphabet="中é😀ab€", min_size=1, max_size=300))
@example("中" * 66 + "😀" * 40)
def test_ucs2_parts_agree_with_an_independent_counter(text: str) -> None:
    assert agrees_with_smsutil(text)
