"""The life of a pooled connection, and what its exchanges leave of it."""

from __future__ import annotations

import math
import time
from itertools import product
from unittest.mock import Mock

import pytest

from anyhttp._http1 import Limits, engine_class
from anyhttp._http1.connection import Connection, Http1Connection, Phase, leave_to_parent
from anyhttp._network.stream import NetworkStream

MOVES = {
    Phase.FRESH: {Phase.BUSY, Phase.CLOSED},
    Phase.BUSY: {Phase.IDLE, Phase.LENT_AWAY, Phase.CLOSED},
    Phase.IDLE: {Phase.BUSY, Phase.CLOSED},
    Phase.LENT_AWAY: {Phase.CLOSED},
    Phase.CLOSED: set(),
}


class FakeStream(NetworkStream):
    """Counts how often it is aborted, and is as quiet as it is told to be."""

    def __init__(self) -> None:
        self.aborted = 0
        self.quiet = True

    def abort(self) -> None:
        """Count."""
        self.aborted += 1

    def is_quiet(self) -> bool:
        """Return what was set."""
        return self.quiet

    def leave_to_parent(self) -> None:
        """Do nothing."""


@pytest.fixture
def connection() -> Http1Connection:
    """A connection on a fake stream."""
    return Http1Connection(FakeStream(), engine_class("h11"))


@pytest.mark.parametrize(("before", "after"), list(product(Phase, Phase)))
def test_the_table_says_which_moves_there_are(
    connection: Http1Connection, before: Phase, after: Phase
) -> None:
    """Every move that is not in the table is an error, and changes nothing."""
    connection.phase = before
    if after in MOVES[before]:
        connection.move(after)
        assert connection.phase is after
    else:
        with pytest.raises(RuntimeError, match=f"{before.name} to {after.name}"):
            connection.move(after)
        assert connection.phase is before


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("quiet", [True, False])
def test_only_an_idle_and_quiet_connection_is_usable(
    connection: Http1Connection, phase: Phase, quiet: bool
) -> None:
    """Bytes that came unasked end it, whatever they are."""
    connection.phase = phase
    connection.stream.quiet = quiet  # type: ignore[attr-defined]  # the fake's
    assert connection.is_usable is (phase is Phase.IDLE and quiet)


@pytest.mark.parametrize(
    ("said", "seconds"), [(b"", math.inf), (b"Keep-Alive: timeout=5\r\n", 4.0)]
)
def test_what_a_response_says_of_its_connection_is_remembered(said: bytes, seconds: float) -> None:
    """How long the connection may be idle, and the head, as it often comes again."""
    connection = Http1Connection(FakeStream(), engine_class("auto"))
    limits, start = Limits(), time.monotonic()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n%b\r\n" % said
    engine = connection.start(limits)
    assert engine.known is None
    engine.send_head("GET", "/", [("Host", "x")])
    engine.receive(head + b"hi")
    connection.keep(engine)
    assert connection.phase is Phase.IDLE
    assert start + seconds <= connection.usable_until <= time.monotonic() + seconds
    assert connection.start(limits).known == (engine.head, "GET", limits)
    assert engine.head is not None
    assert engine.head.raw == head


def test_it_is_closed_once(connection: Http1Connection) -> None:
    """From any phase; later calls do nothing."""
    connection.abort()
    connection.abort()
    assert connection.phase is Phase.CLOSED
    assert connection.stream.aborted == 1  # type: ignore[attr-defined]  # the fake's


def test_a_right_that_was_given_back_is_nothing_to_a_forked_child(
    connection: Http1Connection,
) -> None:
    """The connection may be idle, or lent to somebody else."""
    lender = Mock()
    given_back, used = (Connection(connection, Mock(), lender) for _ in range(2))
    given_back.release()
    leave_to_parent(given_back)
    assert not used.closed
    leave_to_parent(used)
    assert used.closed
    assert used.protocol is None
    assert lender.take_back.call_count == 1  # by release()


def test_one_exchange_at_a_time(connection: Http1Connection) -> None:
    """HTTP/1.1 carries one; the pool asks."""
    assert connection.max_exchanges == 1
    connection.move(Phase.BUSY)
    with pytest.raises(RuntimeError, match="BUSY to BUSY"):
        connection.move(Phase.BUSY)


@pytest.mark.parametrize("phase", Phase)
def test_its_repr_says_how_it_is(connection: Http1Connection, phase: Phase) -> None:
    """Phase and meaning."""
    connection.phase = phase
    assert phase.name in repr(connection)
    assert phase.value in repr(connection)
