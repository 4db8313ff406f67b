"""The page of a load run: complete, self-contained, escaped, and every chart inside its plot."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from campaign.reports.charts import HEIGHT, WIDTH
from campaign.reports.load_charts import charts_of
from campaign.reports.load_report import LoadFormat, load_report
from campaign.reports.load_sheet import LoadSheet
from tests.reports.sheets import point, sheet


class Page(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def page(**changes: object) -> Page:
    return Page(load_report(sheet(**changes), LoadFormat.HTML))


def test_the_page_shows_what_the_terminal_shows() -> None:
    text = page().text
    for words in (
        "http://127.0.0.1:8080 (simulator)", "threshold broken", "accept_p99>500ms", "613 ms",
        "never measured", "499/s", "of 500/s meant", "5,985", "1.00 s", "timeout", "unreported",
        "500/s for 12s", "Latency of answers", "Queue in the device", "How answers are spread",
        "p99 613 ms",
    ):  # fmt: skip
        assert words in text


def test_every_second_can_be_read_under_the_pointer() -> None:
    text = page().text
    assert "0:06  485/s answered of 500/s, 15 lost" in text
    assert "0:06  p50 600 ms, p95 900 ms, p99 1.20 s, max 1.80 s" in text
    assert "0:06  3 under way, 7 waiting" in text
    assert "1.00 ms to 10.0 ms: 5,900 (98.58%)" in text


def test_the_page_needs_nothing_else_and_its_policy_says_so() -> None:
    found = page()
    assert {tag for tag, _ in found.tags} & {"script", "img", "link", "iframe", "object"} == set()
    assert not re.search(r"url\(|@import|https?://(?!127\.0\.0\.1:8080 \(simulator\))", found.html)
    assert not any(
        name in ("style", "href", "src") or name.startswith("on")
        for _, attributes in found.tags
        for name in attributes
    )
    (style,) = re.findall(r"<style>(.*?)</style>", found.html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in found.html


def test_strangers_markup_is_text_wherever_it_stands() -> None:
    evil = "<script>alert(1)</script>\"'>"
    found = page(
        title=evil, facts=[(evil, evil)], invalid=[evil], errors={evil: 1}, account={evil: 1}
    )
    assert found.text.count("<script>alert(1)</script>") >= 6
    assert "script" not in {tag for tag, _ in found.tags}


def test_an_invalid_run_and_a_closed_model_say_so() -> None:
    text = page(invalid=["worker 1: the machine is busy"], model="closed",
                offered_per_second=None).text  # fmt: skip
    assert "The generator itself was the bottleneck." in text
    assert "worker 1: the machine is busy" in text
    assert "Closed model." in text
    assert "meant" not in text


def test_a_run_of_which_nothing_came_is_a_page_too() -> None:
    text = page(points=[], seconds=[], latencies=[], distributions=[], thresholds=[],
                errors={}, account={}, summary={"queue_max": None}).text  # fmt: skip
    assert "No answer came" in text


@pytest.mark.parametrize(
    "shown",
    [sheet(), sheet(points=[point(0)]), sheet(points=[point(nth) for nth in range(0, 12, 5)])],
    ids=["whole", "one-second", "gaps"],
)
def test_every_place_of_every_chart_is_inside_its_plot(shown: LoadSheet) -> None:
    charts = charts_of(shown)
    assert len(charts) == 5
    for chart in charts:
        assert all(0 <= label.at <= HEIGHT for label in chart.left)
        assert all(0 <= label.at <= 100 for label in chart.below)
        for box in (*chart.bars, *chart.hovers):
            assert 0 <= box.x <= box.x + box.width <= WIDTH + 0.01
            assert 0 <= box.y <= box.y + box.height <= HEIGHT + 0.01
        for line in chart.lines:
            numbers = [float(one) for one in re.findall(r"-?\d+(?:\.\d+)?", line.path)]
            assert numbers
            assert all(0 <= number <= WIDTH for number in numbers)


@pytest.mark.parametrize("form", LoadFormat)
def test_every_form_is_written(form: LoadFormat) -> None:
    starts = {
        LoadFormat.TEXT: "2 of 3 thresholds broke\n",
        LoadFormat.JSON: "{\n",
        LoadFormat.CSV: "second,due,",
        LoadFormat.HTML: "<!DOCTYPE html>",
    }
    assert load_report(sheet(), form).startswith(starts[form])
