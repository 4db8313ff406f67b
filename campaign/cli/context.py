"""What every command knows: the site, and how to talk."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from campaign.service.site import Site

F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class Context:
    """The global options of one call."""

    site: Site
    json: bool = False
    quiet: bool = False
    verbose: bool = False

    def say(self, text: str) -> None:
        """Talk: to stderr, silent with --quiet."""
        if not self.quiet:
            click.echo(text, err=True)

    def command(self, *words: str) -> str:
        """A command line to type next, with the global options this one was called with."""
        usual = Site.at()
        given = ["campaign"]
        given += ["--db", str(self.site.paths.db)] if self.site.paths != usual.paths else []
        given += ["--optouts", str(self.site.optouts)] if self.site.optouts != usual.optouts else []
        return shlex.join([*given, *words])

    def print_json(self, value: Any) -> None:
        """Data: one JSON document to stdout."""
        click.echo(json.dumps(value, ensure_ascii=False, indent=None if self.quiet else 2))


pass_context = click.make_pass_decorator(Context)


def json_option(command: F) -> F:
    """`--json` after the command too, beside the global one."""

    def remember(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
        if value:
            ctx.find_object(Context).json = True  # type: ignore[union-attr]  # the group always makes one

    option = click.option(
        "--json", is_flag=True, expose_value=False, callback=remember, help="Print JSON."
    )
    return option(command)


def host_port(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> Any:
    """Parse HOST:PORT (`127.0.0.1:0`, `[::1]:8080`) for an option."""
    if value is None:
        return None
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise click.BadParameter("write HOST:PORT, for example 127.0.0.1:8080 or [::1]:8080")
    return host.strip("[]"), int(port)


def at_a_terminal() -> bool:
    """Whether somebody can answer a question here."""
    return sys.stdin.isatty() and sys.stderr.isatty()
