"""What may be logged: never what prints URLs, for a device's URL holds its password."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from campaign.cli import main

LOUD = ("httpx", "httpcore")


@pytest.fixture(autouse=True)
def _levels() -> Iterator[None]:
    before = {name: logging.getLogger(name).level for name in LOUD}
    yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


@pytest.mark.parametrize("words", [[], ["-v"], ["--verbose", "--quiet"], ["-v", "-v"]], ids=str)
@pytest.mark.parametrize("level", [logging.NOTSET, logging.DEBUG], ids=["unset", "debug"])
@pytest.mark.parametrize("variable", [None, "1"], ids=["", "by environment"])
def test_the_http_client_never_logs_below_a_warning(
    words: list[str], level: int, variable: str | None
) -> None:
    for name in LOUD:
        logging.getLogger(name).setLevel(level)
    environment = {"CAMPAIGN_VERBOSE": variable}
    assert CliRunner().invoke(main, [*words, "explain", "7"], env=environment).exit_code == 0
    for name in ("httpx", "httpcore", "httpcore.connection", "httpcore.http11", "httpcore.proxy"):
        assert not logging.getLogger(name).isEnabledFor(logging.INFO)
        assert logging.getLogger(name).isEnabledFor(logging.WARNING)
