"""One device, over HTTP: what a running engine asks of it, answers typed by what they prove."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import httpx

from campaign.env import Env
from campaign.errors import CredentialsRefused, GatewayError, NotSent, RemoteProtocolError
from campaign.gateway.answers import (
    Answered,
    CredentialsBad,
    Doubtful,
    LegacyAnswered,
    LegacyOutcome,
    NeverSent,
    PageReading,
    PostOutcome,
    StatsReading,
    Sweep,
    TidsReading,
)
from campaign.gateway.console import Console
from campaign.gateway.credentials import Credentials, Negotiated, SecureSession, SignIn
from campaign.gateway.line import Line
from campaign.gateway.paging import waiting_count, waiting_tasks
from campaign.protocol.codec import (
    decode_dev_status,
    decode_sms_page,
    decode_sms_stats,
    decode_task_status,
    decode_tids_answer,
    encode_tids,
)
from campaign.protocol.codes import CodeClass, classify_first_post
from campaign.protocol.legacy import SEND_SMS, decode_legacy_answer, legacy_query
from campaign.protocol.messages import DevStatus
from campaign.protocol.ports import Port
from campaign.protocol.session import AuthOrder, Crypt, Login

T = TypeVar("T")

_LATEST = 2**31 - 1


class Device:
    """The client of one device. Close it with `aclose`; every call bounds itself by `timeout`.

    Without `crypt` user and password stand in every URL; with it a secure session signs each
    request. All calls but the posts raise `NotSent`, `InDoubt`, `CredentialsRefused` or
    `RemoteProtocolError`.
    """

    def __init__(
        self,
        name: str,
        url: str,
        username: str,
        password: str,
        *,
        env: Env,
        timeout: float = 10.0,
        ca_file: str | None = None,
        crypt: Crypt | None = None,
        auth_order: AuthOrder = "spec",
        session_seconds: int = 180,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.name = name
        self.timeout = timeout
        login = Login(username, password)
        sign_in: SignIn = (
            Credentials(login)
            if crypt is None
            else SecureSession(login, crypt, auth_order, seconds=session_seconds, env=env)
        )
        self._line = Line(name, url, sign_in, timeout=timeout, ca_file=ca_file, transport=transport)
        self.console = Console(self._line)

    async def aclose(self) -> None:
        await self._line.aclose()

    @property
    def auth_order(self) -> AuthOrder:
        """How this device hashes a request, as far as is known by now."""
        return self._line.sign_in.order

    @property
    def negotiated(self) -> Negotiated | None:
        """The secure session in use, None without one."""
        return self._line.sign_in.negotiated

    async def post(self, body: bytes) -> PostOutcome:
        """Offer tasks (spec §6.3.1). Never raises for what the network or the device does."""
        try:
            raw = await self._line.post("/goip_post_sms.html", body)
            status = decode_task_status(raw)
        except NotSent as error:
            return NeverSent(error.message)
        except CredentialsRefused as error:
            return CredentialsBad(error.message, error.raw)
        except (GatewayError, RemoteProtocolError) as error:
            return Doubtful(str(error))
        return Answered(status, raw)

    async def post_legacy(
        self, port: Port | None, recipients: Sequence[str], text: str
    ) -> LegacyOutcome:
        """Send by the 1.0 interface: one GET, no task id, no report. Never raises like `post`."""
        try:
            raw = await self._line.get_once(SEND_SMS, legacy_query(port, recipients, text))
            answer = decode_legacy_answer(raw)
        except NotSent as error:
            return NeverSent(error.message)
        except CredentialsRefused as error:
            return CredentialsBad(error.message, error.raw)
        except (GatewayError, RemoteProtocolError) as error:
            return Doubtful(str(error))
        if classify_first_post(answer.code) is CodeClass.CREDENTIALS:
            return CredentialsBad(f"{answer.code} {self._line.shown(answer.reason)}", raw)
        # 200 is what the later interface calls success; some firmware answers it here too
        return LegacyAnswered(0 if answer.ok else answer.code, self._line.shown(answer.reason), raw)

    async def status(self) -> DevStatus:
        """A snapshot of the device and its ports (spec §4.1), without touching subscriptions."""
        return decode_dev_status(await self._line.ask("/goip_get_status.html"))

    async def boot_id(self) -> PageReading:
        """The device's `ssrc`, new on every run of it (spec §8), without fetching the inbox."""
        return await self.sms_page(sms_id=_LATEST, sms_num=1)

    async def sms_page(self, *, sms_id: int, sms_num: int, delete: bool = False) -> PageReading:
        """Received messages from `sms_id` on (spec §8.2); `delete` takes those it returns away."""
        query = {"sms_id": str(sms_id), "sms_num": str(sms_num)}
        if delete:
            query["sms_del"] = "1"
        raw = await self._line.ask("/goip_get_sms.html", query)
        return PageReading(raw, self._checked(raw, decode_sms_page))

    async def waiting_tasks(self, ports: Sequence[int]) -> Sweep:
        """All tasks still waiting on these ports (spec §6.3.6), page by page, until stable."""
        return await waiting_tasks(self._line, ports)

    async def waiting_count(self, port: int) -> int:
        """How many tasks wait on this port or on any, as the device counts them."""
        return await waiting_count(self._line, port)

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
        raw = await self._line.ask(
            "/goip_get_sms_stat.html", {"ports": "all", "slots": "all", "type": "3"}
        )
        return StatsReading(raw, self._checked(raw, decode_sms_stats))

    async def _tids(self, path: str, tids: Sequence[int]) -> TidsReading:
        raw = await self._line.ask(path, body=encode_tids(tids))
        return TidsReading(raw, self._checked(raw, decode_tids_answer))

    def _checked(self, raw: bytes, decode: Callable[[bytes], T]) -> T:
        return self._line.checked(raw, decode)
