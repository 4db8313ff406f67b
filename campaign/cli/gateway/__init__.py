"""gateway: the devices of a ledger, registered, looked at and operated.

Law: that of the command line. Parse, call, print; a command is imported when it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import click

from campaign.cli.lazy import LazyGroup

_HERE = "campaign.cli.gateway"

COMMANDS: Final[Mapping[str, str]] = {
    "add": f"{_HERE}.registry.add",
    "list": f"{_HERE}.registry.list_",
    "show": f"{_HERE}.registry.show",
    "set": f"{_HERE}.registry.set_",
    "remove": f"{_HERE}.registry.remove",
    "test": f"{_HERE}.probe.test",
    "quotas": f"{_HERE}.quotas.quotas",
    "ports": f"{_HERE}.ports.ports",
    "subscribe": f"{_HERE}.subscribe.subscribe",
    "lock": f"{_HERE}.commands.lock",
    "unlock": f"{_HERE}.commands.unlock",
    "switch": f"{_HERE}.commands.switch",
    "reset": f"{_HERE}.commands.reset",
    "save": f"{_HERE}.commands.save",
    "reboot": f"{_HERE}.commands.reboot",
    "multiple": f"{_HERE}.commands.multiple",
    "config": f"{_HERE}.config.config",
    "tasks": f"{_HERE}.tasks.tasks",
    "sms-stats": f"{_HERE}.statistics.sms_stats",
    "call-stats": f"{_HERE}.statistics.call_stats",
    "ussd": f"{_HERE}.network.ussd",
    "esims": f"{_HERE}.network.esims",
}


@click.group(
    cls=LazyGroup, commands_at=COMMANDS, short_help="Register, look at and operate gateways."
)
def gateway() -> None:
    """The gateways of this ledger: the registry, and what can be asked of each device.

    \b
    Example:
      campaign gateway add office http://192.0.2.10 --username root --password-env OFFICE_PASSWORD
      campaign gateway test office
    """
