"""Any sequence of events at a pool of HTTP/2 connections: nothing is lost, nobody is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from hypothesis import given, strategies as st

from anyhttp.connector._origin import Origin, OriginSlot
from tests.support.examples import examples
from tests.support.keys import A, B
from tests.support.multiplexed import (
    BACKENDS,
    FakeHttp2,
    PoolUser,
    finish,
    http1,
    make_pool,
    settled,
)

NUMBER = st.integers(0, 1000)
KEY = st.sampled_from([A, A, A, B])

EVENTS = st.one_of(
    st.tuples(st.just("ask"), KEY),
    st.tuples(st.just("ask"), KEY),
    st.tuples(st.just("dialed"), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("dialed"), st.integers(1, 3), st.booleans()),
    st.tuples(st.sampled_from(["end", "end", "close", "refuse"]), NUMBER),
    st.tuples(st.sampled_from(["cancel", "expire"]), NUMBER),
    st.tuples(st.just("allow"), NUMBER, st.integers(0, 3)),
    st.tuples(st.sampled_from(["go_away", "die", "silent", "answer", "mute"]), NUMBER),
    st.tuples(st.sampled_from(["dialed http1", "failed", "pause", "long pause"])),
)


class Run:
    """One run: the events happen, and after each the rules hold."""

    def __init__(self, user: PoolUser, limit: int, limit_per_host: int) -> None:
        self.user = user
        self.pool = user.pool
        self.limit, self.limit_per_host = limit, limit_per_host
        self.connections: list[FakeHttp2] = []
        self.asked: dict[str, Any] = {}
        # Keys to which several requests may open connections at the same time: their servers have
        # spoken HTTP/1.1, or could not be reached.
        self.mixed: set[Any] = set()

    async def happen(self, event: tuple[Any, ...]) -> None:
        """Let *event* happen, and check the rules."""
        before = {origin: list(origin.queue) for origin in self.pool._origins.values()}
        await self._happen(*event)
        await settled()
        self.check()
        for origin, queue in before.items():
            self._check_order(origin, queue)

    async def _happen(self, what: str, *details: Any) -> None:
        user = self.user
        if what == "ask":
            name = str(len(self.asked))
            self.asked[name] = details[0]
            await user.ask(name, key=details[0])
        elif what in {"dialed", "dialed http1", "failed"}:
            await self._dialed(what, *details)
        elif what in {"end", "close", "refuse"}:
            if user.got:
                self._end(what, self._chosen(sorted(user.got), details[0]))
        elif what == "cancel":
            if user.scopes:
                user.scopes[self._chosen(sorted(user.scopes), details[0])].cancel()
        elif what == "expire":
            if user.slots:
                user.slots[self._chosen(sorted(user.slots), details[0])].expire()
        elif what == "pause":
            await anyio.sleep(0.02)
        elif what == "long pause":
            await anyio.sleep(2)
        elif alive := [each for each in self.connections if not each.is_dead]:
            http2 = self._chosen(alive, details[0])
            if what == "allow":
                http2.allow(details[1])
            elif what == "silent":
                http2.needs_check = True
            elif what in {"answer", "mute"}:
                http2.answer = what == "answer"
                for check in http2.checks:
                    check.set()
            else:
                getattr(http2, what)()

    async def _dialed(self, what: str, most: int = 0, is_greeted: bool = True) -> None:
        if not self.user.dials:
            return
        result: Any = RuntimeError("failed")
        if what == "dialed":
            result = FakeHttp2(most, is_greeted=is_greeted)
            self.connections.append(result)
        elif what == "dialed http1":
            result = http1()
            self.mixed.add(self.asked[self.user.dials[0].name])
        await self.user.dialed(result)

    def _end(self, how: str, name: str) -> None:
        connection = self.user.got.pop(name)
        stream: Any = connection.protocol
        if how == "refuse" and hasattr(stream, "was_refused"):
            stream.was_refused = True
        if how == "end" and hasattr(stream, "was_refused"):
            finish(connection)
        else:
            connection.close()

    @staticmethod
    def _chosen(choices: list[Any], number: int) -> Any:
        return choices[number % len(choices)]

    # -- the rules

    def _origins(self) -> Iterator[Origin]:
        yield from self.pool._origins.values()

    def check(self) -> None:
        """Check what holds at any time."""
        pool, user = self.pool, self.user
        held = sum(slot.is_held for slot in pool._open | pool._opening)
        total = pool.slots._total
        if self.limit:
            assert held <= self.limit
            assert (0 if total is None else total.borrowed_tokens) == held
        for origin in self._origins():
            self._check_origin(origin)
        in_use: set[Any] = {shared.http2 for origin in self._origins() for shared in origin.in_use}
        for http2 in self.connections:
            assert http2 in in_use or not http2.streams or http2.is_dead
        assert len(pool._opening) == len(user.dials)

    def _check_origin(self, origin: Origin) -> None:
        dialing = [dial for dial in self.user.dials if self.asked[dial.name] == origin.key]
        if origin._failures:
            self.mixed.add(origin.key)
        if origin.key not in self.mixed:
            assert len(dialing) <= 1 or any(shared.will_have_room for shared in origin.in_use)
        for shared in origin.in_use:
            assert shared in origin.with_room or not shared.has_room
            assert shared.http2.exchanges or shared.is_being_checked
        if origin.queue:
            assert origin.ready() is None
            comes = origin._coming() or (origin._timed in origin.queue and origin._will_have_room())
            assert comes, "nothing will ever happen for those who wait"

    def _check_order(self, origin: Origin, before: list[OriginSlot]) -> None:
        """Check that whoever still waits came after those who got something."""
        got = [at for at, slot in enumerate(before) if slot in self._served()]
        still = [at for at, slot in enumerate(before) if slot in origin.queue]
        assert not got or not still or max(got) < min(still)

    def _served(self) -> set[Any]:
        return {slot for name, slot in self.user.slots.items() if name in self.user.got}

    async def finish(self) -> None:
        """Let everything come to its end."""
        user = self.user
        for _ in range(200):
            if user.dials:
                await self._happen("dialed", 3, True)
            for http2 in self.connections:
                for check in http2.checks:
                    check.set()
                if not http2.is_dead and (not http2.is_greeted or not http2.max_exchanges):
                    http2.allow(2)
            for name in list(user.got):
                self._end("end", name)
            await settled()
            self.check()
            if not (user.dials or user.got or self.pool.slots.waiting):
                break
            await anyio.sleep(1.1)
        assert len(user.order) + len(user.errors) + user.cancelled == len(self.asked)
        user.assert_over()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("limits", [(0, 0), (2, 0), (3, 1)])
@examples(25)
@given(events=st.lists(EVENTS, min_size=5, max_size=40))
def test_any_sequence_of_events(
    backend: str, limits: tuple[int, int], events: list[tuple[Any, ...]]
) -> None:
    """No slot is lost, nobody waits beside a free stream, who comes first is served first."""

    async def main() -> None:
        async with anyio.create_task_group() as group:
            run = Run(PoolUser(make_pool(*limits), group), *limits)
            for event in events:
                await run.happen(event)
            await run.finish()

    anyio.run(main, backend=backend, backend_options=BACKENDS[backend]())
