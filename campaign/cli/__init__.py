"""The command line: parse, call, print.

Law: no logic. Data goes to stdout, talk and progress to stderr; every error of ours becomes one
clear line and its exit code.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any, Final

import click

from campaign import __version__
from campaign.cli.context import Context
from campaign.cli.lazy import LazyGroup
from campaign.errors import CampaignError
from campaign.service.site import Site

_INTERRUPTED = 130

COMMANDS: Final[Mapping[str, str]] = {
    "demo": "campaign.cli.demo.demo",
    "launch": "campaign.cli.launch.launch",
    "plan": "campaign.cli.plan.plan",
    "resume": "campaign.cli.launch.resume",
    "serve": "campaign.cli.serve.serve",
    "status": "campaign.cli.watching.status",
    "watch": "campaign.cli.watching.watch",
    "pause": "campaign.cli.watching.pause",
    "continue": "campaign.cli.watching.continue_",
    "cancel": "campaign.cli.watching.cancel",
    "priority": "campaign.cli.ordering.priority",
    "rate": "campaign.cli.rate.rate",
    "resolve": "campaign.cli.deciding.resolve",
    "retry": "campaign.cli.deciding.retry",
    "report": "campaign.cli.report.report",
    "verify": "campaign.cli.verify.verify",
    "gateway": "campaign.cli.gateway.gateway",
    "inbox": "campaign.cli.inbox.inbox",
    "simulate": "campaign.cli.processes.simulate",
    "listen": "campaign.cli.processes.listen",
    "load": "campaign.cli.load.load",
    "optout": "campaign.cli.optout.optout",
    "blocklist": "campaign.cli.blocklist.blocklist",
    "explain": "campaign.cli.explain.explain",
    "doctor": "campaign.cli.doctor.doctor",
    "db": "campaign.cli.db.db",
}


class _Group(LazyGroup):
    """Turns our errors into one line and an exit code, at the only edge that may do so."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CampaignError as error:
            for line in (f"Error: {error}", *getattr(error, "__notes__", ())):
                click.echo(line, err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            ctx.exit(_INTERRUPTED)


@click.group(
    cls=_Group,
    commands_at=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "CAMPAIGN"},
    epilog="Begin with: campaign demo",
)
@click.version_option(__version__, prog_name="campaign")
@click.option("--db", metavar="PATH", help="The ledger. Default: $CAMPAIGN_DB, else ./campaign.db.")
@click.option("--optouts", metavar="FILE", help="The opt-out store. Default: one for all ledgers.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON where there is something to read."
)
@click.option("--quiet", "-q", is_flag=True, help="No talk, only data and errors.")
@click.option("--verbose", "-v", is_flag=True, help="Log what happens, one event a line.")
@click.pass_context
def main(
    ctx: click.Context,
    db: str | None,
    optouts: str | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Bulk SMS over GSM gateways: at most once, never lost, resumable after any crash."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if verbose else logging.WARNING,
        format="ts=%(asctime)s level=%(levelname)s logger=%(name)s %(message)s",
    )
    # they print URLs, and a device's URL holds its password
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    ctx.obj = Context(Site.at(db, optouts), as_json, quiet, verbose)
