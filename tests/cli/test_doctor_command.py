"""doctor: says what is wrong and what to do, and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner, Result

from campaign.cli import main
from campaign.env import Env
from campaign.service.doctor import Verdict, examine
from campaign.service.locks import FileLock
from campaign.service.site import Site
from campaign.store.door import transaction
from campaign.store.gateways import add_gateway, update_gateway
from campaign.store.inbox import Arrived, InboxWriter, ReceiverBinding
from campaign.store.opening import open_ledger

Run = Callable[..., Result]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site.at(str(tmp_path / "c.db"), str(tmp_path / "o.db"))


@pytest.fixture
def run(site: Site) -> Run:
    """`run("--json")` calls campaign doctor."""

    def call(*words: str) -> Result:
        where = ["--db", str(site.paths.db), "--optouts", str(site.optouts)]
        return CliRunner().invoke(main, [*where, "doctor", *words])

    return call


def checks(run: Run) -> dict[str, tuple[str, str]]:
    shown: dict[str, Any] = json.loads(run("--json").stdout)
    return {check["check"]: (check["status"], check["text"]) for check in shown["checks"]}


def make_ledger(site: Site, *, secret: str | None = None, stopped: str | None = None) -> None:
    """A ledger, with one gateway when its secret is told."""
    conn = open_ledger(site.paths.db, site.optouts)
    if secret is not None:
        with transaction(conn):
            number = add_gateway(
                conn, 1, name="office", url="http://127.0.0.1:9", username="root",
                secret=secret, token="t" * 32,
            )  # fmt: skip
            update_gateway(conn, number, stopped=stopped)
    conn.close()


def test_without_a_ledger_all_is_well_and_nothing_is_made(run: Run, tmp_path: Path) -> None:
    result = run()
    assert result.exit_code == 0
    assert "campaign demo" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_fresh_ledger_is_whole(run: Run, site: Site) -> None:
    make_ledger(site, secret="env:PATH")
    found = checks(run)
    assert {status for status, _ in found.values()} == {"ok"}
    assert "is whole" in found["ledger"][1]
    assert found["engine"][1] == "none runs"


def test_a_missing_password_fails(run: Run, site: Site) -> None:
    make_ledger(site, secret="env:CAMPAIGN_TEST_NO_SUCH_VARIABLE")
    result = run()
    assert result.exit_code == 1
    assert "CAMPAIGN_TEST_NO_SUCH_VARIABLE" in result.stdout


def test_a_stopped_gateway_is_a_warning_that_names_the_way_out(run: Run, site: Site) -> None:
    make_ledger(site, secret="env:PATH", stopped="credentials refused")
    status, text = checks(run)["gateway office"]
    assert status == "warn"
    assert "campaign gateway test office" in text
    assert run().exit_code == 0


def test_secrets_others_can_read_fail(run: Run, site: Site) -> None:
    site.paths.secrets.write_text("{}")
    site.paths.secrets.chmod(0o644)
    status, text = checks(run)["secrets"]
    assert (status, "chmod 600" in text) == ("fail", True)


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"not a database at all" * 99, "fail"), (b"", "warn")],
    ids=["text", "an empty file"],
)
def test_a_file_that_is_no_ledger_is_told(
    run: Run, site: Site, content: bytes, status: str
) -> None:
    site.paths.db.write_bytes(content)
    assert checks(run)["ledger"][0] == status


def test_a_damaged_ledger_fails(run: Run, site: Site) -> None:
    make_ledger(site)
    size = site.paths.db.stat().st_size
    with site.paths.db.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * (size // 2))
    result = run("--json")
    assert result.exit_code == 1
    assert not json.loads(result.stdout)["ok"]


def test_pushes_that_nobody_took_over_are_counted(run: Run, site: Site) -> None:
    make_ledger(site)
    with InboxWriter.open(site.paths.inbox, site.env.nonce) as inbox:
        push = Arrived(
            gateway_id=1, received_ms=1, remote="", content_type="", query="", body=b"{}"
        )
        inbox.append_many([push, push])
    status, text = checks(run)["inbox"]
    assert status == "warn"
    assert text.startswith("2 pushes")


def test_a_ledger_held_by_what_does_not_answer_fails(run: Run, site: Site) -> None:
    make_ledger(site)
    site.paths.socket.touch()  # left behind: nobody listens on it
    lock = FileLock(site.paths.lock)
    assert lock.acquire()
    try:
        status, text = checks(run)["engine"]
    finally:
        lock.release()
    assert status == "fail"
    assert "does not answer" in text


def test_a_store_of_optouts_that_is_none_fails(run: Run, site: Site) -> None:
    site.optouts.write_text("not a database at all" * 99)
    assert checks(run)["opt-outs"][0] == "fail"


def test_a_clock_that_was_never_set_fails(site: Site) -> None:
    env = Env(wall=lambda: datetime(1970, 1, 1, tzinfo=UTC))
    found = trio.run(partial(examine, Site(site.paths, site.optouts, env)))
    assert {check.name for check in found if check.verdict is Verdict.FAIL} == {"clock"}


@pytest.mark.parametrize(
    ("allow", "told"),
    [("192.0.2.0/24 2001:db8::/32", ", hears only 192.0.2.0/24 2001:db8::/32"), ("any", "")],
)
def test_whom_the_receiver_hears_is_shown(run: Run, site: Site, allow: str, told: str) -> None:
    make_ledger(site)
    with InboxWriter.open(site.paths.inbox, site.env.nonce) as inbox:
        inbox.bind_to(ReceiverBinding("192.0.2.1", 80, "http://a.example", 1, allow))
    text = checks(run)["receiver"][1]
    assert text == (
        f"none runs; it starts at 192.0.2.1:80, announced as http://a.example{told} when needed"
    )
