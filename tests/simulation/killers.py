"""Seeds that catch each mutant (`scripts/simulate --mutants` finds them anew)."""

from __future__ import annotations

KILLERS: dict[str, tuple[int, ...]] = {}
