"""Conversations in HTTP/2 in which a server says how much of a body it takes, and when."""

from __future__ import annotations

import io
from collections import deque
from contextlib import suppress
from typing import Any, Final

import h2.events
from h2.connection import H2Connection
from h2.events import SettingsAcknowledged as _Acknowledged
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from .breaches import Breach, goaway, reset, settings, widening
from .http2 import FRAMES, Http2, new_connection
from .model import Fault, Plan
from .server import FaultyServer
from .wire import Wire

#: A third of it is more than the first window; all of the large one fits into no buffer of sockets.
_BODY: Final = bytes(range(250)) * 2000
_LARGE_BODY: Final = bytes(8 * 1024 * 1024)

_INTERNAL_ERROR: Final = 2
_REFUSED_STREAM: Final = 7
_MOST: Final = 2**31 - 1

#: How many bytes are let through one by one.
_DRIPS: Final = 50

#: Frames about windows that break a rule.
_BREACHES: Final[tuple[Breach, ...]] = (
    lambda stream: widening(stream, 0),
    lambda stream: widening(stream, _MOST),
    lambda stream: widening(0, 0),
    lambda stream: widening(0, _MOST),
    lambda stream: widening(stream, _MOST - 65535 * 3) + settings(4, _MOST),
    lambda stream: settings(4, _MOST + 1),
)


class Uploading(Http2):
    """A request with a body that is larger than the windows.

    The server widens these for what it has read.  The fault is before the body, or after a third
    or two thirds of it.

    :param deaf: the windows are as wide as can be; a server that stalls does not read
    :param shuts_all: a server that stalls widens the window of the stream, and until it has been
        reset not that of the connection
    """

    def __init__(self, *, deaf: bool = False, shuts_all: bool = False) -> None:
        super().__init__(method="POST")
        self._deaf = deaf
        self._shuts_all = shuts_all
        self._body = _LARGE_BODY if deaf else _BODY

    def sizes(self, part: str, fault: Fault) -> list[int]:
        return [1] * (len(_BREACHES) if part == "rules" else 3)

    def options(self, program: Any) -> dict[str, Any]:
        return {"data": io.BytesIO(self._body)}

    def _serve(self, wire: Wire, server: FaultyServer) -> None:
        connection = new_connection()
        if self._deaf:
            wide = {SettingCodes.INITIAL_WINDOW_SIZE: _MOST}
            connection.local_settings = Settings(client=False, initial_values=wide)
        connection.initiate_connection()
        if self._deaf:
            connection.increment_flow_control_window(_MOST - 65535)
        wire.send(connection.data_to_send())
        if self._deaf:
            wire.link.wait_read()  # so that the end of the client is seen behind what is not read
        uploads: dict[int, _Upload] = {}
        # h2 takes the acknowledgement of these settings for that of later ones, so nothing is done
        # before it.
        events: deque[h2.events.Event] = deque()
        is_settled = False
        while wire.inbox or wire.fill():
            events.extend(connection.receive_data(bytes(wire.inbox)))
            wire.inbox.clear()
            wire.received.clear()
            first = next((event for event in events if isinstance(event, _Acknowledged)), None)
            if first is not None and not is_settled:
                is_settled = True
                events.remove(first)
            while is_settled and events:
                self._take(events.popleft(), uploads, wire, connection, server)
            wire.send(connection.data_to_send())

    def _take(
        self,
        event: h2.events.Event,
        uploads: dict[int, _Upload],
        wire: Wire,
        connection: H2Connection,
        server: FaultyServer,
    ) -> None:
        upload: _Upload | None
        match event:
            case h2.events.RequestReceived(stream_id=int(stream), headers=list(headers)):
                name = dict(headers)[b":path"].decode()[1:]
                upload = uploads[stream] = _Upload(wire, connection, stream, name, self._deaf)
                upload.shuts_all = self._shuts_all
                self._reach(upload, 0)
            case h2.events.DataReceived(stream_id=int(stream), data=bytes(data)) if (
                upload := uploads.get(stream)
            ):
                before = upload.thirds(self._body)
                upload.body += data
                upload.widen(len(data))
                if upload.thirds(self._body) > before:
                    self._reach(upload, upload.thirds(self._body))
            case h2.events.StreamReset(stream_id=int(stream)):
                if upload := uploads.pop(stream, None):
                    upload.give_back()
            case _Acknowledged():
                for upload in uploads.values():
                    upload.restore()
            case h2.events.StreamEnded(stream_id=int(stream)) if upload := uploads.pop(
                stream, None
            ):
                assert upload.body == self._body, "the body is another one"
                self._respond(wire, connection, stream, upload.name, server)

    def _reach(self, upload: _Upload, place: int) -> None:
        """Do the fault, if it is in this upload at this *place*."""
        plan = upload.wire.plan
        if plan is None or plan.is_over or plan.name != upload.name:
            return
        if plan.part == "rules":
            is_here = place == 1
        else:
            is_here = (plan.part, plan.position) == ("body of the request", place)
        if not is_here:
            return
        if self._deaf or plan.fault in {Fault.CLOSE, Fault.RESET, Fault.HALF_CLOSE}:
            upload.wire.is_deaf = self._deaf
            upload.wire.reach(plan.part, plan.position)
        plan.has_happened = plan.is_over = True
        upload.suffer(plan, self._whole_answer(upload))

    def _whole_answer(self, upload: _Upload) -> bytes:
        plan = upload.wire.plan
        if plan is None or plan.fault is not Fault.ANSWER_EARLY:
            return b""
        frames = self._frames(upload.connection, upload.stream, upload.name)
        return b"".join(next(frames)[1] for _ in range(FRAMES))


class _Upload:
    """A body on its way to the server."""

    def __init__(
        self, wire: Wire, connection: H2Connection, stream: int, name: str, is_wide: bool
    ) -> None:
        self.wire = wire
        self.connection = connection
        self.stream = stream
        self.name = name
        self.body = bytearray()
        self.shuts_all = False
        self._is_wide = is_wide
        self._stalls = False
        self._drips = 0
        self._owed = 0
        self._withheld = 0
        self._is_narrow = False

    def thirds(self, body: bytes) -> int:
        """Return how many thirds of *body* have come."""
        return min(2, 3 * len(self.body) // len(body))

    def widen(self, size: int) -> None:
        """Give room for so many bytes more, or for one, if the server lets single bytes through."""
        if self._is_wide:
            return
        if self._stalls and self.shuts_all:
            self._withheld += size
            self._increment(size, self.stream)
            return
        if self._stalls:
            self._increment(size)  # it is shared
            return
        self._owed += size
        size = self._owed
        if self._drips:
            if min(_window(self.connection, 0), _window(self.connection, self.stream)) > 0:
                return
            self._drips -= 1
            size = 1 if self._drips else self._owed
        self._owed -= size
        if size:
            self._increment(size)
            self._increment(size, self.stream)

    def _increment(self, size: int, stream: int | None = None) -> None:
        # The client may have gone away, or have reset the stream; h2 has forgotten that if another
        # one has come behind it in the same bytes.
        with suppress(ProtocolError, KeyError):
            self.connection.increment_flow_control_window(size, stream)

    def give_back(self) -> None:
        """Let other streams have the room of the connection that has been withheld."""
        if self._withheld:
            self._increment(self._withheld)
            self._withheld = 0

    def restore(self) -> None:
        """Make the windows of streams as wide as they were."""
        if self._is_narrow:
            self._is_narrow = False
            self.connection.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 65535})

    def suffer(self, plan: Plan, answer: bytes) -> None:
        """Do what *plan* says."""
        wire, connection, stream = self.wire, self.connection, self.stream
        match plan.fault:
            case Fault.STALL_TOTAL:
                self._stalls = True
            case Fault.TRICKLE:
                self._drips = _DRIPS
            case Fault.NARROW:
                connection.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
                self._is_narrow = True
            case Fault.CANCEL:
                wire.send(reset(stream, _INTERNAL_ERROR))
            case Fault.REFUSE:
                wire.send(reset(stream, _REFUSED_STREAM))
            case Fault.GO_AWAY:
                wire.send(goaway(0))
                wire.link.half_close()
                wire.until_gone()
            case Fault.ANSWER_EARLY:
                wire.send(answer + reset(stream, 0))
            case Fault.BREAK:
                wire.send(_BREACHES[plan.position](stream))
            case _:
                raise AssertionError(f"{plan.fault} is nothing that this server does")


def _window(connection: H2Connection, stream: int) -> int:
    if not stream:
        return connection.inbound_flow_control_window
    return connection.remote_flow_control_window(stream)
