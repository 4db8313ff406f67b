from __future__ import annotations

import pytest

from campaign.protocol.codes import (
    USABLE_PORT_CODES,
    CodeClass,
    PortCode,
    ReceiptClass,
    TaskCode,
    classify_first_post,
    classify_receipt,
    explain,
    is_permanent,
    network_meaning,
    port_meaning,
    receipt_meaning,
    task_meaning,
)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (0, CodeClass.OK),
        (1, CodeClass.CREDENTIALS),
        (2, CodeClass.PORT_TROUBLE),
        (3, CodeClass.TRANSIENT),
        (4, CodeClass.TRANSIENT),
        (5, CodeClass.PORT_TROUBLE),
        (6, CodeClass.TRANSIENT),
        (7, CodeClass.TRANSIENT),
        (8, CodeClass.BAD_CONTENT),
        (9, CodeClass.OUR_FAULT),
        (10, CodeClass.BACK_PRESSURE),
        (11, CodeClass.OUR_FAULT),
        (12, CodeClass.OUR_FAULT),
        (13, CodeClass.DUPLICATE),
        (14, CodeClass.CREDENTIALS),
        (15, CodeClass.OUR_FAULT),
        (16, CodeClass.BACK_PRESSURE),
        (17, CodeClass.BAD_CONTENT),
        (18, CodeClass.BAD_CONTENT),
        (19, CodeClass.BAD_CONTENT),
        (20, CodeClass.BAD_CONTENT),
        (21, CodeClass.TRANSIENT),
        (-1, CodeClass.TRANSIENT),
        (99, CodeClass.TRANSIENT),
    ],
)
def test_each_verdict_has_its_class(code: int, kind: CodeClass) -> None:
    assert classify_first_post(code) is kind


def test_every_task_code_of_the_specification_has_words() -> None:
    assert [task_meaning(code) for code in TaskCode][:3] == ["OK", "Invalid User", "Invalid Port"]
    assert "unknown task code" not in {task_meaning(code) for code in range(21)}
    assert task_meaning(21) == "unknown task code"


def test_every_port_code_has_words_and_only_three_can_send() -> None:
    assert "unknown port state" not in {port_meaning(code) for code in PortCode}
    assert port_meaning(10) == "unknown port state"
    assert {3, 4, 15} == USABLE_PORT_CODES


@pytest.mark.parametrize("code", [1, 8, 28, 29, 30])
def test_a_cause_in_the_number_itself_is_permanent(code: int) -> None:
    assert is_permanent(code)
    assert network_meaning(code) != "unknown network cause"


@pytest.mark.parametrize("code", [None, 0, 6, 21, 27, 38, 41, 42, 47, 331, 500, 9999])
def test_any_other_or_unknown_cause_is_transient(code: int | None) -> None:
    assert not is_permanent(code)


def test_an_unknown_cause_is_called_so() -> None:
    assert network_meaning(9999) == "unknown network cause"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (0, ReceiptClass.DELIVERED),
        (1, ReceiptClass.FAILED),
        (31, ReceiptClass.FAILED),
        (32, ReceiptClass.TRYING),
        (63, ReceiptClass.TRYING),
        (64, ReceiptClass.FAILED),
        (255, ReceiptClass.FAILED),
        (-1, ReceiptClass.FAILED),
    ],
)
def test_only_zero_is_a_delivery_and_32_to_63_is_not_final(code: int, kind: ReceiptClass) -> None:
    assert classify_receipt(code) is kind
    assert receipt_meaning(code)


def test_a_code_is_explained_in_every_table_that_knows_it() -> None:
    assert [(item.table, item.meaning) for item in explain(1)] == [
        ("task status", "Invalid User"),
        ("port status", "a SIM is there but idle"),
        ("network cause", "unassigned number"),
        ("delivery receipt", "forwarded to the handset, delivery not confirmed"),
    ]
    assert all(item.code == 1 and item.class_text for item in explain(1))
    assert [item.table for item in explain(500)] == ["network cause"]
    assert explain(12345) == []
