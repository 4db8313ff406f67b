"""The view of a load that runs: one line that is refreshed on a terminal, plain lines elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from campaign.load.sheet import point_of
from campaign.load.trial import Pulse
from campaign.reports.cells import terminal_text
from campaign.reports.load_text import live_line

_PLAIN_EVERY = 5


class LiveView:
    """On stderr; silent with --quiet. `see` takes every second of a load, `say` a line of talk."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(stderr=True, quiet=quiet)
        terminal = self._console.is_terminal and not quiet
        self._live = (
            Live(console=self._console, auto_refresh=False, transient=True, redirect_stderr=False)
            if terminal
            else None
        )
        self._began = 0

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def see(self, pulse: Pulse) -> None:
        moment = pulse.moment
        line = live_line(point_of(moment, pulse.depth), moment.nth + 1)
        if pulse.accepted:
            line += f"  reported {pulse.heard:,} of {pulse.accepted:,}"
        if self._live is not None:
            self._live.update(Text(terminal_text(line), no_wrap=True), refresh=True)
        elif moment.nth % _PLAIN_EVERY == 0:
            self.say(line)

    def say(self, line: str) -> None:
        self._console.print(terminal_text(line), markup=False, highlight=False, soft_wrap=True)
