"""The eSIM list of firmware 2.4. Reading only: writing profiles is the device's own page's work."""

from __future__ import annotations

from typing import Any

import msgspec

from campaign.protocol import rows
from campaign.protocol.codec import decode_answer
from campaign.protocol.loose import as_int, as_port, as_text, fold, items_of, load
from campaign.protocol.messages import EsimPort, EsimProfile, Esims


def decode_esims(body: bytes) -> Esims:
    """Every port's eSIM with its profiles; activation and confirmation codes are left behind."""
    answer = decode_answer(body)
    ports, odd = rows.decoded(items_of(fold(load(body)).get("ports")), _port)
    return Esims(code=answer.code, reason=answer.reason, ports=ports, odd=odd)


def _port(item: object) -> EsimPort | None:
    if type(item) is not dict or (port := as_port(item.get("port"))) is None:
        return None
    profiles, _ = rows.decoded(items_of(item.get("profiles")), _profile)
    return EsimPort(
        port=port,
        eid=as_text(item.get("eid")),
        state=as_int(item.get("esim_state")),
        profiles=profiles,
    )


def _profile(item: object) -> EsimProfile | None:
    if type(item) is not dict:
        return None
    return EsimProfile(
        slot=as_int(item.get("slot")),
        enabled=as_int(item.get("enabled")) == 1 or item.get("enabled") is True,
        iccid=as_text(item.get("iccid")),
        provider=as_text(item.get("provider")),
        status=as_int(item.get("status")),
        reason=as_text(item.get("reason")),
    )


def encode_esims(esims: Esims) -> bytes:
    """As a device writes it."""
    ports: list[dict[str, Any]] = [
        {
            "port": item.port.number,
            "eid": item.eid,
            "esim_state": item.state,
            "profiles": [_profile_fields(profile) for profile in item.profiles],
        }
        for item in esims.ports
    ]
    return msgspec.json.encode(
        {"code": esims.code, "reason": esims.reason, "count": len(ports), "ports": ports}
    )


def _profile_fields(profile: EsimProfile) -> dict[str, Any]:
    return {
        "slot": profile.slot,
        "enabled": int(profile.enabled),
        "iccid": profile.iccid,
        "provider": profile.provider,
        "status": profile.status,
        "reason": profile.reason,
    }
