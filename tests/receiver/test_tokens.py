"""Finding a gateway by its token, and when the source is asked again."""

from __future__ import annotations

from collections.abc import Mapping

from campaign.receiver.tokens import TokenBook


class Source:
    def __init__(self, known: Mapping[str, int]) -> None:
        self.known = known
        self.asked = 0

    def __call__(self) -> Mapping[str, int]:
        self.asked += 1
        return self.known


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_old_and_new_tokens_of_a_gateway_lead_to_it() -> None:
    book = TokenBook(Source({"old": 1, "new": 1, "b": 2}), Clock())
    assert [book.find(t) for t in ("old", "new", "b", "B", "")] == [1, 1, 2, None, None]


def test_the_source_is_asked_once_a_second_for_known_tokens() -> None:
    source, clock = Source({"a": 1}), Clock()
    book = TokenBook(source, clock)
    for _ in range(5):
        assert book.find("a") == 1
        clock.now += 0.1
    assert source.asked == 1


def test_a_withdrawn_token_dies_within_a_second() -> None:
    source, clock = Source({"a": 1}), Clock()
    book = TokenBook(source, clock)
    book.find("a")
    source.known = {}
    clock.now += 1
    assert book.find("a") is None


def test_a_new_token_is_found_at_its_first_push() -> None:
    source, clock = Source({"a": 1}), Clock()
    book = TokenBook(source, clock)
    book.find("a")
    source.known = {"a": 1, "b": 2}
    clock.now += 0.2
    assert book.find("b") == 2


def test_guessing_does_not_hammer_the_source() -> None:
    source, clock = Source({"a": 1}), Clock()
    book = TokenBook(source, clock)
    for n in range(1000):
        assert book.find(f"guess{n}") is None
        clock.now += 0.001
    assert source.asked <= 11


def test_a_token_beyond_ascii_is_just_wrong() -> None:
    assert TokenBook(Source({"a": 1}), Clock()).find("é\udcff") is None
