"""Placing: each row of a list gets its lane, by its number's route and the SIM that wrote to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from campaign.engine.runtime import Run
from campaign.planner.lanes import Lane
from campaign.planner.options import CampaignOptions
from campaign.planner.spread import Spread
from campaign.store.campaigns import NewRecipient
from campaign.store.contacts import last_sims
from campaign.store.lanes import LaneBook


def _own_zone(_number: str) -> str:
    return ""


class Placing:
    """The lanes of one campaign as its list comes in. `zones_of` tells a number's time zones."""

    def __init__(
        self, options: CampaignOptions, zones_of: Callable[[str], str] | None = None
    ) -> None:
        self._routes = options.parsed_routes
        self._sticky = options.parsed_spread is Spread.STICKY
        self._zones_of = zones_of or _own_zone
        self._plain = not self._routes and not self._sticky and zones_of is None
        self._book = LaneBook()

    async def place(self, run: Run, rows: Sequence[NewRecipient]) -> list[NewRecipient]:
        """The rows with their lanes."""
        if self._plain:
            return list(rows)
        sims: dict[str, str] = {}
        if self._sticky:
            sims = await run.store.read(last_sims, [row.number for row in rows])
        return self.placed(rows, sims)

    def placed(
        self, rows: Sequence[NewRecipient], sims: dict[str, str] | None = None
    ) -> list[NewRecipient]:
        """The rows with their lanes; `sims` tells who is to stay with which SIM."""
        if self._plain:
            return list(rows)
        return [row._replace(lane=self._lane(row.number, sims or {})) for row in rows]

    def _lane(self, number: str, sims: dict[str, str]) -> int:
        zones, route = self._zones_of(number), self._routes.rule_of(number)
        # the lane without a SIM is there beside every other: whom their SIM failed moves to it
        free = self._book.number(zones, route)
        sim = sims.get(number)
        return free if sim is None else self._book.number(zones, route, sim)

    def take_fresh(self) -> list[Lane]:
        """Lanes that came to be since this was last asked, to be stored with their rows."""
        return self._book.take_fresh()
