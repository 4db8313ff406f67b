"""The page: escaped, self-contained, and complete up to its thousand rows."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

from campaign.reports.html_export import slices
from campaign.store.campaigns import CampaignRow


class Page(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_shows_name_totals_and_every_recipient(ledger: Any, mixed: CampaignRow) -> None:
    page = Page(ledger.report(mixed, "html"))
    for words in (
        "spring", "customers.csv", "running", "2026-03-02T09:00:00Z",
        "8 = 1 delivered + 1 sent", "2 more rows of the list were refused",
        "2 tried again after a proved failure, 1 of them sent",
        "between 3 and 5 recipients", "campaign report spring --state unknown -o next.csv",
        "send failed: network out of order", "silence: no report within the horizon", "深圳",
    ):  # fmt: skip
        assert words in page.text
    assert all(f"99910000{n}" in page.text for n in range(1, 9))


def test_strangers_markup_is_text_wherever_it_stands(ledger: Any) -> None:
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    gateway = ledger.gateway(evil)
    campaign = ledger.campaign(
        [("999100001", evil)], columns=(evil,), name=evil, list_name=evil, message=evil
    )
    ledger.settle("999100001", "unknown", reason=evil, gateway_id=gateway, port=evil)
    html = ledger.report(campaign, "html")
    page = Page(html)
    assert page.text.count("<script>alert(1)</script>") >= 8
    assert {tag for tag, _ in page.tags} & {"script", "img"} == set()
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)


def test_the_page_needs_nothing_else_and_its_policy_says_so(
    ledger: Any, mixed: CampaignRow
) -> None:
    html = ledger.report(mixed, "html").decode()
    page = Page(html.encode())
    assert not any({"src", "href", "style", "srcset"} & set(attrs) for _, attrs in page.tags)
    assert "url(" not in html
    assert "@import" not in html
    policy = next(
        attrs["content"] for _, attrs in page.tags if "http-equiv" in attrs and attrs["content"]
    )
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def test_a_page_lists_a_thousand_rows_and_says_where_the_rest_is(ledger: Any) -> None:
    campaign = ledger.campaign([(f"9992{n:05}",) for n in range(1003)], name="big list")
    page = Page(ledger.report(campaign, "html", "pending"))
    assert sum(tag == "tr" for tag, _ in page.tags) > 1000
    assert "999200999" in page.text
    assert "999201000" not in page.text
    assert "The first 1,000 of 1,003" in page.text
    assert "campaign report 'big list' --state pending --format csv -o report.csv" in page.text


def test_a_page_of_an_empty_choice_says_none(ledger: Any, mixed: CampaignRow) -> None:
    text = Page(ledger.report(mixed, "html", "expired", "no_receipt")).text
    assert "Recipients that are expired or no receipt" in text
    assert "None." in Page(ledger.report(mixed, "html", "expired")).text


def test_a_page_names_incidents_with_their_meaning(ledger: Any, mixed: CampaignRow) -> None:
    assert (
        "no recipient is known to have been sent twice" in Page(ledger.report(mixed, "html")).text
    )
    ledger.incident(mixed, "duplicate")
    text = Page(ledger.report(mixed, "html")).text
    assert "two attempts for one recipient are reported sent" in text


def test_the_bar_is_whole_and_shows_even_one_of_a_million() -> None:
    bar = slices({"delivered": 999_999, "failed": 1})
    assert [slice_.state for slice_ in bar] == ["delivered", "failed"]
    assert bar[1].width > 3
    assert abs(bar[0].width + bar[1].width - 1000) < 0.1
    assert slices({}) == []
