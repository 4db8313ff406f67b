"""The ground truth: what really went on air, whatever the reports say later.

One line per transmission attempt, written when the attempt ends and before anything about it is
reported. The file is opened for append, so that a restarted simulator goes on where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

from campaign.errors import UsageError


@dataclass(frozen=True, slots=True)
class Attempt:
    """One transmission attempt; all parts of a long SMS are one attempt.

    `t` is Unix seconds, `ok` says that the network took the message, `cause` is the network's
    cause when it did not and said why.
    """

    t: float
    device: str
    boot: str
    tid: int
    number: str
    port: str
    text: str
    ok: bool
    cause: int | None
    mms: int | None = None
    """How many attachments went with it; the key is there for an MMS only."""

    def line(self) -> str:
        fields = {key: getattr(self, key) for key in self.__slots__}
        if self.mms is None:
            del fields["mms"]
        return json.dumps(fields, ensure_ascii=False)


class TruthLedger:
    """Writes attempts to a file (None: nowhere) and hands each to a listener (None: nobody)."""

    def __init__(self, path: Path | None, listener: Callable[[Attempt], None] | None) -> None:
        self._file: IO[str] | None = None
        self._listener = listener
        if path is not None:
            try:
                self._file = path.open("a", encoding="utf-8")
            except OSError as error:
                raise UsageError(f"cannot write the ground truth: {error}") from error
        self.written = 0

    def write(self, attempt: Attempt) -> None:
        if self._file is not None:
            self._file.write(attempt.line() + "\n")
            self._file.flush()
        if self._listener is not None:
            self._listener(attempt)
        self.written += 1

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> TruthLedger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
