"""Hashes of a list's numbers: their sum is the fingerprint, and some may have come before."""

from __future__ import annotations

from hashlib import blake2b

from campaign.engine.hashing import Sieve, hashes_of, sum_of

NUMBERS = [f"999{i:09d}" for i in range(20_000)]


def test_the_sum_is_that_of_every_numbers_own_hash() -> None:
    # stored fingerprints were made of it: another sum would not know a list again
    one_by_one = (blake2b(number.encode(), digest_size=16).digest() for number in NUMBERS)
    assert sum_of(hashes_of(NUMBERS)) == sum(int.from_bytes(hash_, "big") for hash_ in one_by_one)


def test_no_numbers_sum_up_to_nothing() -> None:
    assert sum_of(hashes_of([])) == 0


def test_a_sieve_suspects_every_number_that_comes_again_and_few_others() -> None:
    sieve = Sieve()
    sieve.sift(NUMBERS, hashes_of(NUMBERS))
    again = NUMBERS[::100]
    sieve.sift(again, hashes_of(again))
    assert sieve.suspects is not None
    assert set(again) <= set(sieve.suspects)
    assert len(sieve.suspects) < len(again) + 20


def test_a_sieve_gives_up_where_it_would_have_to_suspect_too_many() -> None:
    sieve, words = Sieve(), hashes_of(NUMBERS)
    for _ in range(9):
        sieve.sift(NUMBERS, words)
    assert sieve.suspects is not None
    for _ in range(2):
        sieve.sift(NUMBERS, words)
    assert sieve.suspects is None
