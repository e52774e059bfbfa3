"""An HTTP/2 connection without a network, for tests of the pool alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import anyio

from anyhttp._http1 import IDLE, Phase
from anyhttp._http1.connection import BUSY
from anyhttp.connector._multiplexed import MultiplexedPool


class FakeNetworkStream:
    """The socket: it is closed as soon as it is aborted."""

    asyncio_loop = None
    closes_by_itself = True
    for_one_exchange = False

    def __init__(self) -> None:
        self.is_gone = False

    def abort(self) -> None:
        self.is_gone = True

    leave_to_parent = abort

    async def aclose(self) -> None:
        self.is_gone = True

    def is_quiet(self) -> bool:
        return not self.is_gone


class FakeStream:
    """One exchange."""

    is_shared = True

    def __init__(self, connection: FakeHttp2) -> None:
        self.connection = connection
        self.phase = IDLE if connection.carried else Phase.FRESH
        self.is_open = True
        self.was_reset = False
        self.was_refused = False

    def keep(self, engine: object = None) -> None:
        """End the exchange, which was complete."""
        if self.is_open:
            self.is_open = False
            self.phase = IDLE
            self.connection.end(self)

    def abort(self) -> None:
        """End the exchange, which was not complete."""
        if self.is_open:
            self.was_reset = True
            self.is_open = False
            self.phase = Phase.CLOSED
            self.connection.end(self)

    def public_stream(self) -> FakeStream:
        return self

    def leave_to_parent(self) -> None:
        self.is_open = False
        self.phase = Phase.CLOSED


class FakeHttp2:
    """A connection; the test plays the peer."""

    unread = b""
    usable_until = math.inf
    allows_connect_protocol = False

    def __init__(self, max_exchanges: int = 100, *, is_greeted: bool = True) -> None:
        self.is_greeted = is_greeted
        self.stream = FakeNetworkStream()
        self.streams: set[FakeStream] = set()
        self.max_exchanges = max_exchanges
        self.on_change: Callable[[], None] | None = None
        self.needs_check = False
        self.is_going_away = False
        self.carried = False
        self.is_dead = False
        self.checks: list[anyio.Event] = []
        self.answer = True  # of a check

    @property
    def phase(self) -> Phase:
        if self.is_dead:
            return Phase.CLOSED
        return BUSY if self.streams else IDLE

    @property
    def exchanges(self) -> int:
        return len(self.streams)

    @property
    def is_open(self) -> bool:
        return not self.is_dead and not self.is_going_away

    @property
    def has_room(self) -> bool:
        return self.is_open and len(self.streams) < self.max_exchanges

    @property
    def is_usable(self) -> bool:
        return self.phase is IDLE and not self.is_going_away

    def open_stream(self) -> FakeStream:
        assert not self.is_dead
        assert not self.is_going_away
        stream = FakeStream(self)
        self.carried = True
        self.streams.add(stream)
        return stream

    def end(self, stream: FakeStream) -> None:
        self.streams.discard(stream)
        if self.is_going_away and not self.streams:
            self.abort()

    async def check(self) -> bool:
        """Wait until the test sets the event."""
        event = anyio.Event()
        self.checks.append(event)
        await event.wait()
        if self.answer:
            self.needs_check = False
        return self.answer

    def abort(self) -> None:
        self.is_dead = True
        self.stream.abort()

    leave_to_parent = abort

    # -- what the peer does

    def _changed(self) -> None:
        if self.on_change is not None:
            self.on_change()

    def allow(self, exchanges: int) -> None:
        """Allow so many exchanges from now on."""
        self.max_exchanges = exchanges
        self.is_greeted = True
        self._changed()

    def go_away(self) -> None:
        """Refuse new exchanges."""
        self.is_going_away = True
        if not self.streams:
            self.abort()
        self._changed()

    def die(self) -> None:
        """Close the connection."""
        self.abort()
        self._changed()


def make_pool(limit: int = 0, limit_per_host: int = 0, keepalive: float = 15.0) -> MultiplexedPool:
    """Return a pool that shares connections, with TLS or without."""
    return MultiplexedPool(limit, limit_per_host, keepalive, speaks_without_tls=True)


def finish(connection: Any) -> None:
    """End an exchange well."""
    connection.protocol.keep()
    connection.release()
