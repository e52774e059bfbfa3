"""Conversations of other calls than requests, by HTTP/1.1."""

from __future__ import annotations

import tempfile
from typing import Any, Final

import anyio

from anyhttp import BaseConnector, DigestAuthMiddleware, UnixConnector, download
from tests.support.tls import Authority

from .conversation import Program
from .http1 import Exchange, Parts, by_length
from .server import FaultyServer
from .wire import Wire

#: How many requests are sent before a call gives up.
_ATTEMPTS: Final = 2

_CHALLENGE: Final = b'WWW-Authenticate: Digest realm="here", nonce="once", qop="auth"'


class UnixExchange(Exchange):
    """A request on a Unix socket."""

    is_unix = True

    def connector(self, reader: str, authority: Authority, **options: Any) -> BaseConnector:
        return UnixConnector(http1=reader, **options)

    def url(self, program: Program) -> str:
        return f"http://unix.test/{program.name}"


class Download(Exchange):
    """A download that asks for the whole file once more if its connection breaks."""

    async def send(self, program: Program, **options: Any) -> None:
        with tempfile.TemporaryDirectory(prefix="anyhttp-") as folder:
            path = anyio.Path(folder, "file")
            await download(
                program.session,
                self.url(program),
                path,
                attempts=_ATTEMPTS,
                backoff=0,
                timeout=program.timeout,
            )
            program.got += await path.read_bytes()


class Events(Exchange):
    """A stream of events, of which one is awaited."""

    def answer(self, name: str) -> Parts:
        fields, body = by_length(b"data: %b\n\n" % self.content(name))
        lines = [b"HTTP/1.1 200 OK", b"Content-Type: text/event-stream", fields, b"", b""]
        return [("head", b"\r\n".join(lines)), *body]

    async def send(self, program: Program, **options: Any) -> None:
        async with program.session.sse(
            self.url(program), attempts=_ATTEMPTS, backoff=0, timeout=program.timeout
        ) as events:
            async for event in events:
                program.got += event.data.encode()
                return


class Digest(Exchange):
    """A challenge by Digest authentication, and the answer to the request that is signed.

    :param signed: whether the fault is in this answer, and not in the challenge
    """

    def __init__(self, *, signed: bool = False) -> None:
        super().__init__()
        self._signed = signed

    def answer(self, name: str) -> Parts:
        if self._signed:
            return super().answer(name)
        return self._challenge()

    @staticmethod
    def _challenge() -> Parts:
        fields, body = by_length(b"Who is there?")
        lines = [b"HTTP/1.1 401 Unauthorized", _CHALLENGE, fields, b"", b""]
        return [("head", b"\r\n".join(lines)), *body]

    def respond(self, wire: Wire, name: str, server: FaultyServer) -> None:
        is_signed = name in server.asked
        server.asked.add(name)
        if is_signed == self._signed:
            super().respond(wire, name, server)
        else:
            parts = super().answer(name) if is_signed else self._challenge()
            wire.send(b"".join(data for _, data in parts))

    def options(self, program: Program) -> dict[str, Any]:
        return {"middlewares": [DigestAuthMiddleware("me", "secret")]}
