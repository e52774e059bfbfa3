"""WSGI applications (:pep:`3333`) in the place of servers."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import unquote_to_bytes

import anyio.from_thread
import anyio.to_thread

from .._common import check_callable
from .._tasks import CLEAN_UP_SECONDS
from ._application import ApplicationConnector, path_and_query, respond_failed
from ._client_stream import ClientDisconnected
from ._memory import CLIENT_ADDRESS
from ._server_connection import ServerExchange

if TYPE_CHECKING:
    from ..client_reqrep import ClientRequest

__all__ = ("WSGIApplication", "WSGIConnector", "WSGIProtocolError")

#: An application as :pep:`3333` has it: ``app(environ, start_response)``.
WSGIApplication: TypeAlias = Callable[[Any, Any], Iterable[bytes]]

#: Headers that the environment has under names without a prefix.
_UNPREFIXED: Final = {"CONTENT_TYPE", "CONTENT_LENGTH"}
_STATUS: Final = re.compile(r"[2-9]\d\d( .*)?")


class WSGIProtocolError(RuntimeError):
    """An application broke the rules of WSGI; the message says what it did."""


class WSGIConnector(ApplicationConnector):
    """Calls a WSGI application where other connectors connect to a server.

    It works as :class:`ASGIConnector` does.  Each request runs in a thread, of those that
    :func:`anyio.to_thread.run_sync` lends, with the context variables of the request; bodies are
    streamed both ways.  A thread cannot be cancelled: after the client has gone, the application
    gets a :exc:`ConnectionError` where it next reads or sends something.  The end of the connector
    waits for it, but not for ever.

    :param app: the application
    :param raise_app_exceptions: ``False``: log what the application raises, and answer as a server
        does: by a status 500, or a broken connection if the response has begun
    :param root_path: where the application is mounted (``SCRIPT_NAME``); URLs of requests contain
        it
    :param client: host and port of the client, as the application sees it
    :param limit: requests in progress in all; 0 or ``None`` for no limit
    :param limit_per_host: the same for one host
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        raise_app_exceptions: bool = True,
        root_path: str = "",
        client: tuple[str, int] = CLIENT_ADDRESS,
        limit: int | None = 100,
        limit_per_host: int | None = 0,
    ) -> None:
        super().__init__(
            raise_app_exceptions=raise_app_exceptions,
            root_path=root_path,
            client=client,
            shutdown_timeout=CLEAN_UP_SECONDS,
            limit=limit,
            limit_per_host=limit_per_host,
        )
        check_callable("app", app)
        self._app = app

    def _call_for(self, exchange: ServerExchange, request: ClientRequest) -> _Call:
        key = request.connection_key
        environ: dict[str, Any] = {
            "SCRIPT_NAME": self._root_path,
            "SERVER_NAME": key.host,
            "SERVER_PORT": str(key.port),
            "REMOTE_ADDR": self._client[0],
            "REMOTE_PORT": str(self._client[1]),
        }
        return _Call(self._app, exchange, environ)


class _Call:
    """One call of an application; its public methods are for the event loop, others for a thread.

    :param environ: what does not depend on the request
    """

    def __init__(
        self, app: WSGIApplication, exchange: ServerExchange, environ: dict[str, Any]
    ) -> None:
        self._app = app
        self._exchange = exchange
        self._environ = environ
        self._status = ""  # until start_response() has been called
        self._headers: list[tuple[bytes, bytes]] = []
        self._is_sent = False  # the head
        self._left: int | None = None  # what is missing of the Content-Length, if there is one
        self._completing = b""  # what completes it, until the end
        self.is_ending: bool = False
        self.is_delivered: bool = False
        self.is_disconnected: bool = False

    async def run(self) -> None:
        """Call the application in a thread, and send the rest of the response."""
        try:
            # A thread cannot be cancelled.  Its waits end when the client has gone, and closing the
            # connector makes the client go.
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._answer)
            await self._exchange.send(self._completing)
            await self._exchange.finish()
        except ClientDisconnected:
            self.is_disconnected = True
            raise
        self.is_delivered = True

    async def answer_failure(self) -> None:
        """Answer for an application that has failed."""
        if self._is_sent:
            await self._exchange.reset()
        else:
            await respond_failed(self._exchange)

    def _answer(self) -> None:
        pieces = self._app(self._fill_environ(), self._start_response)
        try:
            for piece in pieces:
                self._write(piece)
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()
        self._send_head()
        if self._left:
            raise self._broken_rule(f"sent {self._left} bytes less than its Content-Length")

    def _start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], None]:
        if self._is_sent and exc_info:
            raise exc_info[1]
        if self._status and not exc_info:
            raise self._broken_rule("called start_response a second time, without exc_info")
        if not isinstance(status, str) or _STATUS.fullmatch(status) is None:
            raise self._broken_rule(f"called start_response with the status {status!r}")
        for name, value in headers:
            if not isinstance(name, str) or not isinstance(value, str):
                raise self._broken_rule(f"sent the header {name!r}: {value!r}; both must be str")
        self._status = status
        self._headers = [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in headers
        ]
        lengths = [value for name, value in headers if name.lower() == "content-length"]
        has_body = self._exchange.method != "HEAD" and status[:3] not in {"204", "304"}
        self._left = int(lengths[0]) if lengths and has_body else None
        return self._write

    def _write(self, data: bytes) -> None:
        """Send a part of the body, and the head before the first one."""
        if not isinstance(data, bytes):
            raise self._broken_rule(f"sent a body of {type(data).__name__}, not bytes")
        if not data:
            return
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                raise self._broken_rule(f"sent {-self._left} bytes more than its Content-Length")
            if self._left == 0:
                self._completing = data
                return
        self._send_head()
        anyio.from_thread.run(self._exchange.send, data)

    def _send_head(self) -> None:
        if self._is_sent:
            return
        if not self._status:
            raise self._broken_rule("has not called start_response")
        self._is_sent = True
        status, _, reason = self._status.partition(" ")
        try:
            anyio.from_thread.run(self._exchange.start, int(status), self._headers, reason)
        except ValueError as exc:
            self._is_sent = False
            raise self._broken_rule(f"called start_response with a bad header: {exc}") from exc

    def _fill_environ(self) -> dict[str, Any]:
        exchange, environ = self._exchange, self._environ
        raw_path, query = path_and_query(exchange)
        for name in exchange.headers:
            key = name.upper().replace("-", "_")
            joined = ("; " if key == "COOKIE" else ",").join(exchange.headers.getall(name))
            text = joined.encode("utf-8", "surrogateescape").decode("latin-1")
            environ[key if key in _UNPREFIXED else f"HTTP_{key}"] = text
        path = unquote_to_bytes(raw_path).decode("latin-1")
        return environ | {
            "REQUEST_METHOD": exchange.method,
            "PATH_INFO": path.removeprefix(environ["SCRIPT_NAME"]),
            "QUERY_STRING": query,
            "SERVER_PROTOCOL": f"HTTP/{exchange.head.version}",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": exchange.url.scheme,
            "wsgi.input": io.BufferedReader(_Body(exchange)),
            "wsgi.input_terminated": True,  # reading to the end is safe: also where chunks come
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }

    def _broken_rule(self, what: str) -> WSGIProtocolError:
        exchange = self._exchange
        return WSGIProtocolError(
            f"the application {what} (in answer to {exchange.method} {exchange.target})"
        )


class _Body(io.RawIOBase):
    """The body of a request, for a thread."""

    def __init__(self, exchange: ServerExchange) -> None:
        self._exchange = exchange
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Receive into *buffer* what there is, at least one byte; 0 at the end."""
        piece = self._rest or anyio.from_thread.run(self._exchange.receive)
        size = min(len(piece), len(buffer))
        buffer[:size], self._rest = piece[:size], piece[size:]
        return size
