"""Conversations in HTTP/1.1: one request, one answer."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Final

from .conversation import Conversation, Program
from .model import Fault
from .server import FaultyServer
from .wire import Wire

#: A name as long as those that requests have.
ANY_NAME: Final = "r000000"

Parts = list[tuple[str, bytes]]


def _by_length(content: bytes) -> tuple[bytes, Parts]:
    return b"Content-Length: %d" % len(content), [("body", content)]


class Exchange(Conversation):
    """A request and its answer.

    :param frame: makes of a content the fields that tell its framing, and its parts
    :param method: of the request
    """

    def __init__(
        self,
        frame: Callable[[bytes], tuple[bytes, Parts]] = _by_length,
        *,
        method: str = "GET",
    ) -> None:
        self._frame = frame
        self._method = method

    def content(self, name: str) -> bytes:
        return f"This is the answer to {name}, and to nothing else.".encode()

    def answer(self, name: str) -> Parts:
        """Return the parts of the answer to the request called *name*."""
        fields, body = self._frame(self.content(name))
        lines = [b"HTTP/1.1 200 OK", b"X-Name: %b" % name.encode(), fields, b"", b""]
        return [("head", b"\r\n".join(lines)), *body]

    def sizes(self, part: str, fault: Fault) -> list[int]:
        return [len(data) for name, data in self.answer(ANY_NAME) if name == part]

    def serve(self, wire: Wire, server: FaultyServer) -> None:
        while True:
            head = wire.take_head()
            for _ in wire.take_body(head):
                pass
            self.respond(wire, head.target[1:])

    def respond(self, wire: Wire, name: str) -> None:
        """Send the answer; the fault is in the answer to one request only."""
        plan = wire.plan
        if plan is not None and plan.fault is Fault.ANSWER_TWICE:
            plan.answer_again = lambda: b"".join(data for _, data in self.answer(name))
        is_faulty = plan is not None and plan.name == name
        for part, data in self.answer(name):
            wire.say(part if is_faulty else "", data)

    async def call(self, program: Program) -> None:
        async with program.session.request(
            self._method, program.url, timeout=program.timeout
        ) as response:
            assert response.headers["X-Name"] == program.name
            await program.read(response)


def chunked(content: bytes) -> tuple[bytes, Parts]:
    """Frame *content* in chunks."""
    half = len(content) // 2
    pieces = [content[:half], content[half:]]
    elements = [b"%x" % len(piece) + b"\r\n" for piece in pieces]
    body: Parts = []
    for size, piece in zip(elements, pieces, strict=True):
        body += [("body", size), ("body", piece), ("body", b"\r\n")]
    return b"Transfer-Encoding: chunked", [*body, ("body", b"0\r\n\r\n")]


def compressed(content: bytes) -> tuple[bytes, Parts]:
    """Compress *content*, and frame it by its length."""
    data = gzip.compress(content, mtime=0)
    return b"Content-Encoding: gzip\r\nContent-Length: %d" % len(data), [("body", data)]
