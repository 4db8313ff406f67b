"""Backups of a running ledger, and the only way back from one, with real processes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.flows.conftest import Command, Flow

pytestmark = pytest.mark.process

_MANY = 300


def _running(flow: Flow) -> Command:
    # paced, so that most of them wait in the ledger and not on the devices
    engine = flow.launch(flow.write_list(_MANY), "--rate", "40/s", simulate=2)
    flow.until(lambda: flow.attempted() >= 20, "some are on air", engine)
    return engine


def test_a_backup_beside_a_running_engine_is_restored_and_sends_nobody_twice(flow: Flow) -> None:
    engine = _running(flow)
    made = flow.run("db", "backup", "--json").json()
    folder = Path(made["folder"])
    assert [item["file"] for item in made["files"]] == ["c.db", "c.inbox.db"]
    beside = flow.run("db", "restore", folder, code=6)
    assert "held by a running engine" in beside.err
    assert engine.wait().code == 0
    before = flow.on_air()
    assert len(before) == _MANY

    flow.run("listen", "--stop")
    done = json.loads(flow.run("db", "restore", folder, "--json").out)
    unknown = done["unknown"]["c"]
    assert done["inbox"] == {"kept": "present", "appended": 0}
    resumed = flow.run("resume")
    counts = flow.counts()
    assert flow.on_air() == before, resumed.err
    assert 0 < counts["unknown"] <= unknown
    assert set(counts) <= {"delivered", "sent", "no_receipt", "unknown"}
    assert flow.state() == "finished"
    flow.run("db", "check")


def test_an_old_copy_put_back_by_hand_is_refused_until_it_is_restored(flow: Flow) -> None:
    engine = _running(flow)
    engine.kill()
    old = flow.folder / "old"
    old.mkdir()
    for path in flow.folder.glob("c.db*"):  # as `cp c.db* old/` makes it
        if path.suffix in (".db", ".db-wal", ".db-shm"):
            shutil.copy(path, old / path.name)
    assert flow.start("resume").wait().code == 0
    before = flow.on_air()
    for path in flow.folder.glob("c.db-*"):
        path.unlink()
    for path in old.iterdir():
        shutil.copy(path, flow.folder / path.name)

    refused = flow.run("resume", code=6)
    assert f"db restore {flow.db}" in refused.err
    assert flow.on_air() == before
    flow.run("listen", "--stop")
    flow.run("db", "restore", flow.db)
    flow.run("resume")
    assert flow.on_air() == before
    assert max(before.values()) == 1
    assert flow.counts()["unknown"] > 0
    assert flow.state() == "finished"
