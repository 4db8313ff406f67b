"""A running load for Prometheus: its text format, and an ASGI application that serves it.

Counters are of the whole run so far; latencies are of the last second in which any ended. The
format is a page of plain lines (exposition format 0.0.4), which needs no library.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from campaign.load.outcome import Delays
from campaign.load.trial import Pulse

_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"
_COUNTED: Final = {
    "due": "requests that the schedule wanted by now",
    "taken": "requests begun",
    "answered": "requests answered, whatever the answer",
    "failed": "requests that ended without an answer",
    "dropped": "requests never sent",
    "late": "requests sent more than 10 ms after their time",
}
_PERCENTILES: Final = (("0.5", "p50"), ("0.95", "p95"), ("0.99", "p99"), ("1", "most"))


class Metrics:
    """The state of one load. `see` every second; `app` answers GET /metrics with what was seen."""

    def __init__(self, target: str, version: str) -> None:
        self._info = f'target="{_escaped(target)}",version="{_escaped(version)}"'
        self._total: Counter[str] = Counter(dict.fromkeys(_COUNTED, 0))
        self._delays: dict[str, Delays] = {}
        self._counts: Counter[str] = Counter()
        self._last: Pulse | None = None

    def see(self, pulse: Pulse) -> None:
        """Another second has passed."""
        for name in _COUNTED:
            self._total[name] += getattr(pulse.moment, name)
        for clock, delays in pulse.moment.clocks.items():
            self._delays[clock] = delays
            self._counts[clock] += delays.count
        self._last = pulse

    def text(self) -> str:
        """Everything, as Prometheus reads it."""
        return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        yield from _described("info", "gauge", "what is loaded, and by which version")
        yield f"campaign_load_info{{{self._info}}} 1"
        for name, about in _COUNTED.items():
            yield from _single(f"{name}_requests_total", "counter", about, self._total[name])
        if (pulse := self._last) is None:
            return
        gauges = {
            "in_flight": ("requests on the wire", pulse.moment.in_flight),
            "waiting": ("requests due that no connection is free for", pulse.moment.waiting),
            "device_queue": ("tasks that wait in the device", pulse.depth),
        }
        for name, (about, value) in gauges.items():
            if value is not None:
                yield from _single(name, "gauge", about, value)
        yield from _single(
            "accepted_messages_total", "counter", "messages that the device took", pulse.accepted
        )
        yield from _single(
            "reported_messages_total", "counter", "messages that a report named", pulse.heard
        )
        yield from self._latencies()

    def _latencies(self) -> Iterator[str]:
        yield from _described(
            "latency_seconds", "gauge", "of the last second in which any ended, by clock"
        )
        for clock, delays in self._delays.items():
            for share, name in _PERCENTILES:
                seconds = getattr(delays, name) / 1e6
                labels = f'clock="{clock}",percentile="{share}"'
                yield f"campaign_load_latency_seconds{{{labels}}} {seconds:.6f}"
        yield from _described("latencies_total", "counter", "latencies measured, by clock")
        for clock, count in self._counts.items():
            yield f'campaign_load_latencies_total{{clock="{clock}"}} {count}'

    async def app(self, scope: Any, _receive: Any, send: Any) -> None:
        """The ASGI application."""
        if scope["type"] != "http":
            return
        found = scope["path"] == "/metrics" and scope["method"] in ("GET", "HEAD")
        body = self.text().encode() if found else b"see /metrics\n"
        headers = [
            (b"content-type", _TYPE if found else b"text/plain; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send(
            {
                "type": "http.response.start",
                "status": 200 if found else 404,
                "headers": headers,
            }
        )
        sent = b"" if scope["method"] == "HEAD" else body
        await send({"type": "http.response.body", "body": sent})


def _described(name: str, kind: str, about: str) -> Iterator[str]:
    yield f"# HELP campaign_load_{name} {about}"
    yield f"# TYPE campaign_load_{name} {kind}"


def _single(name: str, kind: str, about: str, value: int) -> Iterator[str]:
    yield from _described(name, kind, about)
    yield f"campaign_load_{name} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
