"""One device, over HTTP: requests out, answers typed by what they prove.

Devices have tiny HTTP servers: two connections at most, no cookies, no redirects. Posts use a
fresh connection each: an idle one that the device just closed would be a needless doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import httpx
import trio

from campaign.errors import CredentialsRefused, GatewayError, InDoubt, NotSent, RemoteProtocolError
from campaign.gateway.answers import (
    Answered,
    CredentialsBad,
    Doubtful,
    NeverSent,
    PostOutcome,
)
from campaign.protocol.codec import (
    decode_answer,
    decode_dev_status,
    decode_sms_page,
    decode_sms_stats,
    decode_task_list,
    decode_task_status,
    decode_tids_answer,
    encode_tids,
)
from campaign.protocol.codes import CodeClass, classify_first_post
from campaign.protocol.messages import (
    Answer,
    DevStatus,
    QueuedTask,
    SmsPage,
    SmsStats,
    TidsAnswer,
)

T = TypeVar("T")

_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
    httpx.InvalidURL,
)
_PAGE = 100
_MOST_PAGES = 1000


@dataclass(frozen=True)
class Reading:
    """A decoded answer and the bytes it came from, to be kept where it serves as evidence."""

    raw: bytes


@dataclass(frozen=True)
class Sweep(Reading):
    """Every task a device still lists as waiting."""

    tasks: tuple[QueuedTask, ...]


@dataclass(frozen=True)
class TidsReading(Reading):
    answer: TidsAnswer

    def codes(self) -> dict[int, int]:
        """Verdict code by tid; empty where the device listed none."""
        return {verdict.tid: verdict.code for verdict in self.answer.verdicts or ()}


@dataclass(frozen=True)
class PageReading(Reading):
    page: SmsPage


@dataclass(frozen=True)
class StatsReading(Reading):
    stats: SmsStats


class Device:
    """The client of one device. Close it with `aclose`; every call bounds itself by `timeout`.

    All calls but `post` raise `NotSent`, `InDoubt`, `CredentialsRefused` or `RemoteProtocolError`.
    """

    def __init__(
        self,
        name: str,
        url: str,
        username: str,
        password: str,
        *,
        timeout: float = 10.0,
        ca_file: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.name = name
        self.timeout = timeout
        self._base = url.rstrip("/")
        self._credentials = {"version": "1.1", "username": username, "password": password}
        verify = httpx.create_ssl_context(verify=ca_file) if ca_file else True
        # httpx's own timeouts tell a connection never made from one that went silent; the deadline
        # around every call holds where a transport ignores them
        self._client = httpx.AsyncClient(
            verify=verify,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(timeout, connect=timeout * 0.9, pool=timeout * 0.9),
            limits=httpx.Limits(max_connections=2, max_keepalive_connections=1),
            transport=transport,
        )

    async def aclose(self) -> None:
        await self._client.aclose()

    async def post(self, body: bytes) -> PostOutcome:
        """Offer tasks (spec §6.3.1). Never raises for what the network or the device does."""
        try:
            raw = await self._send(
                "POST", "/goip_post_sms.html", body=body, headers={"Connection": "close"}
            )
            status = decode_task_status(raw)
        except NotSent as error:
            return NeverSent(error.message)
        except CredentialsRefused as error:
            return CredentialsBad(error.message, b"")
        except (GatewayError, RemoteProtocolError) as error:
            return Doubtful(str(error))
        if not status.verdicts and classify_first_post(status.code) is CodeClass.CREDENTIALS:
            return CredentialsBad(f"{status.code} {status.reason}", raw)
        return Answered(status, raw)

    async def status(self) -> DevStatus:
        """A snapshot of the device and its ports (spec §4.1), without touching subscriptions."""
        raw = await self._send("GET", "/goip_get_status.html")
        self._refuse_bad_credentials(raw)
        return decode_dev_status(raw)

    async def subscribe(self, url: str, period: int) -> DevStatus:
        """Have the device push its status to `url` at once, on every change and every `period`
        seconds (at least 60), in place of any earlier `url` (spec §4.1.2).

        The device does not tell what it replaces.
        """
        raw = await self._send("GET", "/goip_get_status.html", {"url": url, "period": str(period)})
        self._refuse_bad_credentials(raw)
        return decode_dev_status(raw)

    async def unsubscribe(self) -> None:
        """End the device's status pushes, to whatever address (spec §4.1.2, period 0)."""
        raw = await self._send("GET", "/goip_get_status.html", {"period": "0"})
        self._refuse_bad_credentials(raw)

    async def boot_id(self) -> PageReading:
        """The device's `ssrc`, new on every run of it (spec §8), without fetching the inbox."""
        return await self.sms_page(sms_id=2**31 - 1, sms_num=1)

    async def sms_page(self, *, sms_id: int, sms_num: int) -> PageReading:
        """Received messages from `sms_id` on (spec §8.2)."""
        raw = await self._send(
            "GET", "/goip_get_sms.html", {"sms_id": str(sms_id), "sms_num": str(sms_num)}
        )
        return PageReading(raw, self._checked(raw, decode_sms_page))

    async def waiting_tasks(self, ports: Sequence[int]) -> Sweep:
        """All tasks still waiting on these ports (spec §6.3.6), page by page."""
        found: dict[int, QueuedTask] = {}
        raws: list[bytes] = []
        for port in ports:
            position = 0
            for _ in range(_MOST_PAGES):
                raw = await self._send(
                    "GET",
                    "/goip_get_tasks.html",
                    {
                        "port": str(port),
                        "pos": str(position),
                        "num": str(_PAGE),
                        "has_content": "1",
                    },
                )
                raws.append(raw)
                page = self._checked(raw, decode_task_list)
                found.update((task.tid, task) for task in page.tasks)
                position += len(page.tasks)
                if not page.tasks or position >= page.total:
                    break
        return Sweep(b"\n".join(raws), tuple(found.values()))

    async def pause(self, tids: Sequence[int]) -> TidsReading:
        """Pause these tasks (spec §6.3.3); never all: an empty list is refused."""
        return await self._tids("/goip_pause_sms.html", tids)

    async def resume(self, tids: Sequence[int]) -> TidsReading:
        """Resume these tasks (spec §6.3.4)."""
        return await self._tids("/goip_resume_sms.html", tids)

    async def remove(self, tids: Sequence[int]) -> TidsReading:
        """Remove these tasks (spec §6.3.5). An answer ends waiting; it proves nothing by itself."""
        return await self._tids("/goip_remove_sms.html", tids)

    async def sms_stats(self) -> StatsReading:
        """Cumulative SMS counters of all ports and slots (spec §9, type 3)."""
        raw = await self._send(
            "GET", "/goip_get_sms_stat.html", {"ports": "all", "slots": "all", "type": "3"}
        )
        return StatsReading(raw, self._checked(raw, decode_sms_stats))

    async def _tids(self, path: str, tids: Sequence[int]) -> TidsReading:
        raw = await self._send("POST", path, body=encode_tids(tids))
        return TidsReading(raw, self._checked(raw, decode_tids_answer))

    def _checked(self, raw: bytes, decode: Callable[[bytes], T]) -> T:
        self._refuse_bad_credentials(raw)
        value = decode(raw)
        if isinstance(value, Answer) and not value.ok:
            raise RemoteProtocolError(f"{self.name}: refused: {value.code} {value.reason}")
        return value

    def _refuse_bad_credentials(self, raw: bytes) -> None:
        try:
            answer = decode_answer(raw)
        except RemoteProtocolError:
            return  # no envelope: the caller's decoder will say what it is
        if classify_first_post(answer.code) is CodeClass.CREDENTIALS:
            raise CredentialsRefused(self.name, f"{answer.code} {answer.reason}".strip())

    async def _send(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> bytes:
        # Credentials stand in the URL, on POST too: devices read them nowhere else.
        content_type = {} if body is None else {"Content-Type": "application/json;charset=utf-8"}
        try:
            with trio.fail_after(self.timeout):
                response = await self._client.request(
                    method,
                    self._base + path,
                    params={**self._credentials, **(query or {})},
                    content=body,
                    headers={**content_type, **(headers or {})},
                )
        except _NOT_SENT as error:
            raise NotSent(
                self.name, _words(error)
            ) from None  # its text may hold the URL's password
        except trio.TooSlowError:
            raise InDoubt(self.name, f"no answer within {self.timeout:g} s") from None
        except httpx.HTTPError as error:
            raise InDoubt(self.name, _words(error)) from None
        return self._body_of(response)

    def _body_of(self, response: httpx.Response) -> bytes:
        if response.status_code in (401, 403):
            raise CredentialsRefused(self.name, f"HTTP {response.status_code}")
        if response.status_code != httpx.codes.OK:
            raise InDoubt(self.name, f"HTTP {response.status_code}: {_first_words(response)}")
        return response.content


def _first_words(response: httpx.Response) -> str:
    return response.content[:200].decode("utf-8", "replace").strip()


def _words(error: Exception) -> str:
    """An httpx error without any URL: queries hold the password."""
    names = {
        "ConnectError": "connection refused or host unreachable",
        "ConnectTimeout": "no connection in time",
        "PoolTimeout": "no free connection in time",
        "ReadTimeout": "no answer in time",
        "WriteTimeout": "the request could not be written in time",
        "RemoteProtocolError": "the connection was closed without an answer",
        "ReadError": "the connection broke while waiting for the answer",
        "WriteError": "the connection broke while writing",
    }
    name = type(error).__name__
    if "CERTIFICATE" in str(error):
        return "its certificate is not trusted: name its authority with --ca-file"
    return names.get(name, name)
