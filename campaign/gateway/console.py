"""What an operator asks of a device: commands, configuration, subscription, statistics, USSD."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from campaign.gateway.answers import StatsReading, TidsReading
from campaign.gateway.line import Line
from campaign.protocol.codec import (
    decode_call_stats,
    decode_dev_status,
    decode_sms_stats,
    decode_tids_answer,
    encode_all_tids,
)
from campaign.protocol.commands import (
    SAVE,
    Command,
    decode_command_answer,
    encode_command,
    get_query,
    set_body,
    set_query,
)
from campaign.protocol.esims import decode_esims
from campaign.protocol.legacy import SEND_USSD, decode_ussd_answer, ussd_query
from campaign.protocol.messages import CallStats, CommandAnswer, DevStatus, Esims, UssdAnswer
from campaign.protocol.ports import Notation, Port

_COMMAND = "/goip_send_cmd.html"
_STATUS = "/goip_get_status.html"
_BOTH = ("all_sims", "all_slots")
"""The same wish in specification 2.0 and in firmware 2.4."""


class Console:
    """Operations on one device; they raise what `Line.ask` raises, and `RemoteProtocolError` where
    the device refuses."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def command(
        self,
        command: Command,
        notation: Notation = "letter",
        *,
        auto_fail_sim_switch: bool | None = None,
    ) -> CommandAnswer:
        """Carry out a command (spec §5). Its result is told by port states later."""
        body = encode_command(command, notation, auto_fail_sim_switch=auto_fail_sim_switch)
        return self._line.checked(await self._line.ask(_COMMAND, body=body), decode_command_answer)

    async def get_parameters(self, names: Sequence[str]) -> dict[str, str]:
        """Configuration parameters by name (spec §5.1.2); those the device does not know are
        missing."""
        raw = await self._line.ask(_COMMAND, get_query(list(names)))
        answer = self._line.checked(raw, decode_command_answer)
        return dict(answer.values)

    async def set_parameters(self, values: Mapping[str, str], *, as_body: bool = False) -> int:
        """Set configuration parameters; how many the device took. They last until its restart
        unless saved."""
        if as_body:
            raw = await self._line.ask(_COMMAND, {"op": "set"}, text=set_body(values))
        else:
            raw = await self._line.ask(_COMMAND, set_query(values))
        answer: CommandAnswer = self._line.checked(raw, decode_command_answer)
        return len(values) if answer.par_set is None else answer.par_set

    async def save(self) -> None:
        """Make the present configuration outlast a restart."""
        await self.command(SAVE)

    async def snapshot(self, *, all_sims: bool = True) -> DevStatus:
        """The device and its ports, every SIM of them if asked (spec §4.1)."""
        query = dict.fromkeys(_BOTH, "1") if all_sims else {}
        return decode_dev_status(await self._line.ask(_STATUS, query))

    async def subscribe(self, url: str, period: int, *, all_sims: bool = True) -> DevStatus:
        """Have the device push its status to `url`, on every change and every `period` seconds (at
        least 60), in place of any earlier `url` (spec §4.1.2).

        The device does not tell what it replaces.
        """
        query = {"url": url, "period": str(period)}
        if all_sims:
            query |= dict.fromkeys(_BOTH, "1")
        return decode_dev_status(await self._line.ask(_STATUS, query))

    async def unsubscribe(self) -> None:
        """End the device's status pushes, to whatever address (spec §4.1.2, period 0)."""
        await self._line.ask(_STATUS, {"period": "0"})

    async def sms_stats(
        self, *, ports: str = "all", slots: str = "all", period: int = 3
    ) -> StatsReading:
        """The device's SMS counters (spec §9). `slots` empty: the SIM in use; `period`: 0 last
        hour, 1 last two hours, 2 today, 3 in all."""
        raw = await self._line.ask("/goip_get_sms_stat.html", _selection(ports, slots, period))
        return StatsReading(raw, self._line.checked(raw, decode_sms_stats))

    async def call_stats(
        self, *, ports: str = "all", slots: str = "all", period: int = 3
    ) -> CallStats:
        """The device's call counters (spec §10), selected like those of SMS."""
        raw = await self._line.ask("/goip_get_call_stat.html", _selection(ports, slots, period))
        return self._line.checked(raw, decode_call_stats)

    async def esims(self) -> Esims:
        """The eSIMs of all ports (firmware 2.4)."""
        return self._line.checked(await self._line.ask("/goip_get_esims.html"), decode_esims)

    async def ussd(self, port: Port, code: str) -> UssdAnswer:
        """Dial a USSD code on a port, for a balance; the network's answer."""
        raw = await self._line.ask(SEND_USSD, ussd_query(port, code))
        return self._line.checked(raw, decode_ussd_answer)

    async def remove_all(self) -> TidsReading:
        """Remove every task of the device, other systems' too: only on somebody's explicit word."""
        raw = await self._line.ask("/goip_remove_sms.html", body=encode_all_tids())
        return TidsReading(raw, self._line.checked(raw, decode_tids_answer))

    async def pause_all(self) -> TidsReading:
        """Pause every task of the device, other systems' too."""
        raw = await self._line.ask("/goip_pause_sms.html", body=encode_all_tids())
        return TidsReading(raw, self._line.checked(raw, decode_tids_answer))

    async def resume_all(self) -> TidsReading:
        """Resume every task of the device, other systems' too."""
        raw = await self._line.ask("/goip_resume_sms.html", body=encode_all_tids())
        return TidsReading(raw, self._line.checked(raw, decode_tids_answer))


def _selection(ports: str, slots: str, period: int) -> dict[str, str]:
    query = {"ports": ports, "type": str(period)}
    return query | {"slots": slots} if slots else query
