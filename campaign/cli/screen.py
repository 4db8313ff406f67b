"""Live progress: bars on a terminal, plain lines otherwise; always to stderr."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from campaign.env import Env
from campaign.reports.cells import terminal_text

_PLAIN_EVERY = 5.0
_OPEN = ("pending", "held", "assigned")
_GOOD = ("delivered", "sent")
_LOOK = {
    "delivered": "green",
    "sent": "cyan",
    "failed": "red",
    "undelivered": "red",
    "unknown": "yellow",
}


def open_screen(env: Env, *, quiet: bool) -> TerminalScreen | PlainScreen:
    """The screen for where stderr goes."""
    console = Console(stderr=True, quiet=quiet)
    return (
        TerminalScreen(console, env)
        if console.is_terminal and not quiet
        else PlainScreen(console, env)
    )


class PlainScreen:
    """One line per event, and one every few seconds that says how far it is."""

    def __init__(self, console: Console, env: Env) -> None:
        self._console = console
        self._env = env
        self._next = 0.0
        self._last = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def notice(self, line: str) -> None:
        self._console.print(terminal_text(line), markup=False, highlight=False, soft_wrap=True)

    def imported(self, rows: int, refused: int) -> None:
        now = self._env.monotonic()
        if now >= self._next:
            self._next = now + _PLAIN_EVERY
            self.notice(f"importing: {rows} recipients, {refused} refused")

    def progress(self, state: dict[str, Any]) -> None:
        now = self._env.monotonic()
        if now < self._next:
            return
        self._next = now + _PLAIN_EVERY
        for campaign in state["campaigns"]:
            if campaign["state"] in ("scheduled", "running", "paused", "waiting", "cancelled"):
                line = campaign_line(campaign)
                if line != self._last:
                    self._last = line
                    self.notice(line)


class TerminalScreen:
    """A live view that is redrawn in place; notices scroll above it."""

    def __init__(self, console: Console, env: Env) -> None:
        self._env = env
        self._live = Live(
            console=console, refresh_per_second=8, transient=True, redirect_stderr=False
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def notice(self, line: str) -> None:
        stamp = f"{self._env.wall().astimezone():%H:%M:%S}"
        self._live.console.print(
            Text.assemble((stamp, "dim"), "  ", terminal_text(line)), soft_wrap=True
        )

    def imported(self, rows: int, refused: int) -> None:
        self._live.update(Text(f"importing: {rows} recipients, {refused} refused"))

    def progress(self, state: dict[str, Any]) -> None:
        shown: list[Any] = []
        for campaign in state["campaigns"]:
            if campaign["state"] in ("scheduled", "running", "paused", "waiting"):
                shown += _campaign_view(campaign)
        shown.append(_gateway_view(state["gateways"]))
        self._live.update(Group(*shown))


def campaign_line(campaign: dict[str, Any]) -> str:
    """How far a campaign is, in one line."""
    counts = campaign["counts"]
    done = campaign["recipients"] - sum(counts[state] for state in _OPEN)
    parts = [f"{campaign['name']}: {done}/{campaign['recipients']} final"]
    parts += [f"{n} {state}" for state, n in counts.items() if n and state != "pending"]
    if campaign["rate_per_second"]:
        parts.append(f"{campaign['rate_per_second']:g}/s")
    if campaign["eta"]:
        parts.append(f"done about {campaign['eta'][11:16]} UTC")
    if campaign["waiting_for"]:
        parts.append(f"waits: {campaign['waiting_for']}")
    return ", ".join(parts)


def _campaign_view(campaign: dict[str, Any]) -> list[Any]:
    counts = campaign["counts"]
    total = max(1, campaign["recipients"])
    done = campaign["recipients"] - sum(counts[state] for state in _OPEN)
    head = Table.grid(padding=(0, 1), expand=True)
    head.add_column(no_wrap=True)
    head.add_column(ratio=1)
    head.add_column(no_wrap=True)
    pace = f"{campaign['rate_per_second']:g}/s" if campaign["rate_per_second"] else ""
    eta = f"done about {campaign['eta'][11:16]} UTC" if campaign["eta"] else ""
    head.add_row(
        Text(campaign["name"], "bold"),
        ProgressBar(total=total, completed=done),
        f"{done}/{campaign['recipients']} {100 * done / total:.0f}%  {pace}  {eta}",
    )
    line = Text("  ")
    for state, n in counts.items():
        if n:
            line.append(f"{n} {state}  ", _LOOK.get(state, "default"))
    rows: list[Any] = [head, line]
    if campaign["waiting_for"]:
        rows.append(Text(f"  waits: {terminal_text(campaign['waiting_for'])}", "yellow"))
    return rows


def _gateway_view(gateways: list[dict[str, Any]]) -> Table:
    table = Table.grid(padding=(0, 2))
    for gateway in gateways:
        resting = f", {gateway['resting']} resting" if gateway["resting"] else ""
        table.add_row(
            f"  {gateway['name']}",
            f"{gateway['usable']}/{gateway['ports']} ports{resting}",
            f"{gateway['in_flight']} in flight",
            Text(terminal_text(gateway["trouble"] or ""), "red"),
        )
    return table
