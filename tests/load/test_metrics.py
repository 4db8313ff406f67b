"""A running load as Prometheus reads it."""

from __future__ import annotations

import re

import httpx

from campaign.load.metrics import Metrics
from campaign.load.trial import Pulse
from tests.load.outcomes import made

_LINE = re.compile(r'(# (HELP|TYPE) .*|[a-z_]+(\{([a-z]+="[^"\n]*",?)+\})? [0-9.]+)')


def seen(seconds: int = 3) -> Metrics:
    metrics = Metrics('http://device "one"', "0.1")
    for moment in made(seconds=seconds, rate=20).series:
        metrics.see(Pulse(moment, 7, 20 * (moment.nth + 1), 5))
    return metrics


def test_counters_are_of_the_whole_run_and_latencies_of_its_last_second() -> None:
    text = seen().text()
    assert "campaign_load_answered_requests_total 60\n" in text
    assert "campaign_load_accepted_messages_total 60\n" in text
    assert "campaign_load_device_queue 7\n" in text
    assert 'campaign_load_latencies_total{clock="accept"} 60\n' in text
    assert re.search(r'latency_seconds\{clock="report",percentile="0.95"\} [0-9.]+\n', text)


def test_every_line_is_one_that_prometheus_reads() -> None:
    for metrics in (Metrics("t", "v"), seen()):
        lines = metrics.text().replace('\\"', "").splitlines()
        assert [line for line in lines if not _LINE.fullmatch(line)] == []


async def test_it_is_served_at_metrics_and_nowhere_else() -> None:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(seen().app), base_url="http://load"
    ) as client:
        found = await client.get("/metrics")
        assert found.text.startswith("# HELP campaign_load_info")
        assert found.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert (await client.head("/metrics")).text == ""
        assert (await client.get("/")).status_code == 404
        assert (await client.post("/metrics")).status_code == 404
