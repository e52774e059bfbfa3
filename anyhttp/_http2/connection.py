"""A connection that speaks HTTP/2, as the pool keeps it, and the exchanges on it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Final

import anyio
from anyio.abc import ByteStream

from .._common import Http2Options
from .._http1 import IDLE, Limits, Phase
from .._network import NetworkStream
from ..client_exceptions import ClientConnectionError
from .core import Http2Core
from .errors import ErrorCode
from .shared_io import SharedIO, Wait
from .state import StreamState
from .stream import Http2Stream, SharedBytes

__all__ = ("Http2Connection",)

#: After how long without a byte from the peer an idle connection is checked before it is used, in
#: seconds.  A router forgets a connection after a minute or more, a laptop sleeps for longer.
CHECK_AFTER: Final = 10.0

#: The same, if the program has cancelled a request meanwhile.
DOUBT_AFTER: Final = 1.0

#: How long the answer to a PING may take, in seconds.
CHECK_SECONDS: Final = 5.0

#: How much of one body is sent before the bodies of other exchanges have their turn, in bytes.
SHARE: Final = 128 * 1024

#: How many times an idle connection is read when it is looked at.
MAX_POLLS: Final = 16


class Http2Connection(SharedIO):
    """A connection as the pool keeps it, which carries many exchanges at a time.

    :param stream: the connection below; its peer has agreed to speak HTTP/2
    :param options: windows and limits
    :param scheme: of the URLs of all requests
    """

    #: bytes for another protocol: never, as that has a stream of its own
    unread: Final = b""
    #: when the peer may close the idle connection: it says so when it does
    usable_until: Final = math.inf

    def __init__(self, stream: NetworkStream, options: Http2Options, scheme: str) -> None:
        super().__init__(stream)
        self._core = core = Http2Core(options, scheme)
        self._output = core.output
        self._is_closed = False
        self._can_open = True  # what the core says
        #: how many exchanges the connection can carry at a time
        self.max_exchanges: int = core.max_exchanges
        #: how many exchanges are open
        self.exchanges: int = 0
        #: how many exchanges have ended on it that had a response, complete or not
        self.carried: int = 0
        #: called when there may be more or less room, other than by the end of an exchange
        self.on_change: Callable[[], None] | None = None
        self._streams: dict[StreamState, Http2Stream] = {}
        self._senders: dict[Http2Stream, None] = {}  # those with something left to send
        self._heard_at = monotonic()
        self._pings: dict[int, Wait] = {}
        self._pings_sent = 0
        self.flush()

    def __repr__(self) -> str:
        phase = self.phase
        return f"<{type(self).__name__} {phase.name}: {self.exchanges} exchanges>"

    # -- what the pool asks

    @property
    def phase(self) -> Phase:
        """IDLE if no exchange is open, BUSY if some are; CLOSED when none can follow."""
        if self._is_closed:
            return Phase.CLOSED
        return Phase.BUSY if self.exchanges else IDLE

    @property
    def is_greeted(self) -> bool:
        """Whether the server has said what it allows."""
        return self._core.is_greeted

    @property
    def is_open(self) -> bool:
        """Whether another exchange can begin now or later, as far as is known without reading."""
        return self._can_open and self.send_error is None and not self._is_closed

    @property
    def has_room(self) -> bool:
        """Whether another exchange can begin now, as far as is known without reading."""
        return (
            self.exchanges < self.max_exchanges
            and self._can_open
            and self.send_error is None
            and not (self._is_closed or self.has_backlog)
        )

    @property
    def is_usable(self) -> bool:
        """Whether another exchange can begin; what the peer has sent is taken first."""
        if self._is_closed:
            return False
        self.poll()
        return self.has_room

    @property
    def answers(self) -> int:
        """To how many requests on it the server has responded, or has begun to."""
        return self.carried + sum(state.has_started for state in self._streams)

    @property
    def allows_connect_protocol(self) -> bool:
        """Whether a WebSocket can have a stream of this connection (:rfc:`8441`)."""
        return self._core.allows_connect_protocol

    @property
    def needs_check(self) -> bool:
        """Whether the peer has been silent for so long that it may be gone without a word."""
        return monotonic() - self._heard_at > CHECK_AFTER

    def doubt(self, *, cancelled: bool = False) -> None:
        """Take the peer for silent until it sends something: an exchange has waited in vain.

        :param cancelled: the program has ended the wait, which may have been too short to tell
        """
        if not cancelled or monotonic() - self._heard_at >= DOUBT_AFTER:
            self._heard_at = -math.inf

    async def check(self) -> bool:
        """Return whether the peer answers a PING soon.

        Cancelling this is harmless.  A connection whose peer does not answer is to be closed.
        """
        if not self.is_usable:
            return False
        self._pings_sent += 1
        number = self._pings_sent
        self._core.ping(number.to_bytes(8, "big"))
        self.flush()
        self._pings[number] = wait = Wait()
        wait.is_over = False
        try:
            with anyio.move_on_after(CHECK_SECONDS):
                await self.wait(wait)
        finally:
            is_answered = self._pings.pop(number, None) is None
        return is_answered and self.is_usable

    def open_stream(self) -> Http2Stream:
        """Return a new stream, which counts from now on as an exchange."""
        self.exchanges += 1
        return Http2Stream(self)

    def public_stream(self) -> ByteStream:
        """Return a stream with the attributes of the connection; its bytes are no program's."""
        return SharedBytes(self.stream.stream)

    def abort(self) -> None:
        """Close the connection at once; its exchanges fail."""
        if self._is_closed:
            return
        self._is_closed = True
        self.stream.call_in_loop(partial(self._say_goodbye, self.stream))
        self.stream.abort()

    def _say_goodbye(self, stream: NetworkStream) -> None:
        if not stream.is_gone:
            self._core.close()
            self._send_queued()

    def leave_to_parent(self) -> None:
        """Let go of the socket in a forked child, whose parent goes on using it."""
        self._is_closed = True
        self.stream.leave_to_parent()

    # -- what streams ask

    def begin(self, stream: Http2Stream, limits: Limits) -> StreamState:
        """Return the state of the exchange on *stream*."""
        state = self._core.open(limits)
        self._streams[state] = stream
        return state

    def start(self, state: StreamState, *, end: bool) -> None:
        """Queue the head of the request; *end*: it has no body."""
        self._core.start(state, end=end)
        if self._core.room_changed:
            self._note_room()

    def consumed(self, state: StreamState) -> None:
        """Let the peer send more, as a part of the body has been taken."""
        self._core.consumed(state)
        self.flush()

    def send_body(self, stream: Http2Stream, *, will_wait: bool) -> bool:
        """Send what *stream* has left as far as that needs no waiting; return whether that is all.

        :param will_wait: whether the caller calls :meth:`wait` if it is not all
        """
        self._senders[stream] = None
        self._send_bodies()
        is_all = stream not in self._senders
        if is_all or not will_wait:
            self.flush()  # somebody else has to send what the system has not taken
        return is_all

    def end(self, stream: Http2Stream) -> None:
        """End the exchange of *stream*; the peer is told of that, if it was not complete."""
        self.exchanges -= 1
        if stream.is_begun and not stream.state.is_closed:
            # The garbage collector may have ended it in any thread.
            self.stream.call_in_loop(partial(self._reset, stream))
            return
        if stream.is_begun:
            self._forget(stream)
        self._close_if_useless()

    def _reset(self, stream: Http2Stream) -> None:
        self._forget(stream)
        if stream.takes_leave():
            self._core.leave(stream.state)
            self._note_room()
        else:
            self._core.reset(stream.state, ErrorCode.CANCEL)
        if not self.stream.is_gone:  # an event loop that has ended can wake nobody
            stream.wake_all()
            self.flush()
            self._close_if_useless()

    def _forget(self, stream: Http2Stream) -> None:
        self._streams.pop(stream.state, None)
        self._senders.pop(stream, None)

    def _close_if_useless(self) -> None:
        """Close the connection if the last exchange has ended and none can follow."""
        if not (self.exchanges or self.is_open):
            self.abort()

    # -- what comes and goes

    def _take_output(self) -> bytes:
        return self._core.take_output()

    def poll(self) -> None:
        """Take what has come, without waiting, unless a task waits for it."""
        if self._is_closed or self._reader is not None:
            return
        for _ in range(MAX_POLLS):
            data = self.stream.receive_nowait()
            if data is None:
                break
            self._take(data)
            if self._is_closed:
                return
        self.flush()

    def _take(self, data: bytes) -> None:
        self._heard_at = monotonic()
        core = self._core
        if not data and self.send_error is not None and not core.is_leaving:
            self._lose(self.send_error)  # the system tells of a broken connection only once
            return
        news = core.receive(data) if data else core.receive_eof()
        for state in news:
            stream = self._streams.get(state)
            if stream is not None:
                stream.take_news()
        if self._pings:
            self._take_ack()
        if not data or core.error is not None:
            self._send_queued()
            self._close()
            return
        if self._senders:
            self._send_bodies()
        if self._is_blocked and self._owe():
            core.fail(ErrorCode.ENHANCE_YOUR_CALM, "the server reads none of the answers")
            self._lose(core.error or ClientConnectionError())
            return
        if core.room_changed:
            self._note_room()
            self._tell_change()

    def _note_room(self) -> None:
        """Take over what the core says, which many ask for and which seldom changes."""
        core = self._core
        core.room_changed = False
        self._can_open, self.max_exchanges = core.can_open, core.max_exchanges

    def _take_ack(self) -> None:
        """End the waits for an answer: the peer has answered a PING, and so all before it."""
        last = int.from_bytes(self._core.ping_acked or b"", "big")
        for number in [number for number in self._pings if number <= last]:
            self.wake(self._pings.pop(number))

    def _lose(self, error: Exception) -> None:
        for state in self._streams:
            own = error if self.stream.is_failure(error) else copy.copy(error)
            own.__cause__ = error.__cause__
            state.fail(own)
        self._core.receive_eof()
        self._close()

    def _close(self) -> None:
        """Close the connection, of which nothing more can be received."""
        if not self._is_closed:
            self._is_closed = True
            self.stream.abort()
        self._senders.clear()
        for stream in tuple(self._streams.values()):
            stream.wake_all()
        for wait in self._pings.values():
            self.wake(wait)
        self._tell_change()

    def _tell_change(self) -> None:
        if self.on_change is not None:
            self.on_change()

    def _go_on_sending(self) -> None:
        had_backlog = self.has_backlog
        super()._go_on_sending()
        if had_backlog:
            self._tell_change()

    def _send_bodies(self) -> None:
        senders = self._senders
        while senders and not self._is_blocked:
            has_sent = False
            for stream in tuple(senders):
                if stream not in senders:
                    continue  # sending for another one has failed, and this was called for all
                del senders[stream]
                taken, is_all = stream.send_share(self._core, SHARE)
                if not is_all:
                    senders[stream] = None  # it has its next turn after the others
                if taken:
                    has_sent = True
                    self._send_queued()
                    if self._is_blocked:
                        break
            if not has_sent:
                return
