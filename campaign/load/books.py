"""What an account comes to when it is closed, and the law that its sums obey."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Books:
    """One place for every message offered, for every row of a report, and for every receipt.

    Messages: `offered` are those of all requests that ended. `refused` counts them by the device's
    code; `unsent` never reached it; `in_doubt` may have. Of the accepted, `sent` and `failed` are
    what a report named first; `counted` stands in a task's totals only, its row being lost;
    `removed` was taken back by us; of `unreported` nothing was ever heard. `doubt_*` are those in
    doubt, by what was heard of them.

    Rows: `first` ones told something new, `again` repeated it, `contradicted` said the opposite,
    `foreign` are of no message of this load. `unexpected` are first rows about messages that were
    refused, never sent, or of which no worker told.

    Receipts: `matched` to a message; `receipts_again` were the same once more, or further parts;
    `unmatched` fitted nothing that had gone out, `receipts_foreign` went to none of our numbers.
    Of the matched, `ambiguous` had more than one message to fit: the oldest was taken.
    """

    offered: int = 0
    accepted: int = 0
    refused: Mapping[int, int] = field(default_factory=dict)
    in_doubt: int = 0
    unsent: int = 0
    sent: int = 0
    failed: int = 0
    counted: int = 0
    removed: int = 0
    unreported: int = 0
    doubt_sent: int = 0
    doubt_failed: int = 0
    doubt_silent: int = 0
    rows: int = 0
    first: int = 0
    again: int = 0
    contradicted: int = 0
    foreign: int = 0
    unexpected: int = 0
    receipts: int = 0
    matched: int = 0
    receipts_again: int = 0
    unmatched: int = 0
    receipts_foreign: int = 0
    ambiguous: int = 0

    def broken_laws(self) -> list[str]:
        """The sums that do not close, in words; empty, or this program is wrong."""
        return [
            f"{name}: {left} is not {right}" for name, left, right in self._sums() if left != right
        ]

    def _sums(self) -> Iterator[tuple[str, int, int]]:
        refused = sum(self.refused.values())
        yield (
            "offered = accepted + refused + in doubt + unsent",
            self.offered,
            self.accepted + refused + self.in_doubt + self.unsent,
        )
        yield (
            "accepted = sent + failed + counted + removed + unreported",
            self.accepted,
            self.sent + self.failed + self.counted + self.removed + self.unreported,
        )
        yield (
            "in doubt = sent + failed + silent",
            self.in_doubt,
            self.doubt_sent + self.doubt_failed + self.doubt_silent,
        )
        yield (
            "rows = first + again + contradicted + foreign",
            self.rows,
            self.first + self.again + self.contradicted + self.foreign,
        )
        named = self.sent + self.failed + self.doubt_sent + self.doubt_failed
        yield "first rows = named messages + unexpected", self.first, named + self.unexpected
        yield (
            "receipts = matched + again + unmatched + foreign",
            self.receipts,
            self.matched + self.receipts_again + self.unmatched + self.receipts_foreign,
        )

    def figures(self) -> dict[str, int]:
        """The same as plain figures, under the names that results use."""
        return {
            "offered": self.offered,
            "accepted": self.accepted,
            "refused": sum(self.refused.values()),
            **{f"refused_{code}": count for code, count in sorted(self.refused.items())},
            "in_doubt": self.in_doubt,
            "unsent": self.unsent,
            "reported": self.sent,
            "failed": self.failed,
            "counted": self.counted,
            "removed": self.removed,
            "unreported": self.unreported,
            "doubt_reported": self.doubt_sent,
            "doubt_failed": self.doubt_failed,
            "doubt_silent": self.doubt_silent,
            "rows": self.rows,
            "duplicated": self.again,
            "contradicted": self.contradicted,
            "foreign": self.foreign,
            "unexpected": self.unexpected,
            "receipts": self.matched,
            "receipts_duplicated": self.receipts_again,
            "receipts_foreign": self.receipts_foreign,
            "unmatched": self.unmatched,
            "ambiguous": self.ambiguous,
        }
