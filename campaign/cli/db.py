"""db: care of the ledger itself. Copy it, put it back, look it over, bring it up to date."""

from __future__ import annotations

from pathlib import Path

import click

from campaign.cli.context import Context, json_option, pass_context
from campaign.cli.listing import print_facts, print_rows
from campaign.errors import CampaignError
from campaign.service.backups import back_up
from campaign.service.migration import migrate as migrate_ledger
from campaign.service.restoring import Restored
from campaign.service.restoring import restore as restore_ledger
from campaign.service.soundness import check as check_ledger


@click.group(short_help="Back up, restore, check and migrate the ledger.")
def db() -> None:
    """Care of the ledger: the database at --db and the inbox beside it.

    The opt-out store is yours, not a ledger's: it is in no backup and is never rolled back. Nor are
    the gateways' passwords, which lie in a file of their own.

    \b
    Example:
      campaign db backup
      campaign db restore campaign.db.backup-20260302T100000Z
    """


@db.command(short_help="Copy ledger and inbox.")
@click.argument("dest", required=False, type=click.Path(path_type=Path))
@json_option
@pass_context
def backup(context: Context, dest: Path | None) -> None:
    """Copy the ledger, then the inbox, into the new folder DEST, also while an engine runs.

    The folder (default: beside the ledger, with the time in its name) appears whole or not at all,
    and nothing is overwritten. No engine sends with a copy: campaign db restore puts it back. The
    opt-out store is no part of a ledger and is not copied.

    \b
    Example:
      campaign db backup /backups/monday
    """
    done = back_up(context.site, dest)
    if context.json:
        context.print_json(done.as_json())
        return
    print_rows(
        ("file", "bytes", "holds"),
        [
            (item.file, item.bytes, ", ".join(f"{n} {table}" for table, n in item.rows.items()))
            for item in done.files
        ],
    )
    context.say(f"to go back to it: {context.command('db', 'restore', str(done.folder))}")


@db.command(short_help="Put a copy in the ledger's place.")
@click.argument("source", type=click.Path(path_type=Path))
@json_option
@pass_context
def restore(context: Context, source: Path) -> None:
    """Put a backup (its folder, or a ledger's file) in this ledger's place: the only way back.

    What the ledger did after the copy was made is not in it. So whoever had no final state then is
    unknown (restored) and is not sent to again; reports that still come in, and those in the inbox,
    which stays, raise them. Campaigns are ended by campaign resume. What was there is kept beside
    it. The opt-out store is not touched. Neither engine nor receiver may run (exit code 6).

    \b
    Example:
      campaign listen --stop
      campaign db restore /backups/monday
    """
    done = restore_ledger(context.site, source)
    if context.json:
        context.print_json(done.as_json())
        return
    print_facts(_told(done))
    if done.missing:
        names = ", ".join(done.missing)
        context.say(f"launched after the copy was made, so not here: {names}; do not launch again")
    if done.incarnation.unknown:
        context.say(f"to fold what the inbox holds and end them: {context.command('resume')}")


def _told(done: Restored) -> list[tuple[str, object]]:
    unknown = [f"{n} of {name}" for name, n in done.incarnation.unknown.items()]
    inbox = {
        "present": "the present one stays",
        "copy": "the copy's",
        "none": "none; the receiver makes one",
    }[done.inbox.value]
    more = f", {done.appended} pushes of the copy's appended" if done.appended else ""
    return [
        ("restored from", done.source),
        ("incarnation", done.incarnation.id),
        ("unknown (restored)", ", ".join(unknown) or "nobody"),
        ("inbox", inbox + more),
        ("kept", ", ".join(str(path) for path in done.aside)),
    ]


@db.command(short_help="Is the ledger whole.")
@json_option
@pass_context
def check(context: Context) -> None:
    """Look the ledger and its inbox over: files, schema, indexes, references, counts, attempts.

    Changes nothing and may be run beside an engine. Exit code 1 if anything is wrong.

    \b
    Example:
      campaign db check
    """
    laws = check_ledger(context.site)
    broken = [law for law in laws if not law.holds]
    if context.json:
        shown = [{"law": law.name, "holds": law.holds, "detail": law.detail} for law in laws]
        context.print_json({"ok": not broken, "laws": shown})
    else:
        print_rows(
            ("", "law", ""),
            [("ok" if law.holds else "fail", law.name, law.detail) for law in laws],
        )
    if broken:
        raise CampaignError(f"{len(broken)} of {len(laws)} do not hold in {context.site.paths.db}")


@db.command(short_help="Bring an older ledger up to date.")
@json_option
@pass_context
def migrate(context: Context) -> None:
    """Bring a ledger of an earlier version up to date; launch and resume do so by themselves.

    A copy is kept first, named after the first step. Each step is done whole or not at all. A
    ledger of a later version is refused.

    \b
    Example:
      campaign db migrate
    """
    done = migrate_ledger(context.site)
    if context.json:
        copy = None if done.copy is None else str(done.copy)
        context.print_json({"applied": list(done.applied), "copy": copy})
        return
    click.echo(f"applied {', '.join(done.applied)}" if done.applied else "up to date already")
    if done.copy is not None:
        click.echo(f"as it was before: {done.copy}")
