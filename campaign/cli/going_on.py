"""What to type once the cause of an error is gone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from campaign.cli.context import Context
from campaign.errors import CampaignError, StoreError
from campaign.planner.states import CampaignState
from campaign.service.ledger import read
from campaign.store.campaigns import find_campaign


def resume_command(context: Context, names: Sequence[str]) -> str:
    """What to type to go on."""
    return context.command("resume", *(names if len(names) == 1 else []))


@contextmanager
def told_how_to_go_on(context: Context, name: str | None) -> Iterator[None]:
    """Whatever fails under a campaign, the ledger keeps it: the error says how to go on, too."""
    try:
        yield
    except CampaignError as error:
        # of the others the caller or another engine is to blame, or nothing has begun
        if type(error) in (CampaignError, StoreError) and (name is None or _is_kept(context, name)):
            command = resume_command(context, [name] if name else [])
            error.add_note(f"nobody is lost; then go on with: {command}")
        raise


def _is_kept(context: Context, name: str) -> bool:
    try:
        row = read(context.site, find_campaign, name)
    except StoreError:
        return False
    return row is not None and row.state is not CampaignState.IMPORTING
