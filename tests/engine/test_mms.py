"""MMS campaigns: files judged first, stored once, spliced into every task byte for byte."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from campaign.engine.mms import MOST_POST_BYTES, read_attachments
from campaign.errors import UsageError

Numbers = Callable[[int], list[str]]
JPG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 4


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "spring.jpg"
    path.write_bytes(JPG)
    return str(path)


def keep_posts(world: Any, posts: list[bytes], drop_first_answer: bool = False) -> None:
    async def handle(request: httpx.Request, forward: Any) -> httpx.Response:
        answer = await forward(request)
        if request.url.path == "/goip_post_sms.html":
            posts.append(request.content)
            if drop_first_answer and len(posts) == 1:
                raise httpx.ReadError("gone", request=request)
        assert isinstance(answer, httpx.Response)
        return answer

    world.put_between("sim1", handle)


async def test_everybody_gets_the_mms_once_and_the_ledger_holds_its_files_once(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, picture: str
) -> None:
    posts: list[bytes] = []
    async with make_world(sim1={"ports": 2}) as world:
        keep_posts(world, posts)
        await world.launch(numbers(9), message="", subject="Spring", mms=(picture,))
        assert world.on_air() == Counter(numbers(9))
        assert {attempt.mms for attempt in world.attempts} == {1}
        assert world.states() == {"delivered": 9}
        assert world.sql("SELECT kind, name, length(content) FROM attachments") == [
            ("jpg", "spring.jpg", len(JPG))
        ]
        assert world.sql("SELECT max(length(body)) < 400 FROM tasks") == [(1,)]
    task = json.loads(posts[0])["tasks"][0]
    assert (task["smstype"], task["smstitle"], "coding" in task) == (1, "Spring", False)
    assert task["attachments"].startswith("jpg|/9j/")


async def test_a_reposted_mms_is_the_same_bytes_and_the_digest_is_of_those(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, picture: str
) -> None:
    posts: list[bytes] = []
    async with make_world(sim1={"ports": 1, "sms_seconds": 200.0}) as world:
        keep_posts(world, posts, drop_first_answer=True)
        await world.launch(numbers(1), message="hi", subject="", mms=(picture,))
        world.check()
        [digest] = world.sql("SELECT sha256 FROM tasks WHERE posts > 1 OR posts = 1")[0]
    start = posts[0].index(b'"tasks":[') + len(b'"tasks":[')
    assert hashlib.sha256(posts[0][start:-2]).hexdigest() == digest


async def test_a_post_of_mms_stays_below_what_a_device_can_hold(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, tmp_path: Path
) -> None:
    posts: list[bytes] = []
    song = tmp_path / "song.mp3"
    song.write_bytes(b"ID3" + b"\0" * 70_000)
    async with make_world(sim1={"ports": 32}, settings={"task-size": "1"}) as world:
        keep_posts(world, posts)
        await world.launch(numbers(64), message="listen", subject="s", mms=(str(song),))
        assert world.on_air() == Counter(numbers(64))
    assert max(map(len, posts)) < MOST_POST_BYTES + 20_000


async def test_the_same_words_with_another_picture_are_another_message(
    autojump_clock: object,
    make_world: Callable[..., Any],
    numbers: Numbers,
    picture: str,
    tmp_path: Path,
) -> None:
    other = tmp_path / "autumn.jpg"
    other.write_bytes(JPG + b"x")
    async with make_world(sim1={"ports": 4}) as world:
        await world.launch(numbers(2), message="hi", subject="s", mms=(picture,))
        with pytest.raises(UsageError, match="the same numbers and the same message"):
            await world.launch(numbers(2), message="hi", subject="s", mms=(picture,), name="b")
        await world.launch(numbers(2), message="hi", subject="s", mms=(str(other),), name="d")


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        pytest.param("a.jpg", b"GIF89a....", "named .jpg, but it is gif", id="wrong-ending"),
        pytest.param("a.pdf", b"%PDF-1.4\0\xff", "none of them", id="another-kind"),
        pytest.param("a.jpg", b"", "is empty", id="empty"),
        pytest.param("a.txt", b"x" * 110_000, "longer than the 102400 bytes", id="too-long"),
        pytest.param("a.txt", b"x" * 80_000, "take 106", id="too-long-once-encoded"),
    ],
)
def test_a_file_that_no_gateway_takes_is_refused_with_its_name(
    tmp_path: Path, name: str, content: bytes, what: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UsageError, match=what) as caught:
        read_attachments([path])
    assert name in str(caught.value)


def test_six_files_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at most 5"):
        read_attachments([tmp_path / f"{n}.jpg" for n in range(6)])
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_attachments([tmp_path / "gone.jpg"])


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.jpeg", JPG, "jpg"),
        ("a", b"GIF87a..", "gif"),
        ("a.mp3", b"\xff\xfb\x90", "mp3"),
        ("a.TXT", "größe".encode(), "txt"),
    ],
)
def test_a_files_kind_is_told_by_its_content(
    tmp_path: Path, name: str, content: bytes, kind: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert [item.kind for item in read_attachments([path])] == [kind]
