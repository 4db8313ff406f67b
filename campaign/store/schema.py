"""The ledger's tables, as forward-only migrations.

States, and the moves between them, come from `planner.states`; the CHECKs and the triggers below
are rendered from those tables, so that a move the design does not know fails in SQL too. Times
named `*_ms` are milliseconds since 1970 UTC on our clock; `sent_at` and `delivered_at` are seconds
on the device's clock and are for display only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Final

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from campaign.planner.states import RECIPIENT_MOVES, TASK_MOVES
from campaign.store.checks import spell_out_checks
from campaign.store.tables import INDEXES, TABLES

ledger_migrations = Migrations("campaign.ledger")


_MOVES: Final[Mapping[str, Iterable[tuple[str, str]]]] = {
    "recipients": RECIPIENT_MOVES,
    "tasks": TASK_MOVES,
}


def _moves_trigger(table: str, moves: Iterable[tuple[str, str]]) -> str:
    # CASE on the old state spares one comparison per pair; NOT IN would cost more (store.checks).
    allowed: dict[str, list[str]] = {}
    for old, new in moves:
        allowed.setdefault(old, []).append(f"NEW.state <> '{new}'")
    cases = " ".join(f"WHEN '{old}' THEN {' AND '.join(new)}" for old, new in allowed.items())
    return f"""
        CREATE TRIGGER {table}_moves BEFORE UPDATE OF state ON {table}
        WHEN OLD.state <> NEW.state AND (CASE OLD.state {cases} ELSE 1 END)
        BEGIN SELECT RAISE(ABORT, 'illegal move in {table}'); END;
    """


@ledger_migrations(name="0001_ledger")
def _ledger(db: Database) -> None:
    for statement in (*TABLES, *INDEXES):
        db.execute(statement)
    for table, moves in _MOVES.items():
        db.execute(_moves_trigger(table, moves))


def render_moves(conn: sqlite3.Connection) -> None:
    """Make the triggers say what the tables of moves say now, in the caller's transaction.

    They are no schema of their own: a ledger that was made before a move was known would refuse it
    for ever.
    """
    for table, moves in _MOVES.items():
        wanted = _moves_trigger(table, moves)
        found = conn.execute(
            "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = ?", (f"{table}_moves",)
        ).fetchone()
        if found is None or _words(found[0]) != _words(wanted):
            conn.execute(f"DROP TRIGGER IF EXISTS {table}_moves")
            conn.execute(wanted)


def _words(sql: str) -> str:
    return " ".join(sql.split()).rstrip(";")


@ledger_migrations(name="0002_removed")
def _removed(db: Database) -> None:
    # 1: the device answered the fence's remove with 0. Without that word its rest may still start.
    db.execute(
        "ALTER TABLE tasks ADD COLUMN removed INTEGER NOT NULL DEFAULT 0 CHECK (removed IN (0, 1))"
    )
    # receipts are waited for from the last closed task on
    db.execute("CREATE INDEX tasks_closed ON tasks(campaign_id, closed_ms)")


@ledger_migrations(name="0003_protocol")
def _protocol(db: Database) -> None:
    for column in _GATEWAY_COLUMNS:
        db.execute(f"ALTER TABLE gateways ADD COLUMN {column}")
    # a message without a stamp was never equal to itself (NULL in UNIQUE): told once from now on
    db.execute("ALTER TABLE inbound RENAME TO inbound_before")
    for statement in _PROTOCOL_TABLES:
        db.execute(statement)
    db.execute(
        """
        INSERT OR IGNORE INTO inbound (id, gateway_id, port, iccid, at, sender, recipient, text,
                                       source, received_ms)
        SELECT id, gateway_id, port, iccid, at, sender, recipient, text, 'push', received_ms
        FROM inbound_before ORDER BY id
        """
    )
    db.execute("DROP TABLE inbound_before")


@ledger_migrations(name="0004_told")
def _told(db: Database) -> None:
    # which details reports told of a place (planner.reconcile.TOLD): 1 timeout, 2 failed, 4 sent.
    # What is inferred from counters rests on these alone, not on what receipts proved meanwhile
    db.execute(
        "ALTER TABLE attempts ADD COLUMN told INTEGER NOT NULL DEFAULT 0"
        " CHECK (told BETWEEN 0 AND 7)"
    )
    db.execute(
        """
        UPDATE attempts SET told =
            CASE WHEN evidence <> 'report' THEN 0
                WHEN outcome = 'sent' THEN 4 WHEN outcome = 'failed' THEN 2 ELSE 1 END
            -- a failure that something better overrode has left its code
            | CASE WHEN outcome <> 'sent' OR program IS NULL THEN 0
                WHEN program IN (2, 5, 7, 10) THEN 2 ELSE 1 END
        WHERE outcome IS NOT NULL AND evidence IN ('report', 'receipt', 'inferred')
        """
    )
    # a number that a device rewrote is matched without learning how it counts
    db.execute("ALTER TABLE gateways DROP COLUMN index_base")


@ledger_migrations(name="0005_scheduler")
def _scheduler(db: Database) -> None:
    for statement in _SCHEDULER:
        db.execute(statement)


@ledger_migrations(name="0006_plain_checks")
def _plain_checks(db: Database) -> None:
    spell_out_checks(db.conn)


@ledger_migrations(name="0007_contacts_of_capped_sims")
def _contacts_of_capped_sims(db: Database) -> None:
    # who wrote to a number last is told by the tasks; contacts are kept for caps on recipients only
    db.execute("DROP INDEX sim_contacts_number")


@ledger_migrations(name="0008_fewer_entries_per_task")
def _fewer_entries_per_task(db: Database) -> None:
    # an entry of a partial index is written when its condition comes true, and not again at each
    # change between: a task had thirteen writes of entries in its life, now it has seven
    for name, index in _OF_TASKS.items():
        db.execute(f"DROP INDEX {name}")
        db.execute(index)


_OF_TASKS: Final = {
    # not by its state, which changes; `closed_ms` stands exactly while it is closed
    "tasks_live": "CREATE INDEX tasks_live ON tasks(gateway_id) WHERE closed_ms IS NULL",
    "tasks_closed": """
        CREATE INDEX tasks_closed ON tasks(campaign_id, closed_ms) WHERE closed_ms IS NOT NULL
    """,
    # by time first: what ends together is written together, whichever SIM it was of. Those of a
    # SIM that live are found among all that live
    "tasks_sim": "CREATE INDEX tasks_sim ON tasks(closed_ms, sim) WHERE closed_ms IS NOT NULL",
}


_SCHEDULER = (
    # a lane: recipients of a campaign that may be sent to at the same times and places
    "ALTER TABLE recipients ADD COLUMN lane INTEGER NOT NULL DEFAULT 0",
    "DROP INDEX recipients_pending",
    # claim_due walks a lane in primary-key order
    "CREATE INDEX recipients_pending ON recipients(campaign_id, lane, id) WHERE state = 'pending'",
    """
    CREATE TABLE lanes (
        campaign_id INTEGER NOT NULL REFERENCES campaigns(id),
        lane INTEGER NOT NULL,
        zones TEXT NOT NULL DEFAULT '',    -- IANA names, comma separated; empty: the campaign's own
        route TEXT NOT NULL DEFAULT '',    -- the rule that says where they may go; empty: anywhere
        sim TEXT NOT NULL DEFAULT '',      -- the SIM that wrote to them before, where it is to stay
        PRIMARY KEY (campaign_id, lane)
    ) STRICT, WITHOUT ROWID
    """,
    "ALTER TABLE campaigns ADD COLUMN start_ms INTEGER",
    "ALTER TABLE campaigns ADD COLUMN deadline_ms INTEGER",
    "ALTER TABLE campaigns ADD COLUMN most_parts INTEGER NOT NULL DEFAULT 1",
    """
    UPDATE campaigns SET most_parts = coalesce(
        (SELECT max(parts) FROM recipients AS r WHERE r.campaign_id = campaigns.id), 1)
    """,
    # 1: the canary was judged and the rest may go
    "ALTER TABLE campaigns ADD COLUMN sampled INTEGER NOT NULL DEFAULT 0 CHECK (sampled IN (0, 1))",
    "ALTER TABLE campaigns ADD COLUMN sample_end INTEGER",  # the last recipient of the canary
    "ALTER TABLE campaigns ADD COLUMN tested INTEGER NOT NULL DEFAULT 0 CHECK (tested IN (0, 1))",
    "ALTER TABLE campaigns ADD COLUMN judged TEXT",  # JSON: final recipients judged already
    "ALTER TABLE campaigns ADD COLUMN forecast TEXT",  # JSON: what was planned when it started
    "ALTER TABLE tasks ADD COLUMN lane INTEGER NOT NULL DEFAULT 0",
    # SMS parts of all its recipients, and the SIM they are charged to
    "ALTER TABLE tasks ADD COLUMN parts INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE tasks ADD COLUMN sim TEXT",
    "ALTER TABLE tasks ADD COLUMN until_ms INTEGER",  # nothing of it may go on air from then on
    # when it was asked to pause or go on without an answer; NULL: its state is what the device says
    "ALTER TABLE tasks ADD COLUMN steered_ms INTEGER",
    "CREATE INDEX tasks_sim ON tasks(sim, closed_ms) WHERE sim IS NOT NULL",
    """
    CREATE TABLE sim_usage (
        sim TEXT NOT NULL,                 -- its ICCID, else gateway:port or gateway:port.slot
        period TEXT NOT NULL CHECK (period IN ('hour', 'day', 'month')),
        start_ms INTEGER NOT NULL,
        end_ms INTEGER NOT NULL,
        segments INTEGER NOT NULL CHECK (segments >= 0),
        recipients INTEGER NOT NULL CHECK (recipients >= 0),
        PRIMARY KEY (sim, period, start_ms)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE sim_contacts (
        sim TEXT NOT NULL,
        number TEXT NOT NULL,
        last_ms INTEGER NOT NULL,
        PRIMARY KEY (sim, number)
    ) STRICT, WITHOUT ROWID
    """,
    # what is in flight, however many campaigns there once were
    "CREATE INDEX tallies_assigned ON tallies(n) WHERE state = 'assigned' AND n > 0",
    # which SIM wrote to a number last
    "CREATE INDEX sim_contacts_number ON sim_contacts(number, last_ms)",
    """
    CREATE TABLE limit_changes (
        id INTEGER PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        campaign_id INTEGER,
        gateway_id INTEGER,
        limits TEXT NOT NULL               -- JSON: those in force from then on
    ) STRICT
    """,
    """
    CREATE TABLE blocked (
        number TEXT NOT NULL,
        list TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        PRIMARY KEY (number, list)
    ) STRICT, WITHOUT ROWID
    """,
)

_GATEWAY_COLUMNS = (
    "subscription TEXT",  # what the operator subscribed it to: JSON, NULL for nothing
    "subscribed_boot TEXT",  # the run of the device that was last told so,
    "subscribed_url TEXT",  # and where it was told to push to
    "status_seq INTEGER",  # of its last dev-status: one that falls tells of a restart
    "device TEXT NOT NULL DEFAULT '{}'",  # what it says of itself: JSON
    "sms_ssrc TEXT",  # the inbox cursor, valid only with the run it was read in
    "sms_next INTEGER",
)

_SIM_FACTS = """
    code INTEGER,
    status TEXT NOT NULL DEFAULT '',
    operator TEXT NOT NULL DEFAULT '',
    number TEXT NOT NULL DEFAULT '',
    iccid TEXT NOT NULL DEFAULT '',
    imsi TEXT NOT NULL DEFAULT '',
    imei TEXT NOT NULL DEFAULT '',
    balance TEXT NOT NULL DEFAULT '',
    signal INTEGER
"""


def _samples(table: str, counts: Iterable[str]) -> str:
    return f"""
    CREATE TABLE {table} (
        id INTEGER PRIMARY KEY,
        gateway_id INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        boot_id TEXT NOT NULL,
        period INTEGER NOT NULL,           -- 0 last hour, 1 last two hours, 2 today, 3 in all
        port INTEGER NOT NULL,
        slot INTEGER,
        {", ".join(f"{name} NOT NULL" for name in counts)}
    ) STRICT
    """


_PROTOCOL_TABLES = (
    f"""
    CREATE TABLE sims (
        gateway_id INTEGER NOT NULL REFERENCES gateways(id),
        port INTEGER NOT NULL,
        pool TEXT NOT NULL DEFAULT '',
        slot INTEGER NOT NULL,             -- 0: not told
        {_SIM_FACTS},
        seq INTEGER,
        extra TEXT NOT NULL DEFAULT '{{}}',
        seen_ms INTEGER NOT NULL,
        changed_ms INTEGER NOT NULL,
        PRIMARY KEY (gateway_id, port, pool, slot)
    ) STRICT, WITHOUT ROWID
    """,
    f"""
    CREATE TABLE sim_history (
        id INTEGER PRIMARY KEY,
        gateway_id INTEGER NOT NULL,
        port INTEGER NOT NULL,
        pool TEXT NOT NULL DEFAULT '',
        slot INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        boot_id TEXT,
        source TEXT NOT NULL CHECK (source IN ('push', 'poll')),
        {_SIM_FACTS}
    ) STRICT
    """,
    "CREATE INDEX sim_history_port ON sim_history(gateway_id, port, at_ms)",
    _samples(
        "sms_samples",
        [
            f"{name} INTEGER"
            for name in (
                "received",
                "sent",
                "sent_ok",
                "sent_failed",
                "con_failed",
                "unsent",
                "sending",
            )
        ],
    ),
    _samples(
        "call_samples",
        [
            "calls INTEGER",
            "alerted INTEGER",
            "connected INTEGER",
            "con_failed INTEGER",
            "nc TEXT",
            "pdd INTEGER",
            "acd INTEGER",
            "asr INTEGER",
            "tcd INTEGER",
            "act_tcd INTEGER",
        ],
    ),
    "CREATE INDEX sms_samples_at ON sms_samples(gateway_id, at_ms)",
    "CREATE INDEX call_samples_at ON call_samples(gateway_id, at_ms)",
    """
    CREATE TABLE attachments (
        campaign_id INTEGER NOT NULL REFERENCES campaigns(id),
        ord INTEGER NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('jpg', 'gif', 'txt', 'mp3')),
        name TEXT NOT NULL,
        content BLOB NOT NULL,
        PRIMARY KEY (campaign_id, ord)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE inbound (
        id INTEGER PRIMARY KEY,
        gateway_id INTEGER NOT NULL,
        port TEXT NOT NULL,                -- 1.01, or 1 where no slot is told
        iccid TEXT NOT NULL DEFAULT '',
        at INTEGER,
        sender TEXT NOT NULL,
        recipient TEXT NOT NULL,
        text TEXT NOT NULL,
        source TEXT NOT NULL CHECK (source IN ('push', 'poll')),
        received_ms INTEGER NOT NULL,
        opted_out INTEGER NOT NULL DEFAULT 0 CHECK (opted_out IN (0, 1))
    ) STRICT
    """,
    # the SIM is its place: a push may not tell the ICCID where a query does
    """
    CREATE UNIQUE INDEX inbound_once ON inbound
        (gateway_id, port, coalesce(at, -1), sender, text)
    """,
    "CREATE INDEX inbound_received ON inbound(received_ms)",
)
