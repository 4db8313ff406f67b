"""explain: the meaning of a code."""

from __future__ import annotations

import click

from campaign.cli.context import Context, json_option, pass_context
from campaign.cli.listing import print_facts
from campaign.service.explaining import readings


@click.command(short_help="The meaning of a code.")
@click.argument("code", type=int)
@json_option
@pass_context
def explain(context: Context, code: int) -> None:
    """What CODE means, in every table that has it, and what this program does about it.

    The same number means one thing as a task's status, another as a port's, as the network's
    cause of a failure, and in a delivery receipt.

    \b
    Example:
      campaign explain 38
    """
    found = readings(code)
    if context.json:
        context.print_json({"code": code, "readings": [each.as_json() for each in found]})
        return
    for number, each in enumerate(found):
        if number:
            click.echo()
        print_facts(
            (
                (each.explanation.table, f"{code} {each.explanation.meaning}"),
                ("which is", each.explanation.class_text),
                ("what is done", each.engine),
            )
        )
