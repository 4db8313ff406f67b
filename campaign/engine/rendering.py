"""Rendering: a row of a list becomes a recipient, its text written out and counted."""

from __future__ import annotations

import msgspec

from campaign.errors import UsageError
from campaign.lists.blocks import Block
from campaign.lists.reader import Row
from campaign.planner.routes import NO_ROUTE, Routes
from campaign.planner.template import MissingValue, Template
from campaign.protocol.text import segments
from campaign.store.batches import NO_COLUMNS, AlikeRecipients, NewRecipient
from campaign.store.campaigns import Refusal

_new = tuple.__new__
_encoder = msgspec.json.Encoder()


class Renderer:
    """Turns list rows into recipients: text rendered and counted, misfits refused with reason."""

    def __init__(
        self,
        message: str,
        columns: tuple[str, ...],
        max_chars: int,
        *,
        mms: bool = False,
        files: bool = False,
        routes: Routes | None = None,
    ) -> None:
        """`mms`: one message whatever its length; with `files` it needs no text; `routes` may
        give a number to nobody."""
        self._refuses = routes.refuses if routes else None
        self._template = Template.parse(message)
        self._mms = mms
        self._may_be_empty = files
        self._columns = columns
        self._max_chars = max_chars
        unknown = self._template.unknown_fields(columns)
        if unknown:
            names = ", ".join(f"{{{name}}}" for name in unknown)
            there = ", ".join(columns) or "none but the phone column"
            raise UsageError(f"the message asks for {names}, but the list's columns are: {there}")
        self._parts = 0
        if self._template.is_constant:
            text = str(self._template.render({}))
            if len(text) > max_chars and not mms:
                raise UsageError(self._too_long(text))
            if not text.strip() and not files:
                raise UsageError("the message is empty")
            self._parts = 1 if mms else segments(text).parts

    def begin(self) -> AlikeRecipients | list[NewRecipient]:
        """What `take` puts recipients into: by column where they are all alike."""
        return AlikeRecipients(self._parts) if self._parts and not self._refuses else []

    def take(
        self,
        block: Block,
        accepted: AlikeRecipients | list[NewRecipient],
        refused: list[Refusal],
    ) -> None:
        """Put the rows of a block where they belong."""
        refused += [Refusal(row.line, row.raw, row.code, row.reason) for row in block.refused]
        if isinstance(accepted, AlikeRecipients):
            accepted.rows += block.lines
            accepted.numbers += block.numbers
            accepted.columns.append(_json_lines(block))
            return
        own = _json_lines(block).decode().split("\n")
        for row, columns in zip(block.rows(self._columns), own):  # noqa: B905 - the last is blank
            outcome = self._recipient(row, columns if block.columns else None)
            if isinstance(outcome, Refusal):
                refused.append(outcome)
            else:
                accepted.append(outcome)

    def _recipient(self, row: Row, columns: str | None) -> NewRecipient | Refusal:
        nobody = self._refuses(row.number) if self._refuses else None
        if nobody is not None:
            return Refusal(row.line, row.number, NO_ROUTE, nobody)
        if self._parts:
            # what NewRecipient() comes to, at half its cost
            return _new(NewRecipient, (row.line, row.number, None, columns, self._parts, 0))
        text = self._template.render(row.columns)
        if isinstance(text, MissingValue):
            why = f"no value for {{{text.field}}} in this row"
            return Refusal(row.line, row.number, "missing_value", why)
        if len(text) > self._max_chars and not self._mms:
            return Refusal(row.line, row.number, "text_too_long", self._too_long(text))
        if not text.strip() and not self._may_be_empty:
            return Refusal(row.line, row.number, "empty_text", "the message is empty for this row")
        parts = 1 if self._mms else segments(text).parts
        return NewRecipient(row.line, row.number, text, columns, parts)

    def _too_long(self, text: str) -> str:
        return (
            f"the text has {len(text)} characters, the gateway takes {self._max_chars} "
            "(gateway set NAME max-chars=…)"
        )


def _json_lines(block: Block) -> bytes:
    if not block.columns:
        return NO_COLUMNS * len(block.lines)
    return _encoder.encode_lines(zip(*block.columns, strict=True))
