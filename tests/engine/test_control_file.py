"""The control socket's file: made plainly, and taken away by whoever made it only."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from campaign.engine.control import ControlSocket
from campaign.errors import StoreError


def test_a_place_where_it_cannot_be_made_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"nowhere.*No such file.*let this user write there"):
        ControlSocket(tmp_path / "nowhere" / "c.db.sock")


async def test_it_goes_with_its_engine(tmp_path: Path) -> None:
    path = tmp_path / "c.db.sock"
    ControlSocket(path).close()
    assert not path.exists()
    ControlSocket(path).close()
    assert not path.exists()


async def test_a_dead_engines_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "c.db.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    own = ControlSocket(path)
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(path))
    own.close()


async def test_an_engine_that_was_taken_over_leaves_the_later_ones_socket(tmp_path: Path) -> None:
    path = tmp_path / "c.db.sock"
    earlier, later = ControlSocket(path), ControlSocket(path)
    earlier.close()
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(path))
    later.close()
    assert not path.exists()
