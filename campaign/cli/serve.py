"""serve: engine, receiver and scheduler as a service."""

from __future__ import annotations

import functools
import json
import sys
from typing import Any

import click
import trio

from campaign.cli.context import Context, host_port, pass_context
from campaign.cli.options import allow_option
from campaign.reports.cells import terminal_text
from campaign.service.program import serve as serve_campaigns
from campaign.service.sources import Network


class LogScreen:
    """One event a line on stderr, for a service manager's journal."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def notice(self, line: str) -> None:
        text = json.dumps(terminal_text(line), ensure_ascii=False)
        stamp = f"{self._context.site.env.wall():%Y-%m-%dT%H:%M:%SZ}"
        self._context.say(f"ts={stamp} level=INFO event=serve text={text}")

    def imported(self, rows: int, refused: int) -> None:
        """Whoever launched is told how far the import is."""

    def progress(self, state: dict[str, Any]) -> None:
        """Whoever wants to see it asks: status, watch."""


@click.command(short_help="Run as a service.")
@click.option("--listen", metavar="HOST:PORT", callback=host_port, help="Where reports arrive.")
@click.option("--public-url", metavar="URL", help="The address devices are told to report to.")
@allow_option
@pass_context
def serve(
    context: Context,
    listen: tuple[str, int] | None,
    public_url: str | None,
    allow: tuple[Network, ...] | None,
) -> None:
    """Engine, receiver and scheduler as a service: it goes on with every open campaign and takes
    over what `launch` hands it.

    It never ends by itself; SIGTERM or SIGINT end it within 10 seconds (exit 130). Everything it
    knows is in the ledger: killed at any moment and started again, it goes on without sending
    anybody twice. scripts/campaign.service is a unit for systemd.

    \b
    Example:
      campaign serve --listen 0.0.0.0:8080 --public-url http://192.0.2.10:8080
    """
    result = trio.run(
        functools.partial(
            serve_campaigns,
            context.site,
            LogScreen(context),
            listen=listen,
            public_url=public_url,
            allow=allow,
        )
    )
    if result.interrupted:
        context.say(f"stopped, nothing is lost; go on with: {context.command('serve')}")
        sys.exit(130)
