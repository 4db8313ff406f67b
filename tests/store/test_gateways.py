"""The registry of devices and what is known of their ports."""

from __future__ import annotations

from typing import Any

import pytest

from campaign.errors import UsageError
from campaign.protocol.messages import PortState
from campaign.protocol.ports import Port
from campaign.store.gateways import (
    add_gateway,
    find_gateway,
    get_gateway,
    list_gateways,
    list_ports,
    receiver_tokens,
    remove_gateway,
    set_gateway_settings,
    update_gateway,
)
from campaign.store.sims import store_states


def test_a_device_comes_back_as_it_was_registered(ledger: Any) -> None:
    gateway_id = ledger.do(
        add_gateway, ledger.now, name="roof", url="https://192.0.2.9", username="root",
        secret="file:/run/secret", token="t", crypt="aes-ecb", settings={"task-size": "5"},
    )  # fmt: skip
    row = ledger.do(get_gateway, "roof")
    assert (row.id, row.url, row.secret, row.crypt) == (
        gateway_id, "https://192.0.2.9", "file:/run/secret", "aes-ecb",
    )  # fmt: skip
    assert (row.settings, row.auth_order, row.boot_id) == ({"task-size": "5"}, "spec", None)
    assert row.with_stop("14").stopped == "14"


def test_a_name_is_taken_once_and_free_again_after_removal(ledger: Any) -> None:
    first = ledger.gateway("roof")
    with pytest.raises(UsageError, match="already"):
        ledger.do(
            add_gateway, 1, name="roof", url="", username="", secret="stored", token="another"
        )
    ledger.do(remove_gateway, ledger.now, ledger.do(get_gateway, "roof"))
    assert ledger.do(find_gateway, "roof") is None
    second = ledger.do(
        add_gateway, 1, name="roof", url="", username="", secret="stored", token="another"
    )
    assert second != first
    assert [row.id for row in ledger.do(list_gateways)] == [second]


def test_a_name_that_is_not_there_names_those_that_are(ledger: Any) -> None:
    with pytest.raises(UsageError, match="none; see gateway add"):
        ledger.do(get_gateway, "roof")
    ledger.gateway("cellar")
    with pytest.raises(UsageError, match="registered: cellar"):
        ledger.do(get_gateway, "roof")


def test_columns_and_settings_are_updated(ledger: Any) -> None:
    gateway_id = ledger.gateway("roof")
    ledger.do(update_gateway, gateway_id, boot_id="b2", sms_next=7)
    ledger.do(set_gateway_settings, gateway_id, {"keep-plus": "yes"})
    row = ledger.do(get_gateway, "roof")
    assert (row.boot_id, row.sms_next, row.settings) == ("b2", 7, {"keep-plus": "yes"})


def test_a_device_with_unfinished_tasks_stays(ledger: Any) -> None:
    task = ledger.claim_one(ledger.campaign(1))
    with pytest.raises(UsageError, match="1 unfinished task:"):
        ledger.do(remove_gateway, ledger.now, ledger.do(get_gateway, "gw"))
    ledger.report(task, sent=[1])
    ledger.do(remove_gateway, ledger.now, ledger.do(get_gateway, "gw"))
    assert ledger.do(list_gateways) == []


def test_late_pushes_of_removed_devices_and_old_tokens_still_come_in(ledger: Any) -> None:
    roof, cellar = ledger.gateway("roof"), ledger.gateway("cellar")
    ledger.do(update_gateway, roof, token="new", old_token="token-roof")
    ledger.do(remove_gateway, ledger.now, ledger.do(get_gateway, "cellar"))
    assert ledger.do(receiver_tokens) == {"new": roof, "token-roof": roof, "token-cellar": cellar}


def test_the_last_word_on_a_port_counts(ledger: Any) -> None:
    gateway_id = ledger.gateway("roof")
    ledger.conn.execute("DELETE FROM ports")
    both = [PortState(port=Port(2)), PortState(port=Port(1))]
    ledger.do(store_states, 1, gateway_id, "boot", both, "poll")
    state = PortState(
        port=Port(2, 3), code=3, text="registered", operator="Op", number="999", iccid="89",
        balance="1.50", signal=21,
    )  # fmt: skip
    ledger.do(store_states, 2, gateway_id, "boot", [state], "push")
    first, second = ledger.do(list_ports, gateway_id)
    assert (first.port, first.code, first.seen_ms) == (1, None, 1)
    assert (second.port, second.slot, second.code, second.operator, second.seen_ms) == (
        2, 3, 3, "Op", 2,
    )  # fmt: skip
