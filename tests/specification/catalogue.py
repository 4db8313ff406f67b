"""The vendor's specification as a list: what it names, and the tests of it on both sides.

Transcribed from "HTTP SMS Development Spec" 2.0 (sections as there), with what later firmware and
devices in the field add (section "field"). A test is `file::name` below tests/; `-` and a reason
where a side has no part in it. `scripts/readme` renders it, `test_catalogue.py` holds it against
the code and the tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["endpoint", "query", "body", "answer", "push", "code"]


@dataclass(frozen=True)
class Row:
    """Items of one place that the same tests exercise. `place` tells where they stand."""

    section: str
    kind: Kind
    place: str
    items: tuple[str, ...]
    client: str
    device: str


def row(section: str, kind: Kind, place: str, items: str, client: str, device: str) -> Row:
    return Row(section, kind, place, tuple(items.split()), client, device)


_SESSIONS = "gateway/test_sessions.py::test_posts_and_questions_are_understood_under_each_cipher"
_ROUND = "protocol/test_codec_round_trips.py::"
_CONSOLE = "gateway/test_console.py::"
_LOOSE = "protocol/test_device_looseness.py::"
_SAMPLES = "protocol/test_vendor_samples.py::"
_TASK = "protocol/test_task_encoding.py::"
_SIM = "simulator/test_simulator_"
_DIALECTS = f"{_SIM}dialects.py::"
_STATUS = f"{_SIM}status.py::"
_QUEUE = f"{_SIM}queue_control.py::"
_GRANTED = f"{_SIM}sessions.py::"

CATALOGUE: tuple[Row, ...] = (
    # -- 3 secure session
    row("3.1", "endpoint", "handshake", "/crypt_sess.json", _SESSIONS,
        f"{_GRANTED}test_a_body_is_understood_under_each_cipher_and_answered_in_the_clear"),
    row("3.2.1", "query", "handshake", "username cnonce expires auth crypt",
        "gateway/test_sessions.py::test_a_wrong_password_is_told_by_the_handshake",
        f"{_GRANTED}test_a_handshake_that_does_not_fit_is_refused_and_says_why"),
    row("3.2.1", "code", "crypt", "none xor rc4 aes-ecb",
        "protocol/test_session.py::test_each_cipher_writes_the_bytes_of_the_vectors",
        f"{_GRANTED}test_a_body_is_understood_under_each_cipher_and_answered_in_the_clear"),
    row("3.2.2", "answer", "handshake", "code desc session expires",
        "protocol/test_session.py::test_the_answer_to_a_handshake",
        "protocol/test_session.py::test_the_handshakes_answer_survives"),
    row("3.2.3", "query", "session", "seq auth session expires",
        "gateway/test_sessions.py::"
        "test_a_session_outlives_its_life_whether_or_not_the_device_prolongs_it",
        f"{_GRANTED}test_a_session_ends_with_its_life_and_lives_longer_when_asked"),
    row("3.3", "code", "auth order", "spec seq-first",
        "gateway/test_sessions.py::test_the_order_a_device_knows_is_found_and_kept",
        f"{_GRANTED}test_a_device_takes_the_one_order_it_knows"),
    # -- 4 status notification
    row("4.1.1", "endpoint", "status", "/goip_get_status.html",
        f"{_CONSOLE}test_a_snapshot_leaves_a_subscription_as_it_is",
        f"{_STATUS}test_a_snapshot_is_a_whole_dev_status_with_the_simulators_mark"),
    row("4.1.2", "query", "status", "url period all_sims",
        f"{_CONSOLE}test_a_subscription_asks_for_every_sim_in_both_firmwares_words",
        f"{_STATUS}test_a_subscription_pushes_at_once_on_change_and_every_period_until_cancelled"),
    row("4.1.3", "push", "dev-status", "dev-status",
        "engine/test_status.py::test_what_a_device_says_of_itself_is_remembered",
        f"{_STATUS}test_a_subscription_pushes_at_once_on_change_and_every_period_until_cancelled"),
    row("4.1.3", "answer", "dev-status", "type seq expires mac ip max-ports max-slots status",
        f"{_SAMPLES}test_a_real_device_status", f"{_ROUND}test_a_device_status_survives"),
    row("4.1.4", "push", "port-status", "port-status",
        "engine/test_status.py::test_a_pushed_state_stops_a_port_at_once_and_brings_it_back",
        f"{_STATUS}test_a_switch_answers_at_once_and_the_new_sim_registers_later"),
    row("4.1.4", "answer", "port-status", "type port seq status bal opr sn imei imsi iccid",
        f"{_SAMPLES}test_a_port_status_of_the_specification",
        f"{_ROUND}test_a_port_status_survives"),
    row("4.1.4", "code", "port", "0 1 2 3 4 5 6 7 8 9 11 12 13 14",
        "protocol/test_code_tables.py::"
        "test_every_port_code_has_words_and_only_three_can_send",
        f"{_DIALECTS}test_a_sim_without_money_stops_with_state_5"),
    # -- 5 commands
    row("5.1.1", "endpoint", "command", "/goip_send_cmd.html",
        f"{_CONSOLE}test_commands_lock_unlock_switch_and_reset_ports",
        f"{_STATUS}test_commands_answer_with_their_code"),
    row("5.1.2", "query", "command", "op",
        f"{_CONSOLE}test_parameters_are_set_read_and_saved",
        f"{_STATUS}test_a_parameter_that_was_set_is_read_back_and_drives_pushes"),
    row("5.1.2", "code", "op", "get set lock unlock switch reset save reboot multiple",
        "protocol/test_commands.py::test_a_command_is_written_as_the_specification_says",
        f"{_CONSOLE}test_several_operations_go_in_one_request"),
    row("5.1.2", "query", "parameter", "sms_url",
        "engine/test_status.py::test_a_device_is_subscribed_again_after_its_restart",
        f"{_STATUS}test_a_parameter_that_was_set_is_read_back_and_drives_pushes"),
    row("5.1.3", "body", "command", "type op ports auto_fail_sim_switch ops",
        "protocol/test_commands.py::"
        "test_switching_after_a_failed_registration_is_said_only_when_asked",
        f"{_DIALECTS}test_a_sim_that_cannot_register_is_replaced_if_that_is_switched_on"),
    row("6.4.2", "answer", "command", "code reason par_set",
        "protocol/test_commands.py::test_the_answer_to_a_command",
        f"{_CONSOLE}test_parameters_are_set_read_and_saved"),
    # -- 6 sending
    row("6.3.1.1", "endpoint", "send", "/goip_post_sms.html",
        "gateway/test_device.py::test_a_post_is_typed_by_what_is_known",
        f"{_SIM}sending.py::test_each_task_gets_its_own_verdict_under_a_top_level_200"),
    row("6.3.1.2", "query", "every request", "version username password",
        "gateway/test_device.py::"
        "test_credentials_and_version_stand_in_the_query_of_every_request",
        f"{_SIM}sending.py::test_credentials_count_in_query_or_body_and_in_any_case"),
    row("6.3.1.3", "body", "send-sms",
        "type sr_url sr_cnt sr_prd sms_url sms_cnt sms_prd task_num tasks",
        f"{_TASK}test_a_request_carries_stored_tasks_byte_for_byte",
        f"{_ROUND}test_a_device_reads_the_request_we_meant"),
    row("6.3.1.3", "body", "task",
        "tid from to sms chs coding smstype smstitle attachments smsc intvl tmo sdr fdr dr sr_prd"
        " sr_cnt",
        f"{_TASK}test_a_full_task_has_its_keys_in_one_fixed_order",
        f"{_ROUND}test_a_device_reads_the_request_we_meant"),
    row("6.3.1.4", "answer", "task-status", "code reason type status tid",
        f"{_SAMPLES}test_the_answer_to_a_post", f"{_ROUND}test_a_task_status_survives"),
    row("6.3.1.4", "code", "task", "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20",
        "protocol/test_code_tables.py::test_every_task_code_of_the_specification_has_words",
        f"{_SIM}sending.py::test_one_bad_task_does_not_spoil_the_others_of_its_request"),
    row("6.3.2", "push", "status-report", "status-report",
        "engine/test_launch.py::test_everybody_is_sent_exactly_once_and_delivered",
        f"{_SIM}reports.py::"
        "test_counters_are_cumulative_and_details_are_those_since_the_last_report"),
    row("6.3.2.3", "answer", "status-report",
        "type rpt_num rpts tid sending sent failed unsent sdr fdr",
        f"{_SAMPLES}test_a_status_report_with_both_details",
        f"{_ROUND}test_a_status_report_survives"),
    row("6.3.3", "endpoint", "pause", "/goip_pause_sms.html",
        "engine/test_steering.py::test_a_paused_campaign_stops_on_the_device_and_continues",
        f"{_QUEUE}test_pausing_a_started_task"),
    row("6.3.4", "endpoint", "resume", "/goip_resume_sms.html",
        "engine/test_steering.py::test_a_paused_campaign_stops_on_the_device_and_continues",
        f"{_QUEUE}test_a_paused_task_waits_until_it_is_resumed"),
    row("6.3.5", "endpoint", "remove", "/goip_remove_sms.html",
        "engine/test_steering.py::test_a_cancelled_campaign_takes_back_what_is_queued",
        f"{_QUEUE}test_removing_a_half_sent_task_lets_the_message_on_air_end"),
    row("6.3.3-5", "body", "tids", "tids", f"{_TASK}test_task_ids_to_pause_are_named",
        f"{_QUEUE}test_no_tids_means_every_task_and_no_results"),
    row("6.3.3-5", "answer", "tids", "code reason results tid status",
        f"{_SAMPLES}test_the_answer_to_a_pause",
        f"{_ROUND}test_an_answer_about_task_ids_survives"),
    row("6.3.6", "endpoint", "tasks", "/goip_get_tasks.html",
        f"{_CONSOLE}test_a_queue_that_moves_while_it_is_read_loses_no_task",
        f"{_QUEUE}test_only_tasks_of_which_nothing_started_are_listed"),
    row("6.3.6.2", "query", "tasks", "port pos num has_content",
        "gateway/test_device.py::"
        "test_waiting_tasks_are_read_page_by_page_until_all_are_there",
        f"{_QUEUE}test_the_list_is_paged_and_filtered_by_port_and_may_show_the_text"),
    row("6.3.6", "answer", "tasks",
        "code reason total_num task_num tasks tid from to sms chs coding state",
        f"{_LOOSE}test_a_task_list_in_either_capitals", f"{_ROUND}test_a_task_list_survives"),
    # -- 7 receiving, 8 querying
    row("7.2.3", "push", "recv-sms", "recv-sms",
        "engine/test_fetching.py::test_a_message_pushed_and_fetched_counts_once",
        f"{_SIM}inbox.py::test_the_push_buffer_waits_for_its_count_or_its_period"),
    row("7.2.3", "answer", "recv-sms", "type sms_num sms",
        f"{_LOOSE}test_an_inbound_row_of_six_or_nine", f"{_ROUND}test_inbound_messages_survive"),
    row("7.2.3", "code", "flag", "0 1", f"{_LOOSE}test_a_receipt_is_a_code_and_a_token",
        f"{_SIM}inbox.py::test_a_receipt_names_the_smsc_and_the_original_recipient"),
    row("8.2.1", "endpoint", "inbox", "/goip_get_sms.html",
        "engine/test_fetching.py::test_replies_that_no_push_brought_are_fetched_each_once",
        f"{_SIM}inbox.py::test_polling_pages_by_id_and_deletes_only_when_asked"),
    row("8.2.2", "query", "inbox", "sms_id sms_num sms_del",
        "engine/test_fetching.py::"
        "test_messages_are_deleted_on_the_device_only_once_they_are_stored",
        f"{_SIM}inbox.py::test_polling_pages_by_id_and_deletes_only_when_asked"),
    row("8.2.3", "answer", "inbox", "code reason ssrc sms_num next_sms data",
        f"{_SAMPLES}test_an_inbox_page_of_the_specification",
        f"{_ROUND}test_an_inbox_page_survives"),
    # -- 9, 10 statistics
    row("9.1.1", "endpoint", "sms statistics", "/goip_get_sms_stat.html",
        f"{_CONSOLE}test_statistics_are_selected_by_port_slot_and_type",
        f"{_STATUS}test_statistics_count_each_sim_by_period_and_in_all"),
    row("10.1.1", "endpoint", "call statistics", "/goip_get_call_stat.html",
        f"{_CONSOLE}test_statistics_are_selected_by_port_slot_and_type",
        f"{_DIALECTS}test_calls_are_counted_where_there_were_any"),
    row("9.1.2", "query", "statistics", "ports slots type",
        f"{_CONSOLE}test_statistics_are_selected_by_port_slot_and_type",
        f"{_STATUS}test_statistics_count_each_sim_by_period_and_in_all"),
    row("9.1.2", "code", "statistics type", "0 1 2 3",
        "flows/test_flow_gateway.py::"
        "test_a_device_is_operated_and_every_wrong_word_is_told",
        f"{_STATUS}test_statistics_count_each_sim_by_period_and_in_all"),
    row("9.1.3", "answer", "sms statistics",
        "code reason count stats port slot received sent sent_ok sent_failed con_failed unsent"
        " sending",
        f"{_SAMPLES}test_sms_statistics", f"{_ROUND}test_statistics_survive"),
    row("10.1.3", "answer", "call statistics",
        "code reason count stats port slot calls alerted connected con_failed nc pdd acd asr tcd"
        " act_tcd",
        f"{_SAMPLES}test_call_statistics",
        f"{_DIALECTS}test_calls_are_counted_where_there_were_any"),
    # -- what later firmware and the field add
    row("field", "code", "port", "15 16",
        "protocol/test_code_tables.py::"
        "test_every_port_code_has_words_and_only_three_can_send",
        f"{_SIM}faults.py::test_a_quarter_of_the_ports_die_half_failing_and_half_hanging"),
    row("field", "answer", "dev-status", "ver max-slot",
        f"{_LOOSE}test_the_slots_of_a_device_under_either_key",
        f"{_DIALECTS}test_later_firmware_tells_more_and_writes_ports_with_dots"),
    row("field", "answer", "port-status", "st sig",
        f"{_LOOSE}test_a_port_code_under_either_key",
        f"{_ROUND}test_later_firmware_calls_a_pushed_state_st"),
    row("field", "query", "status", "all_slots",
        f"{_CONSOLE}test_a_subscription_asks_for_every_sim_in_both_firmwares_words",
        f"{_STATUS}test_every_sim_is_listed_on_demand"),
    row("field", "code", "port notation", "1A 1.01 12.sp256.101",
        "protocol/test_port_notation.py::test_every_notation_is_read",
        f"{_DIALECTS}test_a_sim_pool_stands_in_the_ports_name"),
    row("field", "query", "parameter", "sim_number",
        f"{_CONSOLE}test_parameters_are_set_read_and_saved",
        f"{_DIALECTS}test_the_number_of_a_sim_can_be_set_and_shows_in_the_status"),
    row("field", "endpoint", "eSIMs", "/goip_get_esims.html",
        "protocol/test_old_interface.py::test_the_esims_of_a_vendor_sample",
        f"{_CONSOLE}test_ussd_and_esims_of_later_firmware"),
    row("field", "push", "older inbound push", "text form",
        "protocol/test_old_interface.py::test_a_text_behind_headers_is_a_received_sms",
        f"{_DIALECTS}test_the_older_push_is_one_text_a_message"),
    row("1.0", "endpoint", "old interface", "/goip_send_sms.html",
        f"{_CONSOLE}test_the_old_interface_sends_one_message",
        f"{_DIALECTS}test_the_old_interface_sends_each_recipient_once_and_tells_nothing_more"),
    row("1.0", "query", "old interface", "port recipients sms charset",
        "protocol/test_old_interface.py::test_a_message_is_one_query",
        f"{_DIALECTS}test_the_old_interface_refuses_by_code"),
    row("1.0", "endpoint", "USSD", "/goip_send_ussd.html",
        f"{_CONSOLE}test_ussd_and_esims_of_later_firmware",
        f"{_DIALECTS}test_ussd_tells_the_balance_that_sending_lowers"),
    row("1.0", "query", "USSD", "port ussd",
        "protocol/test_old_interface.py::test_ussd_asks_a_code_and_gets_a_text",
        f"{_DIALECTS}test_ussd_tells_the_balance_that_sending_lowers"),
)  # fmt: skip


def markdown() -> str:
    """The catalogue as the README shows it."""
    lines = ["| section | what | items | client side | device side |", "|---|---|---|---|---|"]
    for item in CATALOGUE:
        names = " ".join(f"`{name}`" for name in item.items)
        lines.append(
            f"| {item.section} | {item.kind}: {item.place} | {names} | {_shown(item.client)} |"
            f" {_shown(item.device)} |"
        )
    return "\n".join(lines)


def _shown(test: str) -> str:
    """A test's name as the sentence it is, linked to its file."""
    path, _, name = test.partition("::")
    sentence = name.removeprefix("test_").replace("_", " ")
    return f"[{sentence}](tests/{path})"
