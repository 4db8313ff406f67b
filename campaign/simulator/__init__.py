"""A gateway from the other side of the wire.

Law: behaves as the vendor's specification says a device does, from a seed, and writes what truly
went on air into a ground-truth ledger. It knows the protocol and nothing of the rest of this
program, so what it proves about the engine is proved from outside. It serves no socket: it is an
ASGI application (`Simulator.app`) and a coroutine (`Simulator.run`).

The device itself (`device.py` and what it is made of) is sans-IO: time is passed in, everything it
will do later stands in one agenda, and pushes leave by a callback. `machine.py` gives it a clock
and a network.
"""

from campaign.simulator.faults import MAGIC, magic_help
from campaign.simulator.machine import Simulator
from campaign.simulator.settings import PROFILES, SimulatorSettings, settings_help

__all__ = ["MAGIC", "PROFILES", "Simulator", "SimulatorSettings", "magic_help", "settings_help"]
