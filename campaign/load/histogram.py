"""Latencies in constant memory: a log-linear histogram of whole microseconds.

Theory of operation. Below 2,048 µs every value has a slot of its own; above, each doubling is cut
into 1,024 slots of equal width. A slot is therefore at most 1/1,024 of its values wide: three
significant digits, as HdrHistogram has them. Slots run up to `HIGHEST` (a day): 28,000 counters,
220 KB, whatever is recorded. Larger values are still counted (`above`), and `max` and the sums stay
exact. All fields are integers, so merging in any order is recording everything in one.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import accumulate
from operator import mul
from typing import Final, Self

HIGHEST: Final = 86_400_000_000
"""The longest latency (microseconds) that has a slot of its own: one day."""

_LINEAR_BITS: Final = 11
_HALF_BITS: Final = _LINEAR_BITS - 1
_MAGIC: Final = b"clh1"


def _slot_of(us: int) -> int:
    shift = us.bit_length() - _LINEAR_BITS
    return us if shift <= 0 else (shift << _HALF_BITS) + (us >> shift)


def _bounds_of(slot: int) -> tuple[int, int]:
    """The lowest and the highest value (microseconds) that fall into a slot."""
    shift = max(0, (slot >> _HALF_BITS) - 1)
    low = (slot - (shift << _HALF_BITS)) << shift
    return low, low + (1 << shift) - 1


_SLOTS: Final = _slot_of(HIGHEST) + 1


class Histogram:
    """Counts of latencies in microseconds; see the module for precision and memory."""

    __slots__ = ("_counts", "_squares", "above", "count", "max", "min", "total")

    def __init__(self) -> None:
        self._counts = array("Q", (0,)) * _SLOTS
        self._squares = 0
        self.above = 0
        """How many values lay above `HIGHEST`; they are in `count`, `total` and `max`."""
        self.count = 0
        self.max = 0
        """The largest value, exactly; 0 while nothing is recorded."""
        self.min = 0
        self.total = 0

    def record(self, us: int, count: int = 1) -> None:
        """Counts one value `count` times. Raises ValueError for negative ones."""
        if us < 0 or count < 1:
            raise ValueError(f"cannot record {us} us {count} times")
        if us > HIGHEST:
            self.above += count
        else:
            self._counts[_slot_of(us)] += count
        self._add_sums(count, us, us, us * count, us * us * count)

    def record_many(self, values: Sequence[int]) -> None:
        """Counts every value once: far cheaper than one by one (an `array("Q")` or a list).

        Raises ValueError if one is negative, and then has recorded none.
        """
        values = list(values)  # an array makes its numbers anew at every walk
        if not values:
            return
        low, high = min(values), max(values)
        if low < 0:
            raise ValueError(f"cannot record {low} us")
        self._add_sums(len(values), low, high, sum(values), sum(map(mul, values, values)))
        if high > HIGHEST:
            self.above += sum(us > HIGHEST for us in values)
            values = [us for us in values if us <= HIGHEST]
        counts = self._counts
        for us in values:  # _slot_of written out: a call costs as much as all the rest
            shift = us.bit_length() - _LINEAR_BITS
            if shift > 0:
                us = (shift << _HALF_BITS) + (us >> shift)
            counts[us] += 1

    def merge(self, other: Histogram) -> None:
        """Adds all that `other` holds; nothing is lost, and the order never matters."""
        if not other.count:
            return
        mine, theirs = self._counts, other._counts
        for slot in other._used():
            mine[slot] += theirs[slot]
        self.above += other.above
        self._add_sums(other.count, other.min, other.max, other.total, other._squares)

    def percentile(self, percent: float) -> int:
        """Microseconds that at least `percent` of 100 values do not exceed; 0 of an empty one.

        The upper edge of the slot, never above `max`. Among values above `HIGHEST` it is `max`.
        """
        return self.percentiles(percent)[0]

    def percentiles(self, *percents: float) -> tuple[int, ...]:
        """Several percentiles, in one walk over the slots."""
        if not all(0 <= percent <= 100 for percent in percents):
            raise ValueError(f"percentiles lie between 0 and 100, not {percents}")
        if not self.count:
            return (0,) * len(percents)
        used = self._used()
        running = list(accumulate(self._counts[used.start : used.stop]))
        found = []
        for percent in percents:
            # By way of the decimals as written: 99.9 / 100 * 1000 is more than 999 in floats.
            rank = max(1, math.ceil(Fraction(str(percent)) * self.count / 100))
            place = bisect_left(running, rank)
            beyond = place == len(running)
            found.append(self.max if beyond else min(_bounds_of(used.start + place)[1], self.max))
        return tuple(found)

    @property
    def mean(self) -> float:
        """Exact, in microseconds; 0 of an empty one."""
        return self.total / self.count if self.count else 0.0

    @property
    def stdev(self) -> float:
        """Of the values as a whole population, exact; microseconds."""
        if not self.count:
            return 0.0
        spread = self.count * self._squares - self.total * self.total
        return math.sqrt(Fraction(spread, self.count * self.count))

    def slots(self) -> Iterator[tuple[int, int, int]]:
        """(lowest, highest, count) of every slot in use, ascending; without those `above`."""
        for slot in self._used():
            if count := self._counts[slot]:
                yield *_bounds_of(slot), count

    def to_bytes(self) -> bytes:
        """Everything, compactly: a mark, then variable-length integers (seven bits a byte)."""
        sums = (self.count, self.above, self.min, self.max, self.total, self._squares)
        packed = bytearray(_MAGIC)
        for number in sums:
            _append(packed, number)
        last = 0
        for slot in self._used():
            if count := self._counts[slot]:
                _append(packed, slot - last)
                _append(packed, count)
                last = slot
        return bytes(packed)

    @classmethod
    def from_bytes(cls, packed: bytes) -> Self:
        """What `to_bytes` wrote. Raises ValueError for anything else."""
        if not packed.startswith(_MAGIC):
            raise ValueError("these bytes are no histogram")
        numbers = _integers(packed[len(_MAGIC) :])
        if len(numbers) < 6 or len(numbers) % 2:
            raise ValueError("the bytes of a histogram are cut off")
        made = cls()
        made.count, made.above, made.min, made.max, made.total, made._squares = numbers[:6]
        slot, used = 0, made._used()
        for distance, count in zip(numbers[6::2], numbers[7::2], strict=True):
            slot += distance
            if slot not in used or count >= 1 << 64:
                raise ValueError("the bytes of a histogram are damaged")
            made._counts[slot] = count
        if sum(made._counts) + made.above != made.count:
            raise ValueError("the bytes of a histogram are damaged")
        return made

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return self._everything() == other._everything()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def _everything(self) -> tuple[object, ...]:
        sums = (self.count, self.above, self.min, self.max, self.total, self._squares)
        return *sums, self._counts

    def _used(self) -> range:
        """Slots from that of `min` to that of `max`: all others are empty."""
        if self.count == self.above:
            return range(0)
        return range(_slot_of(self.min), min(_slot_of(self.max), _SLOTS - 1) + 1)

    def _add_sums(self, count: int, low: int, high: int, total: int, squares: int) -> None:
        self.min = min(self.min, low) if self.count else low
        self.max = max(self.max, high)
        self.count += count
        self.total += total
        self._squares += squares


def _append(packed: bytearray, number: int) -> None:
    while number > 0x7F:
        packed.append(number & 0x7F | 0x80)
        number >>= 7
    packed.append(number)


def _integers(packed: bytes) -> list[int]:
    numbers, number, shift = [], 0, 0
    for byte in packed:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(number)
            number, shift = 0, 0
    if shift:
        raise ValueError("the bytes of a histogram are cut off")
    return numbers
