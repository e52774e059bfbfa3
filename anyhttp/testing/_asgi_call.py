"""What one call of an ASGI application is given, for whatever kind of request."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any, ClassVar, TypeAlias
from urllib.parse import unquote

import anyio
from anyio.lowlevel import checkpoint

from ._application import path_and_query
from ._client_stream import ClientDisconnected
from ._http1_server import MalformedRequest
from ._server_connection import ServerExchange

__all__ = (
    "ASGIApplication",
    "ASGIProtocolError",
    "CallSettings",
    "Message",
    "RawHeaders",
    "ServerCall",
    "call_application",
)

#: What the application gets and sends.
Message: TypeAlias = MutableMapping[str, Any]

#: An application as the specification of ASGI 3 has it: ``await app(scope, receive, send)``.
#: Frameworks describe the three in ways that exclude each other.
ASGIApplication: TypeAlias = Callable[[Any, Any, Any], Awaitable[object]]

#: Header fields as they are sent.
RawHeaders: TypeAlias = list[tuple[bytes, bytes]]


class ASGIProtocolError(RuntimeError):
    """An application broke the rules of ASGI; the message says what it did.

    It is raised where the application sends the message in question.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSettings:
    """What calls of an application have in common.

    :param client: address of the client
    :param server: host and port that the client has connected to
    :param root_path: where the application is mounted
    :param state: what the application has kept at its startup; each call gets a copy
    :param holds_end: send the end of a response only when the application has returned
    """

    client: tuple[str, int] | None = None
    server: tuple[str, int | None] | None = None
    root_path: str = ""
    state: Mapping[str, Any] = field(default_factory=dict)
    holds_end: bool = False


async def call_application(
    app: ASGIApplication, scope: MutableMapping[str, Any], receive: object, send: object
) -> None:
    """Call *app*.

    :raises ASGIProtocolError: it is no ASGI 3 application
    """
    awaitable: object = app(scope, receive, send)
    if not isawaitable(awaitable):
        raise ASGIProtocolError(
            "an ASGI 3 application must return an awaitable when it is called with scope, receive "
            f"and send; {app!r} has returned a {type(awaitable).__name__}"
        )
    await awaitable


class ServerCall(ABC):
    """One call of an application, in answer to one request.

    A subclass knows the messages of one kind of request.
    """

    #: what the scope says of the version of the specification, beside ASGI 3
    _spec_version: ClassVar[str]

    def __init__(
        self, app: ASGIApplication, exchange: ServerExchange, settings: CallSettings
    ) -> None:
        self._app = app
        self._exchange = exchange
        self._settings = settings
        self._turn = anyio.Lock()  # one task at a time may receive
        self._waiting: anyio.CancelScope | None = None  # for the client to go away
        #: whether the client has gone, or the connector is closed
        self.is_disconnected: bool = False
        #: whether the application has been told that, by a message or an exception
        self.was_told: bool = False

    async def run(self) -> None:
        """Call the application, and send the rest of the response when it has returned.

        :raises ASGIProtocolError: the application broke the rules, or returned too early
        :raises BaseException: what the application has raised
        """
        await self._call_application()
        if not self.is_disconnected:
            with self._until_gone():
                await self._application_returned()

    async def _call_application(self) -> None:
        await call_application(self._app, self._scope(), self.receive, self.send)

    async def answer_failure(self) -> None:
        """Answer for an application that has failed, as a server does."""
        if not self.is_disconnected:
            with self._until_gone():
                await self._answer_failure()

    @property
    @abstractmethod
    def is_over(self) -> bool:
        """Whether the application has sent all that it has to send."""

    @property
    def is_ending(self) -> bool:
        """Whether the application knows, or learns in its next step, that nobody waits for it."""
        return self.is_over or self.was_told or self._turn.locked()

    @property
    @abstractmethod
    def is_delivered(self) -> bool:
        """Whether all that the application has to send has been sent to the client."""

    @abstractmethod
    async def receive(self) -> Message:
        """Return the next message for the application."""

    @abstractmethod
    async def send(self, message: Message) -> None:
        """Take a message of the application.

        :raises ASGIProtocolError: it is none, or not the one that may come now
        """

    @abstractmethod
    async def _next_message(self) -> Message | None:
        """Wait for what the client does next; ``None`` if it has gone.

        :raises ClientDisconnected: it has gone
        """

    @abstractmethod
    async def _application_returned(self) -> None:
        """Send what has been held back.

        :raises ASGIProtocolError: the application has not sent what it must
        """

    @abstractmethod
    async def _answer_failure(self) -> None:
        """Do what :meth:`answer_failure` does for a client that is there."""

    async def _next(self) -> Message | None:
        """Return the next message; ``None`` if there is none any more, or :meth:`_end_wait` ran."""
        if self.is_over or self.is_disconnected:
            await checkpoint()
            return None
        message: Message | None = None
        with anyio.CancelScope() as self._waiting:
            with self._until_gone():
                message = await self._next_message()
            if message is None:
                self.is_disconnected = True
        self._waiting = None
        return message

    @contextmanager
    def _until_gone(self) -> Iterator[None]:
        """End the block if the client has gone, or what it sends is no HTTP."""
        try:
            yield
        except (ClientDisconnected, MalformedRequest):
            self.is_disconnected = True

    def _end_wait(self) -> None:
        """End the wait of the task that receives, as the client's next step no longer matters."""
        if self._waiting is not None:
            self._waiting.cancel()

    # -- scope

    def _scope(self) -> dict[str, Any]:
        """Return the scope, as far as all kinds of requests have it in common."""
        exchange, settings = self._exchange, self._settings
        raw_path, query = path_and_query(exchange)
        return {
            "asgi": {"version": "3.0", "spec_version": self._spec_version},
            "http_version": exchange.head.version,
            "scheme": exchange.url.scheme,
            "path": unquote(raw_path),
            "raw_path": raw_path.encode("utf-8", "surrogateescape"),
            "query_string": query.encode("utf-8", "surrogateescape"),
            "root_path": settings.root_path,
            "headers": [
                (name.lower().encode(), value.encode("utf-8", "surrogateescape"))
                for name, value in exchange.headers.items()
            ],
            "client": settings.client,
            "server": settings.server,
            "state": dict(settings.state),
        }

    # -- what messages hold

    def broken_rule(self, what: str) -> ASGIProtocolError:
        """Return the error of an application that has done *what*."""
        exchange = self._exchange
        return ASGIProtocolError(
            f"the application {what} (in answer to {exchange.method} {exchange.target})"
        )

    def _kind(self, message: object) -> str:
        """Return the type of *message*."""
        if not isinstance(message, Mapping):
            raise self.broken_rule(f"sent a {type(message).__name__}, not a dictionary")
        kind = message.get("type")
        if not isinstance(kind, str):
            raise self.broken_rule(f"sent a message whose 'type' is {kind!r}: {message!r}")
        return kind

    def status(self, message: Message) -> int:
        status = message.get("status")
        if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 999:
            raise self.broken_rule(
                f"sent {message['type']} with the status {status!r}, not a number from 200 to 999"
            )
        return int(status)  # of HTTPStatus too

    def headers(self, message: Message, key: str = "headers") -> RawHeaders:
        """Return the header fields of *message*, without those that belong to the connection."""
        kind, headers = message["type"], message.get(key, ())
        if isinstance(headers, (str, bytes, Mapping)) or not isinstance(headers, Iterable):
            raise self.broken_rule(
                f"sent {kind} whose {key!r} is a {type(headers).__name__}, not a list of pairs"
            )
        pairs: RawHeaders = []
        for pair in headers:
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise self.broken_rule(f"sent {kind} with {pair!r} in place of a pair in {key!r}")
            name, value = pair
            if not isinstance(name, bytes) or not isinstance(value, bytes):
                raise self.broken_rule(
                    f"sent {kind} with the header {name!r}: {value!r}; both must be bytes"
                )
            if name.lower() != b"transfer-encoding":  # the server's business
                pairs.append((name, value))
        return pairs

    def bytes_of(self, message: Message, key: str) -> bytes:
        value = message.get(key, b"")
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise self.broken_rule(
                f"sent {message['type']} whose {key!r} is a {type(value).__name__}, not bytes"
            )
        return bytes(value)
