"""The whole exception tree.

Law: every error a caller is meant to catch is here, and carries what its catcher needs.

    CampaignError                    exit_code says how the command line ends
    ├── UsageError                   (2) the caller asked for something that cannot be
    ├── NothingToDo                  (4) no valid row, nothing to resume
    ├── ListError                    (1) the recipient list cannot be read
    ├── ProtocolError                bytes and values of the gateway protocol
    │   ├── LocalProtocolError       we were about to send something the protocol forbids
    │   └── RemoteProtocolError      the device sent something that is not the protocol
    ├── GatewayError                 a device could not be asked
    │   ├── NotSent                  proved: not one byte of the request reached the device
    │   ├── InDoubt                  the device may or may not have taken the request
    │   └── CredentialsRefused       (5) the device does not know us
    ├── StoreError
    │   ├── LedgerHeld               (6) another engine owns the ledger
    │   ├── StaleEpoch               another engine took over: this one must stop at once
    │   ├── OldLedger                (6) an older copy of a ledger that has sent on since
    │   └── SchemaError              the file is no ledger, or of another version
    └── EngineError                  the running engine refused or could not answer a command
"""

from __future__ import annotations

from typing import ClassVar


class CampaignError(Exception):
    """Anything this program raises on purpose. `str(error)` is fit for an operator's eyes."""

    exit_code: ClassVar[int] = 1


class UsageError(CampaignError):
    """The request itself is wrong; nothing was done."""

    exit_code = 2


class NothingToDo(CampaignError):
    """There is nothing to act on; nothing was done."""

    exit_code = 4


class ListError(CampaignError):
    """The recipient list as a whole cannot be read (single bad rows are refusals, not errors)."""


class ProtocolError(CampaignError):
    """Bytes and values that do not fit the gateway protocol."""


class LocalProtocolError(ProtocolError):
    """Our own value must not go on the wire; a mistake on this side."""


class RemoteProtocolError(ProtocolError):
    """The device's bytes cannot be understood. `raw` holds the first 200 characters."""

    def __init__(self, message: str, raw: str = "") -> None:
        super().__init__(message)
        self.raw = raw[:200]


class GatewayError(CampaignError):
    """A device could not be asked. `gateway` is its name in the registry."""

    exit_code = 5

    def __init__(self, gateway: str, message: str) -> None:
        super().__init__(f"{gateway}: {message}")
        self.gateway = gateway
        self.message = message


class NotSent(GatewayError):
    """The connection was never made, so the device cannot have the request."""


class InDoubt(GatewayError):
    """Bytes may have reached the device: ask, never blindly repeat."""


class CredentialsRefused(GatewayError):
    """The device answered that it does not know this user or password; `raw` is what it said."""

    def __init__(self, gateway: str, message: str, raw: bytes = b"") -> None:
        super().__init__(gateway, message)
        self.raw = raw


class StoreError(CampaignError):
    """The ledger, the inbox or the opt-out store could not be used."""


class LedgerHeld(StoreError):
    """Another engine holds the ledger's lock."""

    exit_code = 6


class StaleEpoch(StoreError):
    """The ledger was taken over by a later engine; nothing more may be written or sent here."""

    exit_code = 6


class OldLedger(StoreError):
    """The ledger is an older copy: whom it would send to next may have been sent to already."""

    exit_code = 6


class SchemaError(StoreError):
    """The file is not a ledger of ours, or of a later version, or waits for `db migrate`."""


class EngineError(CampaignError):
    """The running engine refused a command or did not answer it."""


def first_of(group: BaseExceptionGroup[CampaignError]) -> CampaignError:
    """The first of the errors that ended several tasks together."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, CampaignError)  # noqa: S101 - `except*` selected it
    return error
