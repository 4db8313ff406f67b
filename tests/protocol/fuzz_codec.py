"""Coverage-guided fuzzing of every reader of the protocol, by Atheris; run by scripts/fuzz.

Whatever the bytes, a reader gives a value or raises `RemoteProtocolError`. Its arguments are those
of libFuzzer. Not a test: pytest does not collect it.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["campaign"]):
    from campaign.errors import RemoteProtocolError
    from tests.protocol.decoders import READERS

_READERS = list(READERS.values())


def one_input(data: bytes) -> None:
    """The first byte chooses a reader, 255 asks all of them."""
    if not data:
        return
    chosen = _READERS if data[0] == 255 else [_READERS[data[0] % len(_READERS)]]
    for read in chosen:
        try:
            read(data[1:])
        except RemoteProtocolError as error:
            if len(error.raw) > 200:
                raise AssertionError("an error that shows too much") from error


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
