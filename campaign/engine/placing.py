"""Placing: every recipient of a list gets the lane that says when it may be sent to."""

from __future__ import annotations

from datetime import datetime

from campaign.errors import UsageError
from campaign.lists.zones import zones_of
from campaign.planner.lanes import Lane, have_hours_together
from campaign.planner.options import CampaignOptions
from campaign.planner.windows import zone_named
from campaign.store.campaigns import NewRecipient
from campaign.store.lanes import LaneBook


class Placing:
    """Lanes of one list. `now` (aware) is when it is imported: whether the hours of several zones
    ever meet is judged by the week that follows."""

    def __init__(self, options: CampaignOptions, now: datetime) -> None:
        window = options.parsed_window if options.recipient_time else None
        self._window = None if window is None or window.is_always_open else window
        self._now = now
        self._book = LaneBook()
        self._zones: dict[tuple[str, ...], str] = {}

    @property
    def is_needed(self) -> bool:
        """Whether recipients can differ at all."""
        return self._window is not None

    def place(self, recipient: NewRecipient) -> NewRecipient:
        """The recipient in its lane."""
        found = zones_of(recipient.number)
        zones = self._zones.get(found)
        if zones is None:
            zones = self._zones[found] = self._agreed(found)
        return recipient._replace(lane=self._book.number(zones))

    def take_fresh(self) -> list[Lane]:
        """The lanes that are to be stored with the recipients placed since it was last asked."""
        return self._book.take_fresh()

    def _agreed(self, names: tuple[str, ...]) -> str:
        """The zones that count for a number that may be in any of these; empty: the campaign's.

        It is so where the number tells none, where this machine has no data of one, and where the
        window is never open in all of them together.
        """
        window = self._window
        assert window is not None  # noqa: S101 - asked for only if needed
        try:
            windows = [window.in_zone(zone_named(name)) for name in names]
        except UsageError:
            return ""
        return ",".join(names) if windows and have_hours_together(windows, self._now) else ""
