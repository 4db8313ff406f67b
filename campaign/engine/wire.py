"""Tasks as they go on the wire: built when they are claimed, the same bytes at every post."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from campaign.engine.campaign import Campaign
from campaign.engine.device import Gateway
from campaign.engine.mms import MOST_POST_BYTES, wire_text
from campaign.engine.runtime import Run
from campaign.planner.settings import Settings
from campaign.protocol.codec import encode_send_sms, encode_task, task_digest, with_attachments
from campaign.protocol.messages import Envelope, Task
from campaign.protocol.ports import Port as WirePort
from campaign.protocol.text import Encoding, encoding_of
from campaign.store.attachments import list_attachments

_MANY = 10_000


def builder(
    campaign: Campaign, settings: Settings, files: str
) -> Callable[[int, int, Sequence[str], str | None], tuple[bytes, str]]:
    options = campaign.options
    interval = options.parsed_interval
    intvl = interval.wire if interval is not None else ""
    smstype, smstitle, dr = int(options.is_mms), options.subject or "", int(options.receipts)
    period = round(settings.task_report_period)
    on_port = lru_cache(maxsize=None)(WirePort)  # as many as a gateway has

    def build(tid: int, port: int, numbers: Sequence[str], text: str | None) -> tuple[bytes, str]:
        sms = campaign.text if text is None else text
        body = encode_task(
            Task(
                tid=tid,
                port=on_port(port),
                to=tuple(f"+{n}" for n in numbers) if settings.keep_plus else tuple(numbers),
                sms=sms,
                chs=settings.chs,
                coding=0 if smstype else _coding(sms, settings),
                smstype=smstype,
                smstitle=smstitle,
                smsc=settings.smsc,
                intvl=intvl,
                tmo=settings.send_timeout,
                dr=dr,
                sr_cnt=settings.task_report_count,
                sr_prd=period,
            )
        )
        return body, task_digest(_on_the_wire(body, files))

    return build


def _coding(text: str, settings: Settings) -> int:
    """Our own decision, so that the device bills what we counted: 1 UCS-2, 2 7-bit, 0 its own."""
    if settings.coding == "device":
        return 0
    return 2 if encoding_of(text) is Encoding.GSM7 else 1


async def attachments_of(run: Run, campaign_id: int) -> str:
    """The attachments of an MMS campaign as its tasks carry them; empty for SMS."""
    if campaign_id not in run.attachments:
        files = await run.store.read(list_attachments, campaign_id)
        run.attachments[campaign_id] = wire_text(files)
    return run.attachments[campaign_id]


def _on_the_wire(body: bytes, attachments: str) -> bytes:
    return with_attachments(body, attachments) if attachments else body


def tasks_a_post(attachments: str) -> int:
    return max(1, MOST_POST_BYTES // (len(attachments) + 1)) if attachments else _MANY


async def request_body(
    run: Run, gateway: Gateway, settings: Settings, tasks: Sequence[tuple[int, bytes]]
) -> bytes:
    """A send request around stored task objects, (campaign id, object) each: the very bytes of
    their first post, in every later one too."""
    wire = []
    for campaign_id, body in tasks:
        wire.append(_on_the_wire(body, await attachments_of(run, campaign_id)))
    return encode_send_sms(envelope(gateway, settings), wire)


def envelope(gateway: Gateway, settings: Settings) -> Envelope:
    """Where and how often the device reports; `sms_cnt` above 1 switches it to JSON pushes."""
    return Envelope(
        sr_url=gateway.push_url,
        sr_cnt=settings.report_count,
        sr_prd=round(settings.report_period),
        sms_url=gateway.push_url,
        sms_cnt=10,
        sms_prd=min(5, round(settings.report_period)),
    )
