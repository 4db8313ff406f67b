"""load: what a gateway, and our own receiver, can take.

Law: that of the command line. Parse, call, print; a command is imported when it is asked for, so
that no other one waits for the load engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import click

from campaign.cli.lazy import LazyGroup

_HERE = "campaign.cli.load"

COMMANDS: Final[Mapping[str, str]] = {
    "run": f"{_HERE}.run.run",
    "limit": f"{_HERE}.limit.limit",
    "receiver": f"{_HERE}.receiver.receiver",
    "report": f"{_HERE}.report.report",
    "compare": f"{_HERE}.compare.compare",
}


@click.group(cls=LazyGroup, commands_at=COMMANDS, short_help="Load test a gateway or a receiver.")
def load() -> None:
    """Load tests: what a gateway can take, and whether its reports keep up.

    A target is a registered gateway's name, or http://user:password@host:port of a simulator. A
    real gateway sends real messages that cost money: it needs --i-own-this-gateway and --numbers.

    \b
    Example:
      campaign simulate --listen 127.0.0.1:8099 --ports 32 --sms-seconds 0.1
      campaign load run http://root:root@127.0.0.1:8099 --rate 200/s --duration 30s
    """
