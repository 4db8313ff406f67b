"""`campaign db migrate`: bring a ledger of an earlier version up to date, on purpose."""

from __future__ import annotations

from campaign.errors import StoreError
from campaign.service.alone import without_engine
from campaign.service.site import Site
from campaign.store.migrating import Migrated
from campaign.store.opening import open_migrated


def migrate(site: Site) -> Migrated:
    """Apply what is missing, a copy first.

    Raises `StoreError` where there is no ledger, `SchemaError` for one of a later version,
    `LedgerHeld` while an engine runs.
    """
    if not site.paths.db.exists():
        raise StoreError(f"there is no ledger at {site.paths.db}: name it with --db")
    with without_engine(site):
        conn, migrated = open_migrated(site.paths.db, site.optouts)
        conn.close()
    return migrated
