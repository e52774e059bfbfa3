"""Reads along what passes a connection, and changes nothing of it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

from anyio import EndOfStream
from anyio.abc import ByteStream
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from .. import hdrs
from .._headers import is_token
from .._http1 import Engine, Head, Limits, ParseError, as_text
from ._har import HarContent, HarEntry, RecordedRequest, RecordedResponse, Timings, entry_of
from ._http1_server import Http1Server, MalformedRequest, RequestHead
from ._redaction import Filters
from ._replay import without_codings

if TYPE_CHECKING:
    from ._websocket_observer import WebSocketObserver

__all__ = ("ExchangeObserver", "ObservedStream", "StreamOwner", "decoded_request")

#: The client has limits of its own: whatever it accepts is recorded.
_LIMITS: Final = Limits(max_line_size=1 << 24, max_field_size=1 << 24, max_headers=1 << 16)

_NO_CONTENT: Final = HarContent.of(b"", "")


def decoded_request(
    method: str, url: URL, headers: Iterable[tuple[str, str]], body: bytes, *, is_websocket: bool
) -> RecordedRequest:
    """Return a request that sends *body*; content codings that are known are undone."""
    fields = CIMultiDict(headers)
    coding = ", ".join(fields.getall(hdrs.CONTENT_ENCODING, ()))
    content = without_codings(body, coding) if body and coding else body
    return RecordedRequest(
        method=method,
        url=url.with_fragment(None),
        headers=CIMultiDictProxy(fields),
        body=body if content is None else content,
        is_websocket=is_websocket,
    )


class ExchangeObserver:
    """Reads one request and its response from the bytes that pass.

    :param url: of the request
    :param on_end: called once, when both are over or the connection is closed
    :param connecting: seconds that making the connection took
    """

    def __init__(
        self,
        url: URL,
        on_end: Callable[[ExchangeObserver], object],
        *,
        connecting: float | None = None,
    ) -> None:
        self._url = url
        self._on_end: Callable[[ExchangeObserver], object] | None = on_end
        self._connecting = connecting
        self._started = time.time() - (connecting or 0.0)
        # On the clock of perf_counter(); None until then.
        self._begun = time.perf_counter()
        self._sent_at: float | None = None
        self._answered_at: float | None = None
        self._ended_at: float | None = None
        self._server = Http1Server()
        self._engine = Engine(_LIMITS)
        self._asked: RequestHead | None = None
        self._body: list[bytes] = []
        self._answer: Head | None = None
        self._content: list[bytes] = []
        self._socket: WebSocketObserver | None = None  # after the status 101
        self._is_early = False
        # Whether the bytes are not those of one request and one response.
        self._is_lost = False
        self._error = ""

    # -- what passes

    def sent(self, data: bytes) -> None:
        """Take bytes that the client is about to send."""
        if self._is_lost or self._on_end is None:
            return
        if self._socket is not None:
            self._socket.sent(data)
            return
        self._server.receive_data(data)
        try:
            while (event := self._server.next_event()) is not None:
                if isinstance(event, bytes):
                    self._body.append(event)
                elif isinstance(event, RequestHead):
                    self._asked = event
                    # Nobody needs these bytes: the engine gets to know what it is asked for.
                    self._engine.send_head(event.method, "/", tuple(event.headers.items()))
                else:
                    self._sent_at = time.perf_counter()
                    self._is_early = self._answer is not None
        except MalformedRequest:
            self._is_lost = True
        self._end_if_over()

    def received(self, data: bytes) -> None:
        """Take bytes that the client has received; ``b""`` at the end."""
        if self._is_lost or self._on_end is None:
            return
        if self._socket is not None:
            self._socket.received(data)
            return
        engine = self._engine
        if self._answered_at is None:
            self._answered_at = time.perf_counter()
        try:
            engine.receive(data)
            while engine.head is not None and 100 <= engine.head.status < 200:
                if engine.head.status == 101:
                    self._switch(engine.head)
                    return
                engine.next_response()
        except ParseError as exc:
            self._error = str(exc)
            self._is_lost = self._answer is None
        if engine.head is not None:
            self._take_response(engine.head)
        self._end_if_over()

    def _switch(self, head: Head) -> None:
        """Read on after a status 101, if it begins a WebSocket."""
        self._answer = head
        fields = CIMultiDict(as_text(head.raw_headers))
        if fields.get(hdrs.UPGRADE, "").lower() != "websocket":
            self._is_lost = True
            return
        # Imported here, as the import is slow and most programs open no WebSocket.
        from ._websocket_observer import WebSocketObserver

        self._socket = WebSocketObserver(
            ", ".join(fields.getall(hdrs.SEC_WEBSOCKET_EXTENSIONS, ()))
        )
        self._socket.received(self._engine.surplus)

    def _take_response(self, head: Head) -> None:
        if self._answer is None:
            self._answer = head
            # Such a name could not be sent again.
            self._is_lost = not all(is_token(name) for name, _ in as_text(head.raw_headers))
        self._content.extend(self._engine.pieces)
        self._engine.pieces.clear()
        self._engine.chunk_ends.clear()

    def failed(self, error: BaseException) -> None:
        """Take note of an error of the connection."""
        # anyio's errors say nothing, and are caused by those of the operating system.
        cause = str(error) or str(error.__cause__ or "") or type(error).__name__
        self._error = self._error or cause

    def closed(self) -> None:
        """Take note of the end of the connection; later calls do nothing."""
        if self._on_end is None:
            return
        on_end, self._on_end = self._on_end, None
        self._ended_at = time.perf_counter()
        if self._sent_at is None:
            self._is_early = self._answer is not None
        on_end(self)

    def _end_if_over(self) -> None:
        if self._sent_at is not None and self._engine.complete and not self._is_lost:
            self.closed()

    # -- what came of it

    @property
    def is_replayable(self) -> bool:
        """Whether there is a response that can be replayed, be it with its end missing."""
        if self._asked is None or self._answer is None or self._is_lost:
            return False
        return self._socket is None or not self._socket.is_lost

    def entry(self, filters: Filters, *, is_timed: bool) -> HarEntry | None:
        """Return the exchange without secrets; ``None`` if nothing was sent."""
        asked = self._asked
        if asked is None:
            return None
        request = decoded_request(
            asked.method,
            self._url,
            asked.headers.items(),
            b"".join(self._body),
            is_websocket=asked.headers.get(hdrs.UPGRADE, "").lower() == "websocket",
        )
        socket = None if self._socket is None else self._socket.socket(filters)
        return entry_of(
            filters.request(request, is_cut=self._sent_at is None),
            self._response(filters),
            name="a new entry",
            started=self._started,
            timings=self._timings() if is_timed else None,
            socket=socket,
            error=filters.text(self._error) if is_timed else "",
        )

    def _response(self, filters: Filters) -> RecordedResponse:
        head, engine = self._answer, self._engine
        if head is None:
            return RecordedResponse(
                status=0, reason="", http_version="", headers=(), content=_NO_CONTENT
            )
        fields = tuple(as_text(head.raw_headers))
        is_cut = not engine.complete
        if self._socket is not None:
            is_cut = not self._socket.is_closed
        raw = b"".join(self._content)
        # What has no end cannot be encoded again as it was.
        body = without_codings(raw, head.content_encoding) if raw and not is_cut else raw
        is_encoded = body is None or (is_cut and bool(head.content_encoding))
        types = [value for name, value in fields if name.lower() == "content-type"]
        mime_type = types[0] if types else ""
        body = raw if body is None else body
        body = filters.body(body, mime_type, is_sent=False, is_cut=is_cut or is_encoded)
        return RecordedResponse(
            status=head.status,
            reason=head.reason,
            http_version=f"HTTP/{head.version.major}.{head.version.minor}",
            headers=filters.fields(fields),
            content=HarContent.of(body, mime_type),
            is_encoded=is_encoded,
            is_cut=is_cut,
            is_early=self._is_early,
            trailers=filters.fields(tuple(as_text(engine.trailers))),
        )

    def _timings(self) -> Timings:
        ended = self._ended_at or time.perf_counter()
        sent = self._sent_at or self._answered_at or ended
        answered = self._answered_at or ended
        return Timings(
            connect=self._connecting,
            send=sent - self._begun,
            wait=answered - sent,
            receive=ended - answered,
        )


class StreamOwner(Protocol):
    """What ends a stream."""

    def abort(self) -> None: ...
    def aclose(self) -> Awaitable[None]: ...


class ObservedStream(ByteStream):
    """Passes bytes on at once, and lets an observer read along."""

    for_one_exchange: ClassVar[bool] = True

    def __init__(self, stream: ByteStream, owner: StreamOwner, observer: ExchangeObserver) -> None:
        self._stream = stream
        self._owner = owner
        self._observer = observer

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return self._stream.extra_attributes

    async def send(self, item: bytes) -> None:
        # Before it is sent, as another task may receive the response before this one runs again.
        self._observer.sent(item)
        try:
            await self._stream.send(item)
        except Exception as exc:
            self._observer.failed(exc)
            raise

    async def receive(self, max_bytes: int = 65536) -> bytes:
        try:
            data = await self._stream.receive(max_bytes)
        except EndOfStream:
            self._observer.received(b"")
            raise
        except Exception as exc:
            self._observer.failed(exc)
            raise
        self._observer.received(data)
        return data

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    def abort(self) -> None:
        """Close the connection at once."""
        self._owner.abort()
        self._observer.closed()

    async def aclose(self) -> None:
        self._observer.closed()
        await self._owner.aclose()
