"""Responses that a program forgets while their bodies are being read, without a network."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from anyhttp._http1.unread import OpenExchanges, UnreadBody


class Watchdog:
    """Keeps what it watches, and lets the test say when the time is over."""

    def __init__(self) -> None:
        self.watched: dict[Any, float] = {}

    def watch(self, timed: Any, deadline: float) -> None:
        self.watched[timed] = deadline

    def forget(self, timed: Any) -> None:
        self.watched.pop(timed, None)


class Stream:
    """Calls functions in its event loop when the test says so."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], object]] = []
        self.has_deadline = True

    def call_in_loop(self, function: Callable[[], object]) -> None:
        self.calls.append(function)

    def end_deadline(self, watchdog: object) -> None:
        self.has_deadline = False


class Protocol:
    """What speaks the protocol on a connection."""

    def __init__(self) -> None:
        self.stream = Stream()


class Connection:
    """The right to use one."""

    def __init__(self) -> None:
        self.protocol: Protocol | None = Protocol()
        self.closed = 0

    def close(self) -> None:
        self.protocol = None
        self.closed += 1


class Reading:
    """An exchange whose response is being read."""

    def __init__(self, total_at: float = 1.0) -> None:
        self.total_at = total_at
        self.expired = 0

    def expire(self) -> None:
        self.expired += 1


class Unread:
    """One of them, with all that it needs."""

    def __init__(self, total_at: float = 1.0) -> None:
        self.exchange = Reading(total_at)
        connection: Any = Connection()
        watchdog: Any = Watchdog()
        self.connection, self.watchdog = connection, watchdog
        self.registry: OpenExchanges[Reading] = OpenExchanges([self.exchange])
        self.body: UnreadBody[Reading] = UnreadBody(
            self.exchange, connection, watchdog, self.registry
        )

    def forget(self) -> list[Callable[[], object]]:
        """Forget the exchange, and so its body; return what the event loop is to do then."""
        calls: list[Callable[[], object]] = self.connection.protocol.stream.calls
        del self.exchange, self.body
        return calls


def test_the_registry_keeps_no_exchange_alive_that_is_being_read() -> None:
    """It knows it for as long as the program refers to the response."""
    unread = Unread()
    assert not set(unread.registry)
    assert unread.registry.all() == [unread.exchange]
    unread.forget()
    assert unread.registry.all() == []


def test_an_exchange_that_gives_its_connection_back() -> None:
    """Its time limit ends, and the session need not close it."""
    unread = Unread()
    assert list(unread.watchdog.watched.values()) == [1.0]
    unread.body.discard(unread.exchange)
    assert unread.watchdog.watched == {}
    assert unread.registry.all() == []


@pytest.mark.parametrize("total_at", [1.0, math.inf])
def test_a_forgotten_response_closes_its_connection(total_at: float) -> None:
    """In the event loop, as the garbage collector may have been started by another thread."""
    unread = Unread(total_at)
    connection, stream = unread.connection, unread.connection.protocol.stream
    (close,) = unread.forget()
    assert connection.closed == 0
    close()
    assert connection.closed == 1
    assert not stream.has_deadline
    assert unread.watchdog.watched == {}


def test_a_session_that_closes_the_connection_of_a_forgotten_response_first() -> None:
    """Nothing is left to do but to end the time limit."""
    unread = Unread()
    (close,) = unread.forget()
    unread.connection.close()
    close()
    assert unread.connection.closed == 1
    assert unread.watchdog.watched == {}


def test_the_total_time_of_a_response() -> None:
    """It makes reads fail; when the response has been forgotten, there are none."""
    unread = Unread()
    (timed,) = unread.watchdog.watched
    timed.expire()
    exchange = unread.exchange
    assert exchange.expired == 1
    del exchange
    unread.forget()
    timed.expire()
    assert unread.connection.closed == 0
