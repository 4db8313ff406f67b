"""What runs beside an engine ends with it, and an error of either comes out as it is."""

from __future__ import annotations

import pytest
import trio

from campaign.errors import StoreError, UsageError
from campaign.service.outcome import beside


async def test_an_error_of_the_body_comes_out_as_it_is() -> None:
    with pytest.raises(UsageError, match="the body's"):
        async with beside() as nursery:
            nursery.start_soon(trio.sleep_forever)
            raise UsageError("the body's")


async def test_an_error_of_what_runs_beside_it_comes_out_as_it_is_and_ends_the_body() -> None:
    async def breaks() -> None:
        raise StoreError("the child's")

    with trio.fail_after(1), pytest.raises(StoreError, match="the child's"):
        async with beside() as nursery:
            nursery.start_soon(breaks)
            await trio.sleep_forever()


async def test_when_both_break_the_body_is_heard() -> None:
    async def breaks() -> None:
        raise StoreError("the child's")

    with trio.fail_after(1), pytest.raises(UsageError, match="the body's"):
        async with beside() as nursery:
            nursery.start_soon(breaks)
            try:
                await trio.sleep_forever()
            finally:
                raise UsageError("the body's")


async def test_what_is_no_error_of_ours_keeps_its_group() -> None:
    async def breaks() -> None:
        raise ZeroDivisionError

    with trio.fail_after(1), pytest.raises(BaseExceptionGroup):
        async with beside() as nursery:
            nursery.start_soon(breaks)
            await trio.sleep_forever()
