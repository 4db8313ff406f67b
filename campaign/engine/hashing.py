"""What the numbers of a list hash to: their sum makes its fingerprint, and a few of their bits tell
which of them may have come before.

Everything is done for many numbers at a time: one by one it would be an eighth of an import.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Sequence
from hashlib import blake2b

_DIGEST_BYTES = 16
_SLOT_BITS = 23
_SEVEN_BITS = bytes(byte & 0x7F for byte in range(256))
_ONE_BIT = bytes(1 << (byte & 7) for byte in range(256))
_MOST_SUSPECTS = 200_000
"""Of some 80 bytes each. They are beyond 4 million rows, where a sieve is too full to tell much."""


def hashes_of(numbers: Sequence[str]) -> array[int]:
    """Two words of 64 bits for each number, the high one first. Digits alone are hashed."""
    if not numbers:
        return array("Q")
    encoded = "\n".join(numbers).encode().split(b"\n")
    words = array("Q", b"".join([blake2b(n, digest_size=_DIGEST_BYTES).digest() for n in encoded]))
    if sys.byteorder == "little":
        words.byteswap()
    return words


def sum_of(words: array[int]) -> int:
    """The sum of all hashes as numbers of 128 bits; no order of theirs changes it."""
    return (sum(words[0::2]) << 64) + sum(words[1::2])


class Sieve:
    """Finds the numbers of a list that may repeat an earlier one, in 8 MB however long it is.

    `suspects` holds every number that does, and about one in a hundred (in a million rows) that
    does not; None where they became too many to tell.
    """

    def __init__(self) -> None:
        self._seen = bytearray(1 << _SLOT_BITS)
        self.suspects: list[str] | None = []

    def sift(self, numbers: Sequence[str], words: array[int]) -> None:
        """The next numbers and their hashes."""
        suspects, seen = self.suspects, self._seen
        if suspects is None:
            return
        slots, bits = _slots(words[1::2])
        for slot, bit, number in zip(slots, bits, numbers, strict=True):
            if seen[slot] & bit:
                suspects.append(number)
            else:
                seen[slot] |= bit
        if len(suspects) > _MOST_SUSPECTS:
            self.suspects = None
            self._seen = bytearray()


def _slots(words: array[int]) -> tuple[Sequence[int], bytes]:
    """Of each word 23 bits that say in which byte of a sieve it falls, and that byte's one bit:
    cut out of all words at once, which takes half the time that counting with each would."""
    raw = words.tobytes()
    low = bytearray(4 * len(words))
    low[0::4], low[1::4], low[2::4] = raw[0::8], raw[1::8], raw[2::8].translate(_SEVEN_BITS)
    return struct.unpack(f"<{len(words)}I", low), raw[3::8].translate(_ONE_BIT)
