"""Which row is the header, and which column holds the phone numbers.

A row with something like a phone number in it is data, never a header. Of several columns that
could be meant, the clearest name wins; names equally clear are an error, not a guess.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from campaign.errors import ListError
from campaign.lists.msisdn import Cleaner
from campaign.lists.refusals import Refusal

# In order of clearness: what surely takes SMS stands before what may be a landline.
_ALIASES: Final = (
    "msisdn", "mobile", "mobilenumber", "mobilephone", "mobilephonenumber", "mobileno", "mobilenum",
    "cell", "cellphone", "cellphonenumber", "cellnumber", "cellular",
    "手机", "手机号", "手机号码", "移动电话", "移动电话号码",
    "手機", "手機號", "手機號碼", "行動電話", "行動電話號碼", "移動電話",
    "móvil", "movil", "celular", "handy", "handynummer", "мобильный", "мобильныйтелефон",
    "phone", "phonenumber", "phoneno", "phonenum", "telephone", "telephonenumber", "tel", "telno",
    "telnumber", "电话", "电话号码", "联系电话", "聯絡電話", "電話", "電話號碼", "联系方式", "号码",
    "號碼", "teléfono", "telefono", "téléphone", "telefon", "telefone", "telefonnummer", "телефон",
    "номертелефона",
    "recipient", "to", "destination", "number", "contactnumber", "收件人", "接收号码",
)  # fmt: skip
_RANK: Final = {alias: rank for rank, alias in enumerate(_ALIASES)}
_PARTS: Final = ("msisdn", "mobile", "phone", "手机", "手機", "电话", "電話")
_REMARK: Final = re.compile(r"[(\[（【].*?[)\]）】]")
_NOISE: Final = re.compile(r"[\s_\-.*:：#/\"']+")
_LIKE_A_NUMBER: Final = re.compile(r"[+(]?\d[\d\s().\-]{3,}\d|\d+[.,]\d+e\+?\d+", re.ASCII)

# The delivery report's own first columns. Its numbers are international without `+`, so a report
# launched again must not be read as national numbers.
REPORT_COLUMNS: Final = (
    "row", "number", "state", "evidence", "attempts", "gateway", "port", "iccid", "tid",
    "sent_at", "delivered_at", "code", "reason",
)  # fmt: skip


# A quotation mark before what a spreadsheet would take for a formula, as exports write it.
_GUARDED: Final = re.compile(r"'+[\s\u200b-\u200f\u2060\ufeff]*[=+\-@＝＋－＠﹦﹢﹣﹫−\t\r\n]")


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a list: where the number is, and which others are kept under which name.

    `keep` holds (index, name) pairs; `width` is the count of columns a row may fill.
    """

    phone: int
    phone_name: str
    keep: tuple[tuple[int, str], ...]
    width: int
    has_header: bool
    is_report: bool = False


def phone_aliases_in(line: str) -> list[str]:
    """Known names of a phone column among the cells of a header line, whatever its delimiter."""
    cells = re.split(r"[,;\t|，]", line)
    return [name for name in map(_normal, cells) if name in _RANK]


def names_a_phone_column(cell: str) -> bool:
    """Whether `cell` is one of the known names of a phone column."""
    return _normal(cell) in _RANK


def like_a_number(cell: str) -> bool:
    """Whether `cell` looks like a phone number, right or wrong; a header never does."""
    text = unicodedata.normalize("NFKC", cell).strip().strip("\"'=").lower()
    return _LIKE_A_NUMBER.fullmatch(text) is not None


def lay_out(rows: Sequence[Sequence[str]], phone_column: str | None, name: str) -> Layout:
    """Decides from the first rows. Raises ListError if the phone column cannot be known."""
    first = _without_blank_end(rows[0])
    named = _named(first, phone_column) if phone_column is not None else None
    if named is None and any(like_a_number(cell) for cell in first):
        return _without_header(rows, phone_column, name)
    if phone_column is not None:
        phone = named if named is not None else _positioned(first, phone_column)
        if phone is None:
            raise ListError(
                f"{name} has no column {phone_column!r}; its columns are: {_listing(first)}"
            )
    else:
        phone = _recognised(first, name)
    return _with_header(first, phone)


def _with_header(first: Sequence[str], phone: int) -> Layout:
    names = _distinct_names(first)
    is_report = _begins_like_a_report(first) and phone == REPORT_COLUMNS.index("number")
    own_from = len(REPORT_COLUMNS) if is_report else 0
    if is_report:
        names = [_own_name(name) for name in names]
    keep = tuple((i, name) for i, name in enumerate(names) if i != phone and i >= own_from)
    return Layout(phone, names[phone], keep, len(names), has_header=True, is_report=is_report)


def _own_name(name: str) -> str:
    """A list's own column as it was called before a report took it along."""
    name = unguarded(name)
    renamed = name.removeprefix("list_")
    return renamed if renamed in REPORT_COLUMNS else name


def unguarded(cell: str) -> str:
    """A report's cell without the quotation mark that keeps spreadsheets from calculating it."""
    return cell[1:] if _GUARDED.match(cell) else cell


def _without_header(rows: Sequence[Sequence[str]], phone_column: str | None, name: str) -> Layout:
    width = max(len(_without_blank_end(row)) for row in rows)
    names = [f"column{i}" for i in range(1, width + 1)]
    if phone_column is not None:
        phone = _named(names, phone_column)
        phone = _positioned(names, phone_column) if phone is None else phone
        if phone is None:
            raise ListError(
                f"{name} has no header row, so no column {phone_column!r}; "
                f"its columns are: {_listing(names)}"
            )
    else:
        phone = _fullest(rows, width, name)
    keep = tuple((i, column) for i, column in enumerate(names) if i != phone)
    return Layout(phone, names[phone], keep, width, has_header=False)


def _fullest(rows: Sequence[Sequence[str]], width: int, name: str) -> int:
    """The column with most numbers: those that exist count above those that look like one."""
    cleaner = Cleaner(international=True)
    scores = [0] * width
    for row in rows:
        for i, cell in enumerate(row[:width]):
            if like_a_number(cell):
                scores[i] += 2 if isinstance(cleaner.clean(cell), Refusal) else 3
    best = max(scores)
    candidates = [i for i, score in enumerate(scores) if score == best]
    if len(candidates) > 1:
        columns = ", ".join(f"column{i + 1}" for i in candidates)
        raise ListError(
            f"{name} has no header row and phone numbers in several columns ({columns}): "
            "choose one with --phone-column"
        )
    return candidates[0]


def _recognised(first: Sequence[str], name: str) -> int:
    if _begins_like_a_report(first):
        return REPORT_COLUMNS.index("number")
    normal = [_normal(cell) for cell in first]
    ranked = sorted((_RANK[cell], i) for i, cell in enumerate(normal) if cell in _RANK)
    if ranked:
        if len(ranked) > 1 and ranked[0][0] == ranked[1][0]:
            raise ListError(
                f"{name} has two columns {first[ranked[0][1]]!r}: choose one with --phone-column "
                "and its position, e.g. 1"
            )
        return ranked[0][1]
    partly = [i for i, cell in enumerate(normal) if any(part in cell for part in _PARTS)]
    if len(partly) == 1:
        return partly[0]
    if len(first) == 1:
        return 0
    several = "several columns could be the phone numbers" if partly else "no phone column found"
    raise ListError(
        f"{name}: {several}; its columns are: {_listing(first)}. Choose one with --phone-column"
    )


def _begins_like_a_report(first: Sequence[str]) -> bool:
    return tuple(map(_folded, first[: len(REPORT_COLUMNS)])) == REPORT_COLUMNS


def _named(first: Sequence[str], wanted: str) -> int | None:
    matches = [i for i, cell in enumerate(first) if _folded(cell) == _folded(wanted)]
    return matches[0] if matches else None


def _positioned(first: Sequence[str], wanted: str) -> int | None:
    position = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 6 else 0
    return position - 1 if 1 <= position <= len(first) else None


def _distinct_names(first: Sequence[str]) -> list[str]:
    """Names for templates: trimmed, none blank, none twice (their case does not count)."""
    names: list[str] = []
    seen: set[str] = set()
    for position, cell in enumerate(first, start=1):
        name = cell.strip() or f"column{position}"
        candidate, copy = name, 2
        while candidate.casefold() in seen:
            candidate, copy = f"{name}_{copy}", copy + 1
        seen.add(candidate.casefold())
        names.append(candidate)
    return names


def _without_blank_end(row: Sequence[str]) -> Sequence[str]:
    width = len(row)
    while width > 1 and not row[width - 1].strip():
        width -= 1
    return row[:width]


def _folded(cell: str) -> str:
    return cell.strip().casefold()


def _normal(cell: str) -> str:
    text = unicodedata.normalize("NFKC", cell).casefold().strip()
    return _NOISE.sub("", _REMARK.sub("", text))


def _listing(cells: Sequence[str]) -> str:
    shown = [cell.strip()[:40] for cell in cells[:30]]
    return ", ".join(shown) + (", …" if len(cells) > len(shown) else "")
