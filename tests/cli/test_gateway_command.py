"""gateway: devices in and out of the registry, and what each of them answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from click.testing import CliRunner, Result
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from campaign.cli import main
from campaign.engine.verbs import perform
from campaign.env import Env
from campaign.errors import UsageError
from campaign.service.ledger import read
from campaign.service.probing import check_push
from campaign.service.processes import stop_receiver
from campaign.service.secrets import find_password
from campaign.service.serving import serve
from campaign.service.site import Site
from campaign.simulator.machine import Simulator
from campaign.simulator.settings import SimulatorSettings
from campaign.store.door import transaction
from campaign.store.gateways import GatewayRow, find_gateway, list_ports, update_gateway
from campaign.store.opening import open_ledger

Run = Callable[..., Result]
RunAside = Callable[..., Awaitable[Result]]

PASSWORD = "open sesame"
URL = "http://192.0.2.10"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site.at(str(tmp_path / "c.db"), str(tmp_path / "o.db"))


@pytest.fixture
def run(site: Site) -> Run:
    """`run("list", "--json")` calls campaign gateway on an empty ledger."""

    def call(*words: str, stdin: str | None = None, env: dict[str, str] | None = None) -> Result:
        where = ["--db", str(site.paths.db), "--optouts", str(site.optouts)]
        return CliRunner().invoke(main, [*where, "gateway", *words], input=stdin, env=env)

    return call


def add(run: Run, *words: str, name: str = "office", url: str = URL) -> Result:
    return run("add", name, url, "--username", "root", "--password-stdin", *words, stdin=PASSWORD)


def row(site: Site, name: str = "office") -> GatewayRow:
    found = read(site, find_gateway, name)
    assert found is not None
    return found


def password(site: Site, name: str = "office") -> str:
    return find_password(site.paths.secrets, name, row(site, name).secret)


def stop(site: Site, why: str = "credentials refused") -> None:
    conn = open_ledger(site.paths.db, site.optouts)
    with transaction(conn):
        update_gateway(conn, 1, stopped=why)
    conn.close()


def test_a_gateway_is_registered_and_the_next_step_named(run: Run, site: Site) -> None:
    result = add(run, "--max-chars", "600", "--keep-plus", "--tid-memory", "0")
    assert (result.exit_code, result.stdout) == (0, "gateway office is registered\n")
    assert "gateway test office" in result.stderr
    gateway = row(site)
    assert (gateway.url, gateway.username, gateway.secret) == (URL, "root", "stored")
    assert gateway.settings == {"max-chars": "600", "keep-plus": "yes", "tid-memory": "0"}
    assert len(gateway.token) == 32


def test_a_password_is_in_its_file_and_nowhere_else(run: Run, site: Site, tmp_path: Path) -> None:
    result = add(run)
    assert password(site) == PASSWORD
    assert site.paths.secrets.stat().st_mode & 0o777 == 0o600
    holding = [path.name for path in tmp_path.iterdir() if PASSWORD.encode() in path.read_bytes()]
    assert holding == [site.paths.secrets.name]
    shown = run("show", "office").output + run("show", "office", "--json").output + result.output
    assert PASSWORD not in shown
    assert row(site).token not in shown


def test_a_password_may_stay_in_a_variable_or_a_file(run: Run, site: Site, tmp_path: Path) -> None:
    named = ["--username", "root", "--password-env", "OFFICE_PASSWORD"]
    result = run("add", "a", URL, *named, env={"OFFICE_PASSWORD": PASSWORD})
    assert result.exit_code == 0
    assert "not set" not in result.stderr
    assert row(site, "a").secret == "env:OFFICE_PASSWORD"
    assert "OFFICE_PASSWORD is not set" in run("add", "b", URL, *named).stderr
    file = tmp_path / "password.txt"
    file.write_text(PASSWORD + "\n")
    assert run("add", "c", URL, "--username", "u", "--password-file", str(file)).exit_code == 0
    assert password(site, "c") == PASSWORD
    assert not site.paths.secrets.exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        pytest.param(["--password-env", "A", "--password-stdin"], "one password", id="two places"),
        pytest.param([], "where is the password", id="none, and no terminal"),
        pytest.param(["--password-stdin"], "empty", id="an empty one"),
        pytest.param(["--password-file", "/nowhere"], "cannot be read", id="no such file"),
        pytest.param(["--password-env", "se cret"], "name of an environment", id="no name"),
    ],
)
def test_exactly_one_place_for_the_password(run: Run, words: list[str], why: str) -> None:
    result = run("add", "office", URL, "--username", "root", *words)
    assert result.exit_code == 2
    assert why in result.stderr
    assert "se cret" not in result.stderr


@pytest.mark.parametrize(
    "url",
    [
        "192.0.2.10",
        "ftp://192.0.2.10",
        "http://",
        "http://root:secret@192.0.2.10",
        "http://192.0.2.10/?a=1",
        "http://192.0.2.10:99999",
        "http://192.0.2.10/#x",
        "http://192.0.2.10 ",
    ],
)
def test_an_address_that_cannot_be_is_refused(run: Run, site: Site, url: str) -> None:
    result = add(run, url=url)
    if url.endswith(" "):
        assert row(site).url == URL
        return
    assert result.exit_code == 2
    assert "secret" not in result.stderr
    assert not site.paths.secrets.exists()


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 41, "ü"])
def test_a_name_that_cannot_be_is_refused(run: Run, name: str) -> None:
    assert add(run, name=name).exit_code == 2


def test_a_taken_name_is_refused_and_its_password_stays(run: Run, site: Site) -> None:
    add(run)
    words = ["add", "office", URL, "--username", "x", "--password-stdin"]
    assert run(*words, stdin="another").exit_code == 2
    assert password(site) == PASSWORD


def test_a_setting_that_cannot_be_registers_nothing(run: Run, site: Site) -> None:
    for pair in ("colour=red", "max-chars=many", "report-horizon=3s"):
        assert add(run, "--set", pair).exit_code == 2
    assert not site.paths.secrets.exists()
    assert run("list").stdout == ""


def test_all_gateways_are_listed(run: Run, site: Site) -> None:
    add(run)
    add(run, name="depot", url="https://192.0.2.11:8443/")
    stop(site)
    listed = json.loads(run("list", "--json").stdout)["gateways"]
    assert [(each["name"], each["url"]) for each in listed] == [
        ("office", URL),
        ("depot", "https://192.0.2.11:8443"),
    ]
    plain = run("list").stdout
    assert "stopped: credentials refused" in plain
    assert "\x1b" not in plain


def test_no_gateway_is_an_empty_list_without_a_ledger_too(run: Run, site: Site) -> None:
    assert json.loads(run("list", "--json").stdout) == {"gateways": []}
    assert not site.paths.db.exists()


def test_show_tells_every_setting_and_which_are_set(run: Run) -> None:
    add(run, "--max-chars", "600")
    shown = json.loads(run("show", "office", "--json").stdout)
    assert shown["settings"]["max-chars"]["value"] == "600"
    assert shown["settings"]["max-chars"]["set"]
    assert not shown["settings"]["task-size"]["set"]
    assert shown["password"] == "stored beside the ledger"
    assert "longest text the device takes" in run("show", "office").stdout


def test_an_unknown_gateway_is_told_with_those_there_are(run: Run) -> None:
    assert run("show", "depot").exit_code == 2
    add(run)
    for words in (["show"], ["test"], ["remove"], ["set"]):
        result = run(*words, "depot", *(["max-chars=1"] if words == ["set"] else []))
        assert result.exit_code == 2
        assert "office" in result.stderr


def test_settings_and_address_are_changed(run: Run, site: Site) -> None:
    add(run, "--max-chars", "600")
    stop(site)
    result = run(
        "set", "office", "task-size=5", "max-chars=", "url=http://192.0.2.20", "username=u"
    )
    assert (result.exit_code, result.stdout) == (0, "gateway office is changed\n")
    changed = row(site)
    assert changed.settings == {"task-size": "5"}
    assert (changed.url, changed.username, changed.stopped) == ("http://192.0.2.20", "u", None)


def test_a_new_password_is_noticed_by_a_running_engine(run: Run, site: Site) -> None:
    add(run)
    before = row(site).secret
    assert run("set", "office", "--password-stdin", stdin="new one\n").exit_code == 0
    assert password(site) == "new one"
    assert row(site).secret != before
    assert "new one" not in row(site).secret
    run("set", "office", "--password-env", "PATH")
    assert row(site).secret == "env:PATH"
    assert site.paths.secrets.read_text() == "{}"


@pytest.mark.parametrize(
    "pair", ["password=hunter2", "colour=red", "max-chars", "max-chars=0", "url=", "url=nowhere"]
)
def test_what_cannot_be_set_changes_nothing(run: Run, site: Site, pair: str) -> None:
    add(run)
    before = row(site)
    result = run("set", "office", "task-size=5", pair)
    assert result.exit_code == 2
    assert "hunter2" not in result.stderr
    assert row(site) == before


def test_setting_nothing_is_a_usage_error(run: Run) -> None:
    add(run)
    assert run("set", "office").exit_code == 2


def test_a_removed_gateway_is_gone_with_its_password(run: Run, site: Site) -> None:
    add(run)
    assert run("remove", "office").exit_code == 0
    assert run("list").stdout == ""
    assert site.paths.secrets.read_text() == "{}"
    assert add(run).exit_code == 0


def test_the_verb_that_only_rings_changes_nothing(site: Site) -> None:
    conn = open_ledger(site.paths.db, site.optouts)
    with transaction(conn):
        before = conn.total_changes
        assert perform(conn, 1, "optouts-changed", {}) == {}
        assert conn.total_changes == before
    conn.close()


# -- devices that answer ------------------------------------------------------------------------


@pytest.fixture
def run_aside(run: Run) -> RunAside:
    """`run` in a thread, so that a device of the test can answer meanwhile."""

    async def call(*words: str, stdin: str | None = None) -> Result:
        return await trio.to_thread.run_sync(lambda: run(*words, stdin=stdin))

    return call


async def add_aside(run_aside: RunAside, url: str) -> None:
    words = ["add", "office", url, "--username", "root", "--password-stdin"]
    assert (await run_aside(*words, stdin=PASSWORD)).exit_code == 0


@asynccontextmanager
async def device(*faults: str, **settings: Any) -> AsyncIterator[tuple[str, Simulator]]:
    """A simulated gateway on loopback, with its URL."""
    async with httpx.AsyncClient(trust_env=False) as client, trio.open_nursery() as nursery:
        values = {"seed": 1, "username": "root", "password": PASSWORD, **settings}
        chosen = SimulatorSettings(**values).with_overrides(faults)
        simulator = Simulator(chosen, env=Env(), client=client)
        await nursery.start(simulator.run)
        host, port = await nursery.start(serve, simulator.app, "127.0.0.1", 0)
        yield f"http://{host}:{port}", simulator
        nursery.cancel_scope.cancel()


@pytest.mark.process
async def test_a_device_that_answers_is_described(run_aside: RunAside, site: Site) -> None:
    async with device(ports=4) as (url, _):
        await add_aside(run_aside, url)
        result = await run_aside("test", "office", "--json")
        plain = await run_aside("test", "office")
    assert result.exit_code == 0
    shown = json.loads(result.stdout)
    assert (shown["usable_ports"], len(shown["ports"]), shown["push"]) == (4, 4, None)
    assert shown["boot_id"]
    assert shown["mac"]
    assert {port["status"] for port in shown["ports"]} == {"3 registered"}
    assert "4 of 4 can send" in plain.stdout
    assert read(site, list_ports, 1) == []


@pytest.mark.process
async def test_success_lifts_an_alarm(run_aside: RunAside, site: Site) -> None:
    async with device() as (url, _):
        await add_aside(run_aside, url)
        stop(site)
        result = await run_aside("test", "office", "--json")
    assert json.loads(result.stdout)["alarm_lifted"] == "credentials refused"
    assert row(site).stopped is None


@pytest.mark.process
async def test_refused_credentials_are_exit_5_and_keep_the_alarm(
    run_aside: RunAside, site: Site
) -> None:
    async with device(password="another") as (url, _):
        await add_aside(run_aside, url)
        stop(site)
        result = await run_aside("test", "office")
    assert result.exit_code == 5
    assert "refuses the user 'root'" in result.stderr
    assert PASSWORD not in result.output
    assert row(site).stopped is not None


@pytest.mark.process
async def test_what_is_no_gateway_is_exit_5(run_aside: RunAside) -> None:
    async def page(_request: Request) -> Response:
        return HTMLResponse("<html>a printer</html>")

    printer = Starlette(routes=[Route("/{path:path}", page)])
    async with trio.open_nursery() as nursery:
        host, port = await nursery.start(serve, printer, "127.0.0.1", 0)
        await add_aside(run_aside, f"http://{host}:{port}")
        result = await run_aside("test", "office")
        nursery.cancel_scope.cancel()
    assert result.exit_code == 5
    assert "does not speak this protocol" in result.stderr


def test_an_unreachable_device_is_exit_5_with_what_to_do(run: Run) -> None:
    add(run, url="http://127.0.0.1:1")
    result = run("test", "office")
    assert result.exit_code == 5
    assert "cannot be reached at http://127.0.0.1:1" in result.stderr
    assert "campaign gateway set office url=" in result.stderr
    assert PASSWORD not in result.output


def test_the_device_itself_is_asked_before_a_receiver_is_started(run: Run, site: Site) -> None:
    add(run, url="http://127.0.0.1:1")
    assert run("test", "office", "--push").exit_code == 5
    assert not site.paths.inbox.exists()


async def test_a_device_elsewhere_needs_an_address_it_can_reach(
    run_aside: RunAside, site: Site
) -> None:
    await add_aside(run_aside, URL)
    with pytest.raises(UsageError, match="office cannot reach a receiver"):
        await check_push(site, "office")
    assert not site.paths.inbox.exists()


@pytest.mark.process
@pytest.mark.slow
async def test_the_push_is_seen_to_arrive_and_ended_again(run_aside: RunAside, site: Site) -> None:
    async with device() as (url, simulator):
        await add_aside(run_aside, url)
        try:
            result = await run_aside("test", "office", "--push", "--json")
        finally:
            await stop_receiver(site.paths)
        assert simulator.device.board.subscription is None
    assert result.exit_code == 0, result.stderr
    push = json.loads(result.stdout)["push"]
    assert push["arrived"]
    assert push["seconds"] < 10
    assert row(site).token not in result.output


@pytest.mark.process
@pytest.mark.slow
async def test_a_push_that_does_not_arrive_is_told(run_aside: RunAside, site: Site) -> None:
    async with device("push-loss=1") as (url, simulator):
        await add_aside(run_aside, url)
        try:
            pushed = await check_push(site, "office", seconds=0.2)
        finally:
            await stop_receiver(site.paths)
        assert simulator.device.board.subscription is None
    assert (pushed.arrived, pushed.left) == (False, False)
    assert row(site).token not in pushed.address
