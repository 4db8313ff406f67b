"""A load run as one page that stands alone: charts without scripts, no other file, no network."""

from __future__ import annotations

import functools
import hashlib
from base64 import b64encode
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from campaign.reports.charts import HEIGHT, WIDTH
from campaign.reports.load_charts import charts_of
from campaign.reports.load_sheet import LATENCY_COLUMNS, LoadSheet, in_ms, measured, rate
from campaign.reports.rows import ledger_time

_VERDICTS: Final = {
    "invalid": "invalid",
    "broken": "threshold broken",
    "passed": "all thresholds held",
    "measured": "measured",
}
_STYLES: Final = ("report.css", "load.css")


def write_load_html(sheet: LoadSheet) -> str:
    """The page."""
    environment, style = _environment()
    return environment.get_template("load.html.j2").render(
        sheet=sheet,
        verdicts=_VERDICTS,
        columns=LATENCY_COLUMNS,
        charts=charts_of(sheet),
        width=f"{WIDTH:g}",
        height=round(HEIGHT),
        style=style,
        style_hash=b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    )


@functools.cache
def _environment() -> tuple[Environment, Markup]:
    """Templates, and the style sheets in the exact text that the hash in the policy covers."""
    loader = PackageLoader("campaign.reports")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "time": ledger_time,
        "number": lambda n: f"{n:,}",
        "label": lambda name: name.replace("_", " "),
        "ms": in_ms,
        "rate": rate,
        "measured": measured,
    }
    sources = [loader.get_source(environment, name)[0] for name in _STYLES]
    return environment, Markup("\n".join(sources))  # noqa: S704 - our own style sheets
