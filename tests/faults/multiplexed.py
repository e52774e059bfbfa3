"""Conversations in HTTP/2 in which three exchanges share a connection at the same time."""

from __future__ import annotations

from functools import partial
from typing import Final

import anyio
from h2.connection import H2Connection

from anyhttp import SocketTimeoutError
from tests.support.waiting import until

from .breaches import OF_BODY, OF_CONNECTION, OF_STREAM, Breach, goaway
from .conversation import Program
from .http1 import Parts
from .http2 import Http2, asked
from .model import ANSWER, BEGINNING, Fault, Outcome, Returned, Together, of_all
from .server import FaultyServer
from .wire import Wire

_PARTS: Final = ("head", "body", "last")

#: Ends of the names of the other exchanges.
_OTHERS: Final = ("first", "third")

#: Frames that break a rule: after how many frames of each answer they come, and which.
_BREACHES: Final[dict[str, tuple[int, tuple[Breach, ...]]]] = {
    "rules of the head": (0, OF_STREAM),
    "rules of the body": (1, OF_BODY),
    "rules before HEADERS": (0, OF_CONNECTION),
    "rules after HEADERS": (1, OF_CONNECTION),
}


class Multiplexed(Http2):
    """Three requests on one connection; the server speaks to each in turn, frame by frame.

    The fault is in what it says to the second one, or between.
    """

    def leaves_nothing(self, outcome: Outcome) -> bool:
        seen = outcome.all if isinstance(outcome, Together) else {outcome}
        # Those that have waited in vain leave a connection that may live, if its server does.
        return seen.isdisjoint({ANSWER, TimeoutError, SocketTimeoutError})

    def sizes(self, part: str, fault: Fault) -> list[int]:
        if part in _BREACHES:
            return [1] * len(_BREACHES[part][1])
        return super().sizes(part, fault)

    def answer(self, name: str) -> Parts:
        """Return the frames of the second answer."""
        _, connection = asked(2)
        first = self._frames(connection, 1, f"{name}-{_OTHERS[0]}")
        next(first)  # what it has put into the table of the compressor
        frames = self._frames(connection, 3, name)
        return [(part, data) for part, (_, data) in zip(_PARTS, frames, strict=True)]

    # -- the server

    def _respond(
        self, wire: Wire, connection: H2Connection, stream: int, name: str, server: FaultyServer
    ) -> None:
        plan = wire.plan
        if plan is None or plan.has_happened or not name.startswith(plan.name):
            super()._respond(wire, connection, stream, name, server)
            return
        server.streams[name] = stream
        if len(server.streams) == 3:
            self._respond_to_all(wire, connection, server.streams, plan.name)

    def _respond_to_all(
        self, wire: Wire, connection: H2Connection, streams: dict[str, int], struck: str
    ) -> None:
        """Answer, one frame to each in turn."""
        answers = {name: self._frames(connection, stream, name) for name, stream in streams.items()}
        for place, part in enumerate(_PARTS):
            for name in streams:
                if name == struck:
                    for left in self._left_by_fault(wire, streams, struck, place):
                        answers.pop(left)
                if name in answers:
                    data = next(answers[name])[1]
                    wire.say(part if name == struck else "", data)

    def _left_by_fault(
        self, wire: Wire, streams: dict[str, int], struck: str, place: int
    ) -> list[str]:
        """Do a fault that concerns streams; return those to which nothing more is said."""
        plan = wire.plan
        if plan is None or plan.is_over:
            return []
        if plan.fault is Fault.BREAK:
            return self._break(wire, streams[struck], struck, place)
        if plan.fault is Fault.GO_AWAY and (plan.part, plan.position) == ("frames", place):
            plan.has_happened = plan.is_over = True
            wire.send(goaway(streams[struck]))
            return list(streams)[list(streams).index(struck) + 1 :]
        return [struck] if self._ends_stream(wire, streams[struck], place) else []

    def _break(self, wire: Wire, stream: int, struck: str, place: int) -> list[str]:
        plan = wire.plan
        assert plan is not None
        at, breaches = _BREACHES[plan.part]
        if at != place:
            return []
        plan.has_happened = plan.is_over = True
        wire.send(breaches[plan.position](stream))
        if breaches is OF_CONNECTION:
            wire.until_gone()
        return [struck]

    # -- the client

    async def call(self, program: Program) -> None:
        if program.name != program.server.plan.name:
            await self.send(program)
            return
        calls = [program.beside(_OTHERS[0]), program, program.beside(_OTHERS[1])]
        outcomes: dict[str, type[BaseException] | Returned] = {}

        async def run(call: Program) -> None:
            outcomes[call.name] = await self._outcome(call)

        async with anyio.create_task_group() as tasks:
            for call in calls:
                tasks.start_soon(run, call)
                # or, on a busy machine, the end of the time that it has
                come = partial(self._has_come, call)
                await until(lambda: come() or call.name in outcomes, "the request")  # noqa: B023
        program.sees = of_all(*(outcomes[call.name] for call in (calls[1], calls[0], calls[2])))

    @staticmethod
    def _has_come(program: Program) -> bool:
        return program.name in program.server.streams

    async def _outcome(self, program: Program) -> type[BaseException] | Returned:
        try:
            await self.send(program)
        except AssertionError:
            raise
        except Exception as exc:  # noqa: BLE001  (that is what is looked at)
            outcome: type[BaseException] | Returned = type(exc)
        else:
            outcome = ANSWER
        whole = self.content(program.name)
        assert whole.startswith(program.got) or program.name == program.server.plan.name
        return BEGINNING if outcome is ANSWER and bytes(program.got) != whole else outcome
