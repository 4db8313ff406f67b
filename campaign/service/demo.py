"""The demonstration: a list, three simulated gateways, and times short enough to watch."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from campaign.engine.intake import LaunchRequest
from campaign.env import Env
from campaign.errors import UsageError
from campaign.planner.options import CampaignOptions
from campaign.service.locks import is_held
from campaign.service.outcome import Result, Screen
from campaign.service.program import launch
from campaign.service.simulated import Simulation
from campaign.service.site import Site
from campaign.store.paths import LedgerPaths

DEMO_NAME = "demo"
_NAMES = ("Ada", "Björn", "Chen", "Dalia", "Emeka", "Fatima", "Grace", "Hiro", "李雷", "Zoë")
_MAGIC = ("0001", "0003", "0004", "0005", "0006", "0009")
"""Numbers that fail for good, once, are undelivered, stay without receipt, time out, reply STOP."""

_TIMES = {
    "client-timeout": "2s",
    "task-report-period": "1s",
    "report-period": "1s",
    "report-horizon": "3s",
    "push-silence": "6s",
    "status-period": "2s",
    "receipt-wait": "4s",
    "retry-wait": "1s",
    "port-rest": "5s",
}


@dataclass(frozen=True)
class DemoOrder:
    """Everything `run_demo` needs."""

    site: Site
    request: LaunchRequest
    simulation: Simulation


def prepare_demo(env: Env, out: Path, recipients: int) -> DemoOrder:
    """Make the folder, clear what an earlier demo left there, and write the list."""
    out = out.absolute()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the folder {out} cannot be made: {error.strerror}") from error
    paths = LedgerPaths.beside(out / "demo.db")
    if is_held(paths.lock) or is_held(paths.inbox_lock):
        raise UsageError(f"a demo still runs in {out}: wait for it, or choose another --out")
    for left in out.glob("demo*"):
        if left.is_file() or left.is_socket():
            left.unlink()
    path = out / "demo-list.csv"
    _write_list(path, recipients)
    request = LaunchRequest(
        name=DEMO_NAME,
        path=str(path),
        list_name=path.name,
        message="Hello {name|friend}, your parcel is ready. Reply STOP to end these messages.",
        rejects=str(path) + ".rejects.csv",
        options=CampaignOptions(settings=_TIMES, window="any"),
    )
    simulation = Simulation(
        3,
        ("--ports", "4", "--sms-seconds", "0.2", "--magic", "--set", "receipts-seconds=0.5-1.5"),
        per_gateway=((), ("--fail-rate", "0.6"), ()),
    )
    return DemoOrder(Site(paths, out / "demo-optouts.db", env), request, simulation)


async def run_demo(order: DemoOrder, screen: Screen) -> Result:
    """Launch it and follow it to the end."""
    return await launch(order.site, order.request, screen, simulation=order.simulation)


def _write_list(path: Path, recipients: int) -> None:
    """Test numbers under +999, which no operator has; a few have a fate of their own, two rows are
    refused."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["phone", "name"])
        for i in range(recipients):
            plain = f"{1000 + i % 9000:04d}"
            last = _MAGIC[i // 20 % len(_MAGIC)] if i % 20 == 7 else plain
            writer.writerow([f"+99955{i:04d}{last}", _NAMES[i * 7 % len(_NAMES)]])
        writer.writerow(["+999", "Nobody"])
        writer.writerow(["1.38E+10", "Spreadsheet"])
