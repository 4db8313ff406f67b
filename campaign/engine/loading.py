"""Loading: the rows of a list into a draft. While some are stored, the next ones are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from campaign.engine.hashing import Sieve, hashes_of, sum_of
from campaign.engine.placing import Placing
from campaign.engine.rendering import Renderer
from campaign.engine.runtime import Run
from campaign.errors import CampaignError, first_of
from campaign.lists.reader import ListReader
from campaign.planner.options import CampaignOptions
from campaign.store.batches import (
    AlikeRecipients,
    NewRecipient,
    Recipients,
    numbers_of,
    one_by_one,
)
from campaign.store.campaigns import (
    Refusal,
    add_recipients,
    end_fresh_list,
    give_up_fresh_list,
)
from campaign.store.loading import begin_fresh

_FEW = 1000
"""Rows of one commit beside other campaigns, and about as many as are read at a stretch, while
everything else in this program waits."""
_MANY = 20 * _FEW
"""Rows of one commit where no other campaign waits for the ledger: numbers come in any order, and
the more of them at once, the more fall on each page of their index that is written."""


@dataclass
class Loaded:
    """What a list came to. `numbers` is the sum that its fingerprint is made of."""

    kept: int = 0
    refused: int = 0
    numbers: int = 0
    first: NewRecipient | None = None

    def count(self, rows: int, numbers: int) -> None:
        """Rows that are in, with the sum of what their numbers hash to; or out again."""
        self.kept += rows
        self.numbers = (self.numbers + numbers) % 2**192


@dataclass
class _Chunk:
    accepted: AlikeRecipients | list[NewRecipient]
    refused: list[Refusal] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return len(self.accepted) + len(self.refused)


async def load(
    run: Run,
    options: CampaignOptions,
    campaign_id: int,
    rows: ListReader,
    renderer: Renderer,
    progress: Callable[[int, int], None],
) -> Loaded:
    """Read all rows and store them; one chunk is stored while the next is read.

    `progress(rows, refused)` is called after every chunk. Raises what reading and storing raise.
    """
    loaded, placing = Loaded(), Placing(options, run.env.wall())
    async with run.loading:
        fresh = await run.write(begin_fresh)
        storing = _Storing(run, campaign_id, placing, loaded, progress, fresh)
        try:
            await _both(rows, renderer, storing)
            if fresh:
                await storing.end_fresh()
        except (Exception, trio.Cancelled, BaseExceptionGroup):
            if fresh:  # before the next list comes
                with trio.CancelScope(shield=True):
                    await run.write(give_up_fresh_list, campaign_id)
            raise
    return loaded


async def _both(rows: ListReader, renderer: Renderer, storing: _Storing) -> None:
    """Read and store side by side."""
    most = _FEW if storing.run.campaigns else _MANY
    send, receive = trio.open_memory_channel[_Chunk](0)
    failure: CampaignError | None = None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(storing.all_of, receive)
            async with send:
                await _read(rows, renderer, most, send)
    except* CampaignError as group:
        failure = first_of(group)
    if failure is not None:
        raise failure


async def _read(
    rows: ListReader, renderer: Renderer, most: int, send: trio.MemorySendChannel[_Chunk]
) -> None:
    chunk = _Chunk(renderer.begin())
    for block in rows.blocks():
        renderer.take(block, chunk.accepted, chunk.refused)
        if chunk.rows >= most:
            await send.send(chunk)
            chunk = _Chunk(renderer.begin())
        else:
            await trio.lowlevel.checkpoint()
    if chunk.rows:
        await send.send(chunk)


@dataclass
class _Storing:
    run: Run
    campaign_id: int
    placing: Placing
    loaded: Loaded
    progress: Callable[[int, int], None]
    fresh: bool
    sieve: Sieve = field(default_factory=Sieve)

    async def all_of(self, chunks: trio.MemoryReceiveChannel[_Chunk]) -> None:
        async for chunk in chunks:
            await self._one(chunk.accepted, chunk.refused)

    async def _one(self, accepted: Recipients, refused: list[Refusal]) -> None:
        run, placing, loaded = self.run, self.placing, self.loaded
        if placing.is_needed:
            each = one_by_one(accepted)
            # into an empty ledger nobody was written to from it before
            sims = {} if self.fresh else await placing.sims(run, each)
            accepted = [placing.place(row, sims.get(row.number, "")) for row in each]
        lanes = placing.take_fresh()
        repeated = await run.write(
            add_recipients, self.campaign_id, accepted, refused, lanes, fresh=self.fresh
        )
        if repeated:
            dropped = {row.row for row in repeated}
            accepted = [row for row in one_by_one(accepted) if row.row not in dropped]
        if loaded.first is None and len(accepted):
            loaded.first = one_by_one(accepted)[0]
        numbers = numbers_of(accepted)
        words = hashes_of(numbers)
        if self.fresh:
            self.sieve.sift(numbers, words)
        loaded.count(len(numbers), sum_of(words))
        loaded.refused += len(refused) + len(repeated)
        self.progress(loaded.kept, loaded.refused)

    async def end_fresh(self) -> None:
        """Only now is it known which rows of the ledger's first list repeat a number."""
        repeated = await self.run.write(end_fresh_list, self.campaign_id, self.sieve.suspects)
        self.loaded.count(-len(repeated), -sum_of(hashes_of(repeated)))
        self.loaded.refused += len(repeated)
        self.progress(self.loaded.kept, self.loaded.refused)
