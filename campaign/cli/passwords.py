"""Where a password comes from on a command line: never from the line itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from campaign.cli.context import at_a_terminal
from campaign.errors import UsageError
from campaign.service.gateways import Secret

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--password-env", metavar="VAR", help="The password is in this environment variable."
    ),
    click.option(
        "--password-file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The password is in this file.",
    ),
    click.option(
        "--password-stdin",
        is_flag=True,
        help="Read the password from standard input and store it beside the ledger (0600).",
    ),
)
_WAYS = "--password-env VAR, --password-file FILE or --password-stdin"


def password_options(command: F) -> F:
    """The three ways to say where a password is."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def chosen_secret(
    variable: str | None, file: Path | None, from_stdin: bool, *, needed: bool
) -> Secret | None:
    """The one source that was named; `needed` asks for one at a terminal. `UsageError` for two,
    or for none without a terminal."""
    if (variable is not None) + (file is not None) + from_stdin > 1:
        raise UsageError(f"one password, one place: {_WAYS}")
    if variable is not None:
        return Secret.in_variable(variable)
    if file is not None:
        return Secret.in_file(file)
    if from_stdin:
        return Secret.typed(sys.stdin.readline().rstrip("\r\n"))
    if not needed:
        return None
    if not at_a_terminal():
        raise UsageError(f"where is the password? {_WAYS}")
    return Secret.typed(click.prompt("Password", hide_input=True, err=True))
