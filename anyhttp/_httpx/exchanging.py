"""One request of httpx on one connection, from its head to the end of the response."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import anyio

from .._common import HttpVersion, HttpVersion10
from .._http1 import Exchange, Head, Upload
from .._tasks import CLEAN_UP_SECONDS, TaskOwner, mark_task_of
from ..connector import Connection, TransportConnector
from ..streams import DEFAULT_LIMIT, StreamReader
from .errors import BODY_ERRORS, EXCHANGE_ERRORS, body_error, exchange_error
from .library import Library
from .network_stream import SharedTransportStream, TransportStream
from .outgoing import Outgoing
from .tracing import Step, TraceCallback

if TYPE_CHECKING:
    from .._network import NetworkStream

__all__ = ("Exchanging",)

_VERSIONS: Final = {HttpVersion10: b"HTTP/1.0", HttpVersion(2, 0): b"HTTP/2"}


class _BodyOptions(NamedTuple):
    read_bufsize: int = DEFAULT_LIMIT
    auto_decompress: bool = False
    read_until_eof: bool = True
    max_body_size: int | None = None


#: How bodies are read: httpx decodes them.
_AS_IT_COMES: Final = _BodyOptions()


class Exchanging:
    """One request and its response; its response body is closed by the client.

    :param connector: has lent the connection of *exchange*
    :param write_seconds: how long the peer may take no byte of the request
    :param traced: what is told of each step, and the request
    """

    _owner: TaskOwner | None = None  # of the task that sends a streamed body
    _upload_failure: Exception | None = None  # of that task
    _body_step: Step | None = None  # set when the body of the response is read
    _is_closed = False

    def __init__(
        self,
        library: Library,
        connector: TransportConnector,
        connection: Connection,
        exchange: Exchange,
        write_seconds: float | None,
        traced: tuple[TraceCallback, object] | None,
    ) -> None:
        self._library = library
        self._connector = connector
        http1 = connection.protocol
        assert http1 is not None  # it has just been lent
        self._is_http2 = http1.is_shared
        self._stream = http1.stream
        self._exchange = exchange
        self._write_seconds = write_seconds
        self._traced = traced

    async def respond(self, outgoing: Outgoing) -> Any:
        """Send the request, and return the library's response when its head has arrived."""
        exchange = self._exchange
        try:
            if self._traced is None:
                await self._send(outgoing)
                head = await exchange.receive_head()
            else:
                head = await self._exchange_traced(outgoing)
            return self._response(outgoing, head)
        except EXCHANGE_ERRORS as exc:
            error = exchange_error(self._library, exchange, exc)
            await self._abandon(error)
        except GeneratorExit:
            self._close()
            raise
        except BaseException as exc:
            await self._abandon(exc)
            raise
        # Outside of the handler, so that the context of an exception of the body stays as it is.
        try:
            raise error
        finally:
            del error  # its traceback leads to this frame

    # -- the request

    async def _send(self, outgoing: Outgoing) -> None:
        """Send the request, or start sending its body."""
        exchange = self._exchange
        fields = outgoing.text_fields() if self._is_http2 else outgoing.block
        upload = await exchange.send(outgoing.target, fields)
        if self._write_seconds is not None:
            exchange.end_limits()
        if upload is not None:
            self._owner = owner = TaskOwner()
            upload.send_seconds = self._write_seconds
            exchange.attach(upload, owner.tasks)
            # First of all: when the exchange ends, it forgets the errors of the upload.
            upload.when_over.insert(0, partial(self._keep_failure, upload))
            owner.tasks.start_soon(
                self._run_upload, upload, scope=upload.scope, unstarted=upload.fail_unstarted
            )

    async def _run_upload(self, upload: Upload) -> None:
        mark_task_of(upload.tasks)
        await upload.run()

    def _keep_failure(self, upload: Upload) -> None:
        if upload.is_broken and isinstance(upload.error, Exception):
            self._upload_failure = exchange_error(self._library, self._exchange, upload.error)

    async def _exchange_traced(self, outgoing: Outgoing) -> Head:
        exchange = self._exchange
        async with self._step("send_request_headers"):
            await self._send(outgoing)
        async with self._step("send_request_body"):
            pass  # a large body is still being sent, beside the response
        async with self._step("receive_response_headers") as step:
            head = await exchange.receive_head()
            step.result = (
                _version(head), head.status, _reason(head), list(head.raw_headers),
            )  # fmt: skip
        return head

    def _step(self, name: str, *, with_request: bool = True) -> Step:
        if self._traced is None:
            return Step(None, name)
        callback, request = self._traced
        version = "http2" if self._is_http2 else "http11"
        return Step(callback, f"{version}.{name}", {"request": request} if with_request else None)

    # -- the response

    def _response(self, outgoing: Outgoing, head: Head) -> Any:
        library, exchange = self._library, self._exchange
        status = head.status
        network_stream = self._network_stream()
        content: StreamReader | bytes = b""
        if status == 101 or (outgoing.method == "CONNECT" and 200 <= status < 300):
            exchange.end_limits()
            _, received = exchange.lend_away()
            network_stream = self._network_stream(received)
        else:
            content = exchange.open_body(_AS_IT_COMES)
            if not isinstance(content, bytes) and content.at_eof() and content.exception() is None:
                content = b""
        body: object
        if exchange.connection is None and isinstance(content, bytes) and self._is_plain:
            body = library.package.ByteStream(content)
        else:
            body = library.response_stream(self, content)
        extensions: dict[str, object] = {
            "http_version": _version(head),
            "network_stream": network_stream,
        }
        if not self._is_http2:
            extensions["reason_phrase"] = _reason(head)
        return library.respond(status, head.raw_headers, body, extensions)

    def _network_stream(self, received: bytes = b"") -> TransportStream | SharedTransportStream:
        if self._is_http2:
            return SharedTransportStream(self._stream)
        # As it speaks HTTP/1.1.
        return TransportStream(self._library, cast("NetworkStream", self._stream), received)

    @property
    def _is_plain(self) -> bool:
        """Whether nobody is told of the end of the response, and no task has to be ended then."""
        return self._traced is None and self._owner is None

    async def next_piece(self, content: StreamReader | bytes) -> bytes:
        """Return the next piece of the body of the response, ``b""`` at its end.

        :param content: the reader of the body, or what is left of it

        If this fails or is cancelled, the connection is closed.
        """
        try:
            if self._body_step is None:
                self._body_step = step = self._step("receive_response_body")
                await step.__aenter__()
            piece = content if isinstance(content, bytes) else await content.readany()
            if not piece:
                await self._body_step.__aexit__(None, None, None)
            return piece
        except BODY_ERRORS as exc:
            error = self._upload_failure or body_error(self._library, exc)
            await self._abandon(error)
        except GeneratorExit:
            self._close()
            raise
        except BaseException as exc:
            await self._abandon(exc)
            raise
        # Outside of the handler, so that the context of an exception of the body stays as it is.
        try:
            raise error
        finally:
            del error  # its traceback leads to this frame

    # -- the end

    async def aclose(self) -> None:
        """Give the connection back if the response has been received, else close it.

        If the response came before the whole body of the request had been sent, and does not
        refuse it, the rest is sent first.

        :raises Exception: the body of the request has failed meanwhile
        """
        if self._is_closed:
            return
        self._is_closed = True
        try:
            async with self._step("response_closed", with_request=False):
                if self._exchange.is_sending and self._exchange.is_received:
                    self._exchange.stop_if_refused()
                    await self._exchange.wait_stopped()
                await self._end(None)
        except GeneratorExit:
            self._close()
            raise
        except BaseException as exc:  # from the callback of the trace, too
            self._exchange.close()
            await self._end(exc)
            raise
        failure, self._upload_failure = self._upload_failure, None
        if failure is not None:
            try:
                raise failure
            finally:
                del failure  # its traceback leads to this frame

    def _close(self) -> None:
        """Close the connection, as the coroutine is being closed and cannot await."""
        self._is_closed = True
        self._exchange.close()
        if self._owner is not None:
            self._owner.cancel()

    async def _abandon(self, raised: BaseException) -> None:
        """Close the connection, as the request or its response has failed with *raised*."""
        self._is_closed = True
        self._exchange.close()
        try:
            if self._body_step is not None:
                await self._body_step.__aexit__(type(raised), raised, None)
            async with self._step("response_closed", with_request=False):
                pass
        finally:
            await self._end(raised)
            self._exchange.forget_errors()
            self._upload_failure = None

    async def _end(self, raised: BaseException | None) -> None:
        """Wait until nothing of the exchange is open or running any more."""
        exchange, connector = self._exchange, self._connector
        exchange.release()
        if exchange.is_sending or connector.is_closing:
            with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True):
                await exchange.wait_stopped()
                await connector.finish_closing()
        owner, self._owner = self._owner, None
        if owner is not None:
            await owner.leave(raised)


def _version(head: Head) -> bytes:
    return _VERSIONS.get(head.version, b"HTTP/1.1")


def _reason(head: Head) -> bytes:
    return head.reason.encode("utf-8", "surrogateescape")
