"""What to type once the cause of an error is gone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from campaign.cli.context import Context
from campaign.errors import LedgerHeld, SchemaError, StaleEpoch, StoreError
from campaign.planner.states import CampaignState
from campaign.service.ledger import read
from campaign.store.campaigns import find_campaign


def resume_command(context: Context, names: Sequence[str]) -> str:
    """What to type to go on."""
    return context.command("resume", *(names if len(names) == 1 else []))


@contextmanager
def told_how_to_go_on(context: Context, name: str | None) -> Iterator[None]:
    """A ledger that failed under a campaign keeps it: its error says how to go on, too."""
    try:
        yield
    except (LedgerHeld, StaleEpoch, SchemaError):
        raise  # another engine goes on with it, or there is nothing of ours
    except StoreError as error:
        if name is None or _is_kept(context, name):
            command = resume_command(context, [name] if name else [])
            error.add_note(f"nobody is lost; then go on with: {command}")
        raise


def _is_kept(context: Context, name: str) -> bool:
    try:
        row = read(context.site, find_campaign, name)
    except StoreError:
        return False
    return row is not None and row.state is not CampaignState.IMPORTING
