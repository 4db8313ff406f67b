"""A real device process and the commands that operate it; campaigns under a secure session."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.flows.conftest import Command, Flow

pytestmark = pytest.mark.process


def start_device(
    flow: Flow, *words: str, name: str = "sim", port: str = "0"
) -> tuple[Command, str]:
    """A simulated gateway of its own process; its address."""
    settings = [
        "--listen", f"127.0.0.1:{port}", "--ports", "4", "--slots", "2", "--sms-seconds", "0.02",
        "--ledger", str(flow.folder / f"{name}.truth.jsonl"), "--set", f"name={name}",
        "--set", "register-seconds=0.2", "--set", "receipts-seconds=0.1-0.3",
    ]  # fmt: skip
    device = flow.start("simulate", *settings, *words)
    line = flow.until(lambda: device.out.partition("\n")[0], "the device listens", device)
    return device, line.removeprefix("listening on ")


def register(flow: Flow, url: str, *words: str, name: str = "office") -> None:
    secret = flow.folder / "password"
    secret.write_text("root\n")
    flow.run("gateway", "add", name, url, "--username", "root", "--password-file", secret, *words)


def test_a_device_is_operated_and_every_wrong_word_is_told(flow: Flow) -> None:
    _, url = start_device(flow, "--set", "calls=10")
    register(flow, url)
    operate = ("gateway",)
    table = flow.run(*operate, "ports", "office", "--all-sims").out
    assert table.count("registered") == 4
    assert table.count("idle") == 4
    switched = flow.run(*operate, "switch", "office", "2.02", "--yes", "--json").json()
    assert switched["in_time"]
    assert [(p["port"], p["now"], p["code"]) for p in switched["ports"]] == [("2.02", "2.02", 3)]
    assert "locked by the user" in flow.run(*operate, "lock", "office", "3", "--yes").out
    both = ("unlock=3", "reset=1")
    assert flow.run(*operate, "multiple", "office", *both, "--yes").out.count("done") == 2
    for words, code, error in (
        (("lock", "office", "9", "--yes"), 2, "office has no port 9: its ports are 1-4"),
        (("switch", "office", "2.05", "--yes"), 2, "office has no SIM slot 2.05"),
        (("switch", "office", "2", "--yes"), 2, "write port and slot, as 2.02 or 2B"),
        (("lock", "office", "1"), 2, "this interrupts traffic on office: add --yes"),
        (("lock", "nobody", "1", "--yes"), 2, "there is no gateway named 'nobody'"),
        (("ussd", "office", "9", "*100#"), 2, "office has no port 9"),
        (("sms-stats", "office", "--ports", "1-9"), 2, "office has no port"),
        (("config", "office", "imei(0)=1"), 2, "an IMEI identifies the module"),
        (("tasks", "office", "--remove", "--all"), 2, "--remove --all --yes, all three"),
        (("esims", "office"), 1, "its firmware has no eSIM page"),
    ):
        assert error in flow.run("gateway", *words, code=code).err
    assert "Your balance is 100.00." in flow.run(*operate, "ussd", "office", "1", "*100#").out
    flow.run(*operate, "config", "office", "name_of_it=x", "--save")
    assert flow.run(*operate, "config", "office", "name_of_it").out == "name_of_it  x\n"
    rows = flow.run(*operate, "call-stats", "office", "--ports", "1", "--csv").out.splitlines()
    assert rows[1].startswith("1,1,10,9,8,0,8/10,")
    assert len(flow.run(*operate, "call-stats", "office", "--history").out.splitlines()) == 3
    history = flow.run(*operate, "ports", "office", "--history", "--port", "2", "--json").json()
    assert len(history["changes"]) >= 2
    boot = flow.run(*operate, "test", "office", "--json").json()["boot_id"]
    rebooted = flow.run(*operate, "reboot", "office", "--yes", "--json").json()
    assert rebooted["in_time"]
    assert rebooted["boot_id"] != boot


def test_a_device_out_of_reach_or_that_refuses_us_ends_every_command_with_5(
    flow: Flow, down: str
) -> None:
    _, url = start_device(flow, "--password", "other")
    register(flow, url)
    for words in (
        ("ports",), ("lock", "1", "--yes"), ("reboot", "--yes"), ("save",), ("config", "sms_url"),
        ("sms-stats",), ("tasks",), ("ussd", "1", "*100#"), ("subscribe",),
    ):  # fmt: skip
        wrong = flow.run("gateway", words[0], "office", *words[1:], code=5)
        assert "it refuses the user 'root' or the password" in wrong.err
        gone = flow.run("gateway", words[0], "down", *words[1:], code=5)
        assert f"cannot be reached at {down}" in gone.err
    fetched = flow.run("inbox", "fetch", code=5)
    assert fetched.err.count(" could not be asked: ") == 2


def test_a_campaign_goes_under_a_session_and_what_was_negotiated_is_shown(flow: Flow) -> None:
    _, url = start_device(
        flow, "--set", "require-session=on", "--set", "auth-order=seq-first",
        "--set", "session-seconds=3", "--set", "session-prolongs=off",
    )  # fmt: skip
    register(flow, url, "--crypt", "aes-ecb")
    told = flow.run("gateway", "test", "office").out
    assert re.search(r"session +aes-ecb, hashed as seq-first, 3 s; answers are in the clear", told)
    path = flow.write_list(400)
    launch = flow.launch(path, "--rate", "60/s", simulate=None)
    done = launch.wait()
    assert done.code == 0, done.err
    assert flow.counts() == {"delivered": 400}
    assert set(flow.on_air().values()) == {1}
    for command in flow.commands:
        assert "Hello" not in command.err


def test_a_device_killed_under_a_session_and_started_again_sends_nobody_twice(flow: Flow) -> None:
    device, url = start_device(flow, "--set", "require-session=on", "--sms-seconds", "0.2")
    register(flow, url, "--crypt", "rc4")
    launch = flow.launch(flow.write_list(60), "--rate", "15/s", simulate=None)
    flow.until(lambda: len(flow.on_air()) >= 10, "it sends", launch)
    device.kill()
    start_device(flow, "--set", "require-session=on", name="sim2", port=url.rpartition(":")[2])
    done = launch.wait()
    assert done.code == 0, done.err
    assert max(flow.on_air().values()) == 1
    counts = flow.counts()
    assert counts["delivered"] >= 40
    assert counts.keys() <= {"delivered", "no_receipt", "unknown"}


def test_our_tasks_are_taken_back_and_their_recipients_wait_again(flow: Flow) -> None:
    _, url = start_device(flow, "--sms-seconds", "30")
    register(flow, url)
    launch = flow.launch(
        flow.write_list(12), "--set", "task-size=1", "--set", "push-silence=60s", "--set",
        "return-path=assume", simulate=None,
    )  # fmt: skip
    listed = flow.until(lambda: waiting(flow), "tasks wait in the device", launch)
    assert {task["campaign"] for task in listed} == {"c"}
    flow.run("pause", "c")
    back = flow.run("gateway", "tasks", "office", "--remove", "--json").json()
    assert len(back["tids"]) >= len(listed)
    flow.until(lambda: not waiting(flow), "nothing waits there any more", launch)
    launch.signal(signal.SIGINT)
    assert launch.wait().code == 130
    assert flow.counts().get("pending", 0) >= len(listed)
    assert not any(flow.on_air().values())


def fetched(flow: Flow) -> list[object]:
    flow.run("inbox", "fetch")
    messages: list[object] = flow.run("inbox", "list", "--json").json()["messages"]
    return messages


def waiting(flow: Flow) -> list[dict[str, object]]:
    tasks: list[dict[str, object]] = flow.run("gateway", "tasks", "office", "--json").json()[
        "tasks"
    ]
    return tasks


def test_replies_and_states_come_by_subscription_and_are_searched(flow: Flow) -> None:
    _, url = start_device(flow, "--magic")
    register(flow, url)
    listener = flow.start("listen", "--listen", "127.0.0.1:0")
    flow.until(lambda: "receiving on" in listener.err, "it listens", listener)
    assert "office pushes to http://127.0.0.1" in flow.run("gateway", "subscribe", "office").out
    path = flow.folder / "replies.csv"
    path.write_text("phone\n+999550000010\n+999550000009\n+999550000014\n")
    assert flow.launch(path, simulate=None, message="Hi").wait().code == 0
    flow.until(lambda: len(fetched(flow)) == 3, "all three replies are there")
    found = flow.run("inbox", "list", "--search", "hel", "--json").json()["messages"]
    assert [(m["sender"], m["text"], m["opted_out"]) for m in found] == [
        ("999550000010", "Hello", False)
    ]
    opted = flow.run("inbox", "list", "--opt-outs", "--json").json()["messages"]
    assert {m["text"] for m in opted} == {"STOP", "退订"}
    numbers = {line.split()[0] for line in flow.run("optout", "list").out.splitlines()[1:]}
    assert {"999550000009", "999550000014"} <= numbers
    stored = flow.run("gateway", "ports", "office", "--stored", "--json").json()["sims"]
    assert len(stored) == 8


def test_mms_and_the_old_interface_from_the_command_line(flow: Flow, tmp_path: Path) -> None:
    _, url = start_device(flow)
    _, old_url = start_device(flow, "--set", "api=1.0", name="old")
    register(flow, url)
    picture = tmp_path / "spring.gif"
    picture.write_bytes(b"GIF89a" + b"\0" * 500)
    path = flow.write_list(6)
    made = flow.run("plan", path, "--mms", picture, "--subject", "Spring", "--json").json()
    assert (made["recipients"], made["mms"]) == (6, "spring.gif (506 bytes)")
    mms = flow.start(
        "launch", path, "--mms", picture, "--subject", "Spring", "--name", "m", "--set",
        "report-period=1s", "--set", "task-report-period=1s", "--set", "receipt-wait=2s",
    )  # fmt: skip
    assert mms.wait().code == 0, mms.err
    truth = [
        json.loads(line) for line in (flow.folder / "sim.truth.jsonl").read_text().splitlines()
    ]
    assert {(line["mms"], line["ok"]) for line in truth} == {(1, True)}
    flow.run("gateway", "remove", "office")
    register(
        flow, old_url, "--api-version", "1.0", "--set", "legacy-ports=4", "--set",
        "legacy-gap=100ms", name="old",
    )  # fmt: skip
    sms = flow.start("launch", path, "--message", "Hello", "--name", "s")
    assert sms.wait().code == 0, sms.err
    assert "no report or receipt will come" in sms.err
    report = flow.run("report", "s", "--format", "csv").out.splitlines()
    assert {tuple(line.split(",")[2:4]) for line in report[1:]} == {("sent", "accepted")}
