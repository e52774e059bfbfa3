"""One HTTP/2 connection without I/O: bytes in, bytes out, and the state of each exchange.

:rfc:`9113`
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from typing import Final

from .._common import Http2Options
from .._http1 import Limits, ParseError
from ..client_exceptions import ClientConnectionResetError, ServerDisconnectedError
from . import frames
from .compression import FieldEncoder
from .errors import ConnectionFault, ErrorCode, StreamFault, shown_code
from .fields import RequestHeads, check_trailers
from .frames import HEADER_SIZE, FrameReader, frame_header, number_frame
from .guards import DEAR_SIZE, SMALL_DATA, FloodGuard
from .heads import BlockReader, ResponseHeads
from .settings import INITIAL_WINDOW, LARGEST_WINDOW, PeerSettings, own_settings
from .state import StreamState
from .streams import Streams

__all__ = ("Http2Core",)

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

#: How many times as large as at first the window of a body can get that the program reads quickly.
GROWTH: Final = 16

#: With which number the server says that it will still answer all requests.
_LAST_NUMBER: Final = 2**31 - 1

#: How many exchanges may be left whose other half the server has not ended yet.
MAX_LEFT: Final = 8


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
        self._requests = RequestHeads(scheme)
        self._encoder = FieldEncoder()
        self._responses = ResponseHeads(options)
        self._reader = FrameReader(options.max_frame_size)
        self._blocks = BlockReader(options.max_header_list_size)
        self._guard = FloodGuard()
        self._peer = PeerSettings()
        self._streams = Streams()
        self._greeting = b""  # the first bytes, until they are known to be HTTP/2
        self._is_greeted = False  # whether the settings of the server have been received

        self._send_window = INITIAL_WINDOW
        self._window = options.connection_window
        self._unconfirmed = 0  # bytes that have been received and not been given back
        #: states that wait for room in a window
        self._blocked: dict[StreamState, None] = {}
        self._news: dict[StreamState, None] = {}
        #: those that the client has left, in which the server still has to end its half
        self._left: dict[StreamState, None] = {}

        self._last_number = _LAST_NUMBER  # that the server still answers, as its GOAWAY says
        self._goaway_text = ""
        self._is_over = False  # whether nothing more can be received

        #: whether there may be more or less room for exchanges since somebody set this to ``False``
        self.room_changed: bool = False
        #: the fault of the server that has ended the connection
        self.error: ParseError | None = None
        #: whether the server has announced the end of the connection, or we have
        self.is_leaving: bool = False
        #: the data of the last PING that the server has answered
        self.ping_acked: bytes | None = None

        self._output: list[bytes] = [_PREFACE, own_settings(options)]
        #: the frames that :meth:`take_output` returns, to see whether there are any
        self.output: Sequence[bytes] = self._output

    # -- what the connection is asked

    @property
    def max_exchanges(self) -> int:
        """How many exchanges may be open at a time."""
        most = min(self._peer.max_exchanges, self._options.max_exchanges)
        return max(0, most - len(self._left))

    @property
    def is_greeted(self) -> bool:
        """Whether the first settings of the server have come."""
        return self._is_greeted

    @property
    def can_open(self) -> bool:
        """Whether another exchange may be started, if there are not too many."""
        return not self.is_leaving and not self._is_over and self._streams.has_numbers

    @property
    def allows_connect_protocol(self) -> bool:
        """Whether the server allows WebSockets on this connection (:rfc:`8441`)."""
        return self._peer.allows_connect_protocol

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
        return StreamState(limits, self._requests)

    def start(self, state: StreamState, *, end: bool) -> None:
        """Queue the head of the request that *state* has taken.

        :param end: whether the request has no body
        :raises RuntimeError: the connection takes no more exchanges
        """
        request = state.request
        if request is None or state.stream_id or state.is_closed or not self.can_open:
            raise RuntimeError("the exchange cannot be started")
        block = self._encoder.encode(
            request.coded, request.path, request.length, request.credentials
        )
        number = self._streams.add(state)
        if not self._streams.has_numbers:
            self.room_changed = True
        state.window = state.window_size = self._options.stream_window
        state.send_window = self._peer.window
        state.end_sent = end
        flags = frames.END_STREAM if end else 0
        self._output.append(frames.header_frames(number, block, self._peer.frame_size, flags))
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
        most, output, number = self._peer.frame_size, self._output, state.stream_id
        start = 0
        while True:
            stop = min(start + most, taken)
            last = end and stop == size
            flags = frames.END_STREAM if last else 0
            output.append(frame_header(frames.DATA, flags, number, stop - start))
            output.append(bytes(data[start:stop]))
            start = stop
            if start >= taken:
                break
        state.send_window -= taken
        self._send_window -= taken
        self._guard.take_sent(taken)
        if state.end_sent and state.complete:
            self._streams.remove(state)
        return taken

    def reset(self, state: StreamState, code: int) -> None:
        """End an exchange, unless it has ended; the server is told of *code*.

        What still comes for it is dropped.
        """
        if state.is_closed:
            return
        if state.stream_id:
            self._reset(state, code)
        else:
            state.is_closed = True

    def leave(self, state: StreamState) -> None:
        """Leave the end of an exchange to the server; what still comes is dropped.

        When the server has ended its half, the exchange is reset.  Our half is not ended in another
        way: there are servers that have forgotten the exchange by then, and take that for an error.
        If servers do not end some of them, the oldest are reset: those that are left count among
        the exchanges that the server allows, and never take more than half of these.
        """
        if state.complete:
            self.reset(state, ErrorCode.NO_ERROR)
        elif not state.is_closed:
            self._left[state] = None
            self.room_changed = True
            if len(self._left) > min(MAX_LEFT, self.max_exchanges):
                self.reset(next(iter(self._left)), ErrorCode.CANCEL)

    def consumed(self, state: StreamState) -> None:
        """Let the server send as much more as the program has taken from the pieces of *state*."""
        if state.is_closed or state.complete:
            return
        unread = sum(map(len, state.pieces))
        taken = state.received - state.credited - unread
        if 2 * taken >= state.window_size:
            more = taken
            largest = min(GROWTH * self._options.stream_window, LARGEST_WINDOW)
            if not unread and state.window_size < largest:
                # The program has to wait for what the server may not send: over a long distance
                # the window says how fast a body comes.
                grown = min(2 * state.window_size, largest)
                more += grown - state.window_size
                state.window_size = grown
            state.credited += taken
            state.window += more
            self._output.append(number_frame(frames.WINDOW_UPDATE, state.stream_id, more))

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
            if len(self._greeting) < HEADER_SIZE:
                self._check_greeting(data)
            blocks = self._blocks
            for kind, flags, number, payload in self._reader.feed(data):
                if blocks.stream and kind != frames.CONTINUATION:
                    raise ConnectionFault(
                        ErrorCode.PROTOCOL_ERROR, "a frame in the middle of a head"
                    )
                handler = _HANDLERS.get(kind)
                if handler is None:
                    self._guard.count("of unknown types")
                    continue
                try:
                    handler(self, flags, number, payload)
                except StreamFault as fault:
                    self._refuse(number, fault)
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
        self._is_over = self.room_changed = True
        self._blocked.clear()
        for state in list(self._streams.open.values()):
            state.fail(failure())
            self._close(state)

    def _take_news(self) -> list[StreamState]:
        if not self._news:
            return []
        news = list(self._news)
        self._news.clear()
        return news

    def _tell(self, state: StreamState) -> None:
        state.has_news = True
        self._news[state] = None

    def _close(self, state: StreamState) -> None:
        """Forget an exchange after its end, and tell of that."""
        self._streams.remove(state)
        self._blocked.pop(state, None)
        self._end_left(state)
        self._tell(state)

    def _reset(self, state: StreamState, code: int) -> None:
        self._output.append(number_frame(frames.RST_STREAM, state.stream_id, code))
        self._streams.remove_reset(state)
        self._blocked.pop(state, None)
        self._end_left(state)

    def _end_left(self, state: StreamState) -> None:
        if state in self._left:
            del self._left[state]
            self.room_changed = True

    def _refuse(self, number: int, fault: StreamFault) -> None:
        """Reset a stream for a fault of the server."""
        state = self._streams.open.get(number)
        if state is not None:
            state.fail(ParseError(fault.text))
            self._reset(state, fault.code)
            self._tell(state)

    def _check_greeting(self, data: bytes) -> None:
        """Check that the first frame is SETTINGS (§3.4)."""
        begun = self._greeting = self._greeting + data[: HEADER_SIZE - len(self._greeting)]
        is_settings = begun[3:4] in {b"", bytes([frames.SETTINGS])}
        if not is_settings or (len(begun) > 4 and begun[4] & frames.ACK):
            raise ConnectionFault(
                ErrorCode.PROTOCOL_ERROR, f"the server does not speak HTTP/2: it sent {begun!r}"
            )

    # -- heads

    def _take_headers(self, flags: int, number: int, payload: bytes) -> None:
        self._streams.check_begun(number)
        blocks = self._blocks
        if flags & ~frames.END_STREAM == frames.END_HEADERS:  # true for nearly all
            blocks.check_size(payload)
            self._take_block(number, payload, ends=bool(flags & frames.END_STREAM))
        elif (block := blocks.begin(flags, number, payload)) is not None:
            self._take_block(number, block.data, ends=block.ends)

    def _take_continuation(self, flags: int, number: int, payload: bytes) -> None:
        block = self._blocks.go_on(flags, number, payload)
        if block is not None:
            self._take_block(number, block.data, ends=block.ends)

    def _take_block(self, number: int, data: bytes, *, ends: bool) -> None:
        """Take a whole head, or the trailers."""
        state = self._streams.open.get(number)
        if state is None:
            self._responses.decode(data)
            self._streams.find(number)
            self._guard.count("for exchanges that have been reset", len(data) // DEAR_SIZE)
            return
        if state.complete:
            raise ConnectionFault(ErrorCode.STREAM_CLOSED, "a head after the end of a response")
        if state.has_final_head:
            fields = self._responses.decode(data)
            if not ends:
                raise StreamFault(ErrorCode.PROTOCOL_ERROR, "trailers before the end of the body")
            check_trailers(fields, state.limits, self._options.max_header_list_size)
            state.take_trailers(fields)
        else:
            assert state.request is not None  # it has been started
            head = self._responses.read(data, state.request.method, state.limits)
            state.take_head(head, ends=ends)
        self._tell_of_part(state)

    def _tell_of_part(self, state: StreamState) -> None:
        """Tell that *state* has changed, and forget it if it has been sent and received."""
        if not state.complete:
            self._tell(state)
        elif state.end_sent:
            self._close(state)
        elif state in self._left:
            self._reset(state, ErrorCode.NO_ERROR)
        else:
            self._tell(state)

    # -- bodies and windows

    def _take_data(self, flags: int, number: int, payload: bytes) -> None:
        size = len(payload)  # padding counts (§6.1)
        # It is given back when half of it is used, so only a frame larger than that exceeds it.
        self._window -= size
        if self._window < 0:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "more data than the window allows")
        self._unconfirmed += size
        if 2 * self._unconfirmed >= self._options.connection_window:
            self._window += self._unconfirmed
            self._output.append(number_frame(frames.WINDOW_UPDATE, 0, self._unconfirmed))
            self._unconfirmed = 0
        data = frames.without_padding(payload) if flags & frames.PADDED else payload
        state = self._streams.open.get(number) or self._streams.find(number)
        if state is None:
            self._streams.take_late(number, size)
            if size < SMALL_DATA:
                self._guard.count("for exchanges that have been reset")
            return
        if state.complete:
            raise ConnectionFault(ErrorCode.STREAM_CLOSED, "data after the end of its response")
        state.window -= size
        if state.window < 0:
            raise StreamFault(ErrorCode.FLOW_CONTROL_ERROR, "more data than the window allows")
        state.received += size
        ends = bool(flags & frames.END_STREAM)
        state.take_data(data, ends=ends)
        if not data and not ends:
            self._guard.count("DATA without data")
            self.consumed(state)  # there may be padding, which no program reads
        if ends:
            self._tell_of_part(state)
        else:
            self._tell(state)

    def _take_window_update(self, flags: int, number: int, payload: bytes) -> None:
        self._guard.count("WINDOW_UPDATE")
        if len(payload) != 4:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "a malformed WINDOW_UPDATE")
        increment = int.from_bytes(payload, "big") & 0x7FFFFFFF
        if number:
            self._widen(number, increment)
            return
        if not increment:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a WINDOW_UPDATE by nothing")
        self._send_window += increment
        if self._send_window > LARGEST_WINDOW:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "a window beyond its limit")
        self._unblock()

    def _widen(self, number: int, increment: int) -> None:
        state = self._streams.open.get(number)
        if state is None:  # it may have been closed meanwhile
            self._streams.check_begun(number)
            return
        if not increment:
            raise StreamFault(ErrorCode.PROTOCOL_ERROR, "a WINDOW_UPDATE by nothing")
        state.send_window += increment
        if state.send_window > LARGEST_WINDOW:
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

    def _take_reset(self, flags: int, number: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "a malformed RST_STREAM")
        state = self._streams.open.get(number)
        if state is None:
            self._streams.check_begun(number)
            self._guard.count("RST_STREAM")
            return
        code = int.from_bytes(payload, "big")
        state.reset_code = code
        state.needs_http1 = code == ErrorCode.HTTP_1_1_REQUIRED
        refuses = code == ErrorCode.REFUSED_STREAM or state.needs_http1
        state.is_unprocessed = refuses and not state.has_started
        text = f"the server reset the stream: {shown_code(code)}"
        state.fail(ClientConnectionResetError(errno.ECONNRESET, text))
        self._close(state)

    def _take_goaway(self, flags: int, number: int, payload: bytes) -> None:
        if number:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a GOAWAY for a stream")
        if len(payload) < 8:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "a malformed GOAWAY")
        self._guard.count("GOAWAY")
        self.is_leaving = self.room_changed = True
        last = int.from_bytes(payload[:4], "big") & 0x7FFFFFFF
        code = int.from_bytes(payload[4:8], "big")
        self._last_number = min(self._last_number, last)
        text = payload[8:108].decode("utf-8", "backslashreplace")
        if code != ErrorCode.NO_ERROR:
            self._goaway_text = f": {shown_code(code)}" + (f", {text!r}" if text else "")
        open_ = self._streams.open
        for state in [state for number, state in open_.items() if number > self._last_number]:
            state.is_unprocessed = not state.has_started
            state.fail(
                ClientConnectionResetError(
                    errno.ECONNRESET,
                    f"the server ended the connection before the request{self._goaway_text}",
                )
            )
            # Some servers answer all the same, which is no reason to end the other exchanges.
            self._streams.remove_reset(state)
            self._close(state)

    # -- the connection

    def _take_settings(self, flags: int, number: int, payload: bytes) -> None:
        self._guard.count("SETTINGS")
        if number:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "SETTINGS for a stream")
        if flags & frames.ACK:
            if payload:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS with ACK and more")
            return
        peer = self._peer
        window = peer.window
        peer.take(payload, first=not self._is_greeted)
        self._is_greeted = True
        if peer.table_sizes is not None:
            self._encoder.resize(*peer.table_sizes)
            peer.table_sizes = None
        if peer.window != window:
            self._change_windows(peer.window - window)
        self.room_changed = True
        self._output.append(frames.frame(frames.SETTINGS, frames.ACK, 0, b""))

    def _change_windows(self, change: int) -> None:
        """Change the windows of the open streams with that of new ones (§6.9.2)."""
        for state in self._streams.open.values():
            state.send_window += change
            if state.send_window > LARGEST_WINDOW:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "a window beyond its limit")
        self._unblock()

    def _take_ping(self, flags: int, number: int, payload: bytes) -> None:
        self._guard.count("PING")
        if number:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a PING for a stream")
        if len(payload) != 8:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "a malformed PING")
        if flags & frames.ACK:
            self.ping_acked = payload
        else:
            self._output.append(frames.frame(frames.PING, frames.ACK, 0, payload))

    def _take_priority(self, flags: int, number: int, payload: bytes) -> None:
        self._guard.count("PRIORITY")
        if not number:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a PRIORITY for no stream")
        if len(payload) != 5:
            raise StreamFault(ErrorCode.FRAME_SIZE_ERROR, "a malformed PRIORITY")

    def _take_push(self, flags: int, number: int, payload: bytes) -> None:
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a pushed response, which is not allowed")


# Not an attribute of each object: methods bound to it would make a reference cycle.
_HANDLERS: Final[dict[int, Callable[[Http2Core, int, int, bytes], None]]] = {
    frames.DATA: Http2Core._take_data,
    frames.HEADERS: Http2Core._take_headers,
    frames.PRIORITY: Http2Core._take_priority,
    frames.RST_STREAM: Http2Core._take_reset,
    frames.SETTINGS: Http2Core._take_settings,
    frames.PUSH_PROMISE: Http2Core._take_push,
    frames.PING: Http2Core._take_ping,
    frames.GOAWAY: Http2Core._take_goaway,
    frames.WINDOW_UPDATE: Http2Core._take_window_update,
    frames.CONTINUATION: Http2Core._take_continuation,
}
