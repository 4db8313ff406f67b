"""plan: what a launch would come to, without anything being sent, kept or touched."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from campaign.cli import main
from campaign.env import Env
from campaign.planner.options import CampaignOptions
from campaign.protocol.messages import PortState
from campaign.protocol.ports import Port
from campaign.service.planning import PlanRequest, plan
from campaign.service.site import Site
from campaign.store.campaigns import (
    NewRecipient,
    add_recipients,
    complete_import,
    create_campaign,
)
from campaign.store.door import transaction
from campaign.store.gateways import add_gateway
from campaign.store.opening import open_ledger
from campaign.store.optouts import OptOut, add_optouts
from campaign.store.sims import store_states
from campaign.store.suppression import block

Run = Callable[..., Result]

NUMBERS = [f"9990000{i:04d}" for i in range(100)]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A place with no ledger, its clock on a Monday at 10:00 UTC."""
    found = Site.at(str(tmp_path / "c.db"), str(tmp_path / "o.db"))
    env = Env(wall=lambda: datetime(2026, 3, 2, 10, 0, tzinfo=UTC))
    return Site(found.paths, found.optouts, env)


@pytest.fixture
def run(site: Site) -> Run:
    """`run(path, "--message", …)` calls campaign plan."""

    def call(*words: str, stdin: str | None = None) -> Result:
        where = ["--db", str(site.paths.db), "--optouts", str(site.optouts)]
        return CliRunner().invoke(main, [*where, "plan", *words], input=stdin)

    return call


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """A hundred recipients, the last ten without a name."""
    path = tmp_path / "people.csv"
    rows = [f"+{n},{'Ann' if i < 90 else ''}" for i, n in enumerate(NUMBERS)]
    path.write_text("\n".join(["phone,name", *rows, ""]))
    return path


def register(site: Site, name: str, codes: list[int], **settings: str) -> None:
    conn = open_ledger(site.paths.db, site.optouts)
    with transaction(conn):
        number = add_gateway(
            conn, 1, name=name, url="http://127.0.0.1:9", username="root", secret="env:PATH",
            token=name * 8, settings=settings,
        )  # fmt: skip
        states = [PortState(port=Port(i), code=code) for i, code in enumerate(codes, 1)]
        store_states(conn, 1, number, "boot", states, "poll")
    conn.close()


def planned(run: Run, *words: str, stdin: str | None = None) -> dict[str, Any]:
    result = run(*words, "--json", stdin=stdin)
    assert result.exit_code == 0, result.stderr
    shown: dict[str, Any] = json.loads(result.stdout)
    return shown


def test_without_a_gateway_eight_ports_are_assumed_and_said(run: Run, people: Path) -> None:
    shown = planned(run, str(people), "--message", "Hello")
    assert (shown["recipients"], shown["refused"], shown["segments"]) == (100, 0, 100)
    assert (shown["encoding"], shown["cost"]) == ("gsm7", None)
    assert shown["tasks"] == 8
    assert [port["recipients"] for port in shown["per_port"]] == [13, 13, 13, 13, 12, 12, 12, 12]
    assert "no gateway is registered: one with 8 ports is assumed" in shown["warnings"]


def test_nothing_is_kept(run: Run, people: Path, tmp_path: Path) -> None:
    planned(run, str(people), "--message", "Hello")
    assert [path.name for path in tmp_path.iterdir()] == ["people.csv"]


def test_the_contract_s_keys_come_first(run: Run, people: Path) -> None:
    shown = planned(run, str(people), "--message", "Hello")
    assert set(shown) >= {
        "recipients", "refused", "segments", "encoding", "tasks", "finish", "cost", "per_port",
        "warnings",
    }  # fmt: skip
    assert list(shown["finish"]) == ["earliest", "expected", "latest"]
    assert all(moment.endswith("Z") for moment in shown["finish"].values())


def test_people_read_figures_on_stdout_and_notes_on_stderr(run: Run, people: Path) -> None:
    result = run(str(people), "--message", "It’s time")
    assert result.exit_code == 0
    assert "recipients" in result.stdout
    assert "could be '" in result.stderr


def test_known_ports_that_can_send_are_used(run: Run, site: Site, people: Path) -> None:
    register(site, "office", [3, 3, 0, 15, 6])
    shown = planned(run, str(people), "--message", "Hello")
    assert [port["port"] for port in shown["per_port"]] == ["1", "2", "4"]
    assert all(port["known"] and port["gateway"] == "office" for port in shown["per_port"])
    assert any("2 of 5 ports of office could not send" in line for line in shown["warnings"])
    assumed = "3 of 3 ports sent too little lately to tell their pace: 6 s an SMS are assumed"
    assert assumed in shown["warnings"]


def test_the_ports_asked_for_are_used(run: Run, site: Site, people: Path) -> None:
    register(site, "office", [3, 3, 3, 3])
    shown = planned(run, str(people), "--message", "Hello", "--ports", "2-3")
    assert [port["port"] for port in shown["per_port"]] == ["2", "3"]


def test_without_a_usable_port_there_is_no_finish(run: Run, site: Site, people: Path) -> None:
    register(site, "office", [0, 0])
    shown = planned(run, str(people), "--message", "Hello")
    assert shown["finish"] == {"earliest": None, "expected": None, "latest": None}
    assert "no chosen port of office" in shown["warnings"][-1]


def test_an_unknown_gateway_is_a_usage_error(run: Run, site: Site, people: Path) -> None:
    register(site, "office", [3])
    result = run(str(people), "--message", "Hello", "--gateway", "nowhere")
    assert result.exit_code == 2
    assert "office" in result.stderr


def test_different_texts_are_different_tasks(run: Run, people: Path) -> None:
    shown = planned(run, str(people), "--message", "Hello {name|friend}")
    assert shown["tasks"] == 8 + 8  # 90 of one text and 10 of another, over 8 ports


def test_a_rate_makes_every_message_a_task(run: Run, people: Path) -> None:
    assert planned(run, str(people), "--message", "Hello", "--rate", "1/s")["tasks"] == 100


def test_rows_without_a_value_are_refused_and_the_way_out_is_named(
    run: Run, people: Path, tmp_path: Path
) -> None:
    rejects = tmp_path / "bad.csv"
    shown = planned(run, str(people), "--message", "Hi {name}", "--rejects", str(rejects))
    assert (shown["recipients"], shown["refused"]) == (90, 10)
    assert shown["refused_by"] == {"missing_value": 10}
    assert any("{name|friend}" in line for line in shown["warnings"])
    assert len(rejects.read_text(encoding="utf-8-sig").splitlines()) == 11


def test_a_number_counts_once(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "twice.csv"
    path.write_text(f"phone\n+{NUMBERS[0]}\n+{NUMBERS[0]}\n+{NUMBERS[1]}\nx\n")
    shown = planned(run, str(path), "--message", "Hello")
    assert (shown["recipients"], shown["refused"]) == (2, 2)
    assert shown["refused_by"] == {"duplicate": 1, "no_number": 1}


def test_who_has_opted_out_is_not_paid_for(run: Run, site: Site, people: Path) -> None:
    add_optouts(site.optouts, [OptOut(number, 1, "operator") for number in NUMBERS[:30]])
    shown = planned(run, str(people), "--message", "Hello", "--cost-per-segment", "0.05")
    assert (shown["recipients"], shown["opted_out"], shown["segments"]) == (100, 30, 70)
    assert shown["cost"] == 3.5
    assert "30 of the recipients have opted out and will be skipped" in shown["warnings"]


@pytest.mark.parametrize(
    ("message", "encoding", "segments", "warning"),
    [
        pytest.param(
            "x" * 161,
            "gsm7",
            200,
            "the text is 1 character too long for one SMS less: 100 SMS",
            id="just over",
        ),
        pytest.param(
            "It’s " + "x" * 90,
            "ucs2",
            200,
            "’ (could be '); replacing saves 100 of 200 SMS, which halves the cost",
            id="a costly quote",
        ),
        pytest.param("Hi [name]", "gsm7", 100, "[name] is sent as it stands", id="lookalike"),
        pytest.param("您好", "ucs2", 100, None, id="what cannot be said otherwise"),
        pytest.param("a {{b}} " + "x" * 154, "gsm7", 200, "too long", id="braces count once"),
    ],
)
def test_the_text_is_looked_at(
    run: Run, people: Path, message: str, encoding: str, segments: int, warning: str | None
) -> None:
    shown = planned(run, str(people), "--message", message)
    assert (shown["encoding"], shown["segments"]) == (encoding, segments)
    about_text = [line for line in shown["warnings"] if "gateway" not in line]
    assert bool(about_text) is bool(warning)
    assert any((warning or "") in line for line in shown["warnings"])


def test_both_alphabets_are_mixed(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "names.csv"
    path.write_text(f"phone,name\n+{NUMBERS[0]},Ann\n+{NUMBERS[1]},安\n")
    shown = planned(run, str(path), "--message", "Hi {name}")
    assert shown["encoding"] == "mixed"
    assert shown["encodings"] == {"gsm7": 1, "ucs2": 1}


def test_a_list_comes_from_standard_input(run: Run) -> None:
    shown = planned(run, "-", "--message", "Hi", stdin=f"phone\n+{NUMBERS[0]}\n")
    assert shown["recipients"] == 1


@pytest.mark.parametrize(
    ("words", "code"),
    [
        pytest.param(["nowhere.csv", "--message", "Hi"], 1, id="no such list"),
        pytest.param(["LIST", "--message", "Hi {town}"], 2, id="no such column"),
        pytest.param(["LIST", "--message", "x" * 301], 2, id="longer than the device takes"),
        pytest.param(["LIST", "--message", "Hi", "--rate", "fast"], 2, id="no rate"),
        pytest.param(["LIST"], 2, id="no message"),
        pytest.param(["EMPTY", "--message", "Hi"], 4, id="no valid row"),
    ],
)
def test_what_cannot_be_planned_is_told(
    run: Run, people: Path, tmp_path: Path, words: list[str], code: int
) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_text("phone\n12\n")
    named = {"LIST": str(people), "EMPTY": str(empty)}
    result = run(*(named.get(word, word) for word in words))
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr


def test_a_gateway_s_own_limit_on_length_counts(run: Run, site: Site, people: Path) -> None:
    register(site, "office", [3], **{"max-chars": "20"})
    assert run(str(people), "--message", "x" * 21).exit_code == 2


def test_a_closed_window_is_waited_for_and_said(site: Site, people: Path) -> None:
    options = CampaignOptions(window="18:00-21:00", timezone="UTC")
    made = plan(site, PlanRequest(people, "people.csv", "Hello", options))
    # 13 messages on the fullest port, six seconds each, from the window's opening
    assert made.finish.expected == datetime(2026, 3, 2, 18, 1, 18, tzinfo=UTC)
    assert any("closed now, it opens 2026-03-02 18:00" in line for line in made.warnings)


def test_a_tariff_prices_each_number_by_its_longest_prefix(
    run: Run, people: Path, tmp_path: Path
) -> None:
    tariff = tmp_path / "tariff.csv"
    tariff.write_text("prefix,price\n999,0.1\n9990000000,0.2\n")
    shown = planned(
        run, str(people), "--message", "Hello", "--tariff", str(tariff), "--cost", "9990000001=1"
    )
    assert shown["cost"] == 20.0  # 80 at 0.1, ten at 0.2 and ten at 1, to the cent
    shown = planned(run, str(people), "--message", "Hello", "--cost", "9990000001=1")
    assert shown["cost"] == 10.0
    assert any("90 SMS parts go to numbers that no --cost covers" in w for w in shown["warnings"])
    told = run(str(people), "--message", "Hello", "--cost", "*=0.005")
    assert "0.50" in told.stdout


def test_rows_that_a_route_gives_to_nobody_are_counted_as_refused(run: Run, people: Path) -> None:
    shown = planned(run, str(people), "--message", "Hello", "--route", "9990000001=!")
    assert (shown["recipients"], shown["refused_by"]) == (90, {"no_route": 10})


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--route", "999=gw9"], "--route names the gateway 'gw9'"),
        (["--route", "999=gw1:x"], "--route"),
        (["--route", "999=gw1:2"], "--route names port 2 of gw1, which has 1\n"),
        (["--route", "999"], "write PREFIX=VALUE"),
        (["--spread", "random"], "--spread"),
        (["--cost", "999=much"], "a price is a number"),
        (["--tariff", "none.csv"], "the tariff none.csv cannot be read"),
    ],
)
def test_a_route_a_spread_or_a_price_that_cannot_be_is_a_usage_error(
    run: Run, site: Site, people: Path, words: list[str], why: str
) -> None:
    register(site, "gw1", [3])
    result = run(str(people), "--message", "Hello", *words)
    assert result.exit_code == 2
    assert why in result.stderr


@pytest.mark.parametrize("how", [("--dry-run",), ()], ids=["dry run", "launch"])
@pytest.mark.parametrize("registered", [True, False])
@pytest.mark.parametrize(
    ("route", "why"),
    [
        ("999=sim3", "--route names the gateway 'sim3', which this campaign does not use"),
        ("999=sim2:7-10", "--route names ports 9-10 of sim2, which has 1-8"),
    ],
    ids=["gateway", "port"],
)
def test_routes_that_simulated_gateways_do_not_have_are_refused_before_any_is_started(
    site: Site, people: Path, how: tuple[str, ...], registered: bool, route: str, why: str
) -> None:
    if registered:
        register(site, "gw1", [3])
    paths = ("--db", str(site.paths.db), "--optouts", str(site.optouts))
    words = (str(people), "--message", "Hello", "--simulate", "2", "--route", route)
    result = CliRunner().invoke(main, [*paths, "launch", *words, *how])
    assert (result.exit_code, result.stdout) == (2, "")
    assert why in result.stderr
    assert not list(site.paths.db.parent.glob("*.log"))


@pytest.mark.parametrize("registered", [True, False])
@pytest.mark.parametrize("only", [(), ("sim2",)], ids=["all", "one gateway"])
def test_a_dry_run_takes_the_routes_to_the_simulated_gateways_that_the_launch_brings(
    site: Site, people: Path, registered: bool, only: tuple[str, ...]
) -> None:
    if registered:
        register(site, "gw1", [3])
    options = CampaignOptions(routes=("999=sim2:8",), gateways=only)
    request = PlanRequest(people, "people.csv", "Hello", options, simulate=2)
    assert plan(site, request).recipients == 100


def test_the_load_of_each_port_and_the_pauses_are_shown(site: Site, run: Run, people: Path) -> None:
    register(site, "office", [3, 3], **{"sim-day": "20"})
    words = (str(people), "--message", "Hello", "--window", "09:00-18:00", "--timezone", "UTC")
    made = plan(
        site,
        PlanRequest(
            people, "people.csv", "Hello", CampaignOptions(window="09:00-18:00", timezone="UTC")
        ),
    )
    # twenty a day on each of two ports: two minutes a day, from Monday to Wednesday
    assert made.finish.expected == datetime(2026, 3, 4, 9, 1, tzinfo=UTC)
    assert [pause.ends.hour for pause in made.finish.pauses][-1] == 9
    shown = planned(run, *words)
    assert [port["messages"] for port in shown["per_port"]] == [50, 50]
    assert shown["per_port"][0]["quota_out"] is not None
    assert shown["pauses"][0]["why"]
    assert "2 of 2 SIMs use up a quota on the way" in shown["warnings"]
    text = run(*words).stdout
    assert "pauses" in text
    assert "office ports 1,2: 50 messages, 50 SMS parts each; SIM used up: 20 of 20" in text


def test_other_campaigns_are_load(site: Site, run: Run, people: Path) -> None:
    register(site, "office", [3])
    alone = planned(run, str(people), "--message", "Hello", "--window", "any")
    conn = open_ledger(site.paths.db, site.optouts)
    with transaction(conn):
        other = create_campaign(
            conn, 1, name="other", list_name="l", message="x", columns=(),
            options=CampaignOptions(),
        )  # fmt: skip
        rows = [NewRecipient(i, f"99911{i:04d}", None, None, 1) for i in range(100)]
        add_recipients(conn, other, rows, ())
        complete_import(conn, 1, other, "f")
    conn.close()
    shared = planned(run, str(people), "--message", "Hello", "--window", "any")
    assert any("1 other campaign with 100 recipients" in line for line in shared["warnings"])
    assert shared["finish"]["expected"] > alone["finish"]["expected"]


def test_a_dry_run_of_launch_says_the_same_and_keeps_nothing(
    site: Site, run: Run, people: Path, tmp_path: Path
) -> None:
    register(site, "office", [3, 3])
    where = ["--db", str(site.paths.db), "--optouts", str(site.optouts)]
    words = [str(people), "--message", "Hello", "--window", "any"]
    dry = CliRunner().invoke(main, [*where, "launch", *words, "--dry-run", "--json"])
    assert dry.exit_code == 0, dry.stderr
    told, shown = json.loads(dry.stdout), planned(run, *words)
    assert told.keys() == shown.keys()
    assert [p["messages"] for p in told["per_port"]] == [p["messages"] for p in shown["per_port"]]
    assert not list(tmp_path.glob("*.rejects.csv"))
    conn = open_ledger(site.paths.db, site.optouts)
    assert conn.execute("SELECT count(*) FROM campaigns").fetchone()[0] == 0
    conn.close()


def test_a_dry_run_with_simulated_gateways_starts_none(
    site: Site, people: Path, tmp_path: Path
) -> None:
    where = ["--db", str(site.paths.db), "--optouts", str(site.optouts)]
    words = [str(people), "--message", "Hello", "--simulate", "2", "--dry-run", "--json"]
    told = json.loads(CliRunner().invoke(main, [*where, "launch", *words]).stdout)
    assert {port["gateway"] for port in told["per_port"]} == {"sim1", "sim2"}
    assert [path.name for path in tmp_path.iterdir()] == ["people.csv"]


def test_a_start_and_a_deadline_are_in_the_forecast(site: Site, run: Run, people: Path) -> None:
    register(site, "office", [3])
    words = (str(people), "--message", "Hello", "--window", "any", "--timezone", "UTC")
    late = planned(run, *words, "--start", "+2h")
    assert late["finish"]["earliest"] > "2026-03-02T12:00:00Z"
    short = planned(run, *words, "--deadline", "+2m")
    assert short["late"] > 0
    over = run(*words, "--deadline", "2020-01-01T00:00:00Z")
    assert over.exit_code == 2
    assert "over already" in over.stderr


def test_who_is_suppressed_costs_and_takes_nothing(site: Site, run: Run, people: Path) -> None:
    register(site, "office", [3])
    conn = open_ledger(site.paths.db, site.optouts)
    with transaction(conn):
        block(conn, 1, "staff", NUMBERS[:60])
    conn.close()
    shown = planned(run, str(people), "--message", "Hello", "--window", "any", "--cost", "*=1")
    assert (shown["suppressed"], shown["segments"], shown["cost"]) == (60, 40, 40.0)
    assert sum(port["messages"] for port in shown["per_port"]) == 40


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--timezone", "Mars/X"], "unknown time zone 'Mars/X'"),
        (["--test", "abc"], "--test 'abc'"),
        (["--deadline", "9999-12-31T23:59:00-10:00"], "is not a time"),
    ],
)
def test_what_a_launch_would_refuse_is_refused_here(
    run: Run, people: Path, words: list[str], why: str
) -> None:
    result = run(str(people), "--message", "Hello", *words)
    assert result.exit_code == 2
    assert why in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--canary", "5"), "the canary's reports"),
        (("--spread", "sticky"), "not to that of earlier messages"),
        (("--test", "+999000000001"), "the test's reports"),
        (("--gateway", "other"), "SIMs in other slots"),
    ],
    ids=["canary", "sticky", "test", "auto-switch"],
)
def test_what_the_forecast_leaves_out_is_said(
    run: Run, site: Site, people: Path, words: tuple[str, ...], said: str
) -> None:
    register(site, "office", [3, 3])
    register(site, "other", [3, 3], **{"auto-switch": "yes"})
    shown = json.loads(run(str(people), "--message", "Hi", *words, "--json").stdout)
    assert any(said in line for line in shown["warnings"])
    plain = json.loads(run(str(people), "--message", "Hi", "--gateway", "office", "--json").stdout)
    assert not any(said in line for line in plain["warnings"])
