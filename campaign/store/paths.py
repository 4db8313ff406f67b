"""Where a ledger and its companions lie: everything beside the database file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# sun_path holds 108 bytes on Linux and 104 on the BSDs, the closing NUL included.
_SOCKET_PATH_LIMIT = 100


@dataclass(frozen=True)
class LedgerPaths:
    """The files of one ledger. `db` is absolute from birth, so a later chdir changes nothing."""

    db: Path

    @classmethod
    def beside(cls, db: str | os.PathLike[str]) -> LedgerPaths:
        return cls(Path(db).expanduser().resolve())

    @property
    def lock(self) -> Path:
        """Held (flock) by the one engine of this ledger."""
        return self.db.with_name(self.db.name + ".lock")

    @property
    def socket(self) -> Path:
        """The engine's control socket."""
        return self.db.with_name(self.db.name + ".sock")

    @property
    def inbox(self) -> Path:
        """The receiver's own append-only database."""
        return self.db.with_name(self.db.stem + ".inbox.db")

    @property
    def inbox_lock(self) -> Path:
        """Held (flock) by the one receiver of this inbox."""
        return self.db.with_name(self.db.stem + ".inbox.db.lock")

    @property
    def receiver_log(self) -> Path:
        return self.db.with_name(self.db.stem + ".receiver.log")

    @property
    def config(self) -> Path:
        return self.db.with_name("campaign.toml")

    @property
    def secrets(self) -> Path:
        """Gateway passwords (0600), keyed by gateway name; never in the ledger itself."""
        return self.db.with_name(self.db.name + ".secrets")


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """An address for `path` that fits a Unix socket, however deep the folder lies.

    A long path is reached through an open descriptor of its folder (`/proc/self/fd/N/name`), which
    Linux resolves at bind and connect time; the descriptor lives as long as the context.
    """
    if len(os.fsencode(path)) <= _SOCKET_PATH_LIMIT:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
