"""The response to one request: its head, its body, and how its connection is given back."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from functools import cached_property, partial
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import anyio
from anyio.lowlevel import checkpoint
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from .._common import (
    Hooks,
    RequestInfo,
    check_callable,
    check_str,
    checked_size,
    computed,
    printable,
    without_user_info,
)
from .._headers import (
    encoding_of,
    json_encoding,
)
from .._http1 import Exchange, as_text
from .._tasks import CLEAN_UP_SECONDS, ends_at_once
from ..client_exceptions import (
    ClientConnectionError,
    ClientResponseError,
    ContentTypeError,
    take_headers_later,
)
from ..streams import DEFAULT_LIMIT, EMPTY_PAYLOAD, StreamReader, begin_response, peek
from ..typedefs import DEFAULT_JSON_DECODER, JSONDecoder, LooseHeaders, RawHeaders
from ._answer import AnsweredRequest, called_as_in_aiohttp, class_for, made_answer
from ._described import (
    headers_of,
    wrong_type,
)
from ._described_response import DescribedResponse
from ._hooks import RESPONSE_REFUSED, RESPONSE_UNUSED
from ._kept import (
    NO_HEAD,
    NO_REQUEST,
    KeptHead,
    kept_request,
)
from ._released import RELEASED, RELEASED_UNREAD
from ._streaming import EventIterator, JsonLineIterator, LineIterator, LineOptions, reader_of

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ("ERROR_BODY", "RESPONSE_HOOKS", "ClientResponse")

#: How much of the body of an error response goes into the exception, in bytes: enough for the
#: message of a service, not for a whole web page.
ERROR_BODY: Final = 8 * 1024


def _restored(
    cls: type[ClientResponse],
    info: RequestInfo,
    head: KeptHead,
    body: bytes | None,
    history: tuple[ClientResponse, ...],
    trailers: RawHeaders,
    released: bool,
) -> ClientResponse:
    """Return an unpickled response."""
    response = cls.__new__(cls)
    ClientResponse.__init__(response, info.method, info.real_url, request_info=info)
    response.version, response.status, response.reason = head.version, head.status, head.reason
    response._head = head
    response._body = body
    response._history = history
    response._past_trailers = trailers
    response._released = released
    response._cookies = None
    return response


def _utf8(_: ClientResponse, body: bytes) -> str:
    return "utf-8"


# Without __slots__, like all objects that each call makes: Python creates them faster then.
class ClientResponse(DescribedResponse):
    """The response to a request: its head has been received, its body perhaps not yet.

    It holds a connection until the end of its ``async with``, until it has been read to its end, or
    until :meth:`release`.

    Sessions make responses.  A middleware that answers by itself makes one with
    :meth:`for_request`.  Mocks, recorders and caches for aiohttp call the constructor, and then set
    ``status``, ``reason`` and :attr:`content`:

    :param method: method of the request
    :param url: URL of the request, perhaps with a fragment
    :param request_info: a summary of the request; by default, one without headers

    The other parameters of the constructor are those of aiohttp, and have no effect.
    """

    _history: tuple[ClientResponse, ...] = ()

    #: trailer fields of a response that was unpickled
    _past_trailers: RawHeaders = ()

    #: whether :meth:`for_request` has made it
    _is_answer = False

    #: whether an iterator reads the body, and has perhaps read ahead
    _has_iterator = False

    #: whether a subclass has a constructor of its own
    _makes_itself: ClassVar[bool] = False

    # Set for each response, as the attributes above.  A value here would make reading them slow.
    _exchange: Exchange | None
    _fallback_charset: Callable[[ClientResponse, bytes], str]
    _body: bytes | None
    _released: bool
    _in_context: bool
    _on_body: Callable[[ClientResponse, bytes], Awaitable[None]] | None
    #: the bytes of a body that has come with the head, until a program reads ``content``
    _content: StreamReader | bytes
    #: see :attr:`elapsed`
    _seconds: float

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        RESPONSE_HOOKS.check_subclass(cls)
        cls._says_more = any(
            getattr(cls, name) is not getattr(ClientResponse, name)
            for name in ("headers", "content_type", "charset")
        )
        cls._makes_itself = any(
            getattr(cls, name) is not getattr(ClientResponse, name)
            for name in ("__new__", "__init__")
        )
        if cls._makes_itself:  # perhaps without calling the constructor of this class
            for name, value in _BY_HAND.items():
                setattr(cls, name, value)

    def __init__(
        self,
        method: str,
        url: URL,
        *,
        writer: object = None,
        continue100: object = None,
        timer: object = None,
        request_info: RequestInfo | None = None,
        traces: object = None,
        loop: object = None,
        session: object = None,
        stream_writer: object = None,
    ) -> None:
        for name, value in _BY_HAND.items():
            setattr(self, name, value)
        self.method = method
        self._request = kept_request(method, url, request_info)
        self._cookies = SimpleCookie()  # aiohttp does not read them from the headers either

    @classmethod
    def for_request(
        cls,
        request: AnsweredRequest,
        *,
        status: int = 200,
        reason: str | None = None,
        headers: LooseHeaders | None = None,
        json: object = ...,
        text: str | None = None,
        body: bytes | bytearray | memoryview | None = None,
    ) -> Self:
        """Return a response to *request*, for a middleware that answers without sending it.

        The session treats it as one that came from a server: it follows a redirect, applies
        ``raise_for_status``, and tells trace handlers.  Cookies in *headers* are stored in the jar
        of the session by this call.  The class is the ``response_class`` of the session, if that
        is derived from the one that this method is called on.  Make a new response for each
        request, as the program reads it and releases it.

        :param request: the :class:`ClientRequest` that the middleware has got
        :param reason: the usual phrase for *status* when left out
        :param headers: pairs, or a mapping; ``Content-Type`` and ``Content-Length`` are added if
            they are missing
        :param json: the body, which is made of it by :func:`json.dumps`; ``None`` is a value, too
        :param text: the body as text; its charset is that of ``Content-Type``, or UTF-8
        :param body: the body as bytes, as :meth:`read` returns it.  A content coding that *headers*
            name counts as undone, so that a cache can pass on what it has read.
        :raises TypeError: an argument has the wrong type
        :raises ValueError: an argument has a value that is not allowed, such as a header with a
            line break; more than one of *json*, *text* and *body*; one of them with status 204 or
            304

        The response to a ``HEAD`` request has the headers of a body, and no body.
        """
        kind = class_for(request, cls)
        given = {"json": json, "text": text, "body": body}
        answer = made_answer(request, status, reason, headers, given)
        response = called_as_in_aiohttp(kind, request)
        response._request = request
        response._head = answer.head
        response._cookies = None  # read from the headers
        response._content = answer.body or EMPTY_PAYLOAD
        response._is_answer = True
        response.status, response.reason = answer.head.status, answer.head.reason
        if answer.set_cookies and request.session is not None:
            request.session.cookie_jar.update_cookies_from_headers(answer.set_cookies, request.url)
        return response

    @computed
    def _session(self) -> Any:
        """The session that the request was made by."""
        return getattr(self._request, "session", None)

    def __del__(self) -> None:
        try:
            exchange = self._exchange
        except AttributeError:  # the constructor has raised
            return
        # If the response has been received, the end of the upload gives the connection back.
        if exchange is not None and exchange.connection is not None and not exchange.is_received:
            warnings.warn(
                f"Unclosed response {self!r}: read it to its end or release it",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )

    def __repr__(self) -> str:
        url = without_user_info(self.url)
        return f"<{type(self).__name__}({url}) [{self.status} {printable(self.reason)}]>"

    def __reduce__(self) -> tuple[Callable[..., ClientResponse], tuple[object, ...]]:
        # Exceptions refer to responses by their history, and have to be picklable.  Only received
        # data is pickled, not the connection.
        head = KeptHead(self.version, self.status, self.reason, self.raw_headers)
        trailers = tuple(self._raw_trailers())
        body, released = self._body, True
        if self._exchange is None and not self._released:  # made by hand
            body, released = self._kept_by_hand(), False
        return _restored, (
            type(self), self.request_info, head, body, self._history, trailers, released,
        )  # fmt: skip

    def _kept_by_hand(self) -> bytes | None:
        """Return the body of a response without a connection; ``None`` if parts of it are gone."""
        content = self._content
        if self._body is None:
            if isinstance(content, bytes):
                return content
            if isinstance(content, StreamReader) and content.is_eof():
                return peek(content, content.total_bytes)
        return self._body

    @property
    def history(self) -> tuple[ClientResponse, ...]:
        """The responses that redirected here, the oldest first."""
        return self._history

    @cached_property  # programs for aiohttp may set it: there is no such attribute
    def elapsed(self) -> timedelta:
        """The time from the beginning of the request to the arrival of this head.

        It includes the wait for a connection and, for a body in memory, its sending.  After a
        redirect, or a retry of a middleware, it is that of the last request alone.  It is zero for
        a response that a program has made or unpickled.
        """
        return timedelta(seconds=self._seconds)

    # -- the body

    @property
    def trailers(self) -> CIMultiDictProxy[str]:
        """Fields that the server sent after the body (:rfc:`9110#section-6.5`).

        It is empty until the body has been read to its end.  The fields are never merged into
        :attr:`headers`, and the client acts on none of them.
        """
        return CIMultiDictProxy(CIMultiDict(as_text(self._raw_trailers())))

    def _raw_trailers(self) -> Sequence[tuple[bytes, bytes]]:
        exchange, content = self._exchange, self._content
        if exchange is None:
            return self._past_trailers
        # A body that came as a whole has its trailers with it: in HTTP/2 it may have a length, too.
        at_end = self._body is not None if isinstance(content, bytes) else content.at_eof()
        return exchange.trailers if at_end else ()

    @property
    def content(self) -> StreamReader:
        """The body as a stream."""
        if isinstance(self._content, bytes):
            exchange = self._exchange
            reader = StreamReader(limit=DEFAULT_LIMIT if exchange is None else exchange.read_limit)
            if exchange is not None:
                begin_response(reader, exchange.total_at)
            reader.total_raw_bytes = len(self._content)
            reader.feed_data(self._content)
            reader.feed_eof()
            if self._body is not None:
                reader.read_nowait()
            if self._released:  # the body was discarded unread
                reader.set_exception(ClientConnectionError(RELEASED_UNREAD))
            self._content = reader
        return self._content

    @content.setter
    def content(self, content: StreamReader) -> None:
        """Put another stream in the place of the body, such as one of a body that has been read.

        A release of the response before does not count for it.
        """
        self._content = content

    @property
    def closed(self) -> bool:
        """Whether the response no longer holds a connection."""
        return self._exchange is None or self._exchange.connection is None

    @property
    def connection(self) -> object:
        """The :class:`Connection` in use; ``None`` after it has been given back."""
        return None if self._exchange is None else self._exchange.connection

    async def read(self) -> bytes:
        """Return the whole body and keep it: further calls return it again, until the release.

        :raises ClientPayloadError: the body ended early, could not be decoded, or is too large
        :raises ClientConnectionError: the response was released before
        :raises SocketTimeoutError: nothing arrived for ``sock_read`` seconds
        :raises TimeoutError: the request's ``total`` time is over

        When this fails or is cancelled, the connection is closed.
        """
        if self._released:
            raise ClientConnectionError(RELEASED_UNREAD)
        if self._body is not None:
            await checkpoint()
            return self._body
        if isinstance(self._content, bytes):
            self._body = self._content
            if self._on_body is not None:
                await self._tell_body(self._on_body, self._body)
            # This line runs only once for each request, and the request has just let other tasks
            # run.  So a check for cancellation is enough, without another switch of tasks.
            if self._exchange is not None:
                await self._exchange.checkpoint_if_cancelled()
            return self._body
        try:
            self._body = await self._content.read()
        except BaseException:
            self.close()
            raise
        if self._on_body is not None:
            await self._tell_body(self._on_body, self._body)
        return self._body

    async def _tell_body(
        self, on_body: Callable[[ClientResponse, bytes], Awaitable[None]], body: bytes
    ) -> None:
        try:
            await on_body(self, body)
        except BaseException:
            self.close()
            raise

    async def text(self, encoding: str | None = None, errors: str = "strict") -> str:
        """Return the whole body as text.

        :param encoding: charset; :meth:`get_encoding` when left out
        :param errors: how to treat bytes that cannot be decoded, as for ``bytes.decode()``
        :raises ClientPayloadError: as :meth:`read`, whose other exceptions it raises too
        """
        body = await self._kept_body()
        return body.decode(self.get_encoding() if encoding is None else encoding, errors)

    async def json(
        self,
        encoding: str | None = None,
        *,
        loads: JSONDecoder = DEFAULT_JSON_DECODER,
        content_type: str | None = "application/json",
    ) -> Any:
        """Return the body, which is JSON, as Python objects; ``None`` if it is empty.

        :param encoding: charset; when left out, the one that a byte order mark or zero bytes
            show, else that of :meth:`get_encoding`
        :param loads: turns text into objects
        :param content_type: media type that the response must have, ``None`` for any; the
            default also accepts ``application/*+json``
        :raises ContentTypeError: the response has another media type; ``body`` of the exception is
            the beginning of what it holds
        :raises json.JSONDecodeError: the body is not JSON; this is a :class:`ValueError`, or
            whatever else *loads* raises
        :raises ClientPayloadError: as :meth:`read`, whose other exceptions it raises too
        """
        if content_type is not None:
            check_str("content_type", content_type)
        body = await self._kept_body()
        if content_type is not None and not self._described_type().fits(content_type):
            raise self._wrong_type("JSON")
        stripped = body.strip()
        if not stripped:
            return None
        if encoding is None and (shown := json_encoding(body)) is not None:
            text = body.decode(shown).strip()
            return loads(text) if text else None
        return loads(stripped.decode(self.get_encoding() if encoding is None else encoding))

    async def _kept_body(self) -> bytes:
        """Return the body; if it has been read before, also after the release."""
        if self._body is None:
            return await self.read()
        await checkpoint()
        return self._body

    def _wrong_type(self, wanted: str) -> ContentTypeError:
        return wrong_type(
            self.request_info, self.history, self.status, self.headers, wanted, self._error_body()
        )

    def get_encoding(self) -> str:
        """Return the charset of the body: of the headers, else UTF-8 for JSON, else a guess.

        :raises RuntimeError: a guess is needed and the body has not been read
        """
        encoding = self._announced_encoding()
        if encoding is not None:
            return encoding
        if self._body is None:
            raise RuntimeError("the encoding cannot be told before the body has been read")
        return self._fallback_charset(self, self._body)

    def _announced_encoding(self) -> str | None:
        if self._says_more:
            return encoding_of(self.content_type, self.charset)
        return self._described_type().encoding

    # -- the body in items

    def lines(
        self, *, encoding: str | None = None, errors: str = "strict", max_line_length: int = 2**20
    ) -> AsyncIterator[str]:
        """Iterate over the lines of the body, which is text; they come without their ends.

        CR LF, LF and CR end a line, as in Python's text files.  The iterator reads ahead, so there
        can be one for a response: keep it to go on after a ``break``, or after a step that was
        cancelled, which loses nothing.  But a body that :meth:`read` has kept can be iterated over
        again and again.

        :param encoding: charset; when left out, that of the headers, else UTF-8 for JSON, else
            what ``fallback_charset_resolver`` of the session says of the first bytes
        :param errors: how to treat bytes that cannot be decoded, as for ``bytes.decode()``
        :param max_line_length: most characters of a line
        :raises TypeError: an argument has the wrong type
        :raises ValueError: an argument has a value that is not allowed
        :raises RuntimeError: there is another iterator

        While it iterates:

        :raises LineTooLong: a line is longer than *max_line_length*
        :raises UnicodeDecodeError: the bytes are not in the charset
        :raises ClientPayloadError: as :meth:`read`, whose other exceptions it raises too
        """
        options = LineOptions("lines", encoding, errors, max_line_length)
        return LineIterator(self._for_iterator(), self._encoding_from, options)

    def json_lines(
        self,
        *,
        encoding: str | None = None,
        max_line_length: int = 2**20,
        loads: JSONDecoder = DEFAULT_JSON_DECODER,
    ) -> AsyncIterator[Any]:
        """Iterate over the values of a body that has one in each line (NDJSON, JSON Lines).

        Empty lines are left out.  The media type is not looked at: many are in use.

        :param loads: turns text into objects; what it raises is raised for the line, and the next
            step goes on with the next line

        The rest is as for :meth:`lines`.
        """
        check_callable("loads", loads)
        options = LineOptions("json_lines", encoding, "strict", max_line_length)
        lines = LineIterator(self._for_iterator(), self._encoding_from, options)
        return JsonLineIterator(lines, loads)

    def events(
        self,
        *,
        max_event_size: int = 2**22,
        last_event_id: str = "",
        content_type: str | None = "text/event-stream",
    ) -> EventIterator:
        """Iterate over the server-sent events of the body.

        It is for a service that streams its answer: the events end with the body.  For events that
        go on for ever, over many connections, there is :meth:`ClientSession.sse`.  There can be
        one iterator for a response, as for :meth:`lines`.

        :param max_event_size: most characters of the data of an event, and of any line
        :param last_event_id: what the request has sent as ``Last-Event-ID``: that of the events,
            until the server sends another
        :param content_type: media type that the response must have, ``None`` for any
        :raises ContentTypeError: the response has another media type
        :raises TypeError: an argument has the wrong type
        :raises ValueError: *max_event_size* is less than 1
        :raises RuntimeError: there is another iterator

        While it iterates:

        :raises LineTooLong: an event is larger than *max_event_size*
        :raises ClientPayloadError: as :meth:`read`, whose other exceptions it raises too
        """
        checked_size("max_event_size", max_event_size)
        check_str("last_event_id", last_event_id)
        if content_type is not None:
            check_str("content_type", content_type)
            if not self._described_type().fits(content_type):
                raise self._wrong_type("events")
        return EventIterator(self._for_iterator(), max_event_size, last_event_id)

    def _for_iterator(self) -> StreamReader:
        """Return the body for an iterator, which reads ahead.

        :raises RuntimeError: another iterator has it
        """
        if self._body is not None:
            return reader_of(self._body)
        if self._has_iterator:
            raise RuntimeError(
                "an iterator has read ahead in this response: go on with that one, "
                "or read() the body before"
            )
        self._has_iterator = True
        return self.content

    def _encoding_from(self, beginning: bytes) -> str:
        """Return the charset of a body that has begun with these bytes."""
        return self._announced_encoding() or self._fallback_charset(self, beginning)

    # -- the end

    def raise_for_status(self) -> None:
        """Raise an error if the status is 400 or higher; outside ``async with``, release first.

        The error's ``body`` has the first 8 KiB of the body, as far as they have arrived: a plain
        call cannot wait for more.  To get all of them, call this after :meth:`read`, or make the
        request with ``raise_for_status=True``.

        :raises ClientResponseError: the status is 400 or higher
        """
        if self.ok:
            return
        body = self._error_body()
        if not self._in_context:
            self.release()
        error = ClientResponseError(
            self.request_info, self.history, status=self.status, message=self.reason
        )
        if self._headers is None and not self._says_more:
            take_headers_later(error, partial(headers_of, self._head))
        else:
            error.headers = self.headers
        error.body = body
        raise error

    def _error_body(self) -> bytes | None:
        """Return the beginning of the body, if it has arrived, without consuming it."""
        if self._body is not None:
            return self._body[:ERROR_BODY]
        if self._released:
            return None
        if isinstance(self._content, bytes):
            return self._content[:ERROR_BODY]
        if not isinstance(self._content, StreamReader):
            return None  # a stream of another class, which a test has set
        beginning = peek(self._content, ERROR_BODY)
        if beginning is None and self._exchange is not None:
            self._exchange.pull_nowait()
            beginning = peek(self._content, ERROR_BODY)
        return beginning

    def release(self) -> Awaitable[None]:
        """Give the connection back if the body was received, else close it.

        This is a plain call.  Its result may be awaited, which does nothing.
        """
        self._let_go()
        exchange = self._exchange
        if exchange is not None and exchange.connection is not None:
            exchange.release()
        return RELEASED

    def close(self) -> None:
        """Close the connection, whether the body was received or not."""
        self._let_go()
        if self._exchange is not None:
            self._exchange.close()

    def _let_go(self) -> None:
        content = self._content
        if isinstance(content, bytes):
            self._content = b""
        elif (
            not self._released  # else the content was set afterwards, for somebody to read it
            and isinstance(content, StreamReader)
            and not content.at_eof()
            and content.exception() is None
        ):
            content.set_exception(ClientConnectionError(RELEASED_UNREAD))
        self._released = True

    async def wait_for_close(self) -> None:
        """Wait until the body of the request is no longer being sent, then release.

        It is released after cancellation, too.
        """
        try:
            if self._exchange is not None:
                await self._exchange.wait_sent()
        finally:
            self.release()

    async def __aenter__(self) -> Self:
        self._in_context = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._in_context = False
        exchange = self._exchange
        if exchange is None or exchange.upload is None:
            self.release()
            return
        if exchange.is_sending and ends_at_once(exc):
            self.close()  # release() may give the upload some time to come to its end
        else:
            self.release()
        if exchange.is_sending:
            # The upload has been told to stop.  The wait is shielded, so that a cancellation
            # does not replace an exception of the block.
            with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True):
                await exchange.wait_stopped()


#: The state of a response that is made by hand, until it is given something else.
_BY_HAND: Final[dict[str, object]] = {
    "_request": NO_REQUEST,
    "_exchange": None,
    "_head": NO_HEAD,
    "_fallback_charset": staticmethod(_utf8),
    "_body": None,
    "_released": False,
    "_in_context": False,
    "_on_body": None,
    "_content": EMPTY_PAYLOAD,
    "_seconds": 0.0,
}


RESPONSE_HOOKS: Final = Hooks(ClientResponse, RESPONSE_REFUSED, RESPONSE_UNUSED)
