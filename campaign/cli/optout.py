"""optout: who must not be written to, whatever list they stand in."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import BinaryIO

import click
import trio

from campaign.cli.context import Context, json_option, pass_context
from campaign.cli.listing import print_rows
from campaign.service import suppression

_REGION = click.option(
    "--region", metavar="CN", help="Country of numbers written without its code."
)


@click.group(short_help="Who must not be written to.")
def optout() -> None:
    """Who must not be written to: one store for all ledgers of this user.

    It holds for running campaigns too, from the next message on.

    \b
    Example:
      campaign optout add +447700900123 --reason "asked by phone"
    """


@optout.command()
@click.argument("numbers", nargs=-1, required=True, metavar="NUMBER...")
@click.option("--reason", default="", help="Why, for whoever reads the list later.")
@_REGION
@json_option
@pass_context
def add(context: Context, numbers: tuple[str, ...], reason: str, region: str | None) -> None:
    """Never write to these numbers again.

    \b
    Example:
      campaign optout add +447700900123 +447700900124 --reason "asked by phone"
    """
    cleaned = suppression.clean_numbers(numbers, region)
    new = suppression.add(context.site, cleaned, reason)
    _tell_engine(context)
    if context.json:
        context.print_json({"numbers": cleaned, "new": new, "known": len(cleaned) - new})
    else:
        known = len(cleaned) - new
        click.echo(f"{new} added" + (f", {known} had opted out before" if known else ""))


@optout.command()
@click.argument("numbers", nargs=-1, required=True, metavar="NUMBER...")
@_REGION
@json_option
@pass_context
def remove(context: Context, numbers: tuple[str, ...], region: str | None) -> None:
    """Allow these numbers again.

    Recipients that were skipped in a campaign stay skipped.

    \b
    Example:
      campaign optout remove +447700900123
    """
    cleaned = suppression.clean_numbers(numbers, region)
    removed = suppression.remove(context.site, cleaned)
    _tell_engine(context)
    if context.json:
        context.print_json({"numbers": cleaned, "removed": removed})
    else:
        without = len(cleaned) - len(removed)
        click.echo(f"{len(removed)} removed" + (f", {without} had not opted out" * bool(without)))


@optout.command("list")
@json_option
@pass_context
def list_(context: Context) -> None:
    """Every opted-out number, with when and why.

    \b
    Example:
      campaign optout list --json
    """
    entries = [suppression.as_json(entry) for entry in suppression.entries(context.site)]
    if context.json:
        context.print_json({"optouts": entries})
    elif entries:
        rows = [[entry[column] for column in suppression.COLUMNS] for entry in entries]
        print_rows(suppression.COLUMNS, rows)
    else:
        context.say("nobody has opted out")


@optout.command("import")
@click.argument("file", metavar="FILE")
@click.option("--reason", default="", help="Why, for whoever reads the list later.")
@_REGION
@click.option("--phone-column", metavar="C", help="Header or position of the phone column.")
@json_option
@pass_context
def import_(
    context: Context, file: str, reason: str, region: str | None, phone_column: str | None
) -> None:
    """Add every number of a list: CSV, TSV, TXT or XLSX, or - for standard input.

    Rows without a number are reported and left out; numbers that stand there twice, or are known
    already, are fine.

    \b
    Example:
      campaign optout import stop-list.csv --region GB
    """
    source: Path | BinaryIO = sys.stdin.buffer if file == "-" else Path(file)
    done = suppression.import_list(
        context.site,
        source,
        "stdin" if file == "-" else file,
        reason=reason,
        region=region,
        phone_column=phone_column,
    )
    _tell_engine(context)
    for line, _code, why in done.shown:
        context.say(f"line {line} is refused: {why}")
    if done.refused > len(done.shown):
        context.say(f"… and {done.refused - len(done.shown)} more")
    if context.json:
        shown = [{"line": line, "code": code, "reason": why} for line, code, why in done.shown]
        context.print_json(
            {"new": done.new, "known": done.known, "refused": done.refused, "refusals": shown}
        )
    else:
        click.echo(f"{done.new} added, {done.known} known already, {done.refused} rows refused")


@optout.command()
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Default: stdout."
)
@pass_context
def export(context: Context, output: Path | None) -> None:
    """Write every opt-out as CSV, in a form that `optout import` takes.

    \b
    Example:
      campaign optout export -o opted-out.csv
    """
    count = suppression.export(context.site, output)
    if output is not None:
        context.say(f"{count} opt-outs in {output}")


def _tell_engine(context: Context) -> None:
    if not trio.run(functools.partial(suppression.tell_engine, context.site)):
        context.say("stored; the running engine did not answer and will see it with its next send")
