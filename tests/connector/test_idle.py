"""Idle connections: plain values, no event loop, a clock in the test's hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from anyhttp._common.values import ConnectionKey
from anyhttp.connector._idle import IdleConnections
from tests.support.keys import A, B, C, key


@pytest.fixture
def pool() -> IdleConnections[str]:
    """A pool that keeps connections for 15 seconds; strings stand for connections."""
    return IdleConnections(keepalive_timeout=15.0)


def test_an_empty_pool_gives_nothing(pool: IdleConnections[str]) -> None:
    """Whoever finds nothing dials; and there is nothing that could expire."""
    assert len(pool) == 0
    assert pool.due == math.inf
    assert pool.take(A) is None
    assert pool.evict() is None
    assert pool.clear() == []
    assert pool.next_expiry() is None
    assert len(pool) == 0


def test_what_was_put_is_taken_once(pool: IdleConnections[str]) -> None:
    """A connection carries one exchange at a time."""
    pool.put(A, "one", now=0.0)
    assert len(pool) == 1
    assert pool.take(A) == "one"
    assert pool.take(A) is None
    assert len(pool) == 0


def test_the_newest_comes_first(pool: IdleConnections[str]) -> None:
    """The connection used last is the likeliest to be still open, and the rest can expire."""
    for now, connection in enumerate(("one", "two", "three")):
        pool.put(A, connection, now=float(now))
    assert [pool.take(A) for _ in range(3)] == ["three", "two", "one"]


def test_endpoints_do_not_share_connections(pool: IdleConnections[str]) -> None:
    """A connection is handed out for its own key only."""
    pool.put(A, "a", now=0.0)
    assert pool.take(B) is None
    assert pool.take(A) == "a"


def test_equal_keys_are_of_one_endpoint(pool: IdleConnections[str]) -> None:
    """Each request may have made its key anew."""
    pool.put(key("a.test"), "a", now=0.0)
    assert pool.take(key("a.test")) == "a"


def test_an_expired_connection_is_closed_not_handed_out(pool: IdleConnections[str]) -> None:
    """What was idle for the keep-alive time is named for closing, what was not is used."""
    pool.put(A, "old", now=0.0)
    pool.put(A, "young", now=10.0)
    assert pool.due == 15.0
    assert pool.expire(now=16.0) == ["old"]
    assert pool.due == 25.0
    assert pool.take(A) == "young"
    assert pool.take(A) is None


def test_connections_of_other_endpoints_expire_too(pool: IdleConnections[str]) -> None:
    """All that are too old are named: there may be no other occasion to close them."""
    pool.put(A, "a", now=0.0)
    pool.put(B, "b", now=1.0)
    pool.put(C, "c", now=2.0)
    assert pool.expire(now=16.0) == ["a", "b"]
    assert pool.take(C) == "c"


def test_a_connection_expires_at_the_end_of_its_time(pool: IdleConnections[str]) -> None:
    """At the very moment it is too late: the peer may count the same seconds."""
    pool.put(A, "one", now=0.0)
    assert pool.next_expiry() == 15.0
    assert pool.expire(now=14.9) == []
    assert pool.expire(now=15.0) == ["one"]
    assert pool.due == math.inf
    assert pool.expire(now=99.0) == []


def test_being_used_starts_the_time_anew(pool: IdleConnections[str]) -> None:
    """The time counts from when the connection was put, each time."""
    pool.put(A, "one", now=0.0)
    pool.put(A, "two", now=1.0)
    for _ in range(2):
        pool.take(A)
    pool.put(A, "one", now=3.0)
    pool.put(A, "two", now=2.5)
    assert pool.expire(now=17.0) == []
    assert pool.take(A) == "two"


def test_the_least_recently_used_makes_room(pool: IdleConnections[str]) -> None:
    """Eviction goes over all endpoints, the longest idle first."""
    pool.put(A, "one", now=0.0)
    pool.put(B, "two", now=1.0)
    pool.put(A, "three", now=2.0)
    assert [pool.evict() for _ in range(4)] == ["one", "two", "three", None]
    assert pool.take(A) is None


def test_clearing_names_everything(pool: IdleConnections[str]) -> None:
    """Nothing is left to be handed out."""
    pool.put(A, "one", now=0.0)
    pool.put(B, "two", now=0.0)
    assert pool.clear() == ["one", "two"]
    assert len(pool) == 0
    assert pool.due == math.inf
    assert pool.take(A) is None


def test_no_timeout_keeps_for_ever() -> None:
    """An infinite keep-alive never expires, but can be evicted."""
    pool: IdleConnections[str] = IdleConnections(math.inf)
    pool.put(A, "one", now=0.0)
    assert pool.expire(now=1e12) == []
    assert pool.take(A) == "one"


def test_what_would_be_taken_can_be_looked_at(pool: IdleConnections[str]) -> None:
    """The newest to that endpoint, whether or not it is the newest of all; it stays."""
    assert pool.newest(A) is None
    pool.put(A, "one", now=0.0)
    pool.put(A, "two", now=0.0)
    assert pool.newest(A) == "two"
    assert pool.newest(B) is None
    pool.put(B, "three", now=0.0)
    assert [pool.newest(each) for each in (A, B, C)] == ["two", "three", None]
    assert [pool.take(each) for each in (A, B, C)] == ["two", "three", None]
    assert pool.newest(A) == "one"  # the newest of all has been taken


def test_a_new_time_counts_from_now_on(pool: IdleConnections[str]) -> None:
    """For those that are there already it only shortens what is left of theirs."""
    pool.put(A, "one", now=0.0)  # until 15
    pool.put(B, "two", now=10.0)  # until 25
    pool.keep_for(10.0, now=10.0)
    assert pool.due == 15.0
    assert pool.with_expiry() == [("one", 15.0), ("two", 20.0)]
    pool.put(C, "three", now=11.0)
    assert pool.with_expiry()[-1] == ("three", 21.0)
    pool.keep_for(1.0, now=11.0)
    assert pool.due == 12.0
    assert [expiry for _, expiry in pool.with_expiry()] == [12.0, 12.0, 12.0]


@pytest.mark.parametrize("size", [10, 10_000])
def test_the_cost_does_not_grow_with_the_number_kept(size: int) -> None:
    """Take, put and evict look at a fixed number of connections (counted by their hashes)."""
    looked_at = 0

    class Counted:
        def __hash__(self) -> int:
            nonlocal looked_at
            looked_at += 1
            return id(self)

    pool: IdleConnections[Any] = IdleConnections(15.0)
    for number in range(size):
        pool.put(key(f"host-{number % 100}.test"), Counted(), now=0.0)
    looked_at = 0
    taken = pool.take(key("host-7.test"))
    pool.put(A, taken, now=1.0)
    pool.evict()
    assert looked_at < 20


class PoolModel(RuleBasedStateMachine):
    """A list of (expiry, key, connection), oldest first, must say the same as the pool."""

    @initialize(timeout=st.sampled_from([1.0, 15.0, math.inf]))
    def start(self, timeout: float) -> None:
        """Begin with an empty pool."""
        self.timeout = timeout
        self.pool: IdleConnections[int] = IdleConnections(timeout)
        self.model: list[tuple[float, ConnectionKey, int]] = []
        self.now = 0.0
        self.made = 0

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 7.0, 20.0]))
    def wait(self, seconds: float) -> None:
        """Time goes by."""
        self.now += seconds

    @rule(endpoint=st.sampled_from([A, B, C]))
    def put(self, endpoint: ConnectionKey) -> None:
        """A connection is given back."""
        self.made += 1
        self.pool.put(endpoint, self.made, self.now)
        self.model.append((self.now + self.timeout, endpoint, self.made))

    def drop_expired(self) -> list[int]:
        """Take the expired out of the model."""
        expired = [connection for expiry, _, connection in self.model if expiry <= self.now]
        self.model = [entry for entry in self.model if entry[0] > self.now]
        return expired

    @rule(endpoint=st.sampled_from([A, B, C]))
    def take(self, endpoint: ConnectionKey) -> None:
        """The newest of the endpoint, when those that have expired are gone."""
        expired = self.drop_expired()
        assert self.now >= self.pool.due or not expired
        assert self.pool.expire(self.now) == expired
        newest = max((c for _, k, c in self.model if k == endpoint), default=None)
        assert self.pool.take(endpoint) == newest
        self.model = [entry for entry in self.model if entry[2] != newest]

    @rule()
    def expire(self) -> None:
        """All that have expired."""
        assert self.pool.expire(self.now) == self.drop_expired()

    @rule()
    def evict(self) -> None:
        """The oldest of all."""
        oldest = self.model.pop(0)[2] if self.model else None
        assert self.pool.evict() == oldest

    @rule()
    def clear(self) -> None:
        """Everything."""
        assert self.pool.clear() == [connection for *_, connection in self.model]
        self.model = []

    @invariant()
    def agrees(self) -> None:
        """Number and next expiry agree, and no endpoint without connections is remembered."""
        if not hasattr(self, "pool"):
            return
        assert len(self.pool) == len(self.model)
        assert self.pool.next_expiry() == (self.model[0][0] if self.model else None)
        assert self.pool._stacks.keys() == {endpoint for _, endpoint, _ in self.model}


TestPoolModel = PoolModel.TestCase
