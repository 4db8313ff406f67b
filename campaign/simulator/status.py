"""Port states as the device tells them, and who subscribed to them (spec §4)."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from campaign import __version__
from campaign.protocol.codes import PortCode
from campaign.protocol.messages import DevStatus, PortState, PortStatus
from campaign.protocol.simulated import SIMULATOR_MARK
from campaign.simulator.agenda import Agenda, Entry
from campaign.simulator.radio import SimPort
from campaign.simulator.settings import SimulatorSettings

Outlet = Callable[[str, DevStatus | PortStatus], None]

VERSION = f"{SIMULATOR_MARK} {__version__}"

SHORTEST_PERIOD = 60.0


@dataclass(frozen=True, slots=True)
class Subscription:
    """Where states go. `all_sims` lists every SIM, not only the one in use."""

    url: str
    period: float
    all_sims: bool


class Identity:
    """MAC, IMEI, ICCID, IMSI and number of each SIM: made from the seed, the same in every run."""

    def __init__(self, settings: SimulatorSettings, rng: random.Random) -> None:
        self.mac = "00-30-f1-" + "-".join(f"{rng.randrange(256):02x}" for _ in range(3))
        stock = rng.randrange(10**6)
        self._slots = settings.slots
        self._stock = stock
        self.numbers: dict[tuple[int, int], str] = {}

    def _serial(self, port: int, slot: int) -> int:
        return self._stock * 10**5 + port * 100 + slot

    def imei(self, port: int) -> str:
        return f"86{self._serial(port, 0):013d}"

    def iccid(self, port: int, slot: int) -> str:
        return f"8999{self._serial(port, slot):015d}"

    def imsi(self, port: int, slot: int) -> str:
        return f"99970{self._serial(port, slot) % 10**10:010d}"

    def number(self, port: int, slot: int) -> str:
        """+999 is a country code assigned to nobody; `numbers` are those somebody set."""
        if (port, slot) in self.numbers:
            return self.numbers[port, slot]
        return f"999{self._serial(port, slot) % 10**9:09d}"


class StatusBoard:
    """Answers status queries, and pushes states on change and every period."""

    def __init__(
        self,
        settings: SimulatorSettings,
        agenda: Agenda,
        identity: Identity,
        ports: list[SimPort],
        outlet: Outlet,
    ) -> None:
        self._settings = settings
        self._agenda = agenda
        self._identity = identity
        self._ports = ports
        self._outlet = outlet
        self._timer: Entry | None = None
        self._seq = 0
        self.subscription: Subscription | None = None

    def subscribe(self, subscription: Subscription | None, now: float) -> None:
        """A new subscription replaces the former one; None ends it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.subscription = subscription
        if subscription is None:
            return
        if self._settings.subscribe_push:
            self._push_all(now)
        else:
            self._timer = self._agenda.at(now + subscription.period, self._push_all)

    def fall_silent(self) -> None:
        """The device is down: nothing is pushed until it restarts."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def restart(self, subscription: Subscription | None, now: float) -> None:
        """The device restarted: its sequence begins again."""
        self._seq = 0
        self.subscribe(subscription, now)

    def changed(self, port: SimPort) -> None:
        port.seq += 1
        if self.subscription is not None:
            self._outlet(self.subscription.url, PortStatus(self._state(port, port.slot)))

    def number_of(self, port: SimPort) -> str:
        return self._identity.number(port.number, port.slot)

    def set_number(self, port: SimPort, number: str) -> None:
        """The operator says which number the SIM in use has."""
        self._identity.numbers[port.number, port.slot] = number
        self.changed(port)

    def sim_of(self, port: SimPort) -> tuple[str, str, str]:
        """ICCID, IMSI and IMEI of the SIM in a port."""
        number, slot = port.number, port.slot
        identity = self._identity
        return identity.iccid(number, slot), identity.imsi(number, slot), identity.imei(number)

    def eid_of(self, port: SimPort) -> str:
        """The number of a port's eSIM chip."""
        return f"8904{self._identity.imei(port.number)}"

    def iccid_of(self, port: SimPort, slot: int) -> str:
        return self._identity.iccid(port.number, slot)

    def snapshot(self, *, all_sims: bool, expires: int) -> DevStatus:
        self._seq += 1
        rows = [
            self._state(port, slot)
            for port in self._ports
            for slot in (range(1, self._settings.slots + 1) if all_sims else (port.slot,))
        ]
        return DevStatus(
            seq=self._seq,
            expires=expires,
            mac=self._identity.mac,
            ip="127.0.0.1",
            ver=VERSION,
            max_ports=self._settings.ports,
            max_slots=self._settings.slots,
            ports=tuple(rows),
        )

    def _push_all(self, now: float) -> None:
        subscription = self.subscription
        if subscription is None:
            return
        status = self.snapshot(all_sims=subscription.all_sims, expires=int(subscription.period))
        self._timer = self._agenda.at(now + subscription.period, self._push_all)
        self._outlet(subscription.url, status)

    def _state(self, port: SimPort, slot: int) -> PortState:
        identity, number = self._identity, port.number
        active = slot == port.slot
        code = port.code if active else PortCode.IDLE_SIM
        return PortState(
            port=port.name_of(slot),
            code=int(code),
            text=self._text(code),
            seq=port.seq,
            imei=identity.imei(number),
            iccid=identity.iccid(number, slot),
            imsi=identity.imsi(number, slot),
            number=identity.number(number, slot),
            operator="99970 SIMULATED" if active and port.usable else "0 ",
            balance=f"{port.balances[slot - 1]:.2f}",
            signal=25 if active and port.usable else 0,
            extra=self._later_keys(port, active=active),
        )

    def _later_keys(self, port: SimPort, *, active: bool) -> dict[str, Any]:
        """What firmware 2.4 tells beside the specification's keys."""
        if self._settings.dialect == "2.0":
            return {}
        return {
            "sim": "",
            "active": int(active),
            "inserted": 1,
            "slot_active": port.slot,
            "led": 0,
            "network": 4 if active and port.usable else 0,
            "tot_dur": "0/-1",
        }

    def _text(self, code: int) -> str:
        """The 2.0 specification writes `3 OK`, later firmware a bare number."""
        if self._settings.dialect == "2.4":
            return ""
        return f"{int(code)} {_WORDS.get(code, 'Unknown')}"


_WORDS: dict[int, str] = {
    PortCode.IDLE_SIM: "Idle",
    PortCode.REGISTERING: "Registering",
    PortCode.REGISTERED: "OK",
    PortCode.NO_BALANCE: "No Balance",
    PortCode.REGISTRATION_FAILED: "Register Failed",
    PortCode.LOCKED_BY_USER: "Locked",
    PortCode.NOT_RESPONDING: "No Response",
}
