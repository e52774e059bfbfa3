"""Answers requests: at once where that needs no code of the program, else in a task."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

import anyio

from .._tasks import ClientTimeout
from ._answers import Answer, called_answer, play
from ._client_stream import ClientDisconnected
from ._faults import Fault, FaultKind
from ._memory import memory_connection
from ._mock_streams import CannedStream, ScriptedStream
from ._mock_tasks import MockTasks
from ._requests import ReceivedRequest
from ._route_table import Decision, RouteTable
from ._routes import Route, Scripted, UnansweredRequest
from ._server_connection import ServerConnection, ServerExchange

if TYPE_CHECKING:
    from ..client_reqrep import ClientRequest

__all__ = ("Answering", "respond")


class Answering:
    """Makes the streams that lead to what answers.

    :param table: the routes
    """

    def __init__(self, table: RouteTable) -> None:
        self.table: RouteTable = table
        self.tasks: MockTasks = MockTasks()

    def stream_at_once(
        self, req: ClientRequest, timeout: ClientTimeout
    ) -> CannedStream | ScriptedStream | None:
        """Return a stream to what answers *req*; ``None``: only ``stream_for()`` can tell.

        What answers is decided here, as far as the request is known.

        :raises UnansweredRequest: no route answers it
        """
        table = self.table
        request = self._received(req)
        if table.depends_on_body(request):
            return self._start(request, None, timeout)
        route = self._route_for(request)
        if route is None:
            return None
        source = route.next_source
        if not isinstance(source, Answer):
            return self._start(request, Decision(route, route.take()), timeout)
        if source.fault is not None and source.fault.kind is FaultKind.CONNECTING:
            return None
        route.take()
        if source.is_iterated:
            return self._start(request, Decision(route, source), timeout)
        return CannedStream(request, source, timeout, lambda: table.record(request, route))

    async def stream_for(
        self, req: ClientRequest, timeout: ClientTimeout
    ) -> CannedStream | ScriptedStream | None:
        """Return a stream to what answers *req*; ``None``: it goes over the network.

        :raises UnansweredRequest: no route answers it
        :raises OSError: what the answer says to happen when a connection is made
        """
        stream = self.stream_at_once(req, timeout)
        if stream is not None:
            return stream
        request = self._received(req)
        route = self._route_for(request)
        if route is None:
            return None
        answer = route.take()
        assert isinstance(answer, Answer)
        assert answer.fault is not None
        _learn_body(request, req)
        self.table.record(request, route)
        await anyio.sleep(answer.delay)
        raise answer.fault.when_connecting(req)

    def _received(self, req: ClientRequest) -> ReceivedRequest:
        """Return *req* as far as it is known before it is sent."""
        body = b"" if req.payload is None else None
        request = ReceivedRequest(req.method, req.url, req.headers, body, proxy=req.proxy)
        if body is None and self.table.needs_bodies:
            _learn_body(request, req)
        return request

    def _route_for(self, request: ReceivedRequest) -> Route | None:
        """Return the route or fallback that answers *request*; ``None`` for the network.

        :raises UnansweredRequest: there is none
        """
        table = self.table
        route = table.route_for(request)
        if route is not None or table.passes(request.url):
            return route
        return table.fallback_for(request)

    def _start(
        self, request: ReceivedRequest, decision: Decision | None, timeout: ClientTimeout
    ) -> ScriptedStream:
        """Start a task that answers."""
        client_end, server_end = memory_connection()
        client = ScriptedStream(client_end, is_websocket=request.is_handshake)
        connection = ServerConnection(server_end, scheme=request.url.scheme)
        scripted = _Scripted(self, client, connection, timeout)
        scope = self.tasks.start(lambda: scripted.run(request, decision))
        if not (decision is not None and isinstance(decision.source, Scripted)):
            client.on_close = scope.cancel
        return client


def _learn_body(request: ReceivedRequest, req: ClientRequest) -> None:
    """Let *request* have the body of *req*, if that is known before it is sent."""
    payload = req.payload
    if payload is not None and req.framing.compress is None:
        body = payload.in_memory()
        if body is not None:
            request.receive_body(body)


class _Scripted:
    """One exchange that a task answers.

    :param client: the client's end of the connection
    :param timeout: the limits of the request
    """

    def __init__(
        self,
        answering: Answering,
        client: ScriptedStream,
        connection: ServerConnection,
        timeout: ClientTimeout,
    ) -> None:
        self._answering = answering
        self._client = client
        self._connection = connection
        self._timeout = timeout

    async def run(self, request: ReceivedRequest, decision: Decision | None) -> None:
        """Answer *request*; what fails is raised where the client receives."""
        client = self._client
        try:
            exchange = await self._connection.next_request()
            if exchange is not None:
                fault = await respond(self._answering.table, request, exchange, decision)
                if fault is not None:
                    await self._inflict(fault)
        except ClientDisconnected:
            pass
        except UnansweredRequest as exc:
            client.fail(exc)  # the table has it
        except (GeneratorExit, anyio.get_cancelled_exc_class()):
            raise
        except BaseException as exc:  # noqa: BLE001  (such as that of pytest.fail())
            client.fail(exc)
            self._answering.tasks.failed.append(client)
        finally:
            await self._connection.aclose()

    async def _inflict(self, fault: Fault) -> None:
        if fault.kind is FaultKind.STALL:
            await anyio.sleep_forever()
        self._client.inflict(fault, self._timeout)


async def respond(
    table: RouteTable,
    request: ReceivedRequest,
    exchange: ServerExchange,
    decision: Decision | None = None,
) -> Fault | None:
    """Answer the request of *exchange*; return the failure that has to follow, if there is one.

    :param request: what is told of it, which gets headers and body
    :param decision: who answers; ``None``: that depends on the body
    :raises UnansweredRequest: no route does
    :raises ClientDisconnected: the client is gone
    :raises Exception: what code of the program has raised
    """
    request.receive_head(exchange.headers)
    if decision is None or not decision.route.stream_request:
        request.receive_body(await exchange.read())
    else:
        request.receive_from(aiter(exchange))
    if decision is None:
        decision = table.find(request) or table.fall_back(request)
    table.record(request, decision.route)
    source = decision.source
    if isinstance(source, Scripted):
        await _run_script(source, request, exchange)
        return None
    answer = source if isinstance(source, Answer) else await called_answer(source, request)
    return await play(answer, exchange)


async def _run_script(
    scripted: Scripted, request: ReceivedRequest, exchange: ServerExchange
) -> None:
    """Be the other side of a WebSocket."""
    peer = await exchange.accept_websocket(
        protocol=scripted.protocol, headers=scripted.headers, compress=scripted.compress
    )
    peer.path_params = request.path_params
    running = scripted.script(peer)
    if not isinstance(running, Awaitable):
        name = getattr(scripted.script, "__qualname__", repr(scripted.script))
        raise TypeError(f"{name}(), the script of a WebSocket, must be an asynchronous function")
    await running
    await peer.close()
