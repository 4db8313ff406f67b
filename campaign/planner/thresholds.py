"""Thresholds on how a campaign goes or went: `failed+unknown>5%`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from campaign.errors import UsageError
from campaign.planner.states import RecipientState

_EXPRESSION = re.compile(r"\s*([a-z_+\s]+?)\s*(>=|<=|==|>|<)\s*(\d+(?:\.\d+)?)\s*(%?)\s*")
_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
}

_ALL = 100.0
"""Percent."""


@dataclass(frozen=True)
class Threshold:
    """`STATE[+STATE…] OP NUMBER[%]`; percent is of recipients."""

    text: str
    states: tuple[RecipientState, ...]
    compare: str
    number: float
    percent: bool

    @classmethod
    def parse(cls, text: str, *, option: str = "--fail-if") -> Threshold:
        """Raises `UsageError` that shows the form."""
        match = _EXPRESSION.fullmatch(text)
        if match is None:
            raise UsageError(
                f"{option} {text!r}: write STATE[+STATE…] OP NUMBER[%], as 'failed>5%'"
            )
        try:
            states = tuple(RecipientState(name.strip()) for name in match[1].split("+"))
        except ValueError as error:
            known = ", ".join(RecipientState)
            raise UsageError(f"{option} {text!r}: states are {known}") from error
        return cls(text, states, match[2], float(match[3]), bool(match[4]))

    def check(self, option: str) -> None:
        """Raise `UsageError` for what can never be true. Only newly written ones are asked: one
        that was stored before stays as it is."""
        if self.percent and self.number > _ALL:
            raise UsageError(f"{option} {self.text!r}: a share lies between 0% and 100%")
        if self.is_never:
            raise UsageError(f"{option} {self.text!r}: that can never be true")

    @property
    def is_never(self) -> bool:
        """Whether no counts at all can meet it."""
        most = self.percent and self.number >= _ALL
        return (self.compare == "<" and self.number <= 0) or (self.compare == ">" and most)

    @property
    def is_always(self) -> bool:
        """Whether all counts meet it."""
        most = self.percent and self.number >= _ALL
        return (self.compare == ">=" and self.number <= 0) or (self.compare == "<=" and most)

    def broken_by(self, campaign: Mapping[str, Any]) -> bool:
        """Whether a campaign object (as `launch --json` prints it) meets the expression."""
        count = sum(campaign["counts"][state] for state in self.states)
        value = 100 * count / max(1, campaign["recipients"]) if self.percent else count
        return _OPERATORS[self.compare](value, self.number)
