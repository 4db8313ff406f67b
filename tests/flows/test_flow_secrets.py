"""Whatever happens in a run, its talk, logs and errors hold no secret and no full number."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.flows.conftest import Command, Flow

pytestmark = pytest.mark.process

_PLAIN, _CIPHERED, _WRONG = "correct-horse-battery", "staple&pa/ss+wo=rd", "hunter2-is-wrong"
_MARKS = ("password=", "auth=", "cnonce=", "session=", "/p/", "goip_")
_FATES = [f"9996600{suffix}" for suffix in ("0001", "0002", "0006", "0009", "0010")]
"""Magic ends: failures for good and for now, an opt-out, an answer, …"""


def test_a_whole_run_tells_no_secret_and_no_number(flow: Flow) -> None:
    devices = [_device(flow, "plain", _PLAIN), _device(flow, "roof", _CIPHERED)]
    receiver = flow.start("--verbose", "listen")
    flow.until(lambda: "receiving on" in receiver.err, "the receiver runs", receiver)
    urls = [_greeting(flow, device) for device in devices]
    _register(flow, "plain", urls[0], _WRONG)
    _register(flow, "roof", urls[1], _CIPHERED, "--crypt", "rc4")
    flow.run("-v", "gateway", "test", "plain", code=5)
    flow.run("-v", "gateway", "set", "plain", "--password-file", _secret(flow, "plain", _PLAIN))
    flow.run("-v", "gateway", "test", "plain", "--push")
    flow.run("-v", "gateway", "test", "roof")
    flow.run("-v", "gateway", "config", "roof", "no_such_parameter")

    path = flow.write_list(200, *(f"+{number}" for number in _FATES))
    engine = flow.start("-v", *flow.launching(path, "--name", "c", times={"retry-wait": "100ms"}))
    flow.until(lambda: len(flow.truth()) > 20, "it sends", engine)
    flow.run("-v", "pause", "c")
    flow.run("-v", "continue", "c")
    flow.until(lambda: len(flow.truth()) > 60, "it sends on", engine)
    engine.kill()
    flow.run("-v", "resume")
    flow.run("-v", "verify", "c")
    exempt = [_command_of(flow, "report", "c", "--format", "csv"), *devices]
    for command in (receiver, *devices):
        command.signal(signal.SIGTERM)
        command.wait()

    shown = {" ".join(c.argv[6:9]): c.err for c in flow.commands}
    shown |= {f"{words} (out)": c.out for words, c in _outputs(flow, exempt)}
    shown |= {file.name: file.read_text() for file in flow.folder.glob("*.log")}
    assert "level=INFO" in receiver.err, "it was really verbose"
    tokens = [row[0] for row in flow.rows("SELECT token FROM gateways")]
    numbers = [*flow.numbers(200), *_FATES]
    assert len(tokens) == 2
    assert len(flow.truth()) > 200
    for where, text in shown.items():
        for secret in (_PLAIN, _CIPHERED, _WRONG, *tokens, *_MARKS, *numbers):
            assert secret not in text, (where, text)


def _device(flow: Flow, name: str, password: str) -> Command:
    words = ["--ports", "4", "--sms-seconds", "0.02", "--password", password, "--magic"]
    words += ["--set", "reply-seconds=0.1", "--ledger", str(flow.folder / f"{name}.truth.jsonl")]
    if name == "roof":
        words += ["--set", "require-session=on"]
    return flow.start("-v", "simulate", *words)


def _greeting(flow: Flow, device: Command) -> str:
    greeting = "listening on "
    flow.until(lambda: device.out.startswith(greeting) and "\n" in device.out, "it runs", device)
    return device.out.splitlines()[0].removeprefix(greeting)


def _secret(flow: Flow, name: str, password: str) -> Path:
    path = flow.folder / f"{name}.password"
    path.write_text(password, encoding="utf-8")
    return path


def _register(flow: Flow, name: str, url: str, password: str, *words: str) -> None:
    secret = _secret(flow, name, password)
    flow.run(
        "-v", "gateway", "add", name, url, "--username", "root", "--password-file", secret, *words
    )


def _command_of(flow: Flow, *words: str) -> Command:
    """A command run to its end, as an object."""
    flow.run("-v", *words)
    return flow.commands[-1]


def _outputs(flow: Flow, exempt: list[Command]) -> list[tuple[str, Command]]:
    """What goes to stdout is data: a report is made of numbers."""
    return [(" ".join(c.argv[6:9]), c) for c in flow.commands if c not in exempt]
