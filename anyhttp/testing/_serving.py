"""The connections of the loopback server: who answers their requests, and what goes wrong."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import anyio
from anyio.abc import ByteStream, SocketStream
from anyio.streams.tls import TLSStream
from yarl import URL

from ._answering import respond
from ._client_stream import ClientDisconnected, ClientStream
from ._faults import Fault, FaultKind
from ._http1_server import MalformedRequest
from ._requests import ReceivedRequest
from ._route_table import Decision, RouteTable
from ._routes import Scripted, UnansweredRequest
from ._served_application import ServedApplication
from ._server_connection import ServerConnection, ServerExchange

__all__ = ("Connections", "LastWork")

logger: Final = logging.getLogger("anyhttp.testing")

#: Seconds that a client has to take the last bytes of a connection, and to close its side.
LINGER: Final = 2.0

#: What a stream raises when its peer has gone.
_GONE: Final = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError)


class LastWork:
    """Work that may go on for a while when the server ends.

    :param is_ending: whether it ends by itself
    """

    def __init__(self, is_ending: Callable[[], bool]) -> None:
        self.is_ending: Callable[[], bool] = is_ending
        self.scope: anyio.CancelScope = anyio.CancelScope()


class Connections:
    """Serves connections, and keeps what fails.

    :param table: the routes
    :param tls: the context of the server, if it speaks TLS
    :param application: what answers requests that no route takes
    """

    def __init__(
        self,
        table: RouteTable,
        tls: ssl.SSLContext | None,
        application: ServedApplication | None,
    ) -> None:
        self._table = table
        self._tls = tls
        self._works: set[LastWork] = set()
        self._quiet: anyio.Event | None = None  # set when the last of them has ended
        #: the server's own URL
        self.url: URL = URL()
        #: what answers requests that no route takes, if that is an application
        self.application: ServedApplication | None = application
        #: how many connections were made
        self.opened: int = 0
        #: how many are open now
        self.open: int = 0
        #: what code of the program has raised
        self.failures: list[BaseException] = []

    async def serve(self, stream: SocketStream) -> None:
        """Serve one connection to its end, and close it."""
        self.opened += 1
        self.open += 1
        try:
            await self._serve(stream)
        finally:
            self.open -= 1
            with anyio.CancelScope(shield=True):
                await stream.aclose()

    async def _serve(self, stream: SocketStream) -> None:
        peer: ByteStream = stream
        if self._tls is not None:
            try:
                peer = await TLSStream.wrap(
                    stream, server_side=True, ssl_context=self._tls, standard_compatible=False
                )
            except _GONE as exc:
                logger.debug("the TLS handshake with a client failed: %r", exc)
                return
        connection = ServerConnection(peer, scheme=self.url.scheme)
        try:
            while (exchange := await connection.next_request()) is not None:
                await self._answer(exchange)
        except ClientDisconnected:
            return
        except MalformedRequest as exc:
            if connection.protocol.status is None:
                with suppress(ClientDisconnected):
                    await connection.send(connection.protocol.refuse(str(exc)))
        if not connection.stream.is_closed:
            await _linger(peer, stream)

    # -- one request

    async def _answer(self, exchange: ServerExchange) -> None:
        """Answer one request."""
        table = self._table
        proxy = self.url if exchange.is_for_proxy else None
        request = ReceivedRequest(
            exchange.method, exchange.url, exchange.headers, None, proxy=proxy
        )
        if table.depends_on_body(request):
            request.receive_body(await exchange.read_ahead())
        decision = table.find(request)
        if decision is None and self.application is not None:
            table.calls.append(request)
            await self._call(self.application, exchange)
            return
        if decision is None:
            try:
                decision = table.fall_back(request)
            except UnansweredRequest as exc:  # the table has it
                await exchange.respond(500, body=str(exc).encode())
                return
        try:
            if isinstance(decision.source, Scripted):
                with self.last_work(lambda: True):
                    await respond(table, request, exchange, decision)
            else:
                await self._respond(request, exchange, decision)
        except (GeneratorExit, anyio.get_cancelled_exc_class()):
            raise
        except (ClientDisconnected, MalformedRequest):
            raise
        except BaseException as exc:  # noqa: BLE001  (raised at the end of the server)
            await self.fail(exchange, exc)

    async def _respond(
        self, request: ReceivedRequest, exchange: ServerExchange, decision: Decision
    ) -> None:
        """Answer as *decision* says, as long as the client is there.

        :raises BaseException: what code of the program has raised
        """
        fault: Fault | None = None
        failure: BaseException | None = None
        is_streamed = decision.route.stream_request
        if not is_streamed:
            await exchange.read()
        async with anyio.create_task_group() as tasks:
            if not is_streamed:  # else the function receives
                tasks.start_soon(_end_with_client, exchange, tasks.cancel_scope)
            try:
                fault = await respond(self._table, request, exchange, decision)
                if fault is not None and fault.kind in {FaultKind.STALL, FaultKind.TIMEOUT}:
                    await anyio.sleep_forever()
            except (GeneratorExit, anyio.get_cancelled_exc_class()):
                raise
            except BaseException as exc:  # noqa: BLE001  (raised without the group around it)
                failure = exc
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure
        if fault is not None:
            await _inflict(fault, exchange)

    async def _call(self, application: ServedApplication, exchange: ServerExchange) -> None:
        """Have *application* answer."""
        call = application.call_for(exchange, (str(self.url.host), self.url.port))
        with self.last_work(lambda: call.is_ending):
            try:
                await call.run()
            except (GeneratorExit, anyio.get_cancelled_exc_class()):
                raise
            except BaseException as exc:  # raised at the end of the server
                if not call.is_disconnected or call.is_delivered:
                    self.failures.append(exc)
                    await call.answer_failure()
                elif not isinstance(exc, ClientDisconnected):  # which no application need catch
                    what = f"{exchange.method} {exchange.target}"
                    logger.error("the application failed in answer to %s", what, exc_info=exc)

    async def fail(self, exchange: ServerExchange, failure: BaseException) -> None:
        """Keep *failure*; answer with a status 500, or reset the connection if it is too late."""
        self.failures.append(failure)
        if exchange.connection.protocol.status is None:
            await exchange.respond(500, {"Connection": "close"}, b"Internal Server Error")
        else:
            await exchange.reset()

    # -- the end

    @contextmanager
    def last_work(self, is_ending: Callable[[], bool]) -> Iterator[None]:
        """Let the block go on for a while when the server ends, if it ends by itself then."""
        work = LastWork(is_ending)
        self._works.add(work)
        try:
            with work.scope:
                yield
        finally:
            self._works.discard(work)
            if self._quiet is not None and not self._works:
                self._quiet.set()

    async def finish(self) -> None:
        """Cancel the work that does not end by itself, and wait for the rest."""
        for work in self._works:
            if not work.is_ending():
                work.scope.cancel()
        if self._works:
            self._quiet = anyio.Event()
            await self._quiet.wait()


async def _end_with_client(exchange: ServerExchange, scope: anyio.CancelScope) -> None:
    """Cancel *scope* when the client has gone."""
    await exchange.wait_disconnect()
    scope.cancel()


async def _inflict(fault: Fault, exchange: ServerExchange) -> None:
    """Let *fault* happen to a real client.

    :raises Exception: that cannot be
    """
    exchange.connection.protocol.can_go_on = False
    if fault.kind is FaultKind.BREAK and isinstance(fault.error, OSError):
        await exchange.reset()
    elif fault.kind is FaultKind.BREAK:
        raise fault.error
    elif fault.kind is FaultKind.CONNECTING:
        raise ValueError(
            f"a server that has got a request cannot answer by {fault.error!r}, which happens "
            "while a connection is made: a MockConnector can"
        )


async def _linger(peer: ByteStream, stream: SocketStream) -> None:
    """End the bytes to the client, and wait until it closes its side.

    If the server closed at once, bytes of the client that nobody has read would reset the
    connection, and the client could lose the end of the response.
    """
    with anyio.move_on_after(LINGER), suppress(*_GONE):
        if isinstance(peer, TLSStream):
            await peer.unwrap()
        await ClientStream(stream).send_eof()
        while True:
            await stream.receive()
