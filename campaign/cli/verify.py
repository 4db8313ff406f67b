"""verify: does every law hold."""

from __future__ import annotations

import functools

import click
import trio

from campaign.cli.context import Context, json_option, pass_context
from campaign.cli.listing import print_rows
from campaign.errors import CampaignError
from campaign.service.verifying import verify as verify_campaign


@click.command(short_help="Replay its evidence and check every law.")
@click.argument("name")
@click.option("--gateways", is_flag=True, help="Ask the devices for their counters first.")
@json_option
@pass_context
def verify(context: Context, name: str, gateways: bool) -> None:
    """Check every law a campaign is held to.

    Replays all that the gateways pushed and answered from empty, knowing nothing of the stored
    outcomes, and compares: every outcome, every state, whoever was given back. Checks what a ledger
    is held to by itself: one state each, nobody tried again without a proof or a decision, tasks as
    they went out, pace, window, opt-outs. And holds three ledgers against each other: counters,
    details, and what the gateways themselves counted on each port.

    Differences inside what is recorded as unknown are listed and pass; so does what cannot be told,
    as after a purge of the inbox. Exit code 1 if anything is broken, with the law and the place.

    \b
    Example:
      campaign verify spring-sale --gateways
    """
    done = trio.run(functools.partial(verify_campaign, context.site, name, gateways=gateways))
    if context.json:
        context.print_json(done.as_json())
    else:
        print_rows(
            ("verdict", "law", ""),
            [(item.verdict, item.law, item.detail) for item in done.findings],
        )
    for gateway, why in done.unasked:
        context.say(f"{gateway} could not be asked: {why}")
    if not done.all_hold:
        broken = sum(item.verdict == "broken" for item in done.findings)
        raise CampaignError(f"{broken} of {len(done.findings)} laws are broken in {name}")
