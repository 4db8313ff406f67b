"""What a database could not do, in words that say what to look at."""

from __future__ import annotations

import sqlite3

# By the primary part of SQLite's result code; a full disk is an input/output error where it is a
# limit of the file system or of the process that was met.
_ADVICE = {
    "SQLITE_FULL": "free space on its disk",
    "SQLITE_IOERR": "its disk may be full or failing: free space there, or look at it",
    "SQLITE_READONLY": "let this user write it and its folder",
    "SQLITE_CANTOPEN": "see that its folder is there, and let this user write there",
    "SQLITE_BUSY": "another process writes it: find out which, and end it first",
    "SQLITE_CORRUPT": "its file is damaged: take a backup of it first",
}


def told(error: sqlite3.Error | OSError) -> str:
    """The error, and what to do about it where that is known."""
    name = getattr(error, "sqlite_errorname", None) or ""
    advice = next((text for code, text in _ADVICE.items() if name.startswith(code)), None)
    return f"{error} ({advice})" if advice else str(error)
