from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.errors import LocalProtocolError
from campaign.protocol.ports import AllPorts, Port, format_selection, parse_selection

PORTS = st.builds(Port, st.integers(1, 9999), st.none() | st.integers(1, 9999))
POOLED = st.builds(
    Port,
    st.integers(1, 512),
    st.integers(1, 999),
    st.from_regex(r"[a-z]{2}[0-9]{1,3}", fullmatch=True),
)


@pytest.mark.parametrize(
    ("text", "port"),
    [
        pytest.param("1A", Port(1, 1), id="letter"),
        pytest.param("2b", Port(2, 2), id="small letter"),
        pytest.param("32D", Port(32, 4), id="two-digit port with letter"),
        pytest.param("1.01", Port(1, 1), id="dotted"),
        pytest.param("2.02", Port(2, 2), id="dotted as in the switch example"),
        pytest.param("1.1", Port(1, 1), id="dotted without zero"),
        pytest.param("12.sp256.101", Port(12, 101, "sp256"), id="SIM pool"),
        pytest.param("4", Port(4), id="port alone"),
        pytest.param(4, Port(4), id="integer"),
        pytest.param(" 7A ", Port(7, 1), id="blanks around"),
    ],
)
def test_every_notation_is_read(text: str | int, port: Port) -> None:
    assert Port.parse(text) == port


@pytest.mark.parametrize(
    "text", ["", "0", "A", "1AB", "1.", ".1", "1.00", "99999", "-1", "1.sp", "１A"]
)
def test_text_that_is_no_port_is_our_error(text: str) -> None:
    with pytest.raises(LocalProtocolError):
        Port.parse(text)


def test_a_pool_without_a_slot_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="without a slot"):
        Port(1, None, "sp256")


@pytest.mark.parametrize(
    ("port", "dotted", "letter"),
    [
        (Port(1, 1), "1.01", "1A"),
        (Port(4), "4", "4"),
        (Port(3, 26), "3.26", "3Z"),
        (Port(3, 27), "3.27", "3.27"),
        (Port(12, 101, "sp256"), "12.sp256.101", "12.sp256.101"),
    ],
    ids=str,
)
def test_a_port_is_written_in_both_dialects(port: Port, dotted: str, letter: str) -> None:
    assert (str(port), port.letter()) == (dotted, letter)


@given(PORTS | POOLED)
def test_a_port_survives_either_notation(port: Port) -> None:
    assert Port.parse(str(port)) == port
    assert Port.parse(port.letter()) == port


def test_ports_with_and_without_a_slot_sort_together() -> None:
    ports = [Port(2), Port(1, 2), Port(10), Port(1), Port(2, 1, "sp1"), Port(2, 1)]
    assert sorted(ports) == [Port(1), Port(1, 2), Port(2), Port(2, 1), Port(2, 1, "sp1"), Port(10)]


@pytest.mark.parametrize("text", ["all", "ALL", "*", " * "])
def test_all_ports_is_a_selection_of_its_own(text: str) -> None:
    assert parse_selection(text) is AllPorts.ALL


def test_a_selection_keeps_the_order_written_and_names_each_port_once() -> None:
    ports = parse_selection("12, 1-3,2B,2")
    assert ports == (Port(12), Port(1), Port(2), Port(3), Port(2, 2))


@pytest.mark.parametrize("text", ["", ",", "1,,2", "8-1", "0-3", "1-", "1A-3B", "some"])
def test_a_selection_that_means_nothing_or_everything_is_refused(text: str) -> None:
    with pytest.raises(LocalProtocolError):
        parse_selection(text)


@pytest.mark.parametrize(
    ("ports", "text"),
    [
        ([Port(n) for n in range(1, 9)] + [Port(12)], "1-8,12"),
        ([Port(1), Port(2)], "1,2"),
        ([Port(3), Port(1), Port(2), Port(2, 2)], "1-3,2.02"),
        ([], ""),
        (AllPorts.ALL, "all"),
    ],
    ids=["run", "pair", "slot among ports", "none", "all"],
)
def test_a_selection_is_written_as_short_as_it_can_be(
    ports: list[Port] | AllPorts, text: str
) -> None:
    assert format_selection(ports) == text


@given(st.sets(PORTS | POOLED, min_size=1))
def test_a_selection_survives_writing(ports: set[Port]) -> None:
    again = parse_selection(format_selection(ports))
    assert again is not AllPorts.ALL
    assert set(again) == ports
