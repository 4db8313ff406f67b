"""The client's side of the wire: tasks and requests out, answers and pushes in.

Encoding is exact: the same value always gives the same bytes, compact, in UTF-8 without escapes,
and what the protocol forbids is refused with `LocalProtocolError`. Decoding is tolerant: every
`decode_*` gives a value or raises `RemoteProtocolError`, whatever the bytes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from campaign.errors import LocalProtocolError, RemoteProtocolError
from campaign.protocol import rows
from campaign.protocol.legacy_push import decode_legacy_push
from campaign.protocol.loose import (
    Json,
    as_int,
    as_text,
    excerpt,
    fold,
    is_json,
    items_of,
    leading,
    load,
)
from campaign.protocol.messages import (
    Answer,
    CallStats,
    DevStatus,
    Envelope,
    PortStatus,
    Push,
    RecvSms,
    SmsPage,
    SmsStats,
    StatusReport,
    Task,
    TaskList,
    TaskStatus,
    TidsAnswer,
    UnknownPush,
)
from campaign.protocol.ports import Notation
from campaign.protocol.submission import MAX_TID, check_envelope, check_task, task_fields

_TASK_HEAD: Final = re.compile(rb'\{"tid":([1-9][0-9]{0,9}),')


def encode_task(task: Task, notation: Notation = "letter") -> bytes:
    """One task object, ready to be stored and spliced into a request.

    Keys at their default are left out, but `sdr`, `fdr` and `dr` are always sent: the device's
    default for `sdr` is off (spec §6.3.1.3), and reports are all that we ever learn.
    """
    check_task(task)
    try:
        return msgspec.json.encode(task_fields(task, notation))
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"task {task.tid} holds text that is not Unicode") from error


def with_attachments(task: bytes, attachments: str) -> bytes:
    """An encoded MMS task with its attachments (`write_attachments`) put in as its last key."""
    if not task.endswith(b"}"):
        raise LocalProtocolError(f"not an encoded task: {task[:40]!r}")
    return b'%b,"attachments":%b}' % (task[:-1], msgspec.json.encode(attachments))


def task_digest(task: bytes) -> str:
    """SHA-256 of an encoded task: a re-post must be byte-identical."""
    return hashlib.sha256(task).hexdigest()


def encode_send_sms(envelope: Envelope, tasks: Sequence[bytes]) -> bytes:
    """A send request around task objects that stay byte for byte as they were encoded."""
    check_envelope(envelope)
    if not tasks:
        raise LocalProtocolError("a send request without tasks")
    tids: set[bytes] = set()
    for task in tasks:
        head = _TASK_HEAD.match(task)
        if head is None or not task.endswith(b"}"):
            raise LocalProtocolError(f"not an encoded task: {task[:40]!r}")
        if head[1] in tids:
            raise LocalProtocolError(f"task id {head[1].decode()} twice in a request")
        tids.add(head[1])
    request: Json = {"type": "send-sms"}
    for name in Envelope.__struct_fields__:
        value = getattr(envelope, name)
        if value is not None:
            request[name] = value
    request["task_num"] = len(tasks)
    try:
        opening = msgspec.json.encode(request)[:-1]
    except UnicodeEncodeError as error:
        raise LocalProtocolError("an address in the request is not Unicode") from error
    return b'%b,"tasks":[%b]}' % (opening, b",".join(tasks))


def encode_tids(tids: Sequence[int]) -> bytes:
    """The tasks to pause, resume or remove; never none, which to a device means all it has."""
    if not tids:
        raise LocalProtocolError("no task named: to the device that means all its tasks")
    for tid in tids:
        if type(tid) is not int or not 1 <= tid <= MAX_TID:
            raise LocalProtocolError(f"task id {tid!r} is not within 1..{MAX_TID}")
    return msgspec.json.encode({"tids": list(tids)})


def encode_all_tids() -> bytes:
    """All tasks of the device, other systems' too: only ever on somebody's explicit word."""
    return b"{}"


def decode_answer(body: bytes) -> Answer:
    """The envelope of any answer: its code and reason."""
    code, reason = _envelope(load(body), body)
    return Answer(code=code, reason=reason)


class _Coded(msgspec.Struct):
    code: int


_TOO_LARGE_A_CODE: Final = 10**9
_decode_coded: Final = msgspec.json.Decoder(_Coded).decode


def plain_code(body: bytes) -> int | None:
    """The code of an answer where it is written as an integer, read without the rest of it; None
    where only `decode_answer` can tell."""
    try:
        code = _decode_coded(body).code
    except (ValueError, RecursionError):
        return None
    return code if abs(code) < _TOO_LARGE_A_CODE else None


def decode_task_status(body: bytes) -> TaskStatus:
    """The answer to a send request. A top-level success accepts nothing by itself, and a task with
    two different verdicts has none: it is in `odd`."""
    answer = load(body)
    # A list of verdicts is an answer even when the envelope lacks its code.
    code, reason = _envelope(answer, body, missing=200 if _verdict_items(answer) else None)
    verdicts, odd = rows.decoded(_verdict_items(answer) or [], rows.verdict)
    verdicts, contradictions = rows.agreed(verdicts)
    return TaskStatus(code=code, reason=reason, verdicts=verdicts, odd=odd + contradictions)


def decode_tids_answer(body: bytes) -> TidsAnswer:
    """The answer to pause, resume or remove."""
    answer = load(body)
    items = _verdict_items(answer)
    code, reason = _envelope(answer, body, missing=200 if items else None)
    if items is None:
        return TidsAnswer(code=code, reason=reason)
    verdicts, odd = rows.decoded(items, rows.verdict)
    return TidsAnswer(code=code, reason=reason, verdicts=verdicts, odd=odd)


def _verdict_items(answer: Json) -> list[Any] | None:
    """The verdicts under either of the two keys in use; None when there is neither."""
    for key in ("status", "results"):
        if key in answer:
            return items_of(answer[key])
    return None


def decode_task_list(body: bytes) -> TaskList:
    """One page of the tasks still waiting. The array counts; `task_num` may lie."""
    answer = fold(load(body))
    code, reason = _envelope(answer, body)
    tasks, odd = rows.decoded(items_of(answer.get("tasks")), rows.queued_task)
    total = as_int(answer.get("total_num"))
    return TaskList(
        code=code,
        reason=reason,
        total=len(tasks) if total is None else total,
        tasks=tasks,
        odd=odd,
    )


def decode_sms_page(body: bytes) -> SmsPage:
    """One page of the device's inbox."""
    answer = fold(load(body))
    code, reason = _envelope(answer, body)
    messages, odd = rows.decoded(items_of(answer.get("data")), rows.received_sms)
    count = as_int(answer.get("sms_num"))
    return SmsPage(
        code=code,
        reason=reason,
        ssrc=as_text(answer.get("ssrc")),
        count=len(messages) if count is None else count,
        next_sms=as_int(answer.get("next_sms")) or 0,
        messages=messages,
        odd=odd,
    )


def decode_sms_stats(body: bytes) -> SmsStats:
    """The device's SMS counts by port and slot."""
    answer = fold(load(body))
    code, reason = _envelope(answer, body)
    stats, odd = rows.decoded(items_of(answer.get("stats")), rows.sms_stat)
    return SmsStats(code=code, reason=reason, stats=stats, odd=odd)


def decode_call_stats(body: bytes) -> CallStats:
    """The device's call counts by port and slot."""
    answer = fold(load(body))
    code, reason = _envelope(answer, body)
    stats, odd = rows.decoded(items_of(answer.get("stats")), rows.call_stat)
    return CallStats(code=code, reason=reason, stats=stats, odd=odd)


def _envelope(answer: Json, body: bytes, missing: int | None = None) -> tuple[int, str]:
    code = leading(answer.get("code"))[0]
    if code is None:
        code = missing
    if code is None:
        raise RemoteProtocolError("an answer without a code", excerpt(body))
    return code, as_text(answer.get("reason", answer.get("desc")))


def decode_dev_status(body: bytes) -> DevStatus:
    """The answer to a status query, which is a status itself.

    A device that does not know us answers an envelope instead: that is a `RemoteProtocolError`
    here, and `decode_answer` reads it.
    """
    value = load(body)
    if "status" not in value and as_text(value.get("type")).strip().lower() != "dev-status":
        raise RemoteProtocolError("the body is no device status", excerpt(body))
    return _dev_status(value)


_DEV_TEXTS: Final = ("mac", "ip", "ver")
_DEV_INTS: Final = {
    "seq": "seq",
    "expires": "expires",
    "max-ports": "max_ports",
    "max-port": "max_ports",
    "max-slots": "max_slots",
    "max-slot": "max_slots",
}


def _dev_status(value: Json) -> DevStatus:
    rest = {key: item for key, item in value.items() if key not in ("type", "status")}
    ports, odd = rows.decoded(items_of(value.get("status")), rows.port_state)
    known: dict[str, Any] = {key: as_text(rest.pop(key)) for key in _DEV_TEXTS if key in rest}
    known.update(rows.take_ints(rest, _DEV_INTS))
    notation = rows.notation_of(items_of(value.get("status")))
    return DevStatus(ports=ports, odd=odd, notation=notation, extra=rest, **known)


def decode_push(body: bytes, content_type: str = "", query: str = "") -> Push:
    """Whatever a device posts to us of its own accord, told apart by `type`.

    A body that is no JSON may be the older mechanism's (one received SMS as text or form fields).
    """
    if not is_json(body):
        legacy = decode_legacy_push(body, content_type, query)
        if legacy is not None:
            return legacy
    value = load(body)
    kind = as_text(value.get("type"))
    match kind.strip().lower():
        case "status-report":
            reports, odd = rows.decoded(items_of(value.get("rpts")), rows.task_report)
            return StatusReport(reports=reports, odd=odd)
        case "recv-sms":
            messages, odd = rows.decoded(items_of(value.get("sms")), rows.received_sms)
            return RecvSms(messages=messages, odd=odd)
        case "dev-status":
            return _dev_status(value)
        case "port-status":
            value = {key: item for key, item in value.items() if key != "type"}
            state = rows.port_state(value)
            if state is None:
                raise RemoteProtocolError("a port status without a port", excerpt(body))
            return PortStatus(state)
        case _:
            return UnknownPush(kind, body)
