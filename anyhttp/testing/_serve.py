"""A real server on loopback, for tests that want sockets."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Sequence
from traceback import format_exception
from types import TracebackType
from typing import ClassVar, Final, Self, cast

import anyio
from anyio.abc import SocketAttribute
from yarl import URL

from .._common import check_count, check_flag, check_seconds
from .._tasks import CLEAN_UP_SECONDS, TaskOwner, mark_task_of
from ._answers import AnswerSource, checked_source
from ._asgi_call import ASGIApplication
from ._certificates import tls_contexts
from ._lifespan import LifespanMode
from ._mock import RequestRoutes
from ._served_application import ServedApplication, is_application
from ._serving import Connections

__all__ = ("LoopbackServer", "serve")

logger: Final = logging.getLogger("anyhttp.testing")

HOST: Final = "127.0.0.1"


class LoopbackServer(RequestRoutes):
    """A server on loopback, which :func:`serve` makes and ``async with`` runs.

    Its routes, ``calls`` and assertions are those of a mock, see :class:`RequestMock`.
    """

    _called: ClassVar[str] = "server"

    def __init__(
        self,
        application: ServedApplication | None,
        *,
        tls: bool | ssl.SSLContext = False,
        port: int = 0,
        raise_app_exceptions: bool = True,
        shutdown_timeout: float = CLEAN_UP_SECONDS,
    ) -> None:
        if not isinstance(tls, ssl.SSLContext):
            check_flag("tls", tls)
        check_count("port", port)
        check_flag("raise_app_exceptions", raise_app_exceptions)
        check_seconds("shutdown_timeout", shutdown_timeout)
        super().__init__()
        self._client_context: ssl.SSLContext | None = None
        #: the server's context; ``None`` without TLS
        self.ssl_context: ssl.SSLContext | None = None
        if isinstance(tls, ssl.SSLContext):
            self.ssl_context = tls
        elif tls:
            self.ssl_context, self._client_context = tls_contexts()
        self._port = port
        self._raises = raise_app_exceptions
        self._shutdown_timeout = shutdown_timeout
        self._connections = Connections(self._table, self.ssl_context, application)
        self._owner: TaskOwner | None = None

    # -- what clients need

    @property
    def url(self) -> URL:
        """The URL that the server answers at.

        :raises RuntimeError: the server has not been started
        """
        if self._owner is None:
            raise RuntimeError("the server has not been started: use it in `async with`")
        return self._connections.url

    @property
    def port(self) -> int:
        """The port that the server listens on.

        :raises RuntimeError: the server has not been started
        """
        port = self.url.port
        assert port is not None
        return port

    @property
    def client_context(self) -> ssl.SSLContext:
        """A context for clients, which trusts the server's certificate and no other.

        :raises RuntimeError: the server has made no certificate, as ``tls=True`` has it do
        """
        if self._client_context is None:
            raise RuntimeError("the server has made no certificate: serve(..., tls=True) does")
        return self._client_context

    @property
    def connections(self) -> int:
        """How many connections have been made to the server."""
        return self._connections.opened

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return self._connections.open

    # -- running

    async def __aenter__(self) -> Self:
        """Start the application, if there is one, and listen.

        :raises OSError: the port is taken
        :raises LifespanError: the application has reported a failure
        :raises BaseException: what it has raised while it started
        """
        if self._owner is not None:
            raise RuntimeError("a server can be started once: make another one")
        self._listener = await anyio.create_tcp_listener(local_host=HOST, local_port=self._port)
        port = self._listener.extra(SocketAttribute.local_port)
        scheme = "http" if self.ssl_context is None else "https"
        self._connections.url = URL.build(scheme=scheme, host=HOST, port=port)
        self._accepting = anyio.CancelScope()
        self._owner = TaskOwner()
        try:
            if self._connections.application is not None:
                await self._connections.application.start()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._listener.aclose()
            raise
        self._owner.start(self._run)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close everything, and raise what code of the program has raised in the server.

        Scripts of WebSockets, and calls of an application that has responded or knows of the end,
        may go on for the ``shutdown_timeout``.  If the block has failed, all ends at once, and the
        failures are notes of its exception.

        :raises UnansweredRequest: no route has answered a request
        :raises LifespanError: the shutdown of the application has failed
        :raises BaseException: what a function or script has raised
        """
        self._accepting.cancel()
        try:
            if exc is None:
                with anyio.move_on_after(self._shutdown_timeout):
                    await self._connections.finish()
        except BaseException as cancelled:
            await self._end(cancelled)
            raise
        await self._end(exc)
        self._raise_failures(exc)

    async def _run(self) -> None:
        """Accept connections, and serve each in a task."""
        assert self._owner is not None
        mark_task_of(self._owner.tasks)
        async with anyio.create_task_group() as tasks:
            with self._accepting:
                await self._listener.serve(self._connections.serve, tasks)
            await self._listener.aclose()

    async def _end(self, raised: BaseException | None) -> None:
        """Cancel what still runs; nothing is open afterwards."""
        assert self._owner is not None
        try:
            await self._owner.leave(raised)
        finally:
            try:
                with anyio.CancelScope(shield=True):
                    await self._listener.aclose()  # if the task had no time to start
            finally:  # asyncio's own cancellation knows no shield
                if self._connections.application is not None:
                    await self._connections.application.stop(raised)

    def note_failures(self, exc: BaseException) -> None:
        """Add to *exc*, as notes, what functions, scripts and the application have raised."""
        _note(exc, self._connections.failures)

    def _raise_failures(self, raised: BaseException | None) -> None:
        """Raise the first failure of the server; make notes of all of them to *raised*."""
        failures: list[BaseException] = [*self.unanswered]
        if self._raises:
            failures += self._connections.failures
        else:
            for failure in self._connections.failures:
                logger.error("what answers requests has failed", exc_info=failure)
        if raised is not None:
            _note(raised, failures)
        elif failures:
            first, *others = failures
            _note(first, others)
            raise first


def _note(exc: BaseException, failures: Sequence[BaseException]) -> None:
    for failure in failures:
        text = "".join(format_exception(failure))
        exc.add_note(f"\nBesides, the server has failed:\n{text}")


def serve(
    source: AnswerSource | ASGIApplication | None = None,
    *,
    tls: bool | ssl.SSLContext = False,
    port: int = 0,
    root_path: str = "",
    lifespan: LifespanMode = "auto",
    raise_app_exceptions: bool = True,
    shutdown_timeout: float = CLEAN_UP_SECONDS,
) -> LoopbackServer:
    """Return a server on loopback that runs in ``async with``.

    ::

        async with serve(app) as server, ClientSession(server.url) as session:
            ...

    :param source: what answers requests that no route of the server takes.  An ASGI application;
        or a function, asynchronous or not, that gets the :class:`ReceivedRequest` and returns an
        :class:`Answer`, or a status, text, bytes, a dictionary or list for JSON, or an exception;
        or one of these for all requests.  A function is cancelled when its client goes.  Of
        requests that an application answers, the server's ``calls`` have no body
    :param tls: speak TLS, with a certificate that :attr:`LoopbackServer.client_context` trusts
        (``pip install 'anyhttp-client[testing]'``), or with this context of a server
    :param port: 0 for a free one
    :param root_path: where the application is mounted
    :param lifespan: ``"on"``: the application is told of its startup and shutdown, and has to
        know them; ``"auto"``: it need not know them; ``"off"``: it is not told
    :param raise_app_exceptions: raise at the end of the block what *source*, or a function or
        script of a route, has raised; the client gets the status 500, or a broken connection if
        the response had begun.  ``False``: log it.  What an application raises after its client has
        gone is logged in any case, as it may be the reason
    :param shutdown_timeout: seconds that scripts of WebSockets, and calls of the application that
        know of the end, may go on when the block ends
    :raises TypeError: an argument has the wrong type
    :raises ValueError: an argument has a value that is not allowed
    :raises RuntimeError: the package that makes certificates is not installed
    """
    application: ServedApplication | None = None
    if is_application(source):
        application = ServedApplication(source, root_path, lifespan, shutdown_timeout)
    elif root_path or lifespan != "auto":
        raise ValueError("root_path= and lifespan= are for an ASGI application")
    elif source is not None:
        checked_source(cast("AnswerSource", source), "source")
    server = LoopbackServer(
        application,
        tls=tls,
        port=port,
        raise_app_exceptions=raise_app_exceptions,
        shutdown_timeout=shutdown_timeout,
    )
    if application is None and source is not None:
        server.fallback(answer=cast("AnswerSource", source))
    return server
