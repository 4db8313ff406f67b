"""The catalogue against the code and the tests: neither may have what the other lacks.

Each rule is a function from a catalogue to complaints. It is asked of the real one, and of broken
ones: a checker that cannot fail proves nothing.
"""

from __future__ import annotations

import ast
import json
import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, get_args
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import trio

from campaign.env import Env
from campaign.errors import RemoteProtocolError
from campaign.gateway.client import Device
from campaign.protocol import codec, device_codec, messages, session_codec
from campaign.protocol.codes import PortCode, TaskCode
from campaign.protocol.commands import Command, Multiple, Op, PortOp, encode_command
from campaign.protocol.ports import Port
from campaign.protocol.session import AUTH_ORDERS, Crypt
from campaign.service.observing import PERIODS
from campaign.simulator import Simulator, SimulatorSettings
from tests.specification.catalogue import CATALOGUE, Row

TESTS = Path(__file__).parent.parent
ROOT = TESTS.parent
Rule = Callable[[Sequence[Row]], Iterable[str]]


def items(catalogue: Sequence[Row], kind: str, *places: str) -> set[str]:
    return {
        item
        for row in catalogue
        if row.kind == kind and (not places or row.place in places)
        for item in row.items
    }


def differ(what: str, listed: set[str], there: set[str]) -> Iterable[str]:
    yield from (f"{what}: {name} is listed, but not in the code" for name in listed - there)
    yield from (f"{what}: {name} is in the code, but not listed" for name in there - listed)


# -- the tests it names ---------------------------------------------------------------------


@cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((TESTS / path).read_text("utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, functions))


def every_row_names_tests_that_exist(catalogue: Sequence[Row]) -> Iterable[str]:
    for row in catalogue:
        for side in (row.client, row.device):
            path, _, name = side.partition("::")
            if not (TESTS / path).is_file() or name not in names_in(path):
                yield f"{row.section} {row.place}: no test {side}"


def no_item_is_listed_twice(catalogue: Sequence[Row]) -> Iterable[str]:
    seen: set[tuple[str, str, str]] = set()
    for row in catalogue:
        for item in row.items:
            key = (row.kind, row.place, item)
            if key in seen:
                yield f"{key} twice"
            seen.add(key)


# -- what the client really asks ------------------------------------------------------------


@cache
def asked() -> dict[str, set[str]]:
    """The query keys of every request our client can make, by path."""
    found: dict[str, set[str]] = {}

    def answer(request: httpx.Request) -> httpx.Response:
        url = urlsplit(str(request.url))
        keys = set(parse_qs(url.query, keep_blank_values=True))
        found.setdefault(url.path, set()).update(keys)
        both = {"code": 0, "session": "S", "expires": 10, "status": [], "tasks": [], "data": []}
        return httpx.Response(200, json=both)

    async def ask(crypt: Crypt | None) -> None:
        clock = iter(range(0, 10_000, 9))  # the session is always near its end
        env = Env(monotonic=lambda: float(next(clock)), rng=random.Random(1))
        device = Device(
            "g", "http://h", "u", "p", env=env, crypt=crypt, transport=httpx.MockTransport(answer)
        )
        console = device.console
        await device.post(b"{}")
        await device.post_legacy(Port(1), ["9991234"], "x")
        await device.sms_page(sms_id=1, sms_num=1, delete=True)
        await device.waiting_tasks([1])
        for act in (device.pause, device.resume, device.remove):
            await act([1])
        await device.sms_stats()
        await console.call_stats()
        await console.subscribe("http://r", 60)
        await console.get_parameters(["sms_url"])
        await console.set_parameters({"sim_number(1)": "9"})
        await console.save()
        await console.esims()
        await console.ussd(Port(1), "*100#")

    trio.run(ask, None)
    trio.run(ask, Crypt.NONE)
    return found


SIGNATURE = {"version", "username", "password", "session", "seq", "auth", "expires"}


def the_client_asks_what_is_listed(catalogue: Sequence[Row]) -> Iterable[str]:
    found = asked()
    yield from differ("endpoints, client", items(catalogue, "endpoint"), set(found))
    for path, places in (
        ("/goip_get_status.html", ("status",)),
        ("/goip_get_tasks.html", ("tasks",)),
        ("/goip_get_sms.html", ("inbox",)),
        ("/goip_get_sms_stat.html", ("statistics",)),
        ("/goip_get_call_stat.html", ("statistics",)),
        ("/goip_send_sms.html", ("old interface",)),
        ("/goip_send_ussd.html", ("USSD",)),
    ):
        yield from differ(path, items(catalogue, "query", *places), found[path] - SIGNATURE)
    yield from differ(
        "handshake", items(catalogue, "query", "handshake"), found["/crypt_sess.json"]
    )
    commands = {key.partition("(")[0] for key in found["/goip_send_cmd.html"]} - SIGNATURE
    yield from differ("commands", items(catalogue, "query", "command", "parameter"), commands)
    signed = items(catalogue, "query", "every request", "session")
    yield from differ("signatures", signed, SIGNATURE & found["/goip_get_tasks.html"])


# -- what the device really serves ----------------------------------------------------------


@cache
def served() -> frozenset[str]:
    settings = SimulatorSettings(ports=1, seed=1, dialect="2.4")
    simulator = Simulator(settings, env=Env(rng=random.Random(1)))
    return frozenset(str(getattr(route, "path", "")) for route in simulator.app.routes)


@cache
def device_sources() -> str:
    folder = ROOT / "campaign" / "simulator"
    return "\n".join(path.read_text("utf-8") for path in sorted(folder.glob("*.py")))


def the_device_serves_what_is_listed(catalogue: Sequence[Row]) -> Iterable[str]:
    yield from differ("endpoints, device", items(catalogue, "endpoint"), set(served()))
    ours = {"version", "charset"}  # taken with any value
    for row in catalogue:
        if row.kind != "query":
            continue
        for name in set(row.items) - ours:
            by_name = row.place == "parameter" and name == "sms_url"
            if not by_name and not re.search(rf"[\"'(]{name}\W", device_sources()):
                yield f"{row.section} {row.place}: the simulated device does not know {name}"


# -- fields of bodies, answers and pushes ---------------------------------------------------


def written(body: bytes) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(body)
    return value


@cache
def fields() -> dict[tuple[str, str], frozenset[str]]:
    """Every key that each message has on the wire, from values in which nothing is left out."""
    m = messages
    port = Port(1, 1)
    task = m.Task(
        tid=1, to=("9991",), sms="x", port=port, chs="base64", coding=1, smstype=1, smstitle="t",
        attachments=(m.Attachment("txt", b"x"),), smsc="9992", intvl="500", tmo=31, sr_prd=1,
        sr_cnt=1,
    )  # fmt: skip
    envelope = m.Envelope(
        sr_url="http://r", sr_cnt=1, sr_prd=1, sms_url="http://r", sms_cnt=2, sms_prd=1
    )
    state = m.PortState(
        port=port, code=3, text="3 OK", balance="1", operator="o", number="9", imei="1", imsi="2",
        iccid="3", seq=1, signal=2,
    )  # fmt: skip
    status = m.DevStatus(
        seq=1, expires=60, mac="m", ip="i", ver="v", max_ports=1, max_slots=2, ports=(state,)
    )
    row = m.FailedRow(index=0, number="9991", port=port, at=1, program=7)
    report = m.TaskReport(
        tid=1, sending=0, sent=1, failed=1, unsent=0,
        sdr=(m.SentRow(index=0, number="9991", port=port, at=1),), fdr=(row,),
    )  # fmt: skip
    queued = m.QueuedTask(tid=1, to=("9991",), sms="x", extra={"chs": "utf-8", "coding": 0})
    verdict = (m.Verdict(1, 0, "0 OK"),)
    later = device_codec.DeviceStyle(port_notation="dotted")
    sent = written(codec.encode_send_sms(envelope, [codec.encode_task(task)]))
    tasks = written(device_codec.encode_task_list(m.TaskList(code=200, tasks=(queued,))))
    reports = written(device_codec.encode_status_report(m.StatusReport(reports=(report,))))
    judged = written(device_codec.encode_task_status(m.TaskStatus(code=200, verdicts=verdict)))
    tids = written(device_codec.encode_tids_answer(m.TidsAnswer(code=200, verdicts=verdict)))
    sms = written(
        device_codec.encode_sms_stats(m.SmsStats(code=200, stats=(m.SmsStat(port=1, slot=1),)))
    )
    calls = written(
        device_codec.encode_sms_stats(m.CallStats(code=200, stats=(m.CallStat(port=1, slot=1),)))
    )
    page = m.SmsPage(code=0, ssrc="s")
    commands: list[Command] = [
        PortOp(Op.LOCK, (Port(1),)),
        Multiple((PortOp(Op.LOCK, (Port(1),)),)),
    ]
    handshakes = [m.SessionAnswer(code=0, session="s"), m.SessionAnswer(code=1, reason="no")]
    return {
        ("body", "send-sms"): frozenset(sent),
        ("body", "task"): frozenset(sent["tasks"][0]),
        ("body", "tids"): frozenset(written(codec.encode_tids([1]))),
        ("body", "command"): frozenset().union(
            *(written(encode_command(one, auto_fail_sim_switch=True)) for one in commands)
        ),
        ("answer", "handshake"): frozenset().union(
            *(written(session_codec.encode_session_answer(one)) for one in handshakes)
        ),
        ("answer", "dev-status"): frozenset(written(device_codec.encode_dev_status(status)))
        | frozenset(written(device_codec.encode_dev_status(status, later))),
        ("answer", "port-status"): frozenset(
            written(device_codec.encode_port_status(m.PortStatus(state)))
        )
        | frozenset(written(device_codec.encode_port_status(m.PortStatus(state), later))),
        ("answer", "task-status"): frozenset(judged) | frozenset(judged["status"][0]),
        ("answer", "status-report"): frozenset(reports) | frozenset(reports["rpts"][0]),
        ("answer", "tids"): frozenset(tids) | frozenset(tids["results"][0]),
        ("answer", "tasks"): frozenset(tasks) | frozenset(tasks["tasks"][0]),
        ("answer", "recv-sms"): frozenset(
            written(device_codec.encode_recv_sms(m.RecvSms(messages=())))
        ),
        ("answer", "inbox"): frozenset(written(device_codec.encode_sms_page(page))),
        ("answer", "sms statistics"): frozenset(sms) | frozenset(sms["stats"][0]),
        ("answer", "call statistics"): frozenset(calls) | frozenset(calls["stats"][0]),
    }


def every_field_on_the_wire_is_listed(catalogue: Sequence[Row]) -> Iterable[str]:
    for (kind, place), there in fields().items():
        yield from differ(place, items(catalogue, kind, place), set(there))


def every_body_and_answer_is_compared(catalogue: Sequence[Row]) -> Iterable[str]:
    by_hand = {("answer", "command")}
    for row in catalogue:
        key = (row.kind, row.place)
        if row.kind in ("body", "answer") and key not in {*fields(), *by_hand}:
            yield f"nothing compares {key}"


def every_push_is_told_apart(catalogue: Sequence[Row]) -> Iterable[str]:
    kinds = items(catalogue, "push") - items(catalogue, "push", "older inbound push")
    known = get_args(messages.Push)
    for kind in kinds:
        body = json.dumps({"type": kind, "port": "1A", "status": []}).encode()
        try:
            push = codec.decode_push(body)
        except RemoteProtocolError as error:
            yield f"{kind}: {error}"
            continue
        if isinstance(push, messages.UnknownPush):
            yield f"{kind} is listed, but nobody knows it"
    if len(kinds) != len(known) - 1:  # one type is for what nobody knows
        yield f"{len(known) - 1} pushes are known, {len(kinds)} are listed"


def every_code_is_listed(catalogue: Sequence[Row]) -> Iterable[str]:
    def numbers(values: Iterable[int]) -> set[str]:
        return {str(int(value)) for value in values}

    for place, there in (
        ("task", numbers(TaskCode)),
        ("port", numbers(PortCode)),
        ("op", {str(op) for op in Op}),
        ("crypt", {str(crypt) for crypt in Crypt}),
        ("auth order", {str(order) for order in AUTH_ORDERS}),
        ("statistics type", numbers(range(len(PERIODS)))),
    ):
        yield from differ(place, items(catalogue, "code", place), there)


RULES: tuple[Rule, ...] = (
    every_row_names_tests_that_exist,
    no_item_is_listed_twice,
    the_client_asks_what_is_listed,
    the_device_serves_what_is_listed,
    every_field_on_the_wire_is_listed,
    every_body_and_answer_is_compared,
    every_push_is_told_apart,
    every_code_is_listed,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_catalogue_the_code_and_the_tests_agree(rule: Rule) -> None:
    complaints = sorted(set(rule(CATALOGUE)))
    assert not complaints, "\n".join(["", *complaints])


def without(kind: str, place: str) -> tuple[Row, ...]:
    return tuple(row for row in CATALOGUE if (row.kind, row.place) != (kind, place))


def added(kind: str, place: str, item: str) -> tuple[Row, ...]:
    """The catalogue with one item more in the row of that place."""
    found = next(row for row in CATALOGUE if (row.kind, row.place) == (kind, place))
    more = replace(found, items=(*found.items, item))
    return tuple(more if row is found else row for row in CATALOGUE)


BROKEN: dict[str, tuple[Rule, tuple[Row, ...]]] = {
    "a test that is not there": (
        every_row_names_tests_that_exist,
        (*CATALOGUE, replace(CATALOGUE[0], client="gateway/test_sessions.py::test_nothing")),
    ),
    "an item twice": (no_item_is_listed_twice, (*CATALOGUE, CATALOGUE[0])),
    "an endpoint less": (the_client_asks_what_is_listed, without("endpoint", "eSIMs")),
    "an endpoint more": (the_device_serves_what_is_listed, added("endpoint", "eSIMs", "/x.html")),
    "a parameter less": (the_client_asks_what_is_listed, without("query", "inbox")),
    "a parameter more": (the_device_serves_what_is_listed, added("query", "inbox", "sms_foo")),
    "a field less": (every_field_on_the_wire_is_listed, without("body", "task")),
    "a field more": (every_field_on_the_wire_is_listed, added("answer", "inbox", "foo")),
    "an answer nobody compares": (
        every_body_and_answer_is_compared,
        (*CATALOGUE, replace(CATALOGUE[0], kind="answer", place="foo")),
    ),
    "a push more": (every_push_is_told_apart, added("push", "recv-sms", "recv-mms")),
    "a push less": (every_push_is_told_apart, without("push", "port-status")),
    "a code less": (every_code_is_listed, without("code", "crypt")),
    "a code more": (every_code_is_listed, added("code", "task", "21")),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_catalogue_is_told(name: str) -> None:
    rule, catalogue = BROKEN[name]
    assert list(rule(catalogue))


def test_every_rule_is_shown_to_fail() -> None:
    assert {rule for rule, _ in BROKEN.values()} == set(RULES)
