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

from campaign.planner.states import (
    RECIPIENT_MOVES,
    TASK_MOVES,
    CampaignState,
    Evidence,
    FenceReason,
    Outcome,
    RecipientState,
    TaskState,
    UnknownCause,
)

ledger_migrations = Migrations("campaign.ledger")


def _one_of(values: Iterable[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)


_MOVES: Final[Mapping[str, Iterable[tuple[str, str]]]] = {
    "recipients": RECIPIENT_MOVES,
    "tasks": TASK_MOVES,
}


def _moves_trigger(table: str, moves: Iterable[tuple[str, str]]) -> str:
    # CASE on the old state keeps the check at two comparisons instead of one per pair.
    allowed: dict[str, list[str]] = {}
    for old, new in moves:
        allowed.setdefault(old, []).append(new)
    cases = " ".join(
        f"WHEN '{old}' THEN NEW.state NOT IN ({_one_of(new)})" for old, new in allowed.items()
    )
    return f"""
        CREATE TRIGGER {table}_moves BEFORE UPDATE OF state ON {table}
        WHEN OLD.state <> NEW.state AND (CASE OLD.state {cases} ELSE 1 END)
        BEGIN SELECT RAISE(ABORT, 'illegal move in {table}'); END;
    """


@ledger_migrations(name="0001_ledger")
def _ledger(db: Database) -> None:
    for statement in (*_TABLES, *_INDEXES):
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

_TABLES = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    """
    CREATE TABLE gateways (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        url TEXT NOT NULL,
        username TEXT NOT NULL,
        secret TEXT NOT NULL,              -- env:NAME, file:PATH or stored: where the password is
        crypt TEXT CHECK (crypt IN ('none', 'xor', 'rc4', 'aes-ecb')),
        auth_order TEXT NOT NULL DEFAULT 'spec' CHECK (auth_order IN ('spec', 'seq-first')),
        ca_file TEXT,
        token TEXT NOT NULL UNIQUE,        -- the path its pushes come in by
        old_token TEXT,                    -- valid until its last task is closed
        settings TEXT NOT NULL DEFAULT '{}',
        boot_id TEXT,
        index_base INTEGER CHECK (index_base IN (0, 1)),
        stopped TEXT,                      -- an alarm's reason; nothing is sent there while set
        simulated TEXT,                    -- how to start it again, for simulated gateways
        created_ms INTEGER NOT NULL,
        removed_ms INTEGER
    ) STRICT
    """,
    """
    CREATE TABLE ports (
        gateway_id INTEGER NOT NULL REFERENCES gateways(id),
        port INTEGER NOT NULL CHECK (port >= 1),
        slot INTEGER,
        code INTEGER,
        status TEXT NOT NULL DEFAULT '',
        operator TEXT NOT NULL DEFAULT '',
        number TEXT NOT NULL DEFAULT '',
        iccid TEXT NOT NULL DEFAULT '',
        imsi TEXT NOT NULL DEFAULT '',
        imei TEXT NOT NULL DEFAULT '',
        balance TEXT NOT NULL DEFAULT '',
        signal INTEGER,
        seen_ms INTEGER NOT NULL,
        stat_boot TEXT,                    -- type-3 counters of the device when this run began
        stat_sent INTEGER,
        stat_failed INTEGER,
        stat_after_task INTEGER,           -- tasks with a higher id are counted since then
        PRIMARY KEY (gateway_id, port)
    ) STRICT, WITHOUT ROWID
    """,
    f"""
    CREATE TABLE campaigns (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        state TEXT NOT NULL CHECK (state IN ({_one_of(CampaignState)})),
        waiting_for TEXT,
        list_name TEXT NOT NULL,
        message TEXT NOT NULL,
        columns TEXT NOT NULL DEFAULT '[]',
        options TEXT NOT NULL,
        fingerprint TEXT,
        refused INTEGER NOT NULL DEFAULT 0,
        created_ms INTEGER NOT NULL,
        started_ms INTEGER,
        finished_ms INTEGER
    ) STRICT
    """,
    f"""
    CREATE TABLE tallies (
        campaign_id INTEGER NOT NULL REFERENCES campaigns(id),
        state TEXT NOT NULL CHECK (state IN ({_one_of(RecipientState)})),
        n INTEGER NOT NULL CHECK (n >= 0),
        PRIMARY KEY (campaign_id, state)
    ) STRICT, WITHOUT ROWID
    """,
    f"""
    CREATE TABLE recipients (
        id INTEGER PRIMARY KEY,
        campaign_id INTEGER NOT NULL REFERENCES campaigns(id),
        row INTEGER NOT NULL,
        number TEXT NOT NULL CHECK (number NOT GLOB '*[^0-9]*' AND length(number) >= 3),
        text TEXT,                         -- NULL: the campaign's constant message
        columns TEXT,                      -- the list's own columns, a JSON array, or NULL
        parts INTEGER NOT NULL DEFAULT 1,
        state TEXT NOT NULL CHECK (state IN ({_one_of(RecipientState)})),
        evidence TEXT NOT NULL DEFAULT 'none' CHECK (evidence IN ({_one_of(Evidence)})),
        cause TEXT CHECK (cause IN ({_one_of(UnknownCause)}, 'opted_out', 'suppressed', 'duplicate',
                                    'backoff', 'quota')),
        attempts INTEGER NOT NULL DEFAULT 0,
        failures INTEGER NOT NULL DEFAULT 0,
        due_ms INTEGER,
        avoid TEXT,                        -- 'gateway:port' of the last proved failure
        gateway_id INTEGER,
        port TEXT,
        iccid TEXT,
        tid INTEGER,
        sent_at INTEGER,
        delivered_at INTEGER,
        code INTEGER,
        reason TEXT,
        CHECK ((state = 'held') = (due_ms IS NOT NULL)),
        CHECK (state <> 'unknown' OR cause IS NOT NULL)
    ) STRICT
    """,
    """
    CREATE TABLE refusals (
        campaign_id INTEGER NOT NULL REFERENCES campaigns(id),
        row INTEGER NOT NULL,
        raw TEXT NOT NULL,
        code TEXT NOT NULL,
        reason TEXT NOT NULL
    ) STRICT
    """,
    f"""
    CREATE TABLE tasks (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        campaign_id INTEGER NOT NULL REFERENCES campaigns(id),
        gateway_id INTEGER NOT NULL REFERENCES gateways(id),
        tid INTEGER NOT NULL CHECK (tid BETWEEN 1 AND 2147483647),
        port INTEGER,
        state TEXT NOT NULL CHECK (state IN ({_one_of(TaskState)})),
        size INTEGER NOT NULL CHECK (size >= 1),
        body BLOB NOT NULL,                -- the task object, byte for byte as posted
        sha256 TEXT NOT NULL,
        boot_id TEXT,
        epoch INTEGER NOT NULL,
        post_id INTEGER NOT NULL,          -- tasks of one POST share it: doubt is swept per POST
        posts INTEGER NOT NULL DEFAULT 0,
        created_ms INTEGER NOT NULL,
        intent_ms INTEGER,
        accepted_ms INTEGER,
        doubt_ms INTEGER,
        doubt TEXT CHECK (doubt IN ({_one_of(UnknownCause)})),
        news_ms INTEGER,                   -- last word of this task from its device
        fence_ms INTEGER,
        fenced_ms INTEGER,
        fence TEXT CHECK (fence IN ({_one_of(FenceReason)})),
        closed_ms INTEGER,
        shown_waiting INTEGER NOT NULL DEFAULT 0,  -- paused, listed as waiting, then removed
        verdict TEXT,                      -- why it was closed
        c_sending INTEGER, c_sent INTEGER, c_failed INTEGER, c_unsent INTEGER,
        CHECK (state IN ('planned', 'closed') OR intent_ms IS NOT NULL),
        CHECK ((state = 'closed') = (closed_ms IS NOT NULL)),
        CHECK (state NOT IN ('fencing', 'fenced') OR fence IS NOT NULL)
    ) STRICT
    """,
    f"""
    CREATE TABLE attempts (
        task_id INTEGER NOT NULL REFERENCES tasks(id),
        idx INTEGER NOT NULL CHECK (idx >= 1),
        recipient_id INTEGER NOT NULL REFERENCES recipients(id),
        live INTEGER NOT NULL CHECK (live IN (0, 1)),
        outcome TEXT CHECK (outcome IN ({_one_of(Outcome)})),
        evidence TEXT NOT NULL DEFAULT 'none' CHECK (evidence IN ({_one_of(Evidence)})),
        port TEXT,
        at INTEGER,
        program INTEGER,
        network INTEGER,
        reason TEXT,
        receipts INTEGER NOT NULL DEFAULT 0,
        receipt INTEGER,                   -- the final receipt's code
        PRIMARY KEY (task_id, idx)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE receipts (
        id INTEGER PRIMARY KEY,
        gateway_id INTEGER NOT NULL,
        port INTEGER,
        number TEXT NOT NULL,
        at INTEGER,
        code INTEGER NOT NULL,
        ordinal INTEGER NOT NULL DEFAULT 1,  -- of equal rows in one push: one per part of an SMS
        received_ms INTEGER NOT NULL,
        task_id INTEGER,
        idx INTEGER
    ) STRICT
    """,
    """
    CREATE TABLE inbound (
        id INTEGER PRIMARY KEY,
        gateway_id INTEGER NOT NULL,
        port TEXT NOT NULL,
        iccid TEXT NOT NULL DEFAULT '',
        at INTEGER,
        sender TEXT NOT NULL,
        recipient TEXT NOT NULL,
        text TEXT NOT NULL,
        received_ms INTEGER NOT NULL,
        UNIQUE (gateway_id, port, iccid, at, sender, text)
    ) STRICT
    """,
    """
    CREATE TABLE decisions (
        id INTEGER PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        kind TEXT NOT NULL,
        campaign_id INTEGER,
        gateway_id INTEGER,
        task_id INTEGER,
        recipient_id INTEGER,
        why TEXT NOT NULL,
        by TEXT NOT NULL DEFAULT 'engine'
    ) STRICT
    """,
    """
    CREATE TABLE incidents (
        id INTEGER PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        kind TEXT NOT NULL
            CHECK (kind IN ('duplicate', 'anomaly', 'opted_out_in_flight', 'orphan')),
        campaign_id INTEGER,
        gateway_id INTEGER,
        task_id INTEGER,
        recipient_id INTEGER,
        detail TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE evidence (
        id INTEGER PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        gateway_id INTEGER NOT NULL,
        kind TEXT NOT NULL,                -- post, repost, tasks, pause, remove, boot, stat
        asked TEXT NOT NULL,
        answer BLOB NOT NULL
    ) STRICT
    """,
)

_INDEXES = (
    "CREATE UNIQUE INDEX gateways_name ON gateways(name) WHERE removed_ms IS NULL",
    # a number once per campaign; also finds a number's rows for receipts and opt-outs
    "CREATE UNIQUE INDEX recipients_number ON recipients(number, campaign_id)",
    # claim_due walks these in primary-key order
    "CREATE INDEX recipients_pending ON recipients(campaign_id, id) WHERE state = 'pending'",
    "CREATE INDEX recipients_held ON recipients(campaign_id, due_ms) WHERE state = 'held'",
    "CREATE INDEX recipients_campaign ON recipients(campaign_id, id)",
    "CREATE INDEX refusals_campaign ON refusals(campaign_id, row)",
    "CREATE INDEX tasks_tid ON tasks(gateway_id, tid)",
    "CREATE INDEX tasks_live ON tasks(gateway_id, state) WHERE state <> 'closed'",
    "CREATE INDEX tasks_campaign ON tasks(campaign_id, id)",
    # the law: exactly one live attempt per recipient
    "CREATE UNIQUE INDEX attempts_live ON attempts(recipient_id) WHERE live = 1",
    "CREATE INDEX attempts_recipient ON attempts(recipient_id)",
    # a receipt once, however often it is pushed or polled (NULLs would be distinct)
    """
    CREATE UNIQUE INDEX receipts_once ON receipts
        (gateway_id, coalesce(port, -1), number, coalesce(at, -1), code, ordinal)
    """,
    "CREATE INDEX receipts_parked ON receipts(gateway_id, number) WHERE task_id IS NULL",
    "CREATE INDEX decisions_campaign ON decisions(campaign_id)",
    "CREATE INDEX incidents_campaign ON incidents(campaign_id, kind)",
)
