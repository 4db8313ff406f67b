"""Options that the load commands share, declared once."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from campaign.cli.context import Context, host_port
from campaign.errors import UsageError
from campaign.load.plan import Plan
from campaign.load.schedule import Shape
from campaign.load.target import Leave, read_numbers
from campaign.load.workers import cores
from campaign.load.workload import Alphabet, Cadence, Mix
from campaign.planner.durations import parse_duration
from campaign.protocol.session import AUTH_ORDERS, Crypt
from campaign.service.loading import whom

F = TypeVar("F", bound=Callable[..., Any])

MOST_SEED: Final = 2**31 - 1
_CONNECTIONS: Final = 32
_SESSIONS: Final = 4

_SHAPE = (
    click.option("--rate", metavar="500/s", help="Requests a second (or /min, /h), evenly spaced."),
    click.option("--duration", metavar="30s", help="How long."),
    click.option(
        "--stages",
        metavar="30s:500/s,…",
        help="One stretch after the other: 30s:500/s,1m:500-2000/s holds 500/s, then climbs.",
    ),
    click.option("--ramp-to", metavar="2000/s", help="From --rate straight to this rate."),
    click.option("--spike-to", metavar="2000/s", help="Jump to this rate in the middle, and back."),
    click.option("--spike-for", metavar="5s", help="How long that lasts. Default: a fifth."),
    click.option("--slopes", metavar="30s", help="A soak: climb to --rate, and down at the end."),
    click.option("--poisson", is_flag=True, help="At random times of that density, not even ones."),
    click.option(
        "--closed",
        is_flag=True,
        help="No schedule: each connection sends as soon as it has its answer. What would have"
        " waited while the target stalls is then missing from every figure.",
    ),
    click.option("--seed", type=click.IntRange(0, MOST_SEED), help="Of random arrivals."),
)

_WORKLOAD = (
    click.option(
        "--tasks-per-request", type=click.IntRange(1), default=1, show_default=True, metavar="N",
        help="Tasks in a request.",
    ),
    click.option(
        "--recipients-per-task", type=click.IntRange(1), default=1, show_default=True, metavar="N",
        help="Recipients of a task.",
    ),
    click.option(
        "--text-length", type=click.IntRange(1), default=100, show_default=True, metavar="N",
        help="Characters of a text.",
    ),
    click.option(
        "--alphabet", type=click.Choice([str(one) for one in Alphabet]),
        default=str(Alphabet.GSM7), show_default=True, help="What the texts are made of.",
    ),
    click.option(
        "--mix", metavar="send=8,status=1", default="send", show_default=True,
        help="Kinds of requests by weight: send, status, stats, tasks (pages of the queue), session"
        " (a handshake under each cipher in turn), command (reads one parameter).",
    ),
    click.option(
        "--report-count", type=click.IntRange(1), metavar="N",
        help="Reports that fill a push. Default: the device's own value.",
    ),
    click.option(
        "--report-period", type=click.IntRange(1), default=1, show_default=True,
        metavar="SECONDS", help="The longest a report waits in the device.",
    ),
)  # fmt: skip

_CLIENT = (
    click.option(
        "--connections", type=click.IntRange(1, 10_000), metavar="N",
        help="Kept connections of each worker. Default: 32; with secure sessions 4.",
    ),
    click.option(
        "--workers", type=click.IntRange(1, 256), metavar="N",
        help="Processes that send. Default: one for each core; with secure sessions 1.",
    ),
    click.option(
        "--timeout", default="30s", show_default=True, metavar="30s",
        help="A request without an answer for so long has failed; its tasks are in doubt.",
    ),
    click.option(
        "--metrics", metavar="HOST:PORT", callback=host_port,
        help="Serve /metrics for Prometheus meanwhile.",
    ),
)  # fmt: skip

_RETURN = (
    click.option(
        "--listen", metavar="HOST:PORT", default="127.0.0.1:0", show_default=True,
        callback=host_port, help="Where reports arrive.",
    ),
    click.option("--public-url", metavar="URL", help="The address the device is told."),
    click.option(
        "--ca-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE",
        help="Certificates to trust for the target. Default: as registered, else the system's.",
    ),
)  # fmt: skip

_LEAVE_AND_SESSIONS = (
    click.option(
        "--i-own-this-gateway", "owned", is_flag=True,
        help="It is yours, and may send real messages. Needed for all but simulators.",
    ),
    click.option(
        "--numbers", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE",
        help="Test numbers of your own, one a line. Default: a range that nobody has (simulators).",
    ),
    click.option(
        "--max-messages", type=click.IntRange(1), metavar="N",
        help="Refuse a load of more. Default: 100 for a real gateway.",
    ),
    click.option("--max-cost", metavar="X", help="Refuse a load that costs more; with --price."),
    click.option("--price", metavar="X", help="What one SMS costs, in the same currency."),
    click.option(
        "--crypt", type=click.Choice([str(one) for one in Crypt]),
        help="Sign in by secure sessions with this cipher, one for each connection (devices keep"
        " few of them at a time). Default: as registered.",
    ),
    click.option(
        "--auth-order", type=click.Choice(AUTH_ORDERS), help="How requests of a session are hashed."
    ),
    click.option(
        "--session-requests", type=click.IntRange(1), metavar="N",
        help="Churn: replace a session after N requests. Default: when its life ends.",
    ),
    click.option(
        "--plain-login", is_flag=True,
        help="Send the password in every URL to a gateway registered with secure sessions.",
    ),
)  # fmt: skip

fail_if_option = click.option(
    "--fail-if", "fail_if", multiple=True, metavar="EXPR",
    help="Exit 3 if true, as 'accept_p99>500ms', 'errors>1%' or 'unreported>0'; repeatable.",
)  # fmt: skip


def _all(options: tuple[Callable[[F], F], ...], command: F) -> F:
    for option in reversed(options):
        command = option(command)
    return command


def shape_options(command: F) -> F:
    """When requests go out (`shaping.Wish`)."""
    return _all(_SHAPE, command)


def client_options(command: F) -> F:
    """How they are sent."""
    return _all(_CLIENT, command)


def gateway_options(command: F) -> F:
    """What is sent to a gateway, where it reports to, what its owner allows, how it signs in."""
    return _all((*_WORKLOAD, *_RETURN, *_LEAVE_AND_SESSIONS), command)


def load_plan(
    context: Context,
    target: str,
    *,
    shape: Shape | None = None,
    seconds: float = 0.0,
    seed: int = 0,
    settle: float,
    receipts: bool | None,
    **options: Any,
) -> Plan:
    """The plan these options ask for. UsageError."""
    found = whom(context.site, target)
    crypt = None if options["plain_login"] else _cipher(options["crypt"]) or found.crypt
    if crypt is None and options["session_requests"] is not None:
        raise UsageError("--session-requests counts those of a secure session: give --crypt")
    return Plan(
        found.address,
        shape=shape,
        seconds=seconds,
        seed=seed,
        tasks=options["tasks_per_request"],
        recipients=options["recipients_per_task"],
        length=options["text_length"],
        alphabet=Alphabet(options["alphabet"]),
        cadence=Cadence(
            device_count=options["report_count"],
            device_period=options["report_period"],
            task_period=options["report_period"],
            receipts=receipts is not False,
        ),
        mix=Mix.parse(options["mix"]),
        connections=options["connections"] or (_CONNECTIONS if crypt is None else _SESSIONS),
        workers=options["workers"] or (cores() if crypt is None else 1),
        timeout=parse_duration(options["timeout"]),
        settle=settle,
        leave=_leave(**options),
        listen=options["listen"],
        public_url=options["public_url"],
        ca_file=str(options["ca_file"]) if options["ca_file"] else found.ca_file,
        crypt=crypt,
        auth_order=options["auth_order"] or found.auth_order,
        session_requests=options["session_requests"],
        receipts_if_simulated=receipts is None,
    )


def _cipher(text: str | None) -> Crypt | None:
    return None if text is None else Crypt(text)


def share(text: str) -> float:
    """`3%` or `0.03` as a share."""
    number = text.strip().removesuffix("%")
    try:
        value = float(number) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UsageError(f"{text!r} is no share: write 3% or 0.03")
    return value


def _leave(**options: Any) -> Leave:
    numbers: Path | None = options["numbers"]
    listed = numbers.read_text(encoding="utf-8-sig").splitlines() if numbers else None
    return Leave(
        owned=options["owned"],
        numbers=() if listed is None else read_numbers(listed),
        messages=options["max_messages"],
        price=_money("--price", options["price"]),
        cost=_money("--max-cost", options["max_cost"]),
    )


def _money(option: str, text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("nan")
    if not amount.is_finite():
        raise UsageError(f"{option} {text!r}: write an amount, as 0.035")
    return amount
