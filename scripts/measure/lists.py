"""Lists to import: numbers as people write them, in scattered order, some twice, some none.

They follow the numbering plans of real countries, since that is what cleaning costs; they are only
ever imported, or sent to simulated gateways.
"""

from __future__ import annotations

import functools
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PLANS = (  # calling code, leading digits of a mobile, how many follow
    ("86", "138", 8), ("44", "7400", 6), ("1", "2125", 6), ("49", "1512", 7), ("55", "119", 8),
    ("91", "9876", 6), ("234", "803", 7), ("33", "612", 6),
)  # fmt: skip
_STRIDE = 618_033_989  # odd and no multiple of 5: permutes numbers of a power of ten
_NAMES = ("Ada", "Bo", "Chen", "Dina", "Eli", "Fatima", "Goran", "Hana", "Ivo", "李雷", "韩梅")
_TWICE, _NONE = 0.01, 0.005


@functools.cache
def mixed_list(rows: int) -> Path:
    """A CSV of `rows` rows with a name each, the same every time; it goes with the process."""
    path = _folder() / f"{rows}.csv"
    rng = random.Random(rows)
    with path.open("w", encoding="utf-8") as out:
        out.write("phone,name\n")
        out.writelines(f"{number},{rng.choice(_NAMES)}\n" for number in _numbers(rows, rng))
    return path


def plain_list(path: Path, rows: int) -> None:
    """Distinct numbers of country code 999, which belongs to nobody, in scattered order."""
    with path.open("w", encoding="utf-8") as out:
        out.write("phone\n")
        out.writelines(f"+999{i * _STRIDE % 10**9:09d}\n" for i in range(1, rows + 1))


def _numbers(rows: int, rng: random.Random) -> Iterator[str]:
    earlier = "+999000000001"
    for i in range(rows):
        draw = rng.random()
        if draw < _TWICE:
            yield earlier
        elif draw < _TWICE + _NONE:
            yield rng.choice(("n/a", "12345", "+86 138 1", "call me"))
        else:
            written = _written(i, rng)
            if rng.random() < 0.1:
                earlier = written
            yield written


def _written(i: int, rng: random.Random) -> str:
    code, lead, digits = _PLANS[i % len(_PLANS)]
    rest = f"{i * _STRIDE % 10**digits:0{digits}d}"
    draw = rng.random()
    if draw < 0.75 or code == "1":
        return f"+{code}{lead}{rest}"
    if draw < 0.85:
        return f"{code}{lead}{rest}"
    if draw < 0.97:
        return f"+{code} {lead} {rest[:3]} {rest[3:]}"
    return f"+{code} ({lead}) {rest[:3]}-{rest[3:]}"


@functools.cache
def _folder() -> Path:
    holder = tempfile.TemporaryDirectory(prefix="campaign-lists-")
    _KEPT.append(holder)
    return Path(holder.name)


_KEPT: list[tempfile.TemporaryDirectory[str]] = []
