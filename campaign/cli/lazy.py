"""Groups that import a command when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click


class LazyGroup(click.Group):
    """`commands_at` maps a command's name to `package.module.attribute`: `status` must not wait for
    what `launch` needs."""

    def __init__(self, *args: Any, commands_at: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._commands_at = commands_at

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return sorted(self._commands_at)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        if name not in self._commands_at:
            return None
        module, _, attribute = self._commands_at[name].rpartition(".")
        command: click.Command = getattr(import_module(module), attribute)
        return command
