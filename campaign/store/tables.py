"""The ledger's first tables and indexes, as SQL; what came later stands with its migration.

The CHECKs are rendered from the words of `planner.states`.
"""

from __future__ import annotations

from collections.abc import Iterable

from campaign.planner.states import (
    CampaignState,
    Evidence,
    FenceReason,
    Outcome,
    RecipientState,
    TaskState,
    UnknownCause,
)


def is_one_of(expression: str, values: Iterable[str]) -> str:
    """SQL: whether an expression is one of these words, or NULL.

    Not IN: beyond two words SQLite builds a tree of them every time a row is checked, 3 µs where
    comparisons take 0.1 (measured with 3.40).
    """
    cases = " ".join(f"WHEN '{value}' THEN 1" for value in values)
    return f"CASE {expression} {cases} ELSE {expression} IS NULL END"


_CAUSES = (*UnknownCause, "opted_out", "suppressed", "duplicate", "backoff", "quota")

TABLES = (
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
        state TEXT NOT NULL CHECK ({is_one_of("state", CampaignState)}),
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
        state TEXT NOT NULL CHECK ({is_one_of("state", RecipientState)}),
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
        state TEXT NOT NULL CHECK ({is_one_of("state", RecipientState)}),
        evidence TEXT NOT NULL DEFAULT 'none' CHECK ({is_one_of("evidence", Evidence)}),
        cause TEXT CHECK ({is_one_of("cause", _CAUSES)}),
        attempts INTEGER NOT NULL DEFAULT 0,
        failures INTEGER NOT NULL DEFAULT 0,
        due_ms INTEGER,
        avoid TEXT,                        -- 'gateway:port,…' of its proved failures, in order
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
        state TEXT NOT NULL CHECK ({is_one_of("state", TaskState)}),
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
        doubt TEXT CHECK ({is_one_of("doubt", UnknownCause)}),
        news_ms INTEGER,                   -- last word of this task from its device
        fence_ms INTEGER,
        fenced_ms INTEGER,
        fence TEXT CHECK ({is_one_of("fence", FenceReason)}),
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
        outcome TEXT CHECK ({is_one_of("outcome", Outcome)}),
        evidence TEXT NOT NULL DEFAULT 'none' CHECK ({is_one_of("evidence", Evidence)}),
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

INDEXES = (
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
