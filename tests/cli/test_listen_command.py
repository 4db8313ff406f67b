"""listen: whom the receiver hears is checked before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from campaign.cli import main


@pytest.mark.parametrize(
    "command", [["listen"], ["resume"], ["launch", "x.csv"]], ids=lambda c: c[0]
)
@pytest.mark.parametrize(
    ("allow", "message"),
    [
        ("office", "--allow office: write an address or a range, as 192.0.2.10"),
        ("192.0.2.7/24", "write 192.0.2.7 for this one or 192.0.2.0/24 for all"),
    ],
)
def test_a_range_that_is_none_ends_it_at_once(
    tmp_path: Path, command: list[str], allow: str, message: str
) -> None:
    where = ["--db", str(tmp_path / "c.db"), "--optouts", str(tmp_path / "o.db")]
    result = CliRunner().invoke(main, [*where, *command, "--allow", allow])
    assert result.exit_code == 2
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []
