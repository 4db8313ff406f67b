"""Tasks between intent and closing: answers, doubt, fences, and what lives on a device."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from campaign.planner.states import FenceReason, RecipientState, TaskState, UnknownCause
from campaign.protocol.device_codec import decode_send_sms
from campaign.store.claims import close, release
from campaign.store.journal import Tally, decide, incident
from campaign.store.suppression import UNWANTED
from campaign.store.unproved import back_to_unknown, is_unproved


@dataclass(frozen=True)
class TaskRow:
    """One task; times are milliseconds since 1970 UTC on our clock."""

    id: int
    campaign_id: int
    gateway_id: int
    tid: int
    port: int
    state: TaskState
    size: int
    boot_id: str | None
    post_id: int
    posts: int
    intent_ms: int | None
    accepted_ms: int | None
    doubt_ms: int | None
    doubt: UnknownCause | None
    news_ms: int | None
    fence_ms: int | None
    fenced_ms: int | None
    fence: FenceReason | None
    shown_waiting: int
    removed: int
    lane: int
    until_ms: int | None
    """Nothing of it may go on air from then on: the close of its window when it was claimed or
    last resumed."""
    steered_ms: int | None
    """When its device was asked to pause or resume it and did not say that it did: that may be
    carried out yet. None: what was asked was answered."""
    open: int
    """Attempts of it without an outcome."""


_SELECT = """
    SELECT t.id, t.campaign_id, t.gateway_id, t.tid, t.port, t.state, t.size, t.boot_id, t.post_id,
        t.posts, t.intent_ms, t.accepted_ms, t.doubt_ms, t.doubt, t.news_ms, t.fence_ms,
        t.fenced_ms, t.fence, t.shown_waiting, t.removed, t.lane, t.until_ms,
        t.steered_ms,
        (SELECT count(*) FROM attempts AS a WHERE a.task_id = t.id AND a.live = 1) AS open
    FROM tasks AS t
"""


def _task(row: sqlite3.Row) -> TaskRow:
    values = dict(row)
    return TaskRow(
        **{
            **values,
            "state": TaskState(values["state"]),
            "doubt": UnknownCause(values["doubt"]) if values["doubt"] else None,
            "fence": FenceReason(values["fence"]) if values["fence"] else None,
        }
    )


def live_tasks(
    conn: sqlite3.Connection, gateway_id: int, states: Sequence[TaskState] | None = None
) -> list[TaskRow]:
    """Tasks of a device that are not closed (index tasks_live), oldest first."""
    rows = conn.execute(
        _SELECT + "WHERE t.gateway_id = ? AND t.closed_ms IS NULL ORDER BY t.id", (gateway_id,)
    )
    tasks = [_task(row) for row in rows]
    return tasks if states is None else [task for task in tasks if task.state in states]


def get_tasks(conn: sqlite3.Connection, task_ids: Sequence[int]) -> list[TaskRow]:
    marks = ", ".join("?" * len(task_ids))
    rows = conn.execute(_SELECT + f"WHERE t.id IN ({marks}) ORDER BY t.id", list(task_ids))
    return [_task(row) for row in rows]


def any_live_task(conn: sqlite3.Connection) -> bool:
    return (
        conn.execute("SELECT 1 FROM tasks WHERE closed_ms IS NULL LIMIT 1").fetchone() is not None
    )


def gateways_in_use(conn: sqlite3.Connection, campaign_id: int) -> set[int]:
    """Devices on which tasks of a campaign live (few live at a time: index tasks_live)."""
    rows = conn.execute(
        # by itself SQLite walks over all of the campaign that are closed
        """
        SELECT DISTINCT gateway_id FROM tasks INDEXED BY tasks_live
        WHERE campaign_id = ? AND closed_ms IS NULL
        """,
        (campaign_id,),
    )
    return {row["gateway_id"] for row in rows}


def last_closed(conn: sqlite3.Connection, campaign_id: int) -> int | None:
    """When the latest task of a campaign was closed: receipts are waited for from then on."""
    row = conn.execute(
        "SELECT max(closed_ms) FROM tasks WHERE campaign_id = ? AND closed_ms IS NOT NULL",
        (campaign_id,),
    ).fetchone()
    return None if row[0] is None else int(row[0])


def outstanding(conn: sqlite3.Connection, gateway_id: int) -> dict[int, int]:
    """Messages in flight by port."""
    rows = conn.execute(
        """
        SELECT t.port, count(*) FROM tasks AS t JOIN attempts AS a ON a.task_id = t.id
        WHERE t.gateway_id = ? AND t.closed_ms IS NULL AND a.live = 1 GROUP BY t.port
        """,
        (gateway_id,),
    )
    return dict(rows.fetchall())


def in_flight_by_gateway(conn: sqlite3.Connection) -> dict[int, int]:
    """Messages in flight by device (index tasks_live)."""
    rows = conn.execute(
        """
        SELECT t.gateway_id, count(*) FROM tasks AS t JOIN attempts AS a ON a.task_id = t.id
        WHERE t.closed_ms IS NULL AND a.live = 1 GROUP BY t.gateway_id
        """
    )
    return dict(rows.fetchall())


def owners(conn: sqlite3.Connection, gateway_id: int, tids: Sequence[int]) -> dict[int, str]:
    """The campaign of each tid that is an unfinished task of ours on this gateway."""
    found: dict[int, str] = {}
    for tid in tids:
        row = conn.execute(
            """
            SELECT c.name FROM tasks AS t JOIN campaigns AS c ON c.id = t.campaign_id
            WHERE t.gateway_id = ? AND t.tid = ? AND t.closed_ms IS NULL
            """,
            (gateway_id, tid),
        ).fetchone()
        if row is not None:
            found[tid] = row["name"]
    return found


def task_objects(conn: sqlite3.Connection, task_ids: Sequence[int]) -> list[tuple[int, bytes]]:
    """(campaign id, stored task object) of each, for a byte-identical re-post."""
    marks = ", ".join("?" * len(task_ids))
    rows = conn.execute(
        f"SELECT campaign_id, body FROM tasks WHERE id IN ({marks}) ORDER BY id", list(task_ids)
    )
    return [(row["campaign_id"], row["body"]) for row in rows]


def mark_accepted(conn: sqlite3.Connection, task_ids: Sequence[int], now_ms: int) -> None:
    """intent or doubt -> accepted; collisions stay in doubt, whatever seems to confirm them."""
    conn.executemany(
        """
        UPDATE tasks SET state = 'accepted', accepted_ms = ?, news_ms = ?, doubt = NULL
        WHERE id BETWEEN ? AND ? AND state IN ('intent', 'doubt') AND doubt IS NOT 'collision'
        """,
        [(now_ms, now_ms, first, last) for first, last in _runs(task_ids)],
    )


def _runs(ids: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of those that follow one another: the tasks of a post mostly do."""
    for _, run in groupby(enumerate(sorted(ids)), key=lambda numbered: numbered[1] - numbered[0]):
        members = [task_id for _, task_id in run]
        yield members[0], members[-1]


def mark_collided_ours(
    conn: sqlite3.Connection, task_id: int, now_ms: int, to: Sequence[str], sms: str | None
) -> bool:
    """doubt(collision) -> accepted, if the listed task has our very recipients and text."""
    (body,) = conn.execute("SELECT body FROM tasks WHERE id = ?", (task_id,)).fetchone()
    (ours,) = decode_send_sms(b'{"tasks":[%s]}' % body).tasks
    digits = [number.lstrip("+") for number in to]
    if sms != ours.sms or digits != [number.lstrip("+") for number in ours.to]:
        return False
    conn.execute(
        """
        UPDATE tasks SET state = 'accepted', accepted_ms = ?, news_ms = ?, doubt = NULL
        WHERE id = ? AND state = 'doubt'
        """,
        (now_ms, now_ms, task_id),
    )
    return True


def mark_doubt(
    conn: sqlite3.Connection, task_ids: Sequence[int], now_ms: int, cause: UnknownCause
) -> None:
    """intent -> doubt: the device may have it."""
    conn.executemany(
        """
        UPDATE tasks SET state = 'doubt', doubt = ?, doubt_ms = ?
        WHERE id = ? AND state = 'intent'
        """,
        [(cause, now_ms, task_id) for task_id in task_ids],
    )


def mark_planned(conn: sqlite3.Connection, task_ids: Sequence[int]) -> None:
    """intent -> planned: nothing was on the wire; the same tid goes out later."""
    conn.executemany(
        """
        UPDATE tasks SET state = 'planned', posts = posts - 1
        WHERE id = ? AND state = 'intent' AND posts = 1
        """,
        [(task_id,) for task_id in task_ids],
    )


def mark_reposted(
    conn: sqlite3.Connection, task_ids: Sequence[int], now_ms: int, why: str
) -> list[int]:
    """Doubtful tasks are about to be offered again, byte for byte.

    Returns those that may be: a report, a fence or an opt-out may have come since they were read.
    """
    unwanted = no_longer_wanted(conn, task_ids)
    offered: list[int] = []
    for task_id in task_ids:
        changed = conn.execute(
            """
            UPDATE tasks SET posts = posts + 1, doubt_ms = ?
            WHERE id = ? AND state = 'doubt' AND doubt IS NOT 'collision' AND ?
            """,
            (now_ms, task_id, task_id not in unwanted),
        ).rowcount
        if changed:
            offered.append(task_id)
            decide(conn, now_ms, "repost", why, task_id=task_id)
    return offered


def mark_news(conn: sqlite3.Connection, task_ids: Sequence[int], now_ms: int) -> None:
    conn.executemany(
        "UPDATE tasks SET news_ms = ? WHERE id = ? AND state <> 'closed'",
        [(now_ms, task_id) for task_id in task_ids],
    )


def mark_paused(conn: sqlite3.Connection, task_ids: Sequence[int]) -> None:
    conn.executemany(
        "UPDATE tasks SET state = 'paused' WHERE id = ? AND state = 'accepted'",
        [(task_id,) for task_id in task_ids],
    )


def mark_resumed(conn: sqlite3.Connection, task_ids: Sequence[int], now_ms: int) -> None:
    conn.executemany(
        "UPDATE tasks SET state = 'accepted', news_ms = ? WHERE id = ? AND state = 'paused'",
        [(now_ms, task_id) for task_id in task_ids],
    )


def move_until(conn: sqlite3.Connection, until: Iterable[tuple[int, int | None]]) -> None:
    """(task id, when its window closes now, in ms): it was resumed in another one."""
    conn.executemany(
        "UPDATE tasks SET until_ms = ? WHERE id = ?", [(at, task_id) for task_id, at in until]
    )


def start_fence(
    conn: sqlite3.Connection,
    task_ids: Sequence[int],
    now_ms: int,
    reason: FenceReason,
    why: str,
    *,
    only: Collection[TaskState] = (TaskState.ACCEPTED, TaskState.PAUSED, TaskState.DOUBT),
) -> None:
    """accepted, paused or doubt -> fencing: the task is to be taken back.

    `only`: while it is in one of these states. Never a collided one: under its tid the device
    holds somebody else's task.
    """
    states = ", ".join(f"'{state}'" for state in only)
    for task_id in task_ids:
        changed = conn.execute(
            f"""
            UPDATE tasks SET state = 'fencing', fence = ?, fence_ms = ?
            WHERE id = ? AND state IN ({states}) AND doubt IS NOT 'collision'
            """,
            (reason, now_ms, task_id),
        ).rowcount
        if changed:
            decide(conn, now_ms, "fence", why, task_id=task_id)


def mark_fenced(conn: sqlite3.Connection, task_ids: Sequence[int], now_ms: int) -> None:
    """fencing -> fenced: remove was answered; a report horizon begins."""
    conn.executemany(
        "UPDATE tasks SET state = 'fenced', fenced_ms = ? WHERE id = ? AND state = 'fencing'",
        [(now_ms, task_id) for task_id in task_ids],
    )


def mark_shown_waiting(conn: sqlite3.Connection, task_ids: Sequence[int]) -> None:
    """It was paused, then listed as waiting, then removed: none of it had started."""
    conn.executemany(
        "UPDATE tasks SET shown_waiting = 1 WHERE id = ?", [(task_id,) for task_id in task_ids]
    )


def mark_removed(conn: sqlite3.Connection, task_ids: Sequence[int]) -> None:
    """Its device answered the remove with 0: no proof, but without it there can be none."""
    conn.executemany("UPDATE tasks SET removed = 1 WHERE id = ?", [(id_,) for id_ in task_ids])


def adopt_boot(conn: sqlite3.Connection, task_ids: Sequence[int], boot_id: str) -> None:
    """A restarted device still lists these tasks: its queue survived, and they live on."""
    conn.executemany(
        "UPDATE tasks SET boot_id = ? WHERE id = ?", [(boot_id, task_id) for task_id in task_ids]
    )


def reject(
    conn: sqlite3.Connection, task_id: int, now_ms: int, code: int, reason: str, *, fail: bool
) -> None:
    """intent -> closed: the device refused the task by a code.

    `fail`: the content itself is refused and its recipients fail; otherwise they wait again. After
    a report the refusal is an anomaly and changes nothing: the device did take the task.
    """
    task = get_tasks(conn, [task_id])[0]
    if task.state is not TaskState.INTENT:
        incident(
            conn, now_ms, "anomaly", f"refused by code {code} while it was {task.state}",
            campaign_id=task.campaign_id, gateway_id=task.gateway_id, task_id=task_id,
        )  # fmt: skip
        return
    if not fail:
        release(conn, task_id, now_ms, f"refused: {reason}")
        return
    tally = Tally()
    rows = conn.execute(
        "SELECT recipient_id FROM attempts WHERE task_id = ? AND live = 1 ORDER BY recipient_id",
        (task_id,),
    ).fetchall()
    ids = [row["recipient_id"] for row in rows]
    unproved = [id_ for id_ in ids if is_unproved(conn, id_)]
    conn.execute(
        """
        UPDATE attempts SET live = 0, outcome = 'failed', evidence = 'accepted', program = ?,
            reason = ? WHERE task_id = ? AND live = 1
        """,
        (code, reason, task_id),
    )
    conn.executemany(
        """
        UPDATE recipients SET state = 'failed', evidence = 'report', code = ?, reason = ?,
            failures = failures + 1 WHERE id = ?
        """,
        [(code, reason, id_) for id_ in ids if id_ not in unproved],
    )
    back_to_unknown(conn, unproved, f"refused by code {code}: {reason}")
    failed = len(ids) - len(unproved)
    tally.moved(task.campaign_id, RecipientState.ASSIGNED, RecipientState.FAILED, failed)
    tally.moved(task.campaign_id, RecipientState.ASSIGNED, RecipientState.UNKNOWN, len(unproved))
    tally.store(conn)
    close(conn, task_id, now_ms, f"refused by code {code}: {reason}")


def tasks_of_unwanted(conn: sqlite3.Connection, gateway_id: int) -> list[int]:
    """Accepted tasks that still hold a number which has opted out or was blocked."""
    rows = conn.execute(
        f"""
        SELECT DISTINCT t.id FROM tasks AS t
        JOIN attempts AS a ON a.task_id = t.id AND a.live = 1
        JOIN recipients AS r ON r.id = a.recipient_id
        WHERE t.gateway_id = ? AND t.state IN ('accepted', 'paused')
            AND t.closed_ms IS NULL -- said for the index tasks_live
            AND {UNWANTED} IS NOT NULL
        ORDER BY t.id
        """,
        (gateway_id,),
    )
    return [row["id"] for row in rows]


def no_longer_wanted(conn: sqlite3.Connection, task_ids: Sequence[int]) -> set[int]:
    """Tasks among these that must not be offered again: their campaign does not run any more, a
    recipient opted out or was blocked, or was proved sent by another attempt meanwhile."""
    marks = ", ".join("?" * len(task_ids))
    rows = conn.execute(
        f"""
        SELECT DISTINCT t.id FROM tasks AS t JOIN campaigns AS c ON c.id = t.campaign_id
        JOIN attempts AS a ON a.task_id = t.id JOIN recipients AS r ON r.id = a.recipient_id
        WHERE t.id IN ({marks}) AND (c.state NOT IN ('running', 'waiting')
            OR {UNWANTED} IS NOT NULL OR (a.live = 0 AND a.outcome IS NULL))
        """,
        list(task_ids),
    )
    return {row["id"] for row in rows}


def overtaken_tasks(conn: sqlite3.Connection, gateway_id: int) -> list[int]:
    """Accepted tasks with a recipient whom late evidence proved sent by another attempt."""
    rows = conn.execute(
        """
        SELECT DISTINCT t.id FROM tasks AS t
        JOIN attempts AS a ON a.task_id = t.id AND a.live = 0 AND a.outcome IS NULL
        WHERE t.gateway_id = ? AND t.state IN ('accepted', 'paused')
            AND t.closed_ms IS NULL -- said for the index tasks_live
        ORDER BY t.id
        """,
        (gateway_id,),
    )
    return [row["id"] for row in rows]
