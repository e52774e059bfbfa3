"""The mock: what programs call to make routes, and to ask what was sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Unpack

from anyio.abc import ByteStream
from yarl import URL

from .._common import check_instance, is_own_method, without_user_info
from .._headers import checked_method
from .._network import NetworkStream
from .._tasks import ClientTimeout
from ..connector import BaseConnector, TCPConnector, open_stream
from ..tracing import Trace
from . import _asserts as asserts
from ._answering import Answering
from ._asserts import CallOptions
from ._matching import RequestPattern, UrlLike
from ._requests import ReceivedRequest
from ._route_table import RouteTable
from ._routes import (
    Route,
    RouteOptions,
    Script,
    UnansweredRequest,
    WSRouteOptions,
    make_route,
    make_ws_route,
    naming,
)

if TYPE_CHECKING:
    from ..client_reqrep import ClientRequest

__all__ = ("MockConnector", "RequestMock", "RequestRoutes")


class RequestRoutes:
    """Routes that answer requests, and the requests that were made.

    Routes may be made at any time.  A request is answered by the first route that takes it and is
    not used up.
    """

    #: what messages call it
    _called: ClassVar[str] = "mock"

    def __init__(self) -> None:
        self._table = RouteTable()

    # -- making routes

    def request(self, method: str, url: UrlLike, **options: Unpack[RouteOptions]) -> Route:
        """Answer requests of *method* to *url*.

        :param url: a URL, in which ``{name}`` stands for one segment of the path and
            ``{name:path}`` for the rest; a :class:`yarl.URL`, which has no named parts; a path,
            for any origin; or a regular expression that matches the URL from its beginning
        :param options: the arguments of :class:`Answer`, for one answer to all requests.  Or
            ``answer=``: an answer, or a function, async or not, that takes the
            :class:`ReceivedRequest` and returns one.  Or ``answers=``: a sequence of these, each of
            which is used once.  An answer may also be a status, text, bytes, a dictionary or list
            for JSON, or an exception.  The request raises what a function raises as it is; an
            exception that a function returns is made to happen, as for :class:`Answer`, on the
            connection that exists by then.

            ``match_query=``, ``match_headers=``, ``match_json=`` and ``match_body=`` say what else
            a request must have.  Without ``match_query``, the request must have the query of *url*
            and no other parameters.  Values of headers, and the body, may be patterns.

            ``times=`` limits how many requests the route answers.  With ``stream_request=True``
            the function is called when the head of a request has been received; it reads the body
            with :meth:`ReceivedRequest.stream`.
        :raises TypeError: an argument has the wrong type
        :raises ValueError: an argument has a value that is not allowed, or the route could never
            answer, because one that was made before takes all of its requests
        """
        what = f"request({method!r}, {_shown(url)})"
        return self._add(what, lambda: make_route(checked_method(method), url, options))

    def get(self, url: UrlLike, **options: Unpack[RouteOptions]) -> Route:
        """Answer GET requests; see :meth:`request`."""
        return self._add_for("GET", url, options)

    def post(self, url: UrlLike, **options: Unpack[RouteOptions]) -> Route:
        """Answer POST requests; see :meth:`request`."""
        return self._add_for("POST", url, options)

    def put(self, url: UrlLike, **options: Unpack[RouteOptions]) -> Route:
        """Answer PUT requests; see :meth:`request`."""
        return self._add_for("PUT", url, options)

    def patch(self, url: UrlLike, **options: Unpack[RouteOptions]) -> Route:
        """Answer PATCH requests; see :meth:`request`."""
        return self._add_for("PATCH", url, options)

    def delete(self, url: UrlLike, **options: Unpack[RouteOptions]) -> Route:
        """Answer DELETE requests; see :meth:`request`."""
        return self._add_for("DELETE", url, options)

    def head(self, url: UrlLike, **options: Unpack[RouteOptions]) -> Route:
        """Answer HEAD requests: with the head of the answer alone; see :meth:`request`."""
        return self._add_for("HEAD", url, options)

    def options(self, url: UrlLike, **options: Unpack[RouteOptions]) -> Route:
        """Answer OPTIONS requests; see :meth:`request`."""
        return self._add_for("OPTIONS", url, options)

    def ws(
        self, url: UrlLike, script: Script | None = None, **options: Unpack[WSRouteOptions]
    ) -> Route:
        """Answer the handshakes of WebSockets.

        :param url: as in :meth:`request`; the scheme may be that of HTTP or of WebSockets
        :param script: an asynchronous function that is the other side: it gets the
            :class:`WebSocketPeer`.  When it returns, the WebSocket is closed; what it raises comes
            out where the client receives or sends a message
        :param options: ``protocol=``, the subprotocol to choose; ``accept_headers=`` of the
            response to the handshake; ``compress=True`` to compress messages if the client offers
            it.  In the place of a script, what :class:`Answer` takes refuses the handshake;
            ``answers=`` is a sequence of scripts and answers.  ``match_query=``,
            ``match_headers=`` and ``times=`` are as in :meth:`request`
        :raises TypeError: an argument has the wrong type
        :raises ValueError: an argument has a value that is not allowed, or the route could never
            answer
        """
        return self._add(f"ws({_shown(url)})", lambda: make_ws_route(url, script, options))

    def fallback(self, **options: Unpack[RouteOptions]) -> Route:
        """Answer requests that no route takes; a later fallback replaces this one.

        :param options: as in :meth:`request`
        """
        with naming(f"{self._called}.fallback()"):
            self._table.fallback = route = make_route(None, None, options, handshake=None)
        return route

    def remove(self, route: Route) -> None:
        """Let *route* answer no more requests.

        :raises ValueError: it is none of these routes, or has been removed
        """
        table = self._table
        if route is table.fallback:
            table.fallback = None
        elif route in table.routes:
            table.routes.remove(route)
        else:
            raise ValueError(f"{route!r} is not a route of this {self._called}")

    @property
    def routes(self) -> Sequence[Route]:
        """The routes in the order in which they are asked, without the fallback."""
        return tuple(self._table.routes)

    def _add_for(self, method: str, url: UrlLike, options: RouteOptions) -> Route:
        what = f"{method.lower()}({_shown(url)})"
        return self._add(what, lambda: make_route(method, url, options))

    def _add(self, what: str, make: Callable[[], Route]) -> Route:
        with naming(f"{self._called}.{what}"):
            route = make()
            self._table.add(route)
        return route

    # -- what was asked for

    @property
    def calls(self) -> list[ReceivedRequest]:
        """The requests that were answered, in the order in which they were sent."""
        return self._table.calls

    @property
    def unanswered(self) -> list[UnansweredRequest]:
        """The errors for requests that no route has answered."""
        return self._table.unanswered

    def assert_all_called(self) -> None:
        """Raise :exc:`AssertionError` if a route got no request, or not all of its answers=."""
        missing = [f"\n  {route}: {route.shortfall}" for route in self.routes if route.shortfall]
        if missing:
            raise AssertionError(f"not all routes were called:{''.join(missing)}")

    def assert_all_answered(self) -> None:
        """Raise the :exc:`UnansweredRequest` of the first request that no route has answered."""
        if self.unanswered:
            raise self.unanswered[0]

    def assert_called(self) -> None:
        """Raise :exc:`AssertionError` if there was no request."""
        asserts.assert_called(self._called, self.calls)

    def assert_not_called(self) -> None:
        """Raise :exc:`AssertionError` if there was a request."""
        asserts.assert_not_called(self._called, self.calls)

    def assert_called_once(self) -> None:
        """Raise :exc:`AssertionError` unless there was exactly one request."""
        asserts.assert_one(self._called, self.calls)

    def assert_called_once_with(
        self, method: str, url: UrlLike, **expected: Unpack[CallOptions]
    ) -> ReceivedRequest:
        """Return the request of *method* to *url* if there is exactly one, as the arguments say.

        Requests of other methods and to other URLs do not count.

        :param url: as in :meth:`request`
        :param expected: ``query=`` and ``headers=``, fields that it must have, among others;
            ``json=``, what its body must be as JSON; ``body=``, what its body must be.  Without
            ``query``, the query of *url* has to be all of the query.  Values of headers, and the
            body, may be patterns
        :raises AssertionError: there is no such request; the text says what differs
        """
        place = RequestPattern(method, url, query={}, handshake=None)
        calls = [call for call in self.calls if place.match(call) is not None]
        pattern = asserts.expected_call(method, url, expected)
        if not calls:
            asserts.assert_any(self._called, self.calls, pattern)
        return asserts.assert_once(self._called, calls, pattern)

    def assert_called_with(
        self, method: str, url: UrlLike, **expected: Unpack[CallOptions]
    ) -> ReceivedRequest:
        """Return the last request if it is as the arguments say.

        The arguments and errors are those of :meth:`assert_called_once_with`.
        """
        pattern = asserts.expected_call(method, url, expected)
        return asserts.assert_last(self._called, self.calls, pattern)

    def assert_any_call(
        self, method: str, url: UrlLike, **expected: Unpack[CallOptions]
    ) -> ReceivedRequest:
        """Return the first request that is as the arguments say.

        The arguments and errors are those of :meth:`assert_called_once_with`.
        """
        pattern = asserts.expected_call(method, url, expected)
        return asserts.assert_any(self._called, self.calls, pattern)


def _shown(url: UrlLike) -> str:
    """Return an argument as a message shows it."""
    return repr(without_user_info(str(url))) if isinstance(url, (str, URL)) else repr(url)


class RequestMock(RequestRoutes):
    """Answers requests by its routes instead of servers, and keeps the requests.

    :func:`mock_requests` returns one, and a :class:`MockConnector` is one.
    """

    def __init__(self) -> None:
        super().__init__()
        self._answering = Answering(self._table)

    def pass_through(self, *hosts: str) -> None:
        """Send requests to these hosts that no route takes over the network.

        :param hosts: ``"host"`` for any port, or ``"host:port"``
        :raises TypeError: one is not text
        :raises ValueError: one is not a host
        """
        with naming("mock.pass_through()"):
            self._table.passed_hosts.add(*hosts)

    # -- the network's place

    def stream_at_once(self, req: ClientRequest, timeout: ClientTimeout) -> NetworkStream | None:
        """Return a stream to what answers *req*; ``None``: only ``stream_for()`` can tell.

        :raises UnansweredRequest: no route answers it
        """
        stream = self._answering.stream_at_once(req, timeout)
        if stream is None:
            return None
        made = NetworkStream(stream)
        made.for_one_exchange = True
        return made

    async def stream_for(
        self, req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout
    ) -> ByteStream | None:
        """Return a stream to what answers *req*; ``None``: it goes over the network.

        :raises UnansweredRequest: no route answers it
        :raises OSError: what an answer says to happen when a connection is made
        """
        return await self._answering.stream_for(req, timeout)

    def note_failures(self, exc: BaseException) -> None:
        """Add to *exc*, as notes, what functions and scripts have raised, if no request has."""
        self._answering.tasks.note_failures(exc)

    def end(self) -> None:
        """Cancel the tasks that answer, and raise what one has raised, if no request has.

        :raises BaseException: what a function or script of the program has raised
        """
        self._answering.tasks.cancel()
        self._answering.tasks.raise_failure()

    async def aclose(self) -> None:
        """End the tasks that answer, and raise what one has raised, if no request has.

        Scripts go on as far as messages of clients that have left let them.

        :raises BaseException: what a function or script of the program has raised
        """
        await self._answering.tasks.aclose()
        self._answering.tasks.raise_failure()


class MockConnector(RequestMock, BaseConnector):
    """Answers the requests of a session instead of servers, and opens no socket.

    ::

        mock = MockConnector()
        mock.get("https://api.test/users/{id}", json={"name": "Ada"})
        async with ClientSession(connector=mock) as session:
            ...

    Limits, time limits and traces work as with a real connector.  Each connection serves one
    request.  Requests through a proxy are answered as if the proxy let them through.

    :param real: connects to the hosts of :meth:`~RequestMock.pass_through`; the mock closes it.  By
        default, a :class:`TCPConnector` is made for them
    :param limit: largest number of open connections: 100 by default; 0 or ``None`` sets no limit
    :param limit_per_host: largest number of connections in use to one endpoint; no limit by default
    :param http1: what reads responses, as for :class:`BaseConnector`
    """

    _uses_proxies: ClassVar[bool] = True

    def __init__(
        self,
        *,
        real: BaseConnector | None = None,
        limit: int | None = 100,
        limit_per_host: int | None = 0,
        http1: str = "auto",
    ) -> None:
        check_instance("real", real, BaseConnector)
        RequestMock.__init__(self)
        BaseConnector.__init__(self, limit=limit, limit_per_host=limit_per_host, http1=http1)
        self._real = real

    def _stream_at_once(self, req: ClientRequest, timeout: ClientTimeout) -> NetworkStream | None:
        if is_own_method(self, "_create_connection", MockConnector._create_connection):
            return self.stream_at_once(req, timeout)
        return None

    async def _create_connection(
        self, req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout
    ) -> NetworkStream | ByteStream:
        stream = await self.stream_for(req, traces, timeout)
        if stream is not None:
            return stream
        if self._real is None:
            self._real = TCPConnector()
        connected = await open_stream(self._real, req, traces, timeout)
        connected.for_one_exchange = True  # a route may answer the next request to this host
        return connected

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Close all connections and end the tasks that answer; repeated calls do nothing.

        :raises BaseException: what a function or script of the program has raised, if no request
            has raised it
        """
        try:
            await super().close(abort_ssl=abort_ssl)
        finally:
            try:
                if self._real is not None:
                    await self._real.close(abort_ssl=abort_ssl)
            finally:
                await self.aclose()
