"""Pushes of a flood: whole reports of nobody's messages, for every device in its turn."""

from __future__ import annotations

import pytest

from campaign.errors import UsageError
from campaign.load.pushes import Ear, Pushes
from campaign.protocol.codec import decode_push
from campaign.protocol.messages import StatusReport

URLS = ["http://127.0.0.1:8080/p/one", "http://127.0.0.1:8080/p/two"]


def test_two_workers_push_every_report_once_and_by_each_device() -> None:
    pushes = Pushes(Ear.parse(URLS), rows=3, start=2**31 - 4)
    tids: list[int] = []
    paths: list[bytes] = []
    for worker in (0, 1):
        make = pushes.source(worker, 2)
        for nth in range(4):
            head, _, body = make(nth).data.partition(b"\r\n\r\n")
            assert f"Content-Length: {len(body)}".encode() in head
            report = decode_push(body, "application/json", "")
            assert isinstance(report, StatusReport)
            assert not report.odd
            assert [row.number[:3] for one in report.reports for row in one.sdr] == ["999"] * 3
            tids += [one.tid for one in report.reports]
            paths.append(head.split(b" ")[1])
    assert len(set(tids)) == len(tids) == 24
    assert min(tids) >= 1
    assert sorted(set(paths)) == [b"/p/one", b"/p/two"]


@pytest.mark.parametrize(
    "urls",
    [
        ["http://127.0.0.1:8080"],
        ["ftp://127.0.0.1/p/secret"],
        ["http://127.0.0.1:x/p/secret"],
        [*URLS, "http://127.0.0.2:8080/p/secret"],
    ],
)
def test_what_is_no_receiver_is_refused_without_its_token(urls: list[str]) -> None:
    with pytest.raises(UsageError) as refused:
        Ear.parse(urls)
    assert "secret" not in str(refused.value)


def test_the_port_comes_from_the_scheme_where_none_is_given() -> None:
    assert Ear.parse(["https://[::1]/p/a"]).url == "https://[::1]:443"
    assert Ear.parse(["http://example.net/p/a"]).port == 80


@pytest.mark.parametrize("rows", [0, 2001])
def test_a_push_has_a_bounded_number_of_rows(rows: int) -> None:
    with pytest.raises(UsageError, match="rows in a push"):
        Pushes(Ear.parse(URLS), rows, 1)
