"""The handshake's answer (spec §3.2.2), both ways."""

from __future__ import annotations

import msgspec

from campaign.errors import RemoteProtocolError
from campaign.protocol.loose import Json, as_int, as_text, excerpt, fold, leading, load
from campaign.protocol.messages import SessionAnswer
from campaign.protocol.session import DEFAULT_EXPIRES


def decode_session_answer(body: bytes) -> SessionAnswer:
    """`session` is only there when `code` is 0; a refusal says why in `desc`."""
    answer = fold(load(body))
    code, _ = leading(answer.get("code"))
    session = as_text(answer.get("session"))
    if code is None or (code == 0 and not session):
        raise RemoteProtocolError("no answer to a handshake", excerpt(body))
    expires = as_int(answer.get("expires"))
    return SessionAnswer(
        code=code,
        reason=as_text(answer.get("desc", answer.get("reason"))),
        session=session,
        expires=DEFAULT_EXPIRES if expires is None or expires < 1 else expires,
    )


def encode_session_answer(answer: SessionAnswer) -> bytes:
    """As a device writes it: `desc` only with a refusal, the session only without."""
    value: Json = {"code": answer.code}
    if answer.code:
        value["desc"] = answer.reason
    else:
        value |= {"session": answer.session, "expires": answer.expires}
    return msgspec.json.encode(value)
