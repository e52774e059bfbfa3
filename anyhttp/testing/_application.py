"""Connectors that call an application of this process where others connect to a server."""

from __future__ import annotations

import logging
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

import anyio
from anyio.abc import ByteStream

from .._common import check_flag, check_seconds
from .._tasks import CLEAN_UP_SECONDS, ClientTimeout, TaskOwner, mark_task_of
from ..connector import BaseConnector
from ..tracing import Trace
from ._client_stream import ClientDisconnected
from ._http1_server import MalformedRequest
from ._memory import MemoryStream, memory_connection
from ._server_connection import ServerConnection, ServerExchange

if TYPE_CHECKING:
    from ..client_reqrep import ClientRequest

__all__ = ("ApplicationConnector", "Call", "checked_root_path", "path_and_query", "respond_failed")

logger: Final = logging.getLogger("anyhttp.testing")


class Call(Protocol):
    """One call of an application, in answer to one request."""

    @property
    def is_ending(self) -> bool:
        """Whether the application knows, or learns in its next step, that nobody waits for it."""
        ...

    @property
    def is_delivered(self) -> bool:
        """Whether all that the application has to send has been sent to the client."""
        ...

    @property
    def is_disconnected(self) -> bool:
        """Whether it is known that the client has gone."""
        ...

    async def run(self) -> None:
        """Call the application, and raise what it raises."""

    async def answer_failure(self) -> None:
        """Answer for an application that has failed, as a server does."""


class ApplicationStream(ByteStream):
    """The client's end of a connection to an application.

    The exception that the application has failed with is raised after all that it has sent.
    """

    #: The context variables of a request are those that the application gets.
    for_one_exchange: ClassVar[bool] = True

    def __init__(self, end: MemoryStream) -> None:
        self._end = end
        #: what the application has failed with
        self.failure: BaseException | None = None
        #: whether that has been raised
        self.has_raised: bool = False
        #: whether the client has let go of the connection
        self.is_closed: bool = False

    async def receive(self, max_bytes: int = 65536) -> bytes:
        try:
            return await self._end.receive(max_bytes)
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            if self.failure is None:
                raise
        # Not in the handler: this would become the context of the application's exception.
        self.has_raised = True
        raise self.failure

    async def send(self, item: bytes) -> None:
        await self._end.send(item)

    async def send_eof(self) -> None:
        await self._end.send_eof()

    async def aclose(self) -> None:
        self.is_closed = True
        await self._end.aclose()

    def abort(self) -> None:
        """End the connection at once."""
        self.is_closed = True
        self._end.abort()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return self._end.extra_attributes


class _Run:
    """A task that serves one request."""

    __slots__ = ("call", "request", "scope", "server_end", "stream")

    def __init__(
        self, request: ClientRequest, stream: ApplicationStream, end: MemoryStream
    ) -> None:
        self.request = request
        self.stream = stream
        self.server_end = end
        self.scope = anyio.CancelScope()
        self.call: Call | None = None

    @property
    def is_ending(self) -> bool:
        return self.call is not None and self.call.is_ending


class ApplicationConnector(BaseConnector):
    """Base of the connectors that call an application instead of connecting to a server.

    Each request is a connection of its own, in memory.
    """

    _limits_closing: ClassVar[bool] = True

    def __init__(
        self,
        *,
        raise_app_exceptions: bool,
        root_path: str,
        client: tuple[str, int],
        shutdown_timeout: float,
        limit: int | None,
        limit_per_host: int | None,
    ) -> None:
        super().__init__(limit=limit, limit_per_host=limit_per_host)
        check_flag("raise_app_exceptions", raise_app_exceptions)
        check_seconds("shutdown_timeout", shutdown_timeout)
        if not (isinstance(client, tuple) and len(client) == 2 and isinstance(client[0], str)):
            raise TypeError(f"client must be a tuple of host and port, not {client!r}")
        self._raises = raise_app_exceptions
        self._client = client
        self._root_path = checked_root_path(root_path)
        self._shutdown_timeout = shutdown_timeout
        self._tasks_owner: TaskOwner | None = None
        self._running: set[_Run] = set()
        self._none_running: anyio.Event | None = None  # set when the last task ends; made if needed
        self._failures: list[_Run] = []  # whose exceptions have not been raised yet

    @abstractmethod
    def _call_for(self, exchange: ServerExchange, request: ClientRequest) -> Call:
        """Return what calls the application for a request."""

    async def _stop_application(self) -> None:
        """Undo what :meth:`_start_up` has done."""

    async def _create_connection(
        self, req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout
    ) -> ApplicationStream:
        owner = self._owner()
        server = (req.connection_key.host, req.connection_key.port or 0)
        client_end, server_end = memory_connection(client=self._client, server=server)
        run = _Run(req, ApplicationStream(client_end), server_end)
        self._running.add(run)
        # In the context of the request, so that the application sees the caller's variables.
        owner.tasks.start_soon(
            self._serve, run, end=run.scope.cancel, unstarted=lambda: self._ended(run)
        )
        return run.stream

    def _owner(self) -> TaskOwner:
        """Return the owner of the tasks that call the application.

        :raises RuntimeError: another event loop is running than that of the first request
        """
        if self._tasks_owner is None:
            self._tasks_owner = TaskOwner()
        elif not self._tasks_owner.tasks.runs_here:
            raise RuntimeError(
                f"this {type(self).__name__} has been used in another event loop; make a new one"
            )
        return self._tasks_owner

    # -- the task of one request

    async def _serve(self, run: _Run) -> None:
        """Answer one request."""
        mark_task_of(self._owner().tasks)
        try:
            with run.scope:
                await self._answer(run)
        except GeneratorExit:
            raise
        except anyio.get_cancelled_exc_class():
            raise  # the event loop ends
        except BaseException as exc:  # noqa: BLE001  (raised by the request)
            _log_failure(run, exc)  # the application has failed while it was cancelled
        finally:
            self._ended(run)

    async def _answer(self, run: _Run) -> None:
        scheme = "https" if run.request.connection_key.is_ssl else "http"
        connection = ServerConnection(run.server_end, scheme=scheme)
        try:
            exchange = await connection.next_request()
        except ClientDisconnected:
            exchange = None
        except MalformedRequest as exc:
            run.stream.failure = exc
            return
        if exchange is None:
            return
        run.call = call = self._call_for(exchange, run.request)
        try:
            await call.run()
        except BaseException as exc:
            if isinstance(exc, ClientDisconnected) and call.is_disconnected:
                return  # the application need not catch that
            if run.scope.cancel_called or isinstance(
                exc, (GeneratorExit, anyio.get_cancelled_exc_class())
            ):
                raise
            if self._raises:
                self._keep_failure(run, exc)
            else:
                _log_failure(run, exc)
                await call.answer_failure()
                await run.server_end.aclose()
        else:
            await run.server_end.aclose()

    def _keep_failure(self, run: _Run, exc: BaseException) -> None:
        """Let *exc* be raised by the request; by :meth:`close` if nobody reads from that."""
        assert run.call is not None
        if (run.stream.is_closed or run.call.is_disconnected) and not run.call.is_delivered:
            _log_failure(run, exc)  # the client has gone, which may be the reason
            return
        run.stream.failure = exc
        self._failures = [each for each in self._failures if not each.stream.has_raised]
        self._failures.append(run)

    def _ended(self, run: _Run) -> None:
        run.server_end.abort()
        self._running.discard(run)
        if self._none_running is not None and not self._running:
            self._none_running.set()

    # -- the end

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Close all connections, and end the application.

        A call of the application that knows of the end of its request, or has sent its whole
        response, has ``shutdown_timeout`` seconds to return; every other is cancelled at once.

        :raises BaseException: what the application has raised, if no request could raise it

        After a cancellation, all calls of the application have been cancelled.
        """
        try:
            await super().close(abort_ssl=abort_ssl)
            await self._let_calls_end()
        except GeneratorExit:  # the coroutine is being closed, so it cannot await
            if self._tasks_owner is not None:
                self._tasks_owner.cancel()
            raise
        except BaseException:
            await self._end_application()
            raise
        await self._end_application()
        self._raise_failures()

    async def _let_calls_end(self) -> None:
        """Wait for the calls that end by themselves, but not for ever; cancel the others."""
        ending = [run for run in self._running if run.is_ending]
        self._cancel(self._running.difference(ending))
        if ending:
            with anyio.move_on_after(self._shutdown_timeout):
                await self._wait_for_calls()

    async def _end_application(self) -> None:
        """Cancel the calls that are left, and end the application itself."""
        try:
            await self._cancel_calls()
            await self._stop_application()
        finally:
            if self._tasks_owner is not None:
                self._tasks_owner.cancel()

    async def _wait_for_calls(self) -> None:
        """Wait until no call of the application is running."""
        owner = self._tasks_owner
        if not self._running or owner is None or owner.waits_for_caller:
            return
        if owner.tasks.runs_here:
            if self._none_running is None:
                self._none_running = anyio.Event()
            await self._none_running.wait()

    def _cancel(self, runs: Iterable[_Run]) -> None:
        """Cancel calls in their event loop, which may be another one than runs here, or closed."""
        for run in runs:
            assert self._tasks_owner is not None
            self._tasks_owner.tasks.call(run.scope.cancel)

    async def _cancel_calls(self) -> None:
        """Cancel the calls that are running, and wait for them as long as cleaning up may take."""
        self._cancel(tuple(self._running))
        if not self._running:
            return
        with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True) as scope:
            await self._wait_for_calls()
        if scope.cancelled_caught:
            warnings.warn(
                f"{len(self._running)} calls of the application have not ended "
                f"{CLEAN_UP_SECONDS:g} seconds after they were cancelled, among them that for "
                f"{next(iter(self._running)).request.shown_url}",
                RuntimeWarning,
                stacklevel=3,
            )

    def _raise_failures(self) -> None:
        left = [each.stream.failure for each in self._failures if not each.stream.has_raised]
        self._failures.clear()
        failures = [each for each in left if each is not None]
        if len(failures) > 1:
            raise BaseExceptionGroup("calls of the application failed", failures)
        if failures:
            raise failures[0]


def checked_root_path(root_path: str) -> str:
    """Return *root_path* without a slash at its end.

    :raises ValueError: it does not begin with a slash
    """
    if not isinstance(root_path, str) or (root_path and not root_path.startswith("/")):
        raise ValueError(f"root_path must begin with a slash, not be {root_path!r}")
    return root_path.rstrip("/")


def path_and_query(exchange: ServerExchange) -> tuple[str, str]:
    """Return path and query of a request as the client wrote them."""
    target = exchange.url.raw_path_qs if exchange.is_for_proxy else exchange.target
    path, _, query = target.partition("?")
    return path, query


async def respond_failed(exchange: ServerExchange) -> None:
    """Send a status 500; no other request follows.

    :raises ClientDisconnected: the client has gone
    """
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Connection", "close")]
    await exchange.respond(500, headers, b"Internal Server Error")


def _log_failure(run: _Run, exc: BaseException) -> None:
    logger.error(
        "the application failed in answer to %s %s", run.request.method, run.request.shown_url,
        exc_info=exc,
    )  # fmt: skip
