"""Rows go into the ledger as they are, many at once, each number once."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaign.planner.options import CampaignOptions
from campaign.store.batches import NO_COLUMNS, AlikeRecipients, NewRecipient
from campaign.store.campaigns import (
    add_recipients,
    create_campaign,
    end_fresh_list,
    give_up_fresh_list,
)
from campaign.store.door import transaction
from campaign.store.loading import begin_fresh
from campaign.store.opening import open_ledger


def stored(ledger: Any) -> list[tuple[Any, ...]]:
    columns = "row, number, text, columns, parts, lane"
    return [
        tuple(row) for row in ledger.conn.execute(f"SELECT {columns} FROM recipients ORDER BY id")
    ]


def test_any_text_is_stored_as_it_is(ledger: Any) -> None:
    campaign = ledger.campaign(0)

    @settings(max_examples=60, deadline=None, database=None, derandomize=True)
    @given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), max_size=4))
    def same(texts: list[str]) -> None:
        rows = [
            NewRecipient(line, f"9991{line:04}", text, text or None, 2, 3)
            for line, text in enumerate([*texts, "\x1f\u2028\ufffe\U0001f600"], 2)
        ]
        ledger.do(add_recipients, campaign, rows, [])
        assert stored(ledger) == [tuple(row) for row in rows]
        ledger.conn.execute("DELETE FROM recipients")
        ledger.conn.execute("DELETE FROM tallies")

    same()


def test_rows_that_are_alike_are_stored_as_rows_one_by_one_are(ledger: Any) -> None:
    campaign = ledger.campaign(0)
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)

    @settings(max_examples=60, deadline=None, database=None, derandomize=True)
    @given(st.lists(st.tuples(text, text), max_size=5), st.integers(0, 2))
    def same(values: list[tuple[str, str]], bare: int) -> None:
        count = len(values) + bare
        rows = AlikeRecipients(
            2,
            rows=[2 + 3**line for line in range(count)],
            numbers=[f"999{10 ** (line + 3)}" for line in range(count)],
            columns=[msgspec.json.Encoder().encode_lines(values), NO_COLUMNS * bare],
        )
        assert ledger.do(add_recipients, campaign, rows, []) == []
        each = rows.one_by_one()
        assert stored(ledger) == [tuple(row) for row in each]
        assert [row.columns for row in each] == [
            *(msgspec.json.encode(own).decode() for own in values), *[None] * bare
        ]  # fmt: skip
        assert ledger.do(add_recipients, campaign, rows, []) == each, "all of them are there"
        for table in ("recipients", "tallies", "refusals"):
            ledger.conn.execute(f"DELETE FROM {table}")

    same()


def test_of_equal_numbers_among_rows_that_are_alike_the_first_is_kept(ledger: Any) -> None:
    numbers = [f"9991111{n}" for n in (1, 2, 1, 1, 3, 22)]
    rows = AlikeRecipients(1, [*range(2, 8)], numbers, [NO_COLUMNS * 6])
    again = ledger.do(add_recipients, ledger.campaign(0), rows, [])
    assert [(row.row, row.number) for row in again] == [(4, "99911111"), (5, "99911111")]
    assert [row[:2] for row in stored(ledger)] == [
        (2, "99911111"), (3, "99911112"), (6, "99911113"), (7, "999111122")
    ]  # fmt: skip


def test_what_follows_a_nul_is_not_lost(ledger: Any) -> None:
    row = NewRecipient(2, "99911111", "before\0after", None, 1)
    ledger.do(add_recipients, ledger.campaign(0), [row, row._replace(row=3)], [])
    assert stored(ledger) == [tuple(row)]


def test_of_equal_numbers_the_first_is_kept_wherever_they_stand(ledger: Any) -> None:
    campaign = ledger.campaign(0)
    numbers = ["1", "2", "1", "1", "3", "2", "4", "4"]
    rows = [NewRecipient(i, f"9991111{n}", None, None, 1) for i, n in enumerate(numbers)]
    assert [row.row for row in ledger.do(add_recipients, campaign, rows, [])] == [2, 3, 5, 7]
    assert [row[0] for row in stored(ledger)] == [0, 1, 4, 6]
    assert ledger.do(add_recipients, campaign, rows, []) == rows


@pytest.mark.slow
@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 7))
@settings(
    max_examples=12, deadline=None, database=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
def test_the_first_list_of_a_ledger_comes_to_what_any_other_does(
    tmp_path_factory: pytest.TempPathFactory, digits: list[int], size: int
) -> None:
    """The index of numbers is made at the end, of all numbers or of suspects, or kept while rows
    come: nobody can tell."""
    rows = [NewRecipient(i, f"9991111{n}", None, None, 1) for i, n in enumerate(digits)]
    chunks = [rows[i : i + size] for i in range(0, len(rows), size)]
    folder = tmp_path_factory.mktemp("both")
    kept = imported(folder / "a", chunks, fresh=False)
    assert imported(folder / "b", chunks, fresh=True) == kept
    suspects = [*(row.number for row in rows), "99900000"]
    assert imported(folder / "c", chunks, fresh=True, suspects=suspects) == kept


def imported(
    folder: Path,
    chunks: list[list[NewRecipient]],
    *,
    fresh: bool,
    suspects: list[str] | None = None,
) -> list[list[Any]]:
    """All that a list leaves in a ledger of its own."""
    folder.mkdir()
    with closing(open_ledger(folder / "l.db", folder / "o.db")) as conn, transaction(conn):
        campaign = create_campaign(
            conn, 1, name="c", list_name="l", message="m", columns=(), options=CampaignOptions()
        )
        assert not fresh or begin_fresh(conn)
        for chunk in chunks:
            add_recipients(conn, campaign, chunk, [], fresh=fresh)
        if fresh:
            end_fresh_list(conn, campaign, suspects)
        return [
            [tuple(row) for row in conn.execute(question)]
            for question in (
                "SELECT row, number, state FROM recipients ORDER BY id",
                "SELECT row, raw, code, reason FROM refusals ORDER BY row",
                "SELECT state, n FROM tallies WHERE n > 0",
                "SELECT refused FROM campaigns",
                "SELECT sql FROM sqlite_master WHERE name = 'recipients_number'",
            )
        ]


def test_an_import_that_was_given_up_leaves_the_index_of_numbers(ledger: Any) -> None:
    ledger.conn.execute("DELETE FROM recipients")
    assert ledger.do(begin_fresh)
    campaign = ledger.do(
        create_campaign, 1, name="draft", list_name="l", message="m", columns=(),
        options=CampaignOptions(),
    )  # fmt: skip
    rows = [NewRecipient(i, "99911111", None, None, 1) for i in range(2)]
    ledger.do(add_recipients, campaign, rows, [], fresh=True)
    ledger.do(give_up_fresh_list, campaign)
    assert not stored(ledger)
    assert ledger.do(add_recipients, ledger.campaign(0), rows, []) == rows[1:]


def test_a_ledger_with_recipients_keeps_its_index(ledger: Any) -> None:
    ledger.campaign(1)
    assert not ledger.do(begin_fresh)
    found = ledger.conn.execute("SELECT 1 FROM sqlite_master WHERE name = 'recipients_number'")
    assert found.fetchone()
