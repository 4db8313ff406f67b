"""Every decoder of the protocol, found by looking: a new one cannot be forgotten."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable

from campaign import protocol
from campaign.protocol.session import Crypt, unseal
from campaign.protocol.text import unwrap_inbound

Decoder = Callable[[bytes], object]


def found() -> dict[str, Decoder]:
    """Functions `decode_*` that take a body, by module and name."""
    decoders: dict[str, Decoder] = {}
    for module in pkgutil.iter_modules(protocol.__path__):
        room = importlib.import_module(f"{protocol.__name__}.{module.name}")
        for name, function in inspect.getmembers(room, inspect.isfunction):
            if name.startswith("decode_") and function.__module__ == room.__name__:
                decoders[f"{module.name}.{name}"] = function
    return decoders


DECODERS = found()

LENIENT = {"legacy_push.decode_legacy_push"}
"""Decoders that say None where others raise: what is not theirs is somebody else's."""


def _unseal(crypt: Crypt) -> Decoder:
    return lambda body: unseal(crypt, b"0123456789abcdef" * 2, body)


READERS: dict[str, Decoder] = {
    **DECODERS,
    **{f"unseal {crypt}": _unseal(crypt) for crypt in Crypt},
    "inbound text": lambda body: unwrap_inbound(body.decode("utf-8", "replace")),
    "push with a query": lambda body: DECODERS["codec.decode_push"](b"x" + body),
}
"""Everything that meets bytes from outside."""
