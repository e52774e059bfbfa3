"""Conversations in HTTP/1.1: requests, and their answers in each framing."""

from __future__ import annotations

import gzip
import io
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from typing import Any, Final

import pytest

from anyhttp import ClientResponseError, RetryMiddleware

from .conversation import Conversation, Program
from .model import Fault
from .server import FaultyServer
from .wire import Wire

#: A name as long as those that requests have.
ANY_NAME: Final = "r000000"

#: The body of a request: more than the buffers of sockets take, in pieces.
UPLOAD_PIECES: Final = 64
UPLOAD_PIECE: Final = bytes(128 * 1024)

Parts = list[tuple[str, bytes]]
Frame = Callable[[bytes], tuple[bytes, Parts]]


# -- framings: the fields that tell them, and the parts of the body


def by_length(content: bytes) -> tuple[bytes, Parts]:
    """Tell the length of *content*."""
    return b"Content-Length: %d" % len(content), [("body", content)]


def chunked(content: bytes) -> tuple[bytes, Parts]:
    """Frame *content* in two chunks."""
    half = len(content) // 2
    body: Parts = []
    for piece in (content[:half], content[half:]):
        body += [("body", b"%x\r\n" % len(piece)), ("body", piece), ("body", b"\r\n")]
    return b"Transfer-Encoding: chunked", [*body, ("body", b"0\r\n\r\n")]


def with_trailers(content: bytes) -> tuple[bytes, Parts]:
    """Frame *content* in chunks, with fields after them."""
    fields, body = chunked(content)
    return fields, [
        *body[:-1],
        ("body", b"0\r\n"),
        ("trailers", b"X-Sum: 1\r\n"),
        ("trailers", b"\r\n"),
    ]


def until_eof(content: bytes) -> tuple[bytes, Parts]:
    """End *content* with the connection."""
    return b"X-Framing: none", [("body", content), ("end", b"")]


def compressed(content: bytes) -> tuple[bytes, Parts]:
    """Compress *content*, and tell the length of that."""
    data = gzip.compress(content, mtime=0)
    return b"Content-Encoding: gzip\r\nContent-Length: %d" % len(data), [("body", data)]


def compressed_until_eof(content: bytes) -> tuple[bytes, Parts]:
    """Compress *content*, and end that with the connection."""
    data = gzip.compress(content, mtime=0)
    return b"Content-Encoding: gzip", [("body", data), ("end", b"")]


# -- conversations


class Exchange(Conversation):
    """A request and its answer.

    :param frame: the framing of the body
    :param method: of the request
    :param status: of the answer
    :param before: what the server says before the head
    :param kept: whether the fault is in the second request of the connection
    """

    has_waiters = True

    def __init__(
        self,
        frame: Frame = by_length,
        *,
        method: str = "GET",
        status: bytes = b"200 OK",
        before: bytes = b"",
        kept: bool = False,
    ) -> None:
        self._frame = frame
        self._method = method
        self._status = status
        self._before = before
        self._kept = kept

    def content(self, name: str) -> bytes:
        return f"This is the answer to {name}, and to nothing else.".encode()

    def answer(self, name: str) -> Parts:
        """Return the parts of the answer to the request called *name*."""
        fields, body = self._frame(self.content(name))
        lines = [b"HTTP/1.1 " + self._status, b"X-Name: %b" % name.encode(), fields]
        head = ("head", b"\r\n".join([*lines, *self.fields(name), b"", b""]))
        return [("before", self._before), head, *body]

    def fields(self, name: str) -> list[bytes]:
        """Return further fields of the answer."""
        return []

    def sizes(self, part: str, fault: Fault) -> list[int]:
        if part == "connection":
            return [1]
        return [len(data) for name, data in self.answer(ANY_NAME) if name == part]

    def serve(self, wire: Wire, server: FaultyServer) -> None:
        self.begin(wire, server)
        while True:
            head = wire.take_head()
            name = head.target.rpartition("/")[2]
            for _ in wire.take_body(head):
                pass
            self.respond(wire, name, server)

    def begin(self, wire: Wire, server: FaultyServer) -> None:
        """Do what comes before the first request."""
        plan = wire.plan
        if plan is not None and plan.fault is Fault.ANSWER_EARLY:
            plan.has_happened = plan.is_over = True
            wire.send(self.bytes_for(plan.name))
            wire.take_head()
        wire.reach("connection", 0)

    def respond(self, wire: Wire, name: str, server: FaultyServer) -> None:
        """Send the answer; the fault is in the answer to one request only."""
        plan = wire.plan
        is_faulty = plan is not None and plan.name == name
        if plan is not None:
            plan.answer_again = lambda: self.bytes_for(name)
        for part, data in self.answer(name):
            wire.say(part if is_faulty else "", data)
            if part == "end":
                wire.end()
                wire.link.half_close()
                wire.until_gone()

    def bytes_for(self, name: str) -> bytes:
        """Return all of the answer to the request called *name*."""
        return b"".join(data for _, data in self.answer(name))

    async def call(self, program: Program) -> None:
        if self._kept:
            await self.call_before(program)
        await self.send(program)

    async def call_before(self, program: Program) -> None:
        """Make a call that has no fault, whose connection is kept."""
        before = program.another()
        await self.send(before)
        assert bytes(before.got) == self.content(before.name)

    async def send(self, program: Program, **options: Any) -> None:
        """Send the request, and read the answer."""
        options = {"url": self.url(program), **self.options(program), **options}
        async with program.session.request(
            self._method, timeout=program.timeout, **options
        ) as response:
            assert response.headers["X-Name"] == program.name
            await program.read(response)

    def url(self, program: Program) -> str:
        """Return the URL of the request."""
        return program.url

    def options(self, program: Program) -> dict[str, Any]:
        """Return further options of the request."""
        return {}


class Upload(Exchange):
    """A request with a body that the peer reads in parts.

    :param streamed: the body comes from a generator, and is sent in chunks
    :param expect: ask for ``100 Continue`` before
    """

    def __init__(self, *, streamed: bool, expect: bool = False) -> None:
        super().__init__(method="POST")
        self._streamed = streamed
        self._expect = expect

    def sizes(self, part: str, fault: Fault) -> list[int]:
        # Before the body, and after a third and two thirds.
        return [1] * 3 if part == "body of the request" else [1]

    def begin(self, wire: Wire, server: FaultyServer) -> None:
        """Wait for the request."""

    def serve(self, wire: Wire, server: FaultyServer) -> None:
        while True:
            head = wire.take_head()
            name = head.target[1:]
            if self._expect:
                self._reach(wire, "100", 0, name)
                wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            third = UPLOAD_PIECES * len(UPLOAD_PIECE) // 3
            wire.is_deaf = wire.plan is not None and wire.plan.fault is Fault.STALL_TOTAL
            self._reach(wire, "body of the request", 0, name)
            read = 0
            for piece in wire.take_body(head):
                before, read = read // third, read + len(piece)
                wire.received.clear()
                if read // third > before:
                    self._reach(wire, "body of the request", read // third, name)
            self.respond(wire, name, server)

    def _reach(self, wire: Wire, part: str, place: int, name: str) -> None:
        plan = wire.plan
        early = plan is not None and plan.fault is Fault.ANSWER_EARLY and not plan.is_over
        if plan is not None and early and (part, place) == (plan.part, plan.position):
            plan.has_happened = plan.is_over = True
            wire.send(self.bytes_for(name))
            wire.link.half_close()
            wire.until_gone()
        wire.reach(part, place)

    def fields(self, name: str) -> list[bytes]:
        return [b"Connection: close"]

    def options(self, program: Program) -> dict[str, Any]:
        body = _pieces() if self._streamed else io.BytesIO(UPLOAD_PIECE * UPLOAD_PIECES)
        return {"data": body, "expect100": self._expect}


async def _pieces() -> AsyncIterator[bytes]:
    for _ in range(UPLOAD_PIECES):
        yield UPLOAD_PIECE


class Idle(Exchange):
    """The connection is kept after a request, and the fault comes before the next one."""

    has_waiters = False

    def sizes(self, part: str, fault: Fault) -> list[int]:
        return [1]

    def begin(self, wire: Wire, server: FaultyServer) -> None:
        """Wait for the request."""

    def respond(self, wire: Wire, name: str, server: FaultyServer) -> None:
        super().respond(wire, name, server)
        plan = wire.plan
        if plan is None or plan.is_over:
            return
        server.signal.wait()
        wire.when_done = server.signal.tell
        if plan.fault is Fault.ANSWER_EARLY:
            plan.has_happened = plan.is_over = True
            wire.send(self.bytes_for(ANY_NAME))
            wire.until_gone()
        wire.reach("idle", 0)

    async def call(self, program: Program) -> None:
        if program.server.plan.has_happened:
            await self.send(program)
            return
        await self.call_before(program)
        await program.server.signal.raise_and_wait()
        await self.send(program)


class Redirect(Exchange):
    """A redirect, whose body has the fault, and the answer of the place that it leads to."""

    def answer(self, name: str) -> Parts:
        if name.startswith("to-"):
            return super().answer(name.removeprefix("to-"))
        location = b"Location: /to-%b" % name.encode()
        body = b"This is no answer."
        lines = [b"HTTP/1.1 302 Found", location, b"Content-Length: %d" % len(body), b"", b""]
        return [("head", b"\r\n".join(lines)), ("body", body)]


class Retried(Exchange):
    """An error of the server, whose body has the fault, and the answer to the next attempt."""

    def answer(self, name: str) -> Parts:
        fields, body = by_length(b"Come again.")
        lines = [b"HTTP/1.1 503 Service Unavailable", fields, b"", b""]
        return [("head", b"\r\n".join(lines)), *body]

    def respond(self, wire: Wire, name: str, server: FaultyServer) -> None:
        if name in server.asked:
            wire.send(b"".join(data for _, data in super().answer(name)))
        else:
            server.asked.add(name)
            super().respond(wire, name, server)

    def options(self, program: Program) -> dict[str, Any]:
        return {"middlewares": [RetryMiddleware(attempts=2, backoff=0)]}


class Refusal(Exchange):
    """An answer with an error's status, which ``raise_for_status`` raises."""

    def content(self, name: str) -> bytes:
        return b""

    def answer(self, name: str) -> Parts:
        head, *body = by_length(b"There is no such thing.")
        lines = [b"HTTP/1.1 404 Not Found", head, b"", b""]
        return [("head", b"\r\n".join(lines)), *body[0]]

    async def call(self, program: Program) -> None:
        is_faulty = program.name == program.server.plan.name
        with nullcontext() if is_faulty else pytest.raises(ClientResponseError, match="404"):
            await self.send(program, raise_for_status=True)
