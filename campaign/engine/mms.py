"""MMS: attachments are read and judged before anything is stored, and put into tasks on the wire.

A ledger holds a campaign's files once. A stored task is its object without them; what goes out is
that object with the attachments spliced in, the same bytes each time, and the digest is of those.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from campaign.errors import UsageError
from campaign.protocol.submission import (
    ATTACHMENT_KINDS,
    MAX_ATTACHMENT_BYTES,
    MAX_ATTACHMENTS,
    write_attachments,
)
from campaign.store.attachments import StoredAttachment

MOST_POST_BYTES = 1_000_000
"""A POST stays below it: devices have little memory."""

_MAGIC = {
    "jpg": (b"\xff\xd8\xff",),
    "gif": (b"GIF87a", b"GIF89a"),
    "mp3": (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"),
}
_OTHER_ENDINGS = {"jpeg": "jpg", "text": "txt"}


def read_attachments(paths: Sequence[str | Path]) -> tuple[StoredAttachment, ...]:
    """The files of an MMS (spec §6.3.1.3: at most 5, jpg, gif, txt or mp3, 100 KiB together).

    Raises `UsageError` that names the file, what it is and what is allowed.
    """
    if len(paths) > MAX_ATTACHMENTS:
        raise UsageError(
            f"{len(paths)} attachments: a gateway takes at most {MAX_ATTACHMENTS} in one MMS"
        )
    files = tuple(_read(Path(path)) for path in paths)
    wire = len(wire_text(files))
    if wire > MAX_ATTACHMENT_BYTES:
        sizes = ", ".join(f"{item.name} {len(item.content)}" for item in files)
        raise UsageError(
            f"the attachments take {wire} bytes on the wire ({sizes} before encoding): a gateway"
            f" takes {MAX_ATTACHMENT_BYTES} together, about {MAX_ATTACHMENT_BYTES * 3 // 4} bytes"
            " of files"
        )
    return files


def wire_text(files: Sequence[StoredAttachment]) -> str:
    """The attachments as a task carries them: `kind|base64;kind|base64`."""
    return write_attachments(tuple(item.wire for item in files))


def _read(path: Path) -> StoredAttachment:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_ATTACHMENT_BYTES + 1)
    except OSError as error:
        raise UsageError(f"the attachment {path} cannot be read: {error.strerror}") from error
    if not content:
        raise UsageError(f"the attachment {path} is empty")
    if len(content) > MAX_ATTACHMENT_BYTES:
        raise UsageError(
            f"the attachment {path} is longer than the {MAX_ATTACHMENT_BYTES} bytes a gateway takes"
        )
    return StoredAttachment(_kind(path, content), path.name, content)


def _kind(path: Path, content: bytes) -> str:
    """By the content; the name only tells a text from what merely looks like one."""
    ending = path.suffix.lower().removeprefix(".")
    named = _OTHER_ENDINGS.get(ending, ending)
    found = next((kind for kind, heads in _MAGIC.items() if content.startswith(heads)), None)
    if found is None and _is_text(content):
        found = "txt"
    if found is None or (named in ATTACHMENT_KINDS and named != found):
        kinds = ", ".join(ATTACHMENT_KINDS)
        what = f"named .{ending}, but it is {found}" if found else "none of them"
        raise UsageError(f"the attachment {path} is {what}: a gateway takes {kinds}")
    return found


def _is_text(content: bytes) -> bool:
    try:
        return "\0" not in content.decode("utf-8")
    except UnicodeDecodeError:
        return False
