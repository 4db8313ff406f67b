"""A stream that can be read once, made into a file that can be read again."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import BinaryIO


def spooled(source: Path | BinaryIO) -> Path | BinaryIO:
    """A path as it is; a stream as a temporary file, gone when it is closed. A list is looked at
    before it is read."""
    if isinstance(source, Path):
        return source
    file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - whoever reads the list closes it
    try:
        shutil.copyfileobj(source, file)
        file.seek(0, os.SEEK_SET)
    except BaseException:
        file.close()
        raise
    return file
