"""An HTTP/2 connection without a network, for tests of the pool alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from trio.testing import MockClock

from anyhttp._http1 import IDLE, Connection, Http1Connection, Phase, engine_class
from anyhttp._http1.connection import BUSY
from anyhttp.connector._multiplexed import MultiplexedPool
from anyhttp.connector._slots import Slot
from anyhttp.testing import AutojumpEventLoop
from tests.support.keys import A

#: Backends with clocks that jump.
BACKENDS: dict[str, Callable[[], dict[str, Any]]] = {
    "asyncio": lambda: {"loop_factory": AutojumpEventLoop},
    "trio": lambda: {"clock": MockClock(autojump_threshold=0)},
}


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
        self.answers = 0
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


def http1() -> Any:
    """Return a new connection of HTTP/1.1."""
    return Http1Connection(FakeNetworkStream(), engine_class("auto"))  # type: ignore[arg-type]


#: So many times a task has its turn before all that it has caused is done.
ROUNDS = 10

#: Clocks that jump to the next thing to do, so that waiting takes no time.
jumping = pytest.mark.parametrize(
    "anyio_backend",
    [
        pytest.param(("asyncio", {"loop_factory": AutojumpEventLoop}), id="asyncio"),
        pytest.param(("trio", {"clock": MockClock(autojump_threshold=0)}), id="trio"),
    ],
)


class PoolUser:
    """Requests to a pool, each a task, and the connections that they open."""

    def __init__(self, pool: MultiplexedPool, group: anyio.abc.TaskGroup) -> None:
        self.pool = pool
        self.group = group
        self.dials: list[Dial] = []
        self.got: dict[str, Connection] = {}
        self.order: list[str] = []
        self.errors: dict[str, BaseException] = {}
        self.scopes: dict[str, anyio.CancelScope] = {}
        self.slots: dict[str, Slot] = {}
        self.cancelled = 0

    async def ask(self, *names: str, key: Any = A, refusals: int = 0) -> None:
        """Let requests come, one after the other."""
        for name in names:
            self.group.start_soon(self._request, name, key, refusals)
            await settled()

    async def _request(self, name: str, key: Any, refusals: int) -> None:
        with anyio.CancelScope() as self.scopes[name]:
            try:
                self.got[name] = await self._get(name, key, refusals)
                self.order.append(name)
            except RuntimeError as exc:
                self.errors[name] = exc
        self.cancelled += self.scopes.pop(name).cancelled_caught

    async def _get(self, name: str, key: Any, refusals: int) -> Connection:
        pool = self.pool
        connection = pool.take_idle(key)
        if connection is not None:
            return connection
        self.slots[name] = slot = pool.reserve(key, refusals)
        try:
            if not slot.is_held:
                if not await pool.wait(slot):
                    raise RuntimeError("expired")
                connection = pool.take_idle(slot.key, slot)
                if connection is not None:
                    return connection
            await pool.make_room()
            dial = Dial(name)
            self.dials.append(dial)
            try:
                await dial.done.wait()
                if isinstance(dial.result, BaseException):
                    raise dial.result
            finally:
                self.dials.remove(dial)
            return pool.lend(dial.result, slot)
        except BaseException as exc:
            pool.release_slot(slot, failed=isinstance(exc, Exception))
            raise

    async def dialed(self, result: Any) -> None:
        """Let the first connection that is being made succeed, or fail."""
        dial = self.dials[0]
        dial.result = result
        dial.done.set()
        await settled()

    @property
    def dialing(self) -> list[str]:
        """Who is making a connection."""
        return [dial.name for dial in self.dials]

    async def end(self, *names: str) -> None:
        """End exchanges."""
        for name in names:
            finish(self.got.pop(name))
            await settled()

    def assert_over(self) -> None:
        """Check that nothing is left of the requests."""
        pool = self.pool
        assert (pool.in_use, pool.slots.waiting, pool.streams) == (0, 0, 0)
        for origin in pool._origins.values():
            assert not origin.is_used
            assert not origin.with_room
        total = pool.slots._total
        assert total is None or total.borrowed_tokens == pool.kept_slots


class Dial:
    """A connection that is being made."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.done = anyio.Event()
        self.result: Any = None


async def settled() -> None:
    """Let everybody who can go on do so, in no time."""
    for _ in range(ROUNDS):
        await checkpoint()
