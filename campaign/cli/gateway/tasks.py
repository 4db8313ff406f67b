"""gateway tasks: what waits in a device, and taking it back."""

from __future__ import annotations

import functools

import click
import trio

from campaign.cli.context import Context, json_option, pass_context
from campaign.cli.listing import print_rows
from campaign.cli.screen import open_screen
from campaign.errors import UsageError
from campaign.service import tasklists
from campaign.service.gateways import registered


@click.command(short_help="What waits in it; take it back.")
@click.argument("name")
@click.option("--port", "ports", type=click.IntRange(1), multiple=True, metavar="N", help="Only N.")
@click.option("--remove", is_flag=True, help="Take our own tasks back; others' stay.")
@click.option(
    "--all", "everything", is_flag=True, help="With --remove: every task, other systems' too."
)
@click.option("--yes", is_flag=True, help="With --all: yes, other systems' too.")
@json_option
@pass_context
def tasks(
    context: Context,
    name: str,
    ports: tuple[int, ...],
    remove: bool,
    everything: bool,
    yes: bool,
) -> None:
    """The tasks still waiting in a gateway, ours and others'.

    --remove takes ours back as the engine does: paused, listed, removed, and their outcome proved
    as far as it can be; proved recipients wait again. --remove --all --yes asks the device to drop
    every task it has, whoever gave it; nothing is proved of those.

    \b
    Examples:
      campaign gateway tasks office
      campaign gateway tasks office --remove
    """
    if everything or yes:
        if not (remove and everything and yes):
            raise UsageError("every task, other systems' too: --remove --all --yes, all three")
        registered(context.site, name)
        context.say(f"every task of {name} is removed, other systems' too")
        reason = trio.run(functools.partial(tasklists.remove_everything, context.site, name))
        _tell(context, {"name": name, "removed": "all", "reason": reason}, f"{name}: {reason}")
        return
    if remove:
        with open_screen(context.site.env, quiet=context.quiet) as screen:
            back = trio.run(functools.partial(tasklists.take_back, context.site, name, screen))
        line = f"{len(back.asked)} tasks of {name} are taken back"
        later = f"; {back.left} are still looked after by the engine" if back.left else ""
        _tell(context, {"name": name, "tids": list(back.asked), "left": back.left}, line + later)
        return
    waiting = trio.run(functools.partial(tasklists.waiting_tasks, context.site, name, ports))
    if context.json:
        context.print_json(
            {
                "name": name,
                "tasks": [
                    {
                        "tid": item.task.tid,
                        "campaign": item.campaign,
                        "port": item.task.port_text,
                        "recipients": len(item.task.to),
                        "paused": item.task.state == 1,
                    }
                    for item in waiting
                ],
            }
        )
        return
    if not waiting:
        context.say(f"nothing waits in {name}")
        return
    print_rows(
        ("tid", "campaign", "port", "recipients", "first", "state"),
        [
            (
                item.task.tid,
                item.campaign or "not ours",
                item.task.port_text or "any",
                len(item.task.to),
                item.task.to[0] if item.task.to else "",
                "paused" if item.task.state == 1 else "waiting",
            )
            for item in waiting
        ],
    )


def _tell(context: Context, value: dict[str, object], line: str) -> None:
    if context.json:
        context.print_json(value)
    else:
        click.echo(line)
