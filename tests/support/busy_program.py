"""A program that makes many requests beside each other and changes its mind about some of them."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import anyio
import anyio.lowlevel

from anyhttp import ClientSession

CONTENT = random.Random(3).randbytes(200_000)


@dataclass
class Outcome:
    """What became of the requests, by their numbers."""

    succeeded: set[int] = field(default_factory=set)
    cancelled: set[int] = field(default_factory=set)
    versions: set[tuple[int, int]] = field(default_factory=set)


class BusyProgram:
    """Makes *count* requests, *tasks* at a time; a tenth is cancelled at some point of it.

    The server needs the routes ``/bytes/N`` for 1, 1000 and 100,000, and ``/echo-body``.
    """

    def __init__(self, session: ClientSession, *, count: int = 1000, tasks: int = 50) -> None:
        self._session = session
        self._chance = random.Random(count)
        self._doomed = set(self._chance.sample(range(count), count // 10))
        self._numbers = iter(range(count))
        self._tasks = tasks
        self._outcome = Outcome()

    async def run(self) -> Outcome:
        """Make all requests.

        :raises ExceptionGroup: one of those that were not cancelled has failed
        """
        async with anyio.create_task_group() as group:
            for _ in range(self._tasks):
                group.start_soon(self._work)
        return self._outcome

    async def _work(self) -> None:
        for number in self._numbers:
            if number not in self._doomed:
                await self._request(number)
                self._outcome.succeeded.add(number)
                continue
            async with anyio.create_task_group() as group:
                group.start_soon(self._change_mind, group.cancel_scope, self._chance.randrange(40))
                await self._request(number)
                group.cancel_scope.cancel()
            self._outcome.cancelled.add(number)

    async def _change_mind(self, scope: anyio.CancelScope, rounds: int) -> None:
        for _ in range(rounds):
            await anyio.lowlevel.checkpoint()
        scope.cancel()

    async def _request(self, number: int) -> None:
        size = (1, 1000, 100_000)[number % 3]
        if number % 10 == 0:
            sent = CONTENT[: size * 2]
            data = sent if number % 20 else self._pieces(sent)
            async with self._session.post("/echo-body", data=data) as response:
                assert await response.read() == sent
        else:
            async with self._session.get(f"/bytes/{size}") as response:
                received = b""
                if number % 7 == 0:  # slowly
                    received = await response.content.read(100)
                    await anyio.lowlevel.checkpoint()
                received += await response.read()
                assert received == (bytes(range(256)) * (size // 256 + 1))[:size]
        assert response.status == 200
        self._outcome.versions.add((response.version.major, response.version.minor))

    async def _pieces(self, data: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(data), 7000):
            yield data[start : start + 7000]
            await anyio.lowlevel.checkpoint()
