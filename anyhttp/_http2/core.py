"""One HTTP/2 connection without I/O: bytes in, bytes out, and the state of each exchange.

:rfc:`9113`
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Final

from .._http1 import Limits, ParseError
from ..client_exceptions import ClientConnectionResetError, ServerDisconnectedError
from . import frames
from .compression import FieldDecoder, FieldEncoder
from .errors import ConnectionFault, ErrorCode, StreamFault, shown_code
from .fields import RequestHeads, check_trailers, read_head
from .frames import HEADER_SIZE, FrameReader, frame_header, number_frame
from .guards import MAX_CONTINUATIONS, FloodGuard
from .options import Http2Options
from .state import StreamState

__all__ = ("Http2Core",)

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

#: The window of a connection, and of its streams, until the peers have told of others (§6.9.2).
_INITIAL_WINDOW: Final = 65535
_LARGEST_WINDOW: Final = 2**31 - 1
_LAST_STREAM: Final = 2**31 - 1

# Settings (§6.5.2, RFC 8441 §3)
_HEADER_TABLE_SIZE: Final = 1
_ENABLE_PUSH: Final = 2
_MAX_CONCURRENT_STREAMS: Final = 3
_INITIAL_WINDOW_SIZE: Final = 4
_MAX_FRAME_SIZE: Final = 5
_MAX_HEADER_LIST_SIZE: Final = 6
_ENABLE_CONNECT_PROTOCOL: Final = 8

#: How many exchanges may be begun before the server has said how many it allows.
_USUAL_EXCHANGES: Final = 100

#: Streams whose late frames are known to be harmless, as the client has reset them.
_KEPT_RESETS: Final = 4096


class Http2Core:
    """The client's side of one connection.

    Methods queue bytes; :meth:`take_output` returns them.  :meth:`receive` takes bytes and changes
    the states of exchanges.  Nothing here raises for what a server does: :attr:`error` and
    :attr:`StreamState.failure` say it.

    :param options: windows and limits
    :param scheme: of the URLs of all requests
    """

    def __init__(self, options: Http2Options, scheme: str) -> None:
        self._options = options
        self._heads = RequestHeads(scheme)
        self._encoder = FieldEncoder()
        self._decoder = FieldDecoder(options.max_header_list_size, options.header_table_size)
        self._reader = FrameReader(options.max_frame_size)
        self._guard = FloodGuard()
        #: the exchanges that may still send or receive, by their number
        self._streams: dict[int, StreamState] = {}
        self._next_id = 1
        #: streams that the client has reset, and how many bytes each may still be sent
        self._resets: dict[int, int] = {}
        self._forgotten_reset = 0  # the last of those that are not kept
        #: states that wait for room in a window
        self._blocked: dict[StreamState, None] = {}
        self._news: dict[StreamState, None] = {}

        self._greeting = b""  # the first bytes, until they are known to be HTTP/2
        self._has_greeted = False
        self._block = b""  # of a head whose end has not been received
        self._block_stream = 0
        self._block_flags = 0
        self._continuations = 0

        self._send_window = _INITIAL_WINDOW
        self._peer_window = _INITIAL_WINDOW  # with which streams begin
        self._peer_frame_size = 2**14
        self._max_exchanges: int | None = None
        self._window = options.connection_window
        self._unconfirmed = 0  # bytes that have been received and not been given back
        self._last_id = _LAST_STREAM  # that the server still answers, as its GOAWAY says
        self._goaway_text = ""
        self._is_over = False  # whether nothing more can be received

        #: the fault of the server that has ended the connection
        self.error: ParseError | None = None
        #: whether the server has announced the end of the connection, or we have
        self.is_leaving: bool = False
        #: whether the server allows WebSockets on this connection (:rfc:`8441`)
        self.allows_connect_protocol: bool = False
        #: the data of the last PING that the server has answered
        self.ping_acked: bytes | None = None

        settings = {
            _HEADER_TABLE_SIZE: options.header_table_size,
            _ENABLE_PUSH: 0,
            _INITIAL_WINDOW_SIZE: options.stream_window,
            _MAX_FRAME_SIZE: options.max_frame_size,
            _MAX_HEADER_LIST_SIZE: options.max_header_list_size,
        }
        self._output: list[bytes] = [_PREFACE, frames.settings_frame(settings)]
        if options.connection_window > _INITIAL_WINDOW:
            more = options.connection_window - _INITIAL_WINDOW
            self._output.append(number_frame(frames.WINDOW_UPDATE, 0, more))

        self._handlers: dict[int, Callable[[int, int, bytes], None]] = {
            frames.DATA: self._take_data,
            frames.HEADERS: self._take_headers,
            frames.PRIORITY: self._take_priority,
            frames.RST_STREAM: self._take_reset,
            frames.SETTINGS: self._take_settings,
            frames.PUSH_PROMISE: self._take_push,
            frames.PING: self._take_ping,
            frames.GOAWAY: self._take_goaway,
            frames.WINDOW_UPDATE: self._take_window_update,
            frames.CONTINUATION: self._take_continuation,
        }

    # -- what the connection is asked

    @property
    def max_exchanges(self) -> int:
        """How many exchanges may be open at a time."""
        said = _USUAL_EXCHANGES if self._max_exchanges is None else self._max_exchanges
        return min(said, self._options.max_exchanges)

    @property
    def can_open(self) -> bool:
        """Whether another exchange may be started, if there are not too many."""
        return not self.is_leaving and not self._is_over and self._next_id <= _LAST_STREAM

    def take_output(self) -> bytes:
        """Return the bytes to be sent, which are then no longer kept here."""
        output = self._output
        if len(output) == 1:
            return output.pop()
        data = b"".join(output)
        output.clear()
        return data

    # -- what the client sends

    def open(self, limits: Limits) -> StreamState:
        """Return the state of a new exchange, which has no number yet."""
        return StreamState(limits, self._heads)

    def start(self, state: StreamState, *, end: bool) -> None:
        """Queue the head of the request that *state* has taken.

        :param end: whether the request has no body
        :raises RuntimeError: the connection takes no more exchanges
        """
        request = state.request
        if request is None or state.stream_id or not self.can_open:
            raise RuntimeError("the exchange cannot be started")
        block = self._encoder.encode(request.coded, request.path, request.length)
        state.stream_id = stream_id = self._next_id
        self._next_id += 2
        state.window = self._options.stream_window
        state.send_window = self._peer_window
        state.end_sent = end
        self._streams[stream_id] = state
        flags = frames.END_STREAM if end else 0
        size = self._peer_frame_size
        self._output.append(frames.header_frames(stream_id, block, size, flags))
        self._guard.take_request()

    def send_data(self, state: StreamState, data: bytes | memoryview, *, end: bool) -> int:
        """Queue as much of *data* as the windows allow; return how many bytes that is.

        If it is not all, the state has news when there is more room.

        :param end: whether the request ends with *data*
        """
        if not state.can_send:
            return 0
        size = len(data)
        taken = min(size, max(0, min(self._send_window, state.send_window)))
        if taken < size:
            self._blocked[state] = None
        elif end:
            state.end_sent = True
        if not taken and not state.end_sent:
            return 0
        most, output, stream_id = self._peer_frame_size, self._output, state.stream_id
        start = 0
        while True:
            stop = min(start + most, taken)
            last = end and stop == size
            flags = frames.END_STREAM if last else 0
            output.append(frame_header(frames.DATA, flags, stream_id, stop - start))
            output.append(bytes(data[start:stop]))
            start = stop
            if start >= taken:
                break
        state.send_window -= taken
        self._send_window -= taken
        self._guard.take_sent(1 + taken // most)
        if state.end_sent and state.complete:
            self._close_stream(state)
        return taken

    def reset(self, state: StreamState, code: int) -> None:
        """End an exchange, unless it has ended; the server is told of *code*.

        What still comes for it is dropped.
        """
        if state.is_closed:
            return
        if state.stream_id and self.error is None and not self._is_over:
            self._queue_reset(state.stream_id, code)
            self._keep_reset(state.stream_id, state.window)
        self._close_stream(state)

    def consumed(self, state: StreamState) -> None:
        """Let the server send as much more as the program has taken from the pieces of *state*."""
        if state.is_closed or state.complete:
            return
        unread = sum(map(len, state.pieces))
        taken = state.received - state.credited - unread
        if 2 * taken >= self._options.stream_window:
            state.credited += taken
            state.window += taken
            self._output.append(number_frame(frames.WINDOW_UPDATE, state.stream_id, taken))

    def ping(self, data: bytes) -> None:
        """Queue a PING with eight bytes, which :attr:`ping_acked` has when it is answered.

        :raises ValueError: *data* are not eight bytes
        """
        if len(data) != 8:
            raise ValueError(f"data must be 8 bytes, not {len(data)}")
        self._output.append(frames.frame(frames.PING, 0, 0, data))

    def close(self, code: int = ErrorCode.NO_ERROR, text: str = "") -> None:
        """Queue a GOAWAY: no more exchanges are started, and the open ones go on."""
        if not self._is_over and self.error is None:
            self._output.append(frames.goaway(0, code, text))
        self.is_leaving = True

    # -- what the server sends

    def receive(self, data: bytes) -> list[StreamState]:
        """Take bytes from the server; return the exchanges of which there is news.

        ``b""`` is no news; :meth:`receive_eof` tells of the end.
        """
        if self._is_over:
            return []
        self._guard.take_read()
        try:
            if not self._has_greeted:
                self._check_greeting(data)
            for kind, flags, stream_id, payload in self._reader.feed(data):
                if self._block_stream and kind != frames.CONTINUATION:
                    raise ConnectionFault(
                        ErrorCode.PROTOCOL_ERROR, "a frame in the middle of a head"
                    )
                handler = self._handlers.get(kind)
                if handler is None:
                    self._guard.count("of unknown types")
                    continue
                try:
                    handler(flags, stream_id, payload)
                except StreamFault as fault:
                    self._refuse(stream_id, fault)
        except ConnectionFault as fault:
            self.fail(fault.code, fault.text)
        return self._take_news()

    def receive_eof(self) -> list[StreamState]:
        """Take the end of the connection; return the exchanges of which there is news."""
        if not self._is_over:
            text = f"Server disconnected{self._goaway_text}"
            self._end(lambda: ServerDisconnectedError(text))
        return self._take_news()

    def fail(self, code: ErrorCode, text: str) -> None:
        """End the connection for a fault of the server; each exchange fails with *text*."""
        if self._is_over:
            return
        self.error = ParseError(text)
        self._output.append(frames.goaway(0, code, text))
        self.is_leaving = True
        self._end(lambda: ParseError(text))

    def _end(self, failure: Callable[[], Exception]) -> None:
        self._is_over = True
        self._block = b""
        for state in self._streams.values():
            state.fail(failure())
            self._tell(state)
        self._streams.clear()
        self._blocked.clear()
        self._resets.clear()

    def _take_news(self) -> list[StreamState]:
        if not self._news:
            return []
        news = list(self._news)
        self._news.clear()
        return news

    def _tell(self, state: StreamState) -> None:
        state.has_news = True
        self._news[state] = None

    def _check_greeting(self, data: bytes) -> None:
        """Check that the first frame is SETTINGS (§3.4)."""
        self._greeting += data[: HEADER_SIZE - len(self._greeting)]
        if len(self._greeting) >= 4:
            self._has_greeted = len(self._greeting) == HEADER_SIZE
            is_settings = self._greeting[3] == frames.SETTINGS
            if not is_settings or (self._has_greeted and self._greeting[4] & frames.ACK):
                raise ConnectionFault(
                    ErrorCode.PROTOCOL_ERROR,
                    f"not an HTTP/2 connection: it starts with {self._greeting!r}",
                )

    def _stream(self, stream_id: int) -> StreamState | None:
        """Return the exchange for which a frame has come; ``None``: the client has reset it.

        :raises ConnectionFault: the server must not send anything for this number (§5.1)
        """
        state = self._streams.get(stream_id)
        if state is not None:
            return state
        self._check_begun(stream_id)
        if stream_id not in self._resets and stream_id > self._forgotten_reset:
            raise ConnectionFault(ErrorCode.STREAM_CLOSED, "a frame for an exchange after its end")
        self._guard.count("for exchanges that have been reset")
        return None

    def _check_begun(self, stream_id: int) -> None:
        """Refuse a frame for a number that the client has not used."""
        if stream_id >= self._next_id or not stream_id & 1:
            raise ConnectionFault(
                ErrorCode.PROTOCOL_ERROR, f"a frame for the stream {stream_id}, which is not open"
            )

    def _refuse(self, stream_id: int, fault: StreamFault) -> None:
        """Reset a stream for a fault of the server."""
        state = self._streams.get(stream_id)
        if state is None:
            return
        self._queue_reset(stream_id, fault.code)
        self._keep_reset(stream_id, state.window)
        state.fail(ParseError(fault.text))
        self._close_stream(state)
        self._tell(state)

    def _queue_reset(self, stream_id: int, code: int) -> None:
        self._output.append(number_frame(frames.RST_STREAM, stream_id, code))

    def _keep_reset(self, stream_id: int, window: int) -> None:
        if len(self._resets) >= _KEPT_RESETS:
            oldest = next(iter(self._resets))
            del self._resets[oldest]
            self._forgotten_reset = max(self._forgotten_reset, oldest)
        self._resets[stream_id] = max(0, window)

    def _close_stream(self, state: StreamState) -> None:
        state.is_closed = True
        self._streams.pop(state.stream_id, None)
        self._blocked.pop(state, None)

    # -- heads

    def _take_headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        if flags & frames.PADDED:
            payload = frames.without_padding(payload)
        if flags & frames.PRIORITY_GIVEN:
            if len(payload) < 5:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "a HEADERS frame without a head")
            payload = payload[5:]
        if flags & frames.END_HEADERS:
            self._take_block(flags, stream_id, payload)
            return
        if not stream_id:
            self._check_begun(stream_id)
        self._block, self._block_stream, self._block_flags = payload, stream_id, flags
        self._continuations = 0

    def _take_continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        if not self._block_stream or stream_id != self._block_stream:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a CONTINUATION without a head")
        self._continuations += 1
        self._block += payload
        if (
            self._continuations > MAX_CONTINUATIONS
            or len(self._block) > 2 * self._options.max_header_list_size
        ):
            raise ConnectionFault(
                ErrorCode.ENHANCE_YOUR_CALM, "a head that comes in too many or too large frames"
            )
        if flags & frames.END_HEADERS:
            block, self._block, self._block_stream = self._block, b"", 0
            self._take_block(self._block_flags, stream_id, block)

    def _take_block(self, flags: int, stream_id: int, block: bytes) -> None:
        """Take a whole head, or the trailers."""
        fields = self._decoder.decode(block)  # in any case: later ones depend on it
        state = self._stream(stream_id)
        if state is None:
            return
        if state.complete:
            raise ConnectionFault(ErrorCode.STREAM_CLOSED, "a head after the end of its response")
        ends = bool(flags & frames.END_STREAM)
        most = self._options.max_header_list_size
        if state.has_final_head:
            if not ends:
                raise StreamFault(ErrorCode.PROTOCOL_ERROR, "trailers before the end of the body")
            check_trailers(fields, state.limits, most)
            state.take_trailers(fields)
        else:
            assert state.request is not None  # it has been started
            head = read_head(fields, state.request.method, state.limits, most)
            state.take_head(head, ends=ends)
        if state.complete and state.end_sent:
            self._close_stream(state)
        self._tell(state)

    # -- bodies and windows

    def _take_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        size = len(payload)  # padding counts (§6.1)
        self._window -= size
        if self._window < 0:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "more data than the window allows")
        self._unconfirmed += size
        if 2 * self._unconfirmed >= self._options.connection_window:
            self._window += self._unconfirmed
            self._output.append(number_frame(frames.WINDOW_UPDATE, 0, self._unconfirmed))
            self._unconfirmed = 0
        state = self._stream(stream_id)
        if state is None:
            self._take_late_data(stream_id, size)
            return
        if state.complete:
            raise ConnectionFault(ErrorCode.STREAM_CLOSED, "data after the end of its response")
        state.window -= size
        if state.window < 0:
            raise StreamFault(ErrorCode.FLOW_CONTROL_ERROR, "more data than the window allows")
        state.received += size
        data = frames.without_padding(payload) if flags & frames.PADDED else payload
        ends = bool(flags & frames.END_STREAM)
        if not data and not ends:
            self._guard.count("DATA without data")
        state.take_data(data, ends=ends)
        if state.complete and state.end_sent:
            self._close_stream(state)
        self._tell(state)

    def _take_late_data(self, stream_id: int, size: int) -> None:
        """Count data for an exchange that has been reset: no more than its window may come."""
        left = self._resets.get(stream_id)
        if left is not None:
            if left < size:
                raise ConnectionFault(
                    ErrorCode.FLOW_CONTROL_ERROR, "more data than the window allows"
                )
            self._resets[stream_id] = left - size

    def _take_window_update(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._guard.count("WINDOW_UPDATE")
        if len(payload) != 4:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "a malformed WINDOW_UPDATE")
        increment = int.from_bytes(payload, "big") & 0x7FFFFFFF
        if stream_id:
            self._widen(stream_id, increment)
            return
        if not increment:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a WINDOW_UPDATE by nothing")
        self._send_window += increment
        if self._send_window > _LARGEST_WINDOW:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "a window beyond its limit")
        self._unblock()

    def _widen(self, stream_id: int, increment: int) -> None:
        state = self._streams.get(stream_id)
        if state is None:  # it may have been closed meanwhile
            self._check_begun(stream_id)
            return
        if not increment:
            raise StreamFault(ErrorCode.PROTOCOL_ERROR, "a WINDOW_UPDATE by nothing")
        state.send_window += increment
        if state.send_window > _LARGEST_WINDOW:
            raise StreamFault(ErrorCode.FLOW_CONTROL_ERROR, "a window beyond its limit")
        if state in self._blocked and self._send_window > 0 and state.send_window > 0:
            del self._blocked[state]
            self._tell(state)

    def _unblock(self) -> None:
        """Tell the exchanges that wait for room in a window, if there is some."""
        if self._send_window <= 0:
            return
        for state in [state for state in self._blocked if state.send_window > 0]:
            del self._blocked[state]
            self._tell(state)

    # -- ends

    def _take_reset(self, flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "a malformed RST_STREAM")
        state = self._streams.get(stream_id)
        if state is None:
            self._check_begun(stream_id)
            self._guard.count("RST_STREAM")
            return
        code = int.from_bytes(payload, "big")
        state.reset_code = code
        if code == ErrorCode.REFUSED_STREAM:
            state.is_unprocessed = True
        text = f"the server reset the stream: {shown_code(code)}"
        state.fail(ClientConnectionResetError(errno.ECONNRESET, text))
        self._close_stream(state)
        self._tell(state)

    def _take_goaway(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a GOAWAY for a stream")
        if len(payload) < 8:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "a malformed GOAWAY")
        self._guard.count("GOAWAY")
        self.is_leaving = True
        last = int.from_bytes(payload[:4], "big") & 0x7FFFFFFF
        code = int.from_bytes(payload[4:8], "big")
        self._last_id = min(self._last_id, last)
        text = payload[8:108].decode("utf-8", "backslashreplace")
        if code != ErrorCode.NO_ERROR:
            self._goaway_text = f": {shown_code(code)}" + (f", {text!r}" if text else "")
        for state in [state for number, state in self._streams.items() if number > self._last_id]:
            state.is_unprocessed = True
            state.fail(
                ClientConnectionResetError(
                    errno.ECONNRESET,
                    f"the server ended the connection before the request{self._goaway_text}",
                )
            )
            self._close_stream(state)
            self._tell(state)

    # -- the connection

    def _take_settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._guard.count("SETTINGS")
        if stream_id:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "SETTINGS for a stream")
        if len(payload) % 6 or (flags & frames.ACK and payload):
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "malformed SETTINGS")
        if flags & frames.ACK:
            return
        for start in range(0, len(payload), 6):
            setting = int.from_bytes(payload[start : start + 2], "big")
            self._apply(setting, int.from_bytes(payload[start + 2 : start + 6], "big"))
        if self._max_exchanges is None:
            self._max_exchanges = _LARGEST_WINDOW  # the server has set no limit
        self._output.append(frames.frame(frames.SETTINGS, frames.ACK, 0, b""))

    def _apply(self, setting: int, value: int) -> None:
        """Keep to one setting of the server."""
        if setting == _HEADER_TABLE_SIZE:
            self._encoder.resize(value)
        elif setting == _MAX_CONCURRENT_STREAMS:
            self._max_exchanges = value
        elif setting == _INITIAL_WINDOW_SIZE:
            self._change_windows(value)
        elif setting == _MAX_FRAME_SIZE:
            if not 2**14 <= value < 2**24:
                raise _bad_setting("MAX_FRAME_SIZE", value)
            self._peer_frame_size = value
        elif setting == _ENABLE_PUSH:
            if value:
                raise _bad_setting("ENABLE_PUSH", value)
        elif setting == _ENABLE_CONNECT_PROTOCOL:
            if value > 1 or (self.allows_connect_protocol and not value):
                raise _bad_setting("ENABLE_CONNECT_PROTOCOL", value)
            self.allows_connect_protocol = bool(value)

    def _change_windows(self, size: int) -> None:
        """Begin streams with another window, and change those of the open ones by as much."""
        if size > _LARGEST_WINDOW:
            raise ConnectionFault(
                ErrorCode.FLOW_CONTROL_ERROR, f"the setting INITIAL_WINDOW_SIZE with {size}"
            )
        change = size - self._peer_window
        self._peer_window = size
        for state in self._streams.values():
            state.send_window += change
            if state.send_window > _LARGEST_WINDOW:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "a window beyond its limit")
        self._unblock()

    def _take_ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._guard.count("PING")
        if stream_id:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a PING for a stream")
        if len(payload) != 8:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "a malformed PING")
        if flags & frames.ACK:
            self.ping_acked = payload
        else:
            self._output.append(frames.frame(frames.PING, frames.ACK, 0, payload))

    def _take_priority(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._guard.count("PRIORITY")
        if not stream_id:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a PRIORITY for no stream")
        if len(payload) != 5:
            raise StreamFault(ErrorCode.FRAME_SIZE_ERROR, "a malformed PRIORITY")

    def _take_push(self, flags: int, stream_id: int, payload: bytes) -> None:
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a pushed response, which is not allowed")


def _bad_setting(name: str, value: int) -> ConnectionFault:
    return ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"the setting {name} with {value}")
