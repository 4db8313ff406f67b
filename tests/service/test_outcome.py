"""What runs beside an engine ends with it, and an error of either comes out as it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio

from campaign.errors import StoreError, UsageError
from campaign.service.outcome import beside

Part = Callable[[], Awaitable[None]]


async def together(child: Part, body: Part) -> None:
    with trio.fail_after(1):
        async with beside() as nursery:
            nursery.start_soon(child)
            await body()


async def breaks() -> None:
    raise StoreError("the child's")


async def fails() -> None:
    raise UsageError("the body's")


async def fails_at_its_end() -> None:
    try:
        await trio.sleep_forever()
    finally:
        await fails()


async def test_an_error_of_the_body_comes_out_as_it_is() -> None:
    with pytest.raises(UsageError, match="the body's"):
        await together(trio.sleep_forever, fails)


async def test_an_error_of_what_runs_beside_it_comes_out_as_it_is_and_ends_the_body() -> None:
    with pytest.raises(StoreError, match="the child's"):
        await together(breaks, trio.sleep_forever)


async def test_when_both_break_the_body_is_heard() -> None:
    with pytest.raises(UsageError, match="the body's"):
        await together(breaks, fails_at_its_end)


async def test_what_is_no_error_of_ours_keeps_its_group() -> None:
    async def divides() -> None:
        raise ZeroDivisionError

    with pytest.raises(BaseExceptionGroup):
        await together(divides, trio.sleep_forever)
