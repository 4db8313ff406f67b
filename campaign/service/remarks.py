"""What an operator should know of a planned campaign, one line each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from campaign.engine.foresight import Outlook
from campaign.planner.advice import (
    costly_characters,
    just_over,
    lookalike_fields,
    name_characters,
)
from campaign.planner.forecast import Forecast
from campaign.planner.lanes import Lane
from campaign.planner.options import CampaignOptions
from campaign.planner.spread import Spread
from campaign.planner.tariffs import Cost
from campaign.planner.windows import Window
from campaign.planner.workload import SIM_SECONDS
from campaign.protocol.text import Encoding, encoding_of
from campaign.store.draft import DraftFigures
from campaign.store.gateways import GatewayRow


@dataclass
class Texts:
    """What the rendered texts show, gathered in constant memory."""

    encodings: Counter[Encoding] = field(default_factory=Counter)
    costly: Counter[str] = field(default_factory=Counter)
    costly_texts: int = 0
    costly_parts: int = 0
    costly_sum: int = 0
    """SMS parts of those texts as they are."""
    just_over: Counter[int] = field(default_factory=Counter)
    """Texts by how few characters too many they have."""

    def add(self, text: str, count: int = 1) -> None:
        self.encodings[encoding_of(text)] += count
        over = just_over(text)
        if over:
            self.just_over[over] += count
        costly = costly_characters(text)
        if costly is not None:
            self.costly.update(dict.fromkeys(costly.characters, count))
            self.costly_texts += count
            self.costly_parts += count * (costly.parts - costly.parts_without)
            self.costly_sum += count * costly.parts


def list_warnings(figures: DraftFigures, refused_by: Mapping[str, int]) -> Iterator[str]:
    """Refused rows, opt-outs and suppressed numbers."""
    if refused_by:
        yield f"{sum(refused_by.values())} rows are refused: {tally(refused_by)}"
    if "missing_value" in refused_by:
        yield "give placeholders a default, as {name|friend}, to keep rows without a value"
    if figures.opted_out:
        yield f"{figures.opted_out} of the recipients have opted out and will be skipped"
    if figures.suppressed:
        yield (
            f"{figures.suppressed} of the recipients are on a blocklist, or got as many messages as"
            " --at-most allows, and will be skipped"
        )


def cost_warnings(cost: Cost | None) -> Iterator[str]:
    """SMS parts that the tariff leaves out."""
    if cost is not None and cost.unpriced:
        yield (
            f"{cost.unpriced} SMS parts go to numbers that no --cost covers: they are not in the"
            " sum; give the rest a price, as --cost '*=0.05'"
        )


def tally(refused_by: Mapping[str, int]) -> str:
    """Refused rows by code, in words."""
    return ", ".join(f"{count} {code}" for code, count in refused_by.items())


def text_warnings(
    message: str, columns: Iterable[str], texts: Texts, recipients: int
) -> Iterator[str]:
    """Placeholders of other programs, costly characters, texts just over a part."""
    for name in lookalike_fields(message, columns):
        yield f"{name} is sent as it stands: a column is written {{{name.strip('[]%<>')}}}"
    if texts.costly_texts:
        which = (
            "the text needs"
            if texts.costly_texts == recipients
            else (f"{texts.costly_texts} texts need")
        )
        named = name_characters(char for char, _ in texts.costly.most_common(5))
        yield (
            f"{which} UCS-2 (70 characters to an SMS, not 160) because of {named}"
            + _saving(texts.costly_parts, texts.costly_sum)
        )
    if texts.just_over:
        over = sum(texts.just_over.values())
        which = "the text is" if over == recipients else f"{over} texts are"
        by = sorted(texts.just_over)
        count = f"{by[0]}" if len(by) == 1 else f"{by[0]} to {by[-1]}"
        characters = "character" if by == [1] else "characters"
        yield f"{which} {count} {characters} too long for one SMS less: {over} SMS could be saved"


def _saving(saved: int, whole: int) -> str:
    """What replacing costly characters would save."""
    if not saved:
        return ""
    halves = ", which halves the cost" if 2 * saved == whole else ""
    return f"; replacing saves {saved} of {whole} SMS{halves}"


def window_warnings(window: Window | None, now: datetime) -> Iterator[str]:
    """A window that is closed, and when it opens."""
    if window is not None and not window.is_open(now):
        opens = window.next_open(now).astimezone(window.zone)
        yield f"the sending window ({window.text}) is closed now, it opens {opens:%Y-%m-%d %H:%M}"


def forecast_warnings(
    found: Forecast, around: Outlook, options: CampaignOptions, gateways: Iterable[GatewayRow]
) -> Iterator[str]:
    """What the forecast knows of failures, other campaigns and the deadline, and what it does not
    take into account."""
    known = [sim for sim in around.sims if sim.known]
    unmeasured = sum(not sim.is_measured for sim in known)
    if unmeasured:
        yield (
            f"{unmeasured} of {len(known)} ports sent too little lately to tell their pace:"
            f" {SIM_SECONDS[1]:g} s an SMS are assumed"
        )
    yield from _unforeseen(options, gateways)
    for route, count in found.unserved:
        yield (
            f"{count} recipient{'s' * (count != 1)} would wait: no known port may serve"
            f" {route or 'them'}"
        )
    if found.late:
        yield f"{found.late} recipients would still wait at the deadline and expire"
    failures = around.conditions.failures
    if failures >= 0.0005:
        yield f"{failures:.1%} of the messages are taken to fail at first, as they did lately"
    others = sum(demand.messages for demand in around.others)
    if others:
        yield (
            f"{len(around.others)} other campaign{'s' * (len(around.others) > 1)} with {others}"
            " recipients waiting share these ports"
        )
    spent = sum(port.quota_out is not None for port in found.ports)
    if spent:
        yield f"{spent} of {len(found.ports)} SIMs use up a quota on the way"


def _unforeseen(options: CampaignOptions, gateways: Iterable[GatewayRow]) -> Iterator[str]:
    if options.test:
        yield "the time in which the test's reports are awaited is not in the forecast"
    if options.canary:
        yield "the time in which the canary's reports are awaited is not in the forecast"
    if options.parsed_spread is Spread.STICKY:
        yield "the forecast lets every recipient go to any SIM, not to that of earlier messages"
    if any(options.settings_over(dict(row.settings)).auto_switch for row in gateways):
        yield "SIMs in other slots are not in the forecast: with auto-switch it may end earlier"


_ZONES_NAMED = 5


def zone_warnings(window: Window | None, lanes: Mapping[Lane, int]) -> Iterator[str]:
    """With --recipient-time: whose clocks count, for how many."""
    if window is None:
        yield "--recipient-time changes nothing: there is no sending window"
        return
    own = sum(count for lane, count in lanes.items() if not lane.zones)
    placed = sorted(((n, lane.zones) for lane, n in lanes.items() if lane.zones), reverse=True)
    if placed:
        named = ", ".join(f"{n} in {_zone_words(zones)}" for n, zones in placed[:_ZONES_NAMED])
        more = f" and {len(placed) - _ZONES_NAMED} more" if len(placed) > _ZONES_NAMED else ""
        yield f"the window counts in the recipients' own zones: {named}{more}"
    if own:
        yield (
            f"{own} recipient{'s' * (own > 1)} whose number tells no zone, or several whose hours"
            f" never meet: there the window counts in {window.zone}"
        )


def _zone_words(zones: str) -> str:
    names = zones.split(",")
    return names[0] if len(names) == 1 else f"all {len(names)} zones from {names[0]} to {names[-1]}"
