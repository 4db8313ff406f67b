"""The inbox: append-only, durable, 0600, readable by those who may not write."""

from __future__ import annotations

import os
import secrets
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from campaign.errors import SchemaError, StoreError
from campaign.store.inbox import Arrived, InboxReader, InboxRow, InboxWriter, ReceiverBinding


def arrived(body: bytes, gateway_id: int = 1) -> Arrived:
    return Arrived(
        gateway_id=gateway_id,
        received_ms=1_700_000_000_123,
        remote="192.0.2.7",
        content_type="application/json",
        query="a=%31",
        body=body,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "campaign.inbox.db"


@pytest.fixture
def writer(path: Path) -> Iterator[InboxWriter]:
    with InboxWriter.open(path, secrets.token_hex) as inbox:
        yield inbox


@pytest.fixture
def reader(writer: InboxWriter) -> Iterator[InboxReader]:
    with InboxReader.open(writer.path) as inbox:
        yield inbox


def test_rows_come_back_byte_for_byte_in_commit_order(
    writer: InboxWriter, reader: InboxReader
) -> None:
    assert writer.append_many([arrived(b"\x00\xff"), arrived(b"two", gateway_id=9)]) == 2
    assert writer.append_many([arrived(b"three")]) == 3
    first, second, third = reader.rows_after(0, 10)
    assert first == InboxRow(
        id=1,
        gateway_id=1,
        received_ms=1_700_000_000_123,
        remote="192.0.2.7",
        content_type="application/json",
        query="a=%31",
        body=b"\x00\xff",
    )
    assert (second.id, second.gateway_id, second.body) == (2, 9, b"two")
    assert (third.id, third.body) == (3, b"three")


def test_a_cursor_and_a_limit_page_through_the_rows(
    writer: InboxWriter, reader: InboxReader
) -> None:
    writer.append_many([arrived(b"%d" % n) for n in range(5)])
    assert [row.id for row in reader.rows_after(1, 2)] == [2, 3]
    assert [row.id for row in reader.rows_after(3, 2)] == [4, 5]
    assert reader.rows_after(5, 2) == []


def test_an_empty_append_changes_nothing(writer: InboxWriter) -> None:
    writer.append_many([arrived(b"x")])
    assert writer.append_many([]) == 1


def test_ids_and_the_last_id_survive_a_purge(writer: InboxWriter, reader: InboxReader) -> None:
    assert reader.last_id() == 0
    writer.append_many([arrived(b"a"), arrived(b"b")])
    assert writer.purge(before_id=3) == 2
    assert reader.last_id() == 2
    assert writer.append_many([arrived(b"c")]) == 3


def test_the_file_id_is_random_and_stays(path: Path, tmp_path: Path) -> None:
    with InboxWriter.open(path, secrets.token_hex) as first:
        drawn = first.file_id
    with InboxWriter.open(path, secrets.token_hex) as again:
        assert again.file_id == drawn
    with InboxWriter.open(tmp_path / "other.db", secrets.token_hex) as other:
        assert other.file_id != drawn
    assert len(drawn) == 32


def test_the_binding_is_remembered_and_keeps_an_earlier_public_url(
    writer: InboxWriter, reader: InboxReader
) -> None:
    assert reader.binding() is None
    writer.bind_to(ReceiverBinding("192.0.2.1", 4000, "http://sms.example/in", pid=7))
    writer.bind_to(ReceiverBinding("192.0.2.1", 4000, None, pid=8))
    assert reader.binding() == ReceiverBinding("192.0.2.1", 4000, "http://sms.example/in", pid=8)


def test_the_data_version_tells_of_another_connections_commit(
    writer: InboxWriter, reader: InboxReader
) -> None:
    before = reader.data_version()
    assert reader.data_version() == before
    writer.append_many([arrived(b"news")])
    assert reader.data_version() != before


def test_all_its_files_are_private(writer: InboxWriter, path: Path) -> None:
    writer.append_many([arrived(b"x")])
    modes = {f.name: stat.S_IMODE(f.stat().st_mode) for f in path.parent.iterdir()}
    assert modes == {path.name + suffix: 0o600 for suffix in ("", "-wal", "-shm")}


def test_a_file_made_readable_by_others_is_closed_to_them_again(path: Path) -> None:
    InboxWriter.open(path, secrets.token_hex).close()
    path.chmod(0o644)
    InboxWriter.open(path, secrets.token_hex).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_it_is_a_wal_database_that_syncs_every_commit(writer: InboxWriter) -> None:
    connection = writer._connection
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_closed_inbox_can_be_read_without_a_writer(path: Path) -> None:
    with InboxWriter.open(path, secrets.token_hex) as writer:
        writer.append_many([arrived(b"kept")])
    with InboxReader.open(path) as reader:
        assert [row.body for row in reader.rows_after(0, 10)] == [b"kept"]


def test_a_reader_leaves_the_writers_log_alone_when_it_closes_last(path: Path) -> None:
    writer = InboxWriter.open(path, secrets.token_hex)
    reader = InboxReader.open(path)
    writer.append_many([arrived(b"kept")])
    log = path.with_name(path.name + "-wal")
    size = log.stat().st_size
    reader.rows_after(0, 1)
    reader.close()
    assert log.stat().st_size == size
    writer.close()


def test_a_reader_cannot_write(reader: InboxReader) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._connection.execute("DELETE FROM inbox")


def test_there_is_nothing_to_read_where_there_is_no_file(path: Path) -> None:
    with pytest.raises(StoreError, match="unable to open"):
        InboxReader.open(path)
    assert not path.exists()


def test_an_empty_file_is_taken_for_none(path: Path) -> None:
    path.touch()
    with InboxWriter.open(path, secrets.token_hex) as writer:
        assert writer.append_many([arrived(b"x")]) == 1


def test_a_draft_of_a_killed_receiver_is_no_obstacle(path: Path) -> None:
    path.with_name(path.name + ".new").write_bytes(b"half")
    with InboxWriter.open(path, secrets.token_hex) as writer:
        assert writer.last_id() == 0


def test_a_text_file_is_refused(path: Path) -> None:
    path.write_text("number\n447700900123\n" * 100, encoding="utf-8")
    with pytest.raises(StoreError, match="not a database"):
        InboxWriter.open(path, secrets.token_hex)


def test_another_programs_database_is_refused(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE strangers (x)")
    connection.close()
    with pytest.raises(SchemaError, match="not an inbox"):
        InboxWriter.open(path, secrets.token_hex)
    with pytest.raises(SchemaError, match="not an inbox"):
        InboxReader.open(path)


def test_an_inbox_of_a_later_version_is_refused(path: Path) -> None:
    InboxWriter.open(path, secrets.token_hex).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(SchemaError, match="later version"):
        InboxReader.open(path)


def test_a_folder_that_is_not_there_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file"):
        InboxWriter.open(tmp_path / "nowhere" / "inbox.db", secrets.token_hex)


def test_a_failed_append_is_a_store_error_and_leaves_nothing(
    writer: InboxWriter, reader: InboxReader
) -> None:
    writer._connection.execute("PRAGMA max_page_count = 10")
    with pytest.raises(StoreError, match="full"):
        writer.append_many([arrived(b"small"), arrived(bytes(1 << 20))])
    assert reader.rows_after(0, 10) == []
    writer.append_many([arrived(b"small")])
    assert [row.body for row in reader.rows_after(0, 10)] == [b"small"]


def test_a_writer_notices_that_its_file_was_removed_or_replaced(
    writer: InboxWriter, path: Path
) -> None:
    assert writer.is_in_place()
    path.rename(path.with_name("moved.db"))
    assert not writer.is_in_place()
    path.with_name(path.name + "-wal").unlink(missing_ok=True)
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
    InboxWriter.open(path, secrets.token_hex).close()
    assert not writer.is_in_place()


@pytest.mark.process
def test_what_a_killed_writer_committed_is_read_back(path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from campaign.store.inbox import Arrived, InboxWriter\n"
        "w = InboxWriter.open(Path(sys.argv[1]), lambda n: 'ab' * n)\n"
        "for n in range(3):\n"
        "    w.append_many([Arrived(gateway_id=1, received_ms=n, remote='', content_type='',"
        " query='', body=b'%d' % n)])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        timeout=20,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert ended.returncode == -9
    with InboxReader.open(path) as reader:
        assert [row.body for row in reader.rows_after(0, 10)] == [b"0", b"1", b"2"]
    with InboxWriter.open(path, secrets.token_hex) as writer:
        assert writer.append_many([arrived(b"3")]) == 4
