"""Commands and configuration (spec §5): which ports each operation takes, and how it is written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from campaign.errors import LocalProtocolError
from campaign.protocol.commands import (
    REBOOT,
    SAVE,
    Command,
    DeviceOp,
    Multiple,
    Op,
    PortOp,
    decode_command_answer,
    encode_command,
    get_query,
    parameter_name,
    set_body,
    set_query,
)
from campaign.protocol.messages import CommandAnswer
from campaign.protocol.ports import AllPorts, Port

ONE, SIM = Port(1), Port(2, 2)


def written(command: Command, **more: Any) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(encode_command(command, **more))
    return value


@pytest.mark.parametrize(
    ("command", "fields"),
    [
        pytest.param(PortOp(Op.LOCK, (ONE, SIM)), {"op": "lock", "ports": "1,2B"}, id="lock"),
        pytest.param(
            PortOp(Op.UNLOCK, AllPorts.ALL), {"op": "unlock", "ports": "all"}, id="unlock"
        ),
        pytest.param(PortOp(Op.SWITCH, (SIM,)), {"op": "switch", "ports": "2B"}, id="switch"),
        pytest.param(
            PortOp(Op.RESET, tuple(map(Port, range(4, 33)))),
            {"op": "reset", "ports": "4-32"},
            id="reset",
        ),
        pytest.param(SAVE, {"op": "save"}, id="save"),
        pytest.param(REBOOT, {"op": "reboot"}, id="reboot"),
        pytest.param(
            Multiple((PortOp(Op.LOCK, (Port(1, 1),)), PortOp(Op.SWITCH, (SIM,)))),
            {
                "op": "multiple",
                "ops": [{"op": "lock", "ports": "1A"}, {"op": "switch", "ports": "2B"}],
            },
            id="multiple",
        ),
    ],
)
def test_a_command_is_written_as_the_specification_says(
    command: Command, fields: dict[str, Any]
) -> None:
    assert written(command) == {"type": "command", **fields}


def test_later_firmware_gets_ports_with_dots() -> None:
    assert written(PortOp(Op.SWITCH, (SIM,)), notation="dotted")["ports"] == "2.02"


@pytest.mark.parametrize(("wanted", "text"), [(True, "1"), (False, "0")])
def test_switching_after_a_failed_registration_is_said_only_when_asked(
    wanted: bool, text: str
) -> None:
    command = PortOp(Op.RESET, (ONE,))
    assert written(command, auto_fail_sim_switch=wanted)["auto_fail_sim_switch"] == text
    assert "auto_fail_sim_switch" not in written(command)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        pytest.param(PortOp(Op.SWITCH, (ONE,)), "as 1.02 or 1B", id="switch-without-a-slot"),
        pytest.param(PortOp(Op.SWITCH, AllPorts.ALL), "name port and slot", id="switch-all"),
        pytest.param(PortOp(Op.SWITCH, (SIM, Port(2, 3))), "one slot only", id="two-slots"),
        pytest.param(PortOp(Op.RESET, (SIM,)), "write 2, not 2.02", id="reset-of-a-slot"),
        pytest.param(PortOp(Op.LOCK, ()), "no port named", id="no-port"),
        pytest.param(PortOp(Op.REBOOT, (ONE,)), "no operation on ports", id="reboot-of-a-port"),
        pytest.param(DeviceOp(Op.LOCK), "more than its name", id="lock-of-nothing"),
        pytest.param(Multiple(()), "none named", id="nothing"),
    ],
)
def test_ports_that_an_operation_does_not_take_are_refused(command: Command, why: str) -> None:
    with pytest.raises(LocalProtocolError, match=why):
        encode_command(command)


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"code": 0, "reason": "OK"}, CommandAnswer(code=0, reason="OK")),
        ({"code": 0, "reason": "OK", "par_set": 2}, CommandAnswer(code=0, reason="OK", par_set=2)),
        (
            {"code": 0, "sms_url": "http://h", "name(1)": 5},
            CommandAnswer(code=0, values={"sms_url": "http://h", "name(1)": "5"}),
        ),
        (
            {"code": 0, "params": {"sms_url": "x"}},
            CommandAnswer(code=0, values={"sms_url": "x"}),
        ),
        ({"sms_url": "x"}, CommandAnswer(code=0, values={"sms_url": "x"})),
        ({"code": 15, "reason": "Invalid CMD"}, CommandAnswer(code=15, reason="Invalid CMD")),
        ({}, CommandAnswer(code=-1)),
    ],
)
def test_the_answer_to_a_command(body: dict[str, Any], answer: CommandAnswer) -> None:
    assert decode_command_answer(json.dumps(body).encode()) == answer


def test_parameters_go_by_name_in_the_query_or_in_a_text_body() -> None:
    assert get_query(["sms_url", "sim_number(2)"]) == {
        "op": "get", "sms_url": "", "sim_number(2)": "",
    }  # fmt: skip
    assert set_query({"sms_url": "http://h/p"}) == {"op": "set", "sms_url": "http://h/p"}
    assert set_body({"sim_number(3)": "+999 1", "a": "b&c"}) == b"sim_number(3)=%2B999+1&a=b%26c"


@pytest.mark.parametrize(
    "name", ["sim_imei(21)", "IMEI", "ops", "password", "", "a b", "x(1", "1x"]
)
def test_what_is_no_parameter_or_an_identity_is_refused(name: str) -> None:
    with pytest.raises(LocalProtocolError):
        parameter_name(name)
    with pytest.raises(LocalProtocolError):
        set_query({name: "1"})


def test_no_parameter_is_refused() -> None:
    for empty in (lambda: get_query([]), lambda: set_query({}), lambda: set_body({})):
        with pytest.raises(LocalProtocolError):
            empty()
