"""Placing: every recipient of a list gets its lane: when it may be sent to, where, and by whom."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from campaign.engine.runtime import Run
from campaign.errors import UsageError
from campaign.lists.zones import zones_of
from campaign.planner.lanes import Lane, have_hours_together
from campaign.planner.options import CampaignOptions
from campaign.planner.spread import Spread
from campaign.planner.windows import zone_named
from campaign.store.campaigns import NewRecipient
from campaign.store.contacts import last_sims
from campaign.store.lanes import LaneBook


class Placing:
    """Lanes of one list. `now` (aware) is when it is imported: whether the hours of several zones
    ever meet is judged by the week that follows."""

    def __init__(self, options: CampaignOptions, now: datetime) -> None:
        window = options.parsed_window if options.recipient_time else None
        self._window = None if window is None or window.is_always_open else window
        self._routes = options.parsed_routes
        self._sticky = options.parsed_spread is Spread.STICKY
        self._now = now
        self._book = LaneBook()
        self._zones: dict[tuple[str, ...], str] = {}

    @property
    def is_needed(self) -> bool:
        """Whether recipients can differ at all."""
        return self._window is not None or bool(self._routes) or self._sticky

    async def sims(self, run: Run, rows: Sequence[NewRecipient]) -> dict[str, str]:
        """The SIM that wrote to each number before, where that is asked for."""
        if not self._sticky:
            return {}
        return await run.store.read(last_sims, [row.number for row in rows])

    def place(self, recipient: NewRecipient, sim: str = "") -> NewRecipient:
        """The recipient in its lane."""
        number = recipient.number
        zones, route = self._zones_of(number), self._routes.rule_of(number)
        # the lane without a SIM is there beside every other: whom their SIM failed moves to it
        lane = self._book.number(zones, route)
        if sim:
            lane = self._book.number(zones, route, sim)
        return recipient._replace(lane=lane)

    def take_fresh(self) -> list[Lane]:
        """The lanes that are to be stored with the recipients placed since it was last asked."""
        return self._book.take_fresh()

    def _zones_of(self, number: str) -> str:
        if self._window is None:
            return ""
        found = zones_of(number)
        zones = self._zones.get(found)
        if zones is None:
            zones = self._zones[found] = self._agreed(found)
        return zones

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
