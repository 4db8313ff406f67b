"""doctor: is everything in place."""

from __future__ import annotations

import functools
import sys

import click
import trio

from campaign.cli.context import Context, json_option, pass_context
from campaign.reports.cells import terminal_text
from campaign.service.doctor import Verdict, examine

_LOOK = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red"}


@click.command(short_help="Check what a campaign needs.")
@json_option
@pass_context
def doctor(context: Context) -> None:
    """Look at everything a campaign needs, and say what to do where it is not right.

    Changes nothing. Exit code 1 if anything failed.

    \b
    Example:
      campaign doctor
    """
    checks = trio.run(functools.partial(examine, context.site))
    healthy = all(check.verdict is not Verdict.FAIL for check in checks)
    if context.json:
        shown = [
            {"check": check.name, "status": check.verdict.value, "text": check.text}
            for check in checks
        ]
        context.print_json({"ok": healthy, "checks": shown})
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            mark = click.style(f"{check.verdict.value:<4}", fg=_LOOK[check.verdict])
            click.echo(f"{mark}  {check.name:<{width}}  {terminal_text(check.text)}")
    sys.exit(0 if healthy else 1)
