"""blocklist: numbers that no campaign of this ledger may write to, in named lists."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import BinaryIO

import click
import trio

from campaign.cli.context import Context, json_option, pass_context
from campaign.cli.listing import print_rows
from campaign.service import blocklists
from campaign.service.suppression import clean_numbers

_REGION = click.option(
    "--region", metavar="CN", help="Country of numbers written without its code."
)


@click.group(short_help="Lists of numbers no campaign here may write to.")
def blocklist() -> None:
    """Named lists of numbers that no campaign of this ledger may write to.

    They hold for running campaigns too, from the next message on. Who asked for it belongs into
    `optout`, which holds for all ledgers of a user.

    \b
    Example:
      campaign blocklist import competitors competitors.csv --region GB
    """


@blocklist.command("import")
@click.argument("name")
@click.argument("file", metavar="FILE")
@_REGION
@click.option("--phone-column", metavar="C", help="Header or position of the phone column.")
@json_option
@pass_context
def import_(
    context: Context, name: str, file: str, region: str | None, phone_column: str | None
) -> None:
    """Add every number of FILE to the list: CSV, TSV, TXT or XLSX, or - for standard input.

    Rows without a number are reported and left out; numbers that are known already are fine.

    \b
    Example:
      campaign blocklist import competitors competitors.csv --region GB
    """
    source: Path | BinaryIO = sys.stdin.buffer if file == "-" else Path(file)
    done = trio.run(
        functools.partial(
            blocklists.import_list,
            context.site,
            name,
            source,
            "stdin" if file == "-" else file,
            region=region,
            phone_column=phone_column,
        )
    )
    for line, _code, why in done.shown:
        context.say(f"line {line} is refused: {why}")
    if done.refused > len(done.shown):
        context.say(f"… and {done.refused - len(done.shown)} more")
    if context.json:
        shown = [{"line": line, "code": code, "reason": why} for line, code, why in done.shown]
        context.print_json(
            {
                "list": name,
                "new": done.new,
                "known": done.known,
                "refused": done.refused,
                "refusals": shown,
            }
        )
    else:
        click.echo(f"{done.new} added, {done.known} known already, {done.refused} rows refused")


@blocklist.command()
@click.argument("name")
@click.argument("numbers", nargs=-1, required=True, metavar="NUMBER...")
@_REGION
@json_option
@pass_context
def add(context: Context, name: str, numbers: tuple[str, ...], region: str | None) -> None:
    """Add numbers to a list; a new name makes a new list.

    \b
    Example:
      campaign blocklist add competitors +447700900123 +447700900124
    """
    cleaned = clean_numbers(numbers, region)
    new = trio.run(blocklists.add, context.site, name, cleaned)
    known = len(cleaned) - new
    if context.json:
        context.print_json({"list": name, "numbers": cleaned, "new": new, "known": known})
    else:
        click.echo(f"{new} added" + (f", {known} stood there before" if known else ""))


@blocklist.command()
@click.argument("name")
@click.argument("numbers", nargs=-1, metavar="[NUMBER]...")
@_REGION
@json_option
@pass_context
def remove(context: Context, name: str, numbers: tuple[str, ...], region: str | None) -> None:
    """Take numbers off a list; without numbers the whole list is gone.

    Recipients that were skipped in a campaign stay skipped.

    \b
    Example:
      campaign blocklist remove competitors +447700900123
    """
    cleaned = clean_numbers(numbers, region)
    removed = trio.run(blocklists.remove, context.site, name, cleaned)
    if context.json:
        context.print_json({"list": name, "removed": removed})
    else:
        without = max(0, len(cleaned) - removed)
        click.echo(f"{removed} removed" + (f", {without} did not stand there" if without else ""))


@blocklist.command("list")
@json_option
@pass_context
def list_(context: Context) -> None:
    """Every blocklist, with how many numbers it has.

    \b
    Example:
      campaign blocklist list --json
    """
    lists = blocklists.all_lists(context.site)
    if context.json:
        context.print_json({"blocklists": lists})
    elif lists:
        print_rows(
            blocklists.COLUMNS, [[entry[key] for key in blocklists.COLUMNS] for entry in lists]
        )
    else:
        context.say("this ledger has no blocklist")


@blocklist.command()
@click.argument("name")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Default: stdout."
)
@pass_context
def export(context: Context, name: str, output: Path | None) -> None:
    """Write a list as CSV, in a form that `blocklist import` takes.

    \b
    Example:
      campaign blocklist export competitors -o competitors.csv
    """
    count = blocklists.export(context.site, name, output)
    if output is not None:
        context.say(f"{count} numbers in {output}")
