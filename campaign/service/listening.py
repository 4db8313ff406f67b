"""The receiver process: one inbox, one port, until told or until it has nothing left to wait for.

It holds the inbox's lock and alone writes the inbox. Order of death: the server first (requests at
hand are finished), then the sink that writes what they brought, then the inbox, then the lock.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from enum import Enum
from functools import partial

import trio

from campaign.env import Env
from campaign.errors import StoreError, UsageError
from campaign.receiver.app import receiver_app
from campaign.receiver.sink import InboxSink
from campaign.receiver.wake import Waker
from campaign.service.addresses import chosen_address
from campaign.service.connections import Limits
from campaign.service.locks import FileLock
from campaign.service.serving import capped_descriptors, open_listener, serve_on
from campaign.service.site import shown
from campaign.service.sources import EVERYBODY, Network, parse_sources, sources_text
from campaign.store.inbox import InboxWriter, ReceiverBinding
from campaign.store.paths import LedgerPaths

_log = logging.getLogger(__name__)

# A device keeps one or two connections; a source may be the one address of a whole site of them.
LIMITS = Limits(total=512, per_source=128)
# Covers the moment between a receiver's start and its starter being visible as a running engine.
LINGER_SECONDS = 10.0
_POLL_SECONDS = 1.0


class Ended(Enum):
    """Why a receiver ended. `LOST` never leaves this file: it becomes a StoreError."""

    SIGNAL = "signal"
    FINISHED = "finished"
    LOST = "inbox_lost"


class _Ending:
    """The first reason to end wins; `wait` is what the server shuts down on."""

    def __init__(self) -> None:
        self.reason = Ended.SIGNAL
        self._decided = trio.Event()

    def decide(self, reason: Ended) -> None:
        if not self._decided.is_set():
            self.reason = reason
            self._decided.set()

    async def wait(self) -> None:
        await self._decided.wait()


async def listen(
    paths: LedgerPaths,
    *,
    env: Env,
    tokens: Callable[[], Mapping[str, int]],
    finished: Callable[[], bool],
    address: tuple[str, int] | None = None,
    public_url: str | None = None,
    allow: Sequence[Network] | None = None,
    automatic: bool = False,
    linger: float = LINGER_SECONDS,
    limits: Limits = LIMITS,
    task_status: trio.TaskStatus[ReceiverBinding] = trio.TASK_STATUS_IGNORED,
) -> Ended:
    """Receive pushes into the inbox of `paths` until SIGTERM or SIGINT.

    `automatic`: also end by itself once `finished()`, asked every second, has been true for
    `linger` seconds on end. `address` (host, port) is needed only the first time: the inbox
    remembers it; a new `public_url`, or `allow` (the only networks heard; empty: all), replaces the
    remembered one. Starts with the binding.

    UsageError if another receiver holds the inbox, if another address than the remembered one is
    asked for, or if somebody else has the port. StoreError if the inbox is taken away while
    running. Must run in the main thread, because of the signals.
    """
    with _locked(paths), InboxWriter.open(paths.inbox, env.nonce) as inbox, capped_descriptors():
        stored = inbox.binding()
        host, port = chosen_address(stored, address)
        sources = _heard(stored, allow)
        listener = await open_listener(host, port)
        ending = _Ending()
        with closing(Waker(paths.socket, env.monotonic)) as waker:
            sink = InboxSink(inbox, on_commit=waker.wake)
            app = receiver_app(tokens, sink, env=env, sources=sources)
            async with trio.open_nursery() as sinks:
                await sinks.start(sink.run)
                async with trio.open_nursery() as watchers:
                    await watchers.start(_end_on_signal, ending)
                    watchers.start_soon(_end_on_loss, inbox, ending)
                    if automatic:
                        watchers.start_soon(_end_when_finished, finished, linger, ending)
                    async with trio.open_nursery() as servers:
                        bound = await servers.start(
                            partial(
                                serve_on, app, host, listener, shutdown=ending.wait, limits=limits
                            )
                        )
                        heard = None if allow is None else sources_text(sources)
                        binding = _remember(
                            inbox, ReceiverBinding(host, bound[1], public_url, os.getpid(), heard)
                        )
                        task_status.started(binding)
                    watchers.cancel_scope.cancel()
                sink.close()
    _log.info("event=receiver_ended reason=%s", ending.reason.value)
    if ending.reason is Ended.LOST:
        raise StoreError(f"inbox {paths.inbox} was removed or replaced under the running receiver")
    return ending.reason


def _heard(stored: ReceiverBinding | None, asked: Sequence[Network] | None) -> Sequence[Network]:
    if asked is not None:
        return asked
    return parse_sources([stored.allow]) if stored is not None and stored.allow else ()


@contextmanager
def _locked(paths: LedgerPaths) -> Iterator[None]:
    lock = FileLock(paths.inbox_lock)
    if not lock.acquire():
        holder = lock.holder()
        process = f"process {holder}" if holder else "another process"
        raise UsageError(f"a receiver is already running for this inbox ({process})")
    try:
        yield
    finally:
        lock.release()


def _remember(inbox: InboxWriter, binding: ReceiverBinding) -> ReceiverBinding:
    """Store the binding; returns it as stored, with an earlier public URL if none was given."""
    inbox.bind_to(binding)
    stored = inbox.binding() or binding
    _log.info(
        "event=listening address=%s allow=%r",
        shown(stored.host, stored.port), stored.allow or EVERYBODY,
    )  # fmt: skip
    return stored


async def _end_on_signal(
    ending: _Ending, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as arriving:
        task_status.started()
        async for _number in arriving:
            ending.decide(Ended.SIGNAL)


async def _end_on_loss(inbox: InboxWriter, ending: _Ending) -> None:
    """A push committed into a deleted file would be acknowledged and lost."""
    while inbox.is_in_place():  # noqa: ASYNC110 - the file system has no event for us
        await trio.sleep(_POLL_SECONDS)
    ending.decide(Ended.LOST)


async def _end_when_finished(finished: Callable[[], bool], linger: float, ending: _Ending) -> None:
    since = trio.current_time()
    readable = True
    while trio.current_time() - since < linger:
        await trio.sleep(_POLL_SECONDS)
        try:
            over = finished()
        except StoreError as error:
            # Not readable at this moment: it may well have tasks to wait for.
            over = False
            if readable:
                _log.warning("event=ledger_unreadable error=%r", str(error))
            readable = False
        else:
            readable = True
        if not over:
            since = trio.current_time()
    ending.decide(Ended.FINISHED)
